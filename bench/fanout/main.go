// Command fanout measures chat: what it costs to bring a line to everybody in its room, what an idle socket holds, how
// long a crowd takes to come back, how many lines a second are stored durably, and how long a page of a long history takes.
// Run it from the root of the tree:
//
//	go run ./bench/fanout                          every shape
//	go run ./bench/fanout -shapes yard,ten,one     some of them
//	go run ./bench/fanout -shapes send -pprof send.pprof
//	go run ./bench/fanout -shapes soak -d 1h       or: make soak
//
// The server is this program started once more, in a process of its own with a data folder of its own: the product with
// its defaults, the store on, and beside it a door for this program that forces a garbage collection and hands out
// profiles. Its CPU time is read from /proc, so the program is for Linux alone. Every delivery is counted and its order
// checked; a missing, doubled or disordered line is an error. Lines are 128 bytes of text, posted over HTTP.
//
// The yardstick is a bare loop in a process like the server's: one frame of the same size to each of as many sockets,
// one write each, ten times a second. Ratios to it say something about other machines too; the absolute figures do not.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// flags are what the shapes share.
type flags struct {
	sockets int
	dur     time.Duration
	posters int
	history int
	pprof   string
}

// shape is one thing that is measured.
type shape struct {
	name, what string
	run        func(*bench) error
}

func shapes() []shape {
	return []shape{
		{"yard", "the yardstick: a bare write to each socket, 10 times a second", (*bench).yard},
		{"ten", "1 room, 10 lines a second", func(b *bench) error { return b.open("10 lines a second", 10) }},
		{"hundred", "1 room, 100 lines a second", func(b *bench) error { return b.open("100 lines a second", 100) }},
		{"one", "1 room, one line in flight", func(b *bench) error { return b.closed("one in flight", 1) }},
		{"eight", "1 room, eight lines in flight", func(b *bench) error { return b.closed("eight in flight", 8) }},
		{"members", "cost of a delivery in rooms of 10 to 5,000 sockets, at 10 lines a second each", (*bench).members},
		{"stuck", "delays of 100 lines a second, without and with one socket that does not read", (*bench).stuck},
		{"idle", "memory of 5,000 idle sockets", (*bench).idle},
		{"storm", "5,000 sockets come back and get what they missed", (*bench).storm},
		{"send", "lines a second, each on disk before its answer, from 64 posters", (*bench).send},
		{"history", "a page of a room with a long history", (*bench).past},
		{"soak", "a community for as long as -d says; only when it is asked for", (*bench).soak},
	}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		exit(serve(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == "yard" {
		exit(yardServer(os.Args[2:]))
	}
	var f flags
	which := flag.String("shapes", "", "which shapes, with commas; all when left out")
	flag.IntVar(&f.sockets, "n", 1000, "sockets of the room")
	flag.DurationVar(&f.dur, "d", 10*time.Second, "measured time of each shape")
	flag.IntVar(&f.posters, "posters", 64, "posters of the shape send")
	flag.IntVar(&f.history, "lines", 1_000_000, "lines of the room of the shape history")
	flag.StringVar(&f.pprof, "pprof", "", "file for a CPU profile of the server during the last shape")
	rounds := flag.Int("rounds", 1, "how often each shape is measured, interleaved")
	flag.Parse()
	exit(run(f, *which, *rounds))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "fanout:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// bench is a run: its results, and the server of the shape that runs.
type bench struct {
	flags
	rows  [][]string
	yard1 float64 // µs of CPU of one bare write, 0 while it was not measured
}

func (b *bench) row(cells ...string) {
	b.rows = append(b.rows, cells)
	fmt.Fprintln(os.Stderr, strings.Join(cells, "   "))
}

// ratio is a figure in bare writes.
func (b *bench) ratio(us float64) string {
	if b.yard1 == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", us/b.yard1)
}

func run(f flags, which string, rounds int) error {
	all := shapes()
	names := strings.Split(which, ",")
	for _, n := range names {
		if which != "" && !slices.ContainsFunc(all, func(s shape) bool { return s.name == n }) {
			return fmt.Errorf("there is no shape %q", n)
		}
	}
	b := &bench{flags: f}
	for range rounds {
		for _, s := range all {
			if which != "" && !slices.Contains(names, s.name) || which == "" && s.name == "soak" {
				continue
			}
			fmt.Fprintf(os.Stderr, "# %s\n", s.what)
			if err := s.run(b); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	for _, cells := range b.rows {
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

// Command intake measures how fast mail is taken in: stored durably before its 250, with the checks of the sender on and
// their DNS answers cached. Run it from the root of the tree:
//
//	go run ./bench/intake                      three rounds of 10,000 mails each, beside Postfix where that is installed
//	go run ./bench/intake -rounds 1 -pprof intake.pprof
//	go run ./bench/intake -dir /srv            on the disk that is to be judged
//
// The server is this program started once more, in a process of its own with a data folder of its own: the product with
// its defaults, all that it does with a mail included (checks, spam filter, rules, threads, events, search index). Mail comes
// from Debian's smtp-source (package postfix) over 10 connections, 4 KB a mail; where that is not installed, from this
// program. A DNS server of this program answers SPF, DKIM, DMARC, MX and the peer's name. The server's CPU time is read
// from /proc, so the program is for Linux alone: once until the last 250, once until the server rests, which adds the search
// index and whatever else comes behind.
//
// Beside it, in turns, Postfix takes the same mails to its queue, with a configuration and a queue of its own on the same disk
// and without any check; what it does with them after its 250 is to throw them away. It needs root, and Postfix installed.
//
// The time of the 250 is this program's own: over as many connections, mails that are signed with DKIM, one after the
// other on each, from the dot that ends the mail to its 250.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// The names of the mails that are sent.
const (
	recipient = "pilot@vezeuniqverse.com"
	domain    = "client.test"
)

// warmUp is how many mails come before those that are measured.
const warmUp = 500

// flags are what one run is made of.
type flags struct {
	mails, conns, size, rounds, timed int
	dir, pprof                        string
	postfix                           bool
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == "serve" {
		exit(serve(os.Args[2], os.Args[3]))
	}
	var f flags
	flag.IntVar(&f.mails, "n", 10_000, "mails of a round")
	flag.IntVar(&f.conns, "conns", 10, "connections")
	flag.IntVar(&f.size, "size", 4096, "bytes of a mail")
	flag.IntVar(&f.rounds, "rounds", 3, "rounds, of which the median counts")
	flag.IntVar(&f.timed, "timed", 2000, "mails whose 250 is timed, in each round; 0 for none")
	flag.StringVar(&f.dir, "dir", "", "folder on the disk to measure; the system's temporary folder when left out")
	flag.StringVar(&f.pprof, "pprof", "", "file for a CPU profile of the server during the last round")
	flag.BoolVar(&f.postfix, "postfix", true, "take turns with Postfix, where it is installed")
	flag.Parse()
	exit(run(context.Background(), os.Stdout, f))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "intake:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// round is what one round gave.
type round struct {
	rate, postfix     float64       // mails a second
	taken, rested     time.Duration // CPU of the server for a mail, until the last 250 and until it rests
	median, p99, most time.Duration // until the 250
}

func run(ctx context.Context, out io.Writer, f flags) error {
	dir, err := os.MkdirTemp(f.dir, "uniqverse-intake-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	zone, err := serveZone()
	if err != nil {
		return err
	}
	defer zone.Close()
	s, err := start(dir, zone.Addr())
	if err != nil {
		return err
	}
	defer s.end()
	var other *postfix
	if f.postfix {
		if other, err = startPostfix(ctx, dir); err != nil {
			fmt.Fprintln(os.Stderr, "intake: no Postfix beside it:", err)
		} else {
			defer other.stop()
		}
	}
	warm, err := send(ctx, s.smtp, recipient, flags{mails: warmUp, conns: f.conns, size: f.size}) // the DNS is asked here
	if err != nil {
		return err
	}
	s.profiled = warm * time.Duration(f.mails) / warmUp * 3 / 4
	var rounds []round
	for i := range f.rounds {
		last := i == f.rounds-1
		r, err := s.round(ctx, f, zone, other, last)
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "round %d: %.0f/s, %v and %v of CPU a mail, 250 after %v, p99 %v; Postfix %.0f/s\n", i+1, r.rate, r.taken, r.rested, r.median, r.p99, r.postfix)
		rounds = append(rounds, r)
	}
	if err := s.counted(warmUp + f.rounds*(f.mails+f.timed)); err != nil {
		return err
	}
	return report(out, f, rounds, other != nil)
}

// round measures once, in turns with Postfix.
func (s *server) round(ctx context.Context, f flags, z *zone, other *postfix, last bool) (r round, err error) {
	if other != nil {
		took, err := send(ctx, other.addr, "pilot@bench.test", f)
		if err != nil {
			return r, fmt.Errorf("beside it, %w", err)
		}
		r.postfix = float64(f.mails) / took.Seconds()
		other.drain(ctx)
	}
	s.rest()
	wait := func() error { return nil }
	if last && f.pprof != "" {
		wait = s.profile(f.pprof)
	}
	before := s.cpu()
	took, err := send(ctx, s.smtp, recipient, f)
	if err != nil {
		return r, err
	}
	r.rate = float64(f.mails) / took.Seconds()
	r.taken = (s.cpu() - before) / time.Duration(f.mails)
	if err := wait(); err != nil {
		return r, err
	}
	s.rest()
	r.rested = (s.cpu() - before) / time.Duration(f.mails)
	if f.timed == 0 {
		return r, nil
	}
	times, err := timed(s.smtp, z, f)
	if err != nil {
		return r, err
	}
	slices.Sort(times)
	r.median, r.p99, r.most = times[len(times)/2], times[len(times)*99/100], times[len(times)-1]
	return r, nil
}

// send sends the mails of a round with smtp-source, or by itself, and returns how long that took.
func send(ctx context.Context, addr, to string, f flags) (time.Duration, error) {
	path, err := exec.LookPath("smtp-source")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/smtp-source")
	}
	began := time.Now()
	if err != nil {
		_, err := timedMails(addr, to, f.conns, unsigned(f))
		return time.Since(began), err
	}
	cmd := exec.CommandContext(ctx, path, "-d", "-M", "mx."+domain, "-s", strconv.Itoa(f.conns), "-l", strconv.Itoa(f.size), "-m", strconv.Itoa(f.mails),
		"-f", "a@"+domain, "-t", to, addr)
	text, err := cmd.CombinedOutput()
	if err != nil || len(bytes.TrimSpace(text)) > 0 {
		return 0, errors.Join(err, fmt.Errorf("smtp-source says: %s", text))
	}
	return time.Since(began), nil
}

// free returns an address of this machine on which nobody listens.
func free() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// report prints the medians.
func report(out io.Writer, f flags, rounds []round, beside bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "mails a second\t%.0f\t%d connections, %d bytes, median of %d rounds of %d\n", median(rounds, func(r round) float64 { return r.rate }), f.conns, f.size, len(rounds), f.mails)
	if beside {
		fmt.Fprintf(w, "Postfix to its queue\t%.0f\tin turns\n", median(rounds, func(r round) float64 { return r.postfix }))
		fmt.Fprintf(w, "ratio\t%.1f\t\n", median(rounds, func(r round) float64 { return r.rate / r.postfix }))
	}
	fmt.Fprintf(w, "CPU of a mail\t%v\tuntil the last 250\n", median(rounds, func(r round) time.Duration { return r.taken }))
	fmt.Fprintf(w, "\t%v\tuntil the server rests\n", median(rounds, func(r round) time.Duration { return r.rested }))
	if f.timed > 0 {
		fmt.Fprintf(w, "dot to 250\tmedian %v, 99 of 100 below %v, most %v\t%d signed mails a round\n", median(rounds, func(r round) time.Duration { return r.median }),
			median(rounds, func(r round) time.Duration { return r.p99 }), median(rounds, func(r round) time.Duration { return r.most }), f.timed)
	}
	return w.Flush()
}

func median[T float64 | time.Duration](rounds []round, of func(round) T) T {
	var all []T
	for _, r := range rounds {
		all = append(all, of(r))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// pad is text of so many bytes in lines.
func pad(n int) string {
	const line = "The gate is open, the lamps are lit, and the pilots wait for word.\r\n"
	return strings.Repeat(line, max(1, n/len(line)))
}

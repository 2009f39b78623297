// Command mailbox measures how fast a large mailbox is read: it fills one with messages, directly through the store and in the
// search index, and then takes pages of it and searches it. Run it from the root of the tree:
//
//	go run ./bench/mailbox                      1,000,000 messages in the system's temporary folder; that takes some minutes
//	go run ./bench/mailbox -n 100000
//	go run ./bench/mailbox -dir /srv/box -keep  on the disk that is to be judged; the next run uses what is there
//
// A page has 50 messages. It also scans messages that are made to be slow to understand. It prints the median and the time
// that 99 of 100 stay below.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/search"
	"uniqverse/store"
	"uniqverse/store/mailstore"
)

// flags are what one run is made of.
type flags struct {
	messages, times int
	dir             string
	keep            bool
}

func main() {
	var f flags
	flag.IntVar(&f.messages, "n", 1_000_000, "messages")
	flag.IntVar(&f.times, "times", 200, "how often each page is taken")
	flag.StringVar(&f.dir, "dir", "", "folder for the database; one in the system's temporary folder when left out")
	flag.BoolVar(&f.keep, "keep", false, "leave the database of -dir there, and use one that is there")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, f); err != nil {
		fmt.Fprintln(os.Stderr, "mailbox:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, f flags) error {
	if f.keep && f.dir == "" {
		return errors.New("-keep goes with -dir")
	}
	dir := f.dir
	if !f.keep {
		var err error
		if dir, err = os.MkdirTemp(f.dir, "uniqverse-mailbox-*"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	db, err := store.Open(ctx, store.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer db.Close()
	st := mailstore.New(db)
	began := time.Now()
	b, err := fill(ctx, st, f.messages)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	size := int64(0)
	if info, err := os.Stat(filepath.Join(dir, store.FileName)); err == nil {
		size = info.Size()
	}
	fmt.Fprintf(w, "%d messages\tfilled in %v\t%d MB\n", b.Messages, time.Since(began).Round(time.Second), size>>20)
	for _, q := range b.questions() {
		if err := b.measure(ctx, w, st, q, f.times); err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
	}
	bombs(w)
	return w.Flush()
}

// question is one page that is asked for; filter makes the i-th of them.
type question struct {
	name   string
	filter func(i int) mailbox.Filter
}

// questions are what is measured.
func (b *box) questions() []question {
	yes := true
	deep := func(i int) int64 { return b.first + (int64(i)*7919*b.Messages/200)%b.Messages + 1 } // all over the mailbox
	out := []question{
		{"list, first page", func(int) mailbox.Filter { return mailbox.Filter{} }},
		{"list, before a message", func(i int) (f mailbox.Filter) { f.Before = deep(i); return f }},
		{"folder, first page", func(int) mailbox.Filter { return mailbox.Filter{Folder: b.inbox} }},
		{"folder, before a message", func(i int) mailbox.Filter {
			f := mailbox.Filter{Folder: b.inbox}
			f.Before = deep(i)
			return f
		}},
		{"folder, a row a thread, first page", func(int) mailbox.Filter { return mailbox.Filter{Folder: b.inbox, Threads: true} }},
		{"folder, a row a thread, before", func(i int) mailbox.Filter {
			f := mailbox.Filter{Folder: b.inbox, Threads: true}
			f.Before = deep(i)
			return f
		}},
		{"unread, first page", func(int) mailbox.Filter { return mailbox.Filter{Unread: &yes} }},
		{"unread of a folder, first page", func(int) mailbox.Filter { return mailbox.Filter{Folder: b.inbox, Unread: &yes} }},
		{"unread of a folder with few messages", func(int) mailbox.Filter { return mailbox.Filter{Folder: b.archive, Unread: &yes} }},
		{"starred, first page", func(int) mailbox.Filter { return mailbox.Filter{Starred: &yes} }},
		{"label, first page", func(int) mailbox.Filter { return mailbox.Filter{Label: "crew"} }},
	}
	for _, q := range []string{rare, "fleet", "fleet gate", `"launch window"`, `fleet "launch window"`, "fleet -gate", "laun*", "from:ann fleet", "subject:report fleet",
		"fleet has:attachment", "fleet is:unread", "fleet label:crew", "fleet before:2025-06-01", "fleet after:2025-06-01 before:2025-06-03", "larger:1M", "fleet nosuchwordanywhere",
		"filename:pdf", "in:archive " + rare, "in:archive fleet"} {
		out = append(out, question{"search " + q, func(int) mailbox.Filter { return b.search(q) }})
	}
	return out
}

// search is a filter for what somebody types; folders are the caller's to find.
func (b *box) search(text string) mailbox.Filter {
	q, err := search.Parse(text, began)
	if err != nil {
		panic(err) // the texts are ours
	}
	f := mailbox.Filter{Query: q}
	for range q.Folders {
		f.Within = append(f.Within, mailbox.InFolder{Folder: b.archive})
	}
	return f
}

// measure asks a question often.
func (b *box) measure(ctx context.Context, w io.Writer, st mailstore.Store, q question, times int) error {
	var took []time.Duration
	rows := 0
	for i := range times + 3 {
		at := time.Now()
		list, err := st.Messages(ctx, b.ID, q.filter(i))
		if err != nil {
			return err
		}
		if i >= 3 { // the first ones find the pages on the disk
			took = append(took, time.Since(at))
		}
		if rows = len(list); i == 3 && time.Since(at) > time.Second {
			break // it will not get better
		}
	}
	slices.Sort(took)
	_, err := fmt.Fprintf(w, "%s\t%v\t99 of 100 below %v\t%d rows\n", q.name, took[len(took)/2].Round(time.Microsecond), took[len(took)*99/100].Round(time.Microsecond), rows)
	return err
}

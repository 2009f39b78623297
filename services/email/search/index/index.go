// Package index feeds the full-text index of mail: it reads messages that the index does not know yet, in the order of their ids,
// and gives the store their words.
//
// It runs behind the deliveries, so that no 250 waits for it; how far it is lies in the store, written with the words, so that a crash
// neither leaves a message out nor indexes one twice. A message whose bytes cannot be read is found by its header alone. It is
// not the search (package search has the language, store/mailstore runs it). Who stores a message may offer what was read of it, so that it
// is not read twice; that is kept in memory, up to a bound, and is worth nothing after a crash.
//
// Run has one goroutine; Wake and Offer are safe for concurrent use.
package index

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/reading"
)

// MaxText is how much of a message's text is indexed, in bytes.
const MaxText = 256 << 10

// idleTime is how long a feeder that nobody wakes waits before it looks by itself.
const idleTime = 5 * time.Second

// batch is how many messages are indexed in one transaction, and batchText how much text ends one sooner, in bytes.
const (
	batch     = 256
	batchText = 4 << 20
)

// offered is how much text waits in memory for the index, in bytes.
const offered = 4 << 20

// How long the feeder waits for more before it indexes what came: a mail that comes alone is found at once, and while mail
// keeps coming (busy messages at a time) it looks less and less often, as one large transaction costs far less than many small ones.
const (
	leastPause = 20 * time.Millisecond
	mostPause  = time.Second
	busy       = 16
)

// Document is the words of one message.
type Document struct {
	Message    int64 // its row
	Mailbox    int64
	Flags      []string
	Subject    string
	Sender     string
	Recipients string
	Body       string
	Files      string
}

// Store is what the feeder asks of the store.
type Store interface {
	// NotIndexed returns the next messages that the index does not know, in the order of their ids.
	NotIndexed(ctx context.Context, limit int) ([]mailbox.Message, error)
	// Index adds documents and notes that all messages up to done are known, in one transaction. A message that is gone
	// meanwhile is left out.
	Index(ctx context.Context, docs []Document, done int64) error
}

// Feeder feeds the index. Make one with New.
type Feeder struct {
	store Store
	open  func(ctx context.Context, rawID int64) (mailbox.Raw, *mailbox.Content, error)
	log   *slog.Logger
	wake  chan struct{}

	mu     sync.Mutex      // guards what is below
	offers map[int64]words // by row: what was read already
	size   int             // bytes of it
	done   int64           // the newest row that is known to be in the index
}

// New returns a feeder; open opens the bytes of a stored message.
func New(store Store, open func(ctx context.Context, rawID int64) (mailbox.Raw, *mailbox.Content, error), log *slog.Logger) *Feeder {
	return &Feeder{store: store, open: open, log: log, wake: make(chan struct{}, 1), offers: map[int64]words{}}
}

// Wake says that there may be new messages. It never waits.
func (f *Feeder) Wake() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Run feeds the index until ctx ends.
func (f *Feeder) Run(ctx context.Context) {
	pause := leastPause
	for ctx.Err() == nil {
		began := time.Now()
		n, more, err := f.feed(ctx)
		wait := 2 * time.Since(began) // deliveries come first: the writer is ours a third of the time at most
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			f.log.Error("the search index cannot be fed; it is tried again in a minute", "err", err.Error())
			wait = time.Minute
		case !more:
			if pause = min(2*pause, mostPause); n < busy {
				pause = leastPause
			}
			idle := time.NewTimer(idleTime) // what is stored beside the deliveries, a report say, wakes nobody
			select {
			case <-ctx.Done():
			case <-f.wake:
			case <-idle.C:
			}
			idle.Stop()
			wait = pause // what comes together is indexed together
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
	}
}

// feed indexes the next messages and returns how many those were, and whether there may be more.
func (f *Feeder) feed(ctx context.Context) (n int, more bool, err error) {
	list, err := f.store.NotIndexed(ctx, batch)
	if err != nil || len(list) == 0 {
		return 0, false, err
	}
	docs := make([]Document, 0, len(list))
	for size := 0; len(docs) < len(list) && size < batchText; {
		d := f.document(ctx, list[len(docs)])
		docs = append(docs, d)
		size += len(d.Body)
	}
	n = len(docs)
	if err := f.store.Index(ctx, docs, list[n-1].ID); err != nil {
		return n, false, err
	}
	f.forget(list[n-1].ID)
	return n, n < len(list) || n == batch, nil
}

// document reads the words of a message.
func (f *Feeder) document(ctx context.Context, m mailbox.Message) Document {
	if w, ok := f.take(m.ID); ok {
		return w.of(m)
	}
	_, c, err := f.open(ctx, m.RawID)
	if err != nil {
		f.log.Warn("a message is found by its header alone: its bytes cannot be read", "id", m.ID, "err", err.Error())
		return header(m)
	}
	defer c.Close()
	shown, err := reading.Show(c)
	if err != nil {
		f.log.Warn("a message is found by its header alone", "id", m.ID, "err", err.Error())
		return header(m)
	}
	return wordsOf(shown).of(m)
}

// header is what can be found of a message whose bytes cannot be read.
func header(m mailbox.Message) Document {
	return Document{Message: m.ID, Mailbox: m.MailboxID, Flags: m.Flags, Subject: m.Subject, Sender: m.From, Recipients: m.To + " " + m.Recipient, Body: m.Snippet}
}

// words are what all copies of a message have in common.
type words struct{ body, recipients, files string }

func wordsOf(shown reading.Shown) words {
	var to, files []string
	for _, field := range []string{"To", "Cc", "Bcc"} {
		for _, a := range shown.Addresses(field) {
			to = append(to, a.String())
		}
	}
	for _, p := range shown.Files {
		files = append(files, p.Name)
	}
	return words{strings.ToValidUTF8(shown.Text[:min(len(shown.Text), MaxText)], ""), strings.Join(to, " "), strings.Join(files, " ")}
}

func (w words) of(m mailbox.Message) Document {
	d := header(m)
	d.Body, d.Recipients, d.Files = w.body, m.Recipient+" "+w.recipients, w.files
	return d
}

// Offer hands over what was read of a message that is stored now, as these rows: it need not be read again for the index. What there
// is no room for is read again.
func (f *Feeder) Offer(rows []int64, r reading.Reading, c *mailbox.Content) {
	if len(rows) == 0 || len(r.Tree.Parts) == 0 {
		return
	}
	defer func() {
		if p := recover(); p != nil { // it is read again, and then whoever runs the feeder hears of it
			f.log.Error("a message could not be read for the search index", "panic", fmt.Sprint(p))
		}
	}()
	shown, err := r.Show(c)
	if err != nil {
		return
	}
	w := wordsOf(shown)
	size := len(w.body) + len(w.recipients) + len(w.files)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range rows {
		if id <= f.done || f.size+size > offered {
			continue
		}
		f.offers[id] = w
		f.size += size
	}
}

// take returns what was offered of a message.
func (f *Feeder) take(id int64) (w words, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w, ok = f.offers[id]
	return w, ok
}

// forget drops what was offered of the messages that the index knows now.
func (f *Feeder) forget(done int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done = max(f.done, done)
	for id, w := range f.offers {
		if id <= done {
			f.size -= len(w.body) + len(w.recipients) + len(w.files)
			delete(f.offers, id)
		}
	}
}

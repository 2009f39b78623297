package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/mime"
	"uniqverse/services/email/search/index"
	"uniqverse/store/mailstore"
)

// rare is a word that five messages of the mailbox have.
const rare = "chrysoberyl"

// began is the time of the newest message.
var began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// batch is how many messages are stored in one transaction.
const batch = 2000

// box is the mailbox that is measured.
type box struct {
	mailbox.Mailbox
	inbox, archive int64
	first          int64 // the id before that of the oldest message
}

// fill makes the mailbox, up to n messages, each in the search index.
func fill(ctx context.Context, st mailstore.Store, n int) (*box, error) {
	b := &box{}
	err := st.Update(ctx, nil, func(tx mailbox.Tx) (err error) {
		b.Mailbox, _, err = tx.EnsureMailbox("pilot", mailbox.MadeByProvision)
		return err
	})
	if err != nil {
		return nil, err
	}
	folders, err := st.Folders(ctx, b.ID)
	if err != nil {
		return nil, err
	}
	for _, f := range folders {
		switch f.Role {
		case mailbox.RoleInbox:
			b.inbox = f.ID
		case mailbox.RoleArchive:
			b.archive = f.ID
		}
	}
	w := newWriter()
	for from := int(b.Messages); from < n; from += batch {
		if err := b.add(ctx, st, w, from, min(from+batch, n), n); err != nil {
			return nil, err
		}
		if from%100_000 == 0 {
			fmt.Fprintf(os.Stderr, "%d messages\n", from)
		}
	}
	if b.Mailbox, err = st.MailboxByName(ctx, "pilot"); err != nil {
		return nil, err
	}
	oldest, err := st.Messages(ctx, b.ID, mailbox.Filter{Label: "first"})
	if err != nil || len(oldest) == 0 {
		return nil, errs.Wrap(errs.Internal, err, "the oldest message is not there")
	}
	b.first = oldest[0].ID - 1
	return b, nil
}

// add stores some messages and gives the index their words.
func (b *box) add(ctx context.Context, st mailstore.Store, w *writer, from, to, n int) error {
	var docs []index.Document
	err := st.Update(ctx, nil, func(tx mailbox.Tx) error {
		docs = docs[:0]
		for i := from; i < to; i++ {
			m, text := b.message(w, i, n)
			var err error
			raw := mailbox.Raw{EnvelopeID: "E", SHA256: make([]byte, 32), Size: m.Size, Body: []byte("Subject: " + m.Subject + "\r\n\r\n" + text[:min(len(text), 100)] + "\r\n"), Mode: "mx",
				ReversePath: m.FromAddress, Recipients: []string{m.Recipient}, Received: m.Received, MessageID: m.MessageID}
			if m.RawID, err = tx.AddRaw(raw); err != nil {
				return err
			}
			if i%4 != 0 { // an answer to the one before
				m.ThreadID = int64(i/4) + 1
			}
			if m, err = tx.AddMessage(m); err != nil {
				return err
			}
			docs = append(docs, index.Document{Message: m.ID, Mailbox: m.MailboxID, Flags: m.Flags, Subject: m.Subject, Sender: m.From, Recipients: m.To, Body: text, Files: files(m)})
		}
		return nil
	})
	if err != nil {
		return err
	}
	return st.Index(ctx, docs, docs[len(docs)-1].Message)
}

func files(m mailbox.Message) string {
	if m.Attachments > 0 {
		return "map.pdf"
	}
	return ""
}

// message is the i-th of n, the oldest first.
func (b *box) message(w *writer, i, n int) (m mailbox.Message, text string) {
	text = w.text(30)
	if i%2 == 0 {
		text += " fleet"
	}
	if i%1000 == 500 {
		text += " launch window"
	}
	if n >= 5 && i%(n/5) == n/10 {
		text += " " + rare
	}
	author := w.name()
	m = mailbox.Message{MailboxID: b.ID, User: "pilot", Recipient: "pilot@veze.test", Subject: "Report on " + w.text(3), From: author + " <" + author + "@crew.test>", FromName: author,
		FromAddress: author + "@crew.test", To: "pilot@veze.test", Received: began.Add(-time.Duration(n-i) * 30 * time.Second), Snippet: text[:min(len(text), 160)],
		MessageID: fmt.Sprintf("%d@crew.test", i), Size: int64(2000 + i%9000), SPF: "pass", DKIM: "pass", DMARC: "pass", Unread: i%20 == 0, Starred: i%5000 == 0,
		Folders: []int64{b.inbox}, ThreadID: int64(i/4) + 1}
	m.Date = m.Received
	if i%100 == 99 {
		m.Folders = []int64{b.archive}
	}
	if i%10 == 0 {
		m.Flags, m.Attachments = []string{"attachment"}, 1
	}
	if i%200 == 7 {
		m.Labels = []string{"crew"}
	}
	if i == 0 {
		m.Labels = []string{"first"}
	}
	if i%20_000 == 3 {
		m.Size = 2 << 20
	}
	return m, text
}

// writer makes texts whose words are as unequal as those of people are.
type writer struct {
	r     *rand.Rand
	words []string
}

func newWriter() *writer {
	w := &writer{r: rand.New(rand.NewPCG(1, 2))}
	syllables := strings.Fields("ka ro mi ten sol ve ur dan pli qua zer nox bel tri fam gor hin lus")
	for i := range 20_000 {
		word := ""
		for k := i + 1; k > 0; k /= len(syllables) {
			word += syllables[k%len(syllables)]
		}
		w.words = append(w.words, word)
	}
	w.words[3] = "gate"
	return w
}

func (w *writer) text(n int) string {
	list := make([]string, n)
	for i := range list {
		f := w.r.Float64()
		list[i] = w.words[int(f*f*f*float64(len(w.words)))]
	}
	return strings.Join(list, " ")
}

func (w *writer) name() string {
	return []string{"ann", "ben", "cy", "dora", "eli", "fay", "gus", "hal"}[w.r.IntN(8)] + w.words[w.r.IntN(50)]
}

// bombs scans messages that are made to be slow to understand, each twice as large as well.
func bombs(w io.Writer) {
	nested := func(n int) []byte {
		var b bytes.Buffer
		b.WriteString("Content-Type: multipart/mixed; boundary=b0\r\n\r\n")
		for i := range n {
			fmt.Fprintf(&b, "--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n", i, i+1)
		}
		return b.Bytes()
	}
	many := func(n int) []byte {
		return []byte("Content-Type: multipart/mixed; boundary=x\r\n\r\n" + strings.Repeat("--x\r\n\r\nwarp\r\n", n) + "--x--\r\n")
	}
	for _, c := range []struct {
		name string
		n    int
		make func(int) []byte
	}{{"levels in each other", 1000, nested}, {"parts", 100_000, many}} {
		for _, n := range []int{c.n, 2 * c.n} {
			raw := c.make(n)
			least := time.Hour
			for range 5 {
				at := time.Now()
				if _, err := mime.Scan(bytes.NewReader(raw)); err != nil {
					panic(err) // there is nothing that could fail
				}
				least = min(least, time.Since(at))
			}
			fmt.Fprintf(w, "%d %s, %d kB\t%v\n", n, c.name, len(raw)>>10, least.Round(time.Microsecond))
		}
	}
}

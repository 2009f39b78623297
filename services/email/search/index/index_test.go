package index

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/reading"
)

// shelf is a store of messages whose words are their snippets.
type shelf struct {
	text    string
	waiting []int64
	docs    []Document
	batches []int
}

func (s *shelf) NotIndexed(_ context.Context, limit int) ([]mailbox.Message, error) {
	var out []mailbox.Message
	for _, id := range s.waiting[:min(limit, len(s.waiting))] {
		out = append(out, mailbox.Message{ID: id, MailboxID: 7, Snippet: s.text})
	}
	return out, nil
}

func (s *shelf) Index(_ context.Context, docs []Document, done int64) error {
	if docs[len(docs)-1].Message != done {
		return errors.New("known up to another message than the last one")
	}
	s.docs, s.batches = append(s.docs, docs...), append(s.batches, len(docs))
	s.waiting = s.waiting[len(docs):]
	return nil
}

// A batch has so many messages at most, and ends sooner with much text; none is left out, whatever ends one.
func TestBatches(t *testing.T) {
	for name, tc := range map[string]struct {
		text     string
		messages int
		want     []int
	}{
		"none":         {"warp", 0, nil},
		"one":          {"warp", 1, []int{1}},
		"a full batch": {"warp", batch, []int{batch}},
		"one too many": {"warp", batch + 1, []int{batch, 1}},
		"much text":    {strings.Repeat("w", batchText/4), 10, []int{4, 4, 2}},
		"huge texts":   {strings.Repeat("w", 2*batchText), 2, []int{1, 1}},
	} {
		s := &shelf{text: tc.text}
		for id := range int64(tc.messages) {
			s.waiting = append(s.waiting, id+1)
		}
		f := New(s, func(context.Context, int64) (mailbox.Raw, *mailbox.Content, error) {
			return mailbox.Raw{}, nil, errors.New("no bytes")
		}, slog.New(slog.DiscardHandler))
		for more := true; more; {
			var err error
			if _, more, err = f.feed(context.Background()); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if !slices.Equal(s.batches, tc.want) || len(s.waiting) != 0 {
			t.Errorf("%s: batches of %v, want %v; %d wait", name, s.batches, tc.want, len(s.waiting))
		}
		for i, d := range s.docs {
			if d.Message != int64(i+1) || d.Mailbox != 7 || d.Body != tc.text {
				t.Errorf("%s: document %d is message %d", name, i, d.Message)
			}
		}
	}
}

// What was offered of a message is in the index as if its bytes had been read, and they are not read again; what there was no room for
// is read, and nothing that was offered stays once the index has it.
func TestOffered(t *testing.T) {
	const letter = "From: ann@a.test\r\nTo: Ben <ben@b.test>\r\nCc: cy@c.test\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
		"--b\r\n\r\nwarp\r\ngate\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>not this</p>\r\n--b\r\nContent-Type: image/png; name=map.png\r\n\r\nx\r\n--b--\r\n"
	opened := 0
	open := func(context.Context, int64) (mailbox.Raw, *mailbox.Content, error) {
		opened++
		return mailbox.Raw{}, mailbox.InMemory([]byte(letter)), nil
	}
	log := slog.New(slog.DiscardHandler)
	s := &shelf{waiting: []int64{1, 2, 3}}
	f := New(s, open, log)
	c := mailbox.InMemory([]byte(letter))
	f.Offer([]int64{1, 3}, reading.Read(c, log), c)
	if _, _, err := f.feed(context.Background()); err != nil {
		t.Fatal(err)
	}
	if opened != 1 {
		t.Errorf("%d of 3 messages were read again, want the one that was not offered", opened)
	}
	want := Document{Mailbox: 7, Recipients: " " + `"Ben" <ben@b.test> cy@c.test`, Body: "warp\ngate", Files: "map.png"}
	for i, d := range s.docs {
		if d.Recipients != s.docs[1].Recipients || d.Body != want.Body || d.Files != want.Files || d.Message != int64(i+1) || d.Mailbox != want.Mailbox {
			t.Errorf("document %d is %+v, want what reading it gives, %+v", i, d, s.docs[1])
		}
	}
	f.Offer([]int64{2}, reading.Read(c, log), c) // late: the index has it
	if len(f.offers) != 0 || f.size != 0 {
		t.Errorf("%d offers of %d bytes stay", len(f.offers), f.size)
	}

	big := "From: ann@a.test\r\n\r\n" + strings.Repeat("warp gate\r\n", MaxText/11)
	c = mailbox.InMemory([]byte(big))
	r := reading.Read(c, log)
	for id := range int64(100) {
		f.Offer([]int64{10 + id}, r, c)
	}
	if f.size > offered || len(f.offers) == 0 {
		t.Errorf("%d bytes wait in %d offers, want at most %d", f.size, len(f.offers), offered)
	}
}

package index

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"uniqverse/services/email/mailbox"
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

package refusals_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"uniqverse/services/email/refusals"
	"uniqverse/smtpd"
)

// shelf is a Store in memory.
type shelf struct {
	mu   sync.Mutex
	rows []refusals.Refusal
	fail error
	came chan struct{}
}

func (s *shelf) AddRefusals(_ context.Context, rows []refusals.Refusal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail == nil {
		s.rows = append(s.rows, rows...)
	}
	select {
	case s.came <- struct{}{}:
	default:
	}
	return s.fail
}

func (s *shelf) Refusals(context.Context, refusals.Filter) ([]refusals.Refusal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows, nil
}

func (s *shelf) SweepRefusals(context.Context, time.Time, int) (int64, error) { return 0, nil }

func (s *shelf) Greylisted(context.Context, time.Time, int) ([]refusals.Waiting, error) {
	return nil, nil
}

func (s *shelf) GreylistRelease(context.Context, refusals.Waiting) error { return nil }

func open(t *testing.T) (*refusals.Journal, *shelf) {
	s := &shelf{came: make(chan struct{}, 100)}
	j, err := refusals.New(refusals.Options{Store: s, Domain: "mail.test", Log: slog.New(slog.DiscardHandler), Now: time.Now, Metrics: metrics.NewSet(),
		Named: func(u string) (string, error) { return u, nil },
		Owners: func(_ context.Context, addr string) ([]string, error) {
			switch addr {
			case "team@mail.test":
				return []string{"ann", "bob"}, nil
			case "broken@mail.test":
				return nil, errors.New("the database is away")
			case "ann+x@mail.test":
				return []string{"ann"}, nil
			}
			return nil, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	return j, s
}

func refusal(user string, to ...string) smtpd.Refusal {
	return smtpd.Refusal{At: time.Now(), Verb: "DATA", ID: "M1", From: "A@Example.org", To: to, Session: smtpd.Session{Mode: smtpd.MX, RemoteIP: netip.MustParseAddr("192.0.2.1"), HELO: "mx\x00\n", User: user},
		Reply: smtpd.Reply{Code: 550, Enhanced: "5.7.26", Text: "no", Rule: "dmarc", Detail: "the record"}}
}

// A row for each mailbox that missed the message; a user's own refusal is theirs alone.
func TestWhomItConcerns(t *testing.T) {
	j, s := open(t)
	ctx, end := context.WithCancel(t.Context())
	over := make(chan error, 1)
	j.Refused(refusal("", "ann+x@mail.test", "TEAM@mail.test", "team@mail.test", "broken@mail.test", "x@elsewhere.test"))
	j.Refused(refusal("bob@mail.test", "ann+x@mail.test"))
	j.Refused(refusal(""))
	go func() { over <- j.Run(ctx) }()
	<-s.came
	end()
	if err := <-over; err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range s.rows {
		got = append(got, r.Mailbox+":"+r.User+":"+r.Recipient)
		if r.Sender != "a@example.org" || r.Code != 550 || r.Rule != "dmarc" || r.Detail != "the record" || r.HELO != "mx  " || r.Message != "M1" || r.Peer != "192.0.2.1" {
			t.Errorf("row %+v", r)
		}
	}
	want := "ann::ann+x@mail.test ::team@mail.test ann::team@mail.test bob::team@mail.test ::broken@mail.test ::x@elsewhere.test bob:bob:ann+x@mail.test ::"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
}

// What waits when the process ends is written; a flood is dropped and never waits; a store that fails
// costs the rows and nothing else.
func TestFloodAndEnd(t *testing.T) {
	j, s := open(t)
	for range 3000 {
		j.Refused(refusal("", "ann+x@mail.test"))
	}
	ctx, end := context.WithCancel(t.Context())
	end()
	if err := j.Run(ctx); err != nil || len(s.rows) != 1024 {
		t.Errorf("%d rows, %v", len(s.rows), err)
	}
	s.fail = errors.New("disk full")
	j.Refused(refusal("", "ann+x@mail.test"))
	if err := j.Run(ctx); err != nil || len(s.rows) != 1024 {
		t.Errorf("%d rows, %v", len(s.rows), err)
	}
}

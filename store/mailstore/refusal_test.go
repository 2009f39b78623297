package mailstore_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"uniqverse/internal/web"
	"uniqverse/services/email/refusals"
	"uniqverse/store/mailstore"
	"uniqverse/store/storetest"
)

func TestRefusals(t *testing.T) {
	s, ctx := mailstore.New(storetest.Open(t)), context.Background()
	start := time.UnixMilli(1_700_000_000_000).UTC()
	var rows []refusals.Refusal
	for i := range 10 {
		rows = append(rows, refusals.Refusal{At: start.Add(time.Duration(i) * time.Hour), Mailbox: []string{"ann", "bob"}[i%2], Sender: fmt.Sprintf("a%d@example.org", i), Recipient: "ann@vezeuniqverse.com",
			Mode: "mx", Peer: "192.0.2.1", HELO: "mx", Verb: "RCPT", Message: "M", Code: 550, Enhanced: "5.7.1", Text: "no", Rule: []string{"dmarc", "spf"}[i%2], Detail: "because"})
	}
	if err := s.AddRefusals(ctx, rows); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		f     refusals.Filter
		first string
		n     int
	}{
		{refusals.Filter{}, "a9@example.org", 10},
		{refusals.Filter{Mailbox: "ann"}, "a8@example.org", 5},
		{refusals.Filter{Mailbox: "ann", Address: "a3@example.org"}, "", 0},
		{refusals.Filter{Address: "a3@example.org"}, "a3@example.org", 1},
		{refusals.Filter{Address: "ann@vezeuniqverse.com", Rule: "spf"}, "a9@example.org", 5},
		{refusals.Filter{Address: "-"}, "", 0},
		{refusals.Filter{Paging: web.Paging{Limit: 3}}, "a9@example.org", 3},
	} {
		got, err := s.Refusals(ctx, c.f)
		if err != nil || len(got) != c.n || c.n > 0 && got[0].Sender != c.first {
			t.Errorf("%+v: %d rows, %v, %v", c.f, len(got), got, err)
		}
	}
	got, err := s.Refusals(ctx, refusals.Filter{Address: "a3@example.org"})
	want := rows[3]
	if want.ID = 4; err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("got  %+v\nwant %+v, %v", got, want, err)
	}
	if n, err := s.SweepRefusals(ctx, start.Add(150*time.Minute), 100); n != 3 || err != nil {
		t.Errorf("%d rows were too old, %v", n, err)
	}
	if n, err := s.SweepRefusals(ctx, start, 2); n != 5 || err != nil {
		t.Errorf("%d rows were too many, %v", n, err)
	}
}

func TestGreylist(t *testing.T) {
	s, ctx := mailstore.New(storetest.Open(t)), context.Background()
	t0 := time.UnixMilli(1_700_000_000_000)
	day := 24 * time.Hour
	meet := func(at time.Time, keys ...string) []time.Time {
		t.Helper()
		first, err := s.GreylistMeet(ctx, keys, at, at.Add(-day))
		if err != nil || len(first) != len(keys) {
			t.Fatal(first, err)
		}
		return first
	}
	if f := meet(t0, "try a", "try b"); !f[0].Equal(t0) || !f[1].Equal(t0) {
		t.Errorf("got %v", f)
	}
	if f := meet(t0.Add(time.Hour), "try a", "try c"); !f[0].Equal(t0) || !f[1].Equal(t0.Add(time.Hour)) {
		t.Errorf("got %v", f)
	}
	if f := meet(t0.Add(2*day), "try a"); !f[0].Equal(t0.Add(2 * day)) {
		t.Errorf("an attempt after days counts as the first: %v", f)
	}
	trusted := func(since time.Time, keys ...string) bool {
		t.Helper()
		yes, err := s.GreylistTrusts(ctx, keys, since)
		if err != nil {
			t.Fatal(err)
		}
		return yes
	}
	if trusted(t0, "net x", "domain y") {
		t.Error("a stranger is trusted")
	}
	if err := s.GreylistTrust(ctx, []string{"domain y"}, t0.Add(day)); err != nil {
		t.Fatal(err)
	}
	if !trusted(t0, "net x", "domain y") || trusted(t0.Add(2*day), "domain y") {
		t.Error("trust does not last as it should")
	}
	if err := s.GreylistSweep(ctx, t0.Add(day), t0, 100); err != nil {
		t.Fatal(err)
	}
	if f := meet(t0.Add(day+time.Minute), "try b", "try a"); !f[0].Equal(t0.Add(day+time.Minute)) || !f[1].Equal(t0.Add(2*day)) {
		t.Errorf("after a sweep: %v", f)
	}
	if !trusted(t0, "domain y") {
		t.Error("trust was swept with the attempts")
	}
	if err := s.GreylistSweep(ctx, t0, t0, 1); err != nil {
		t.Fatal(err)
	}
	if trusted(t0, "domain y") {
		t.Error("more rows are kept than may be")
	}
}

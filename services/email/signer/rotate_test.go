package signer_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"uniqverse/internal/errs"
	"uniqverse/services/email/signer"
)

// A new pair waits for its records, then signs; mail that the pair before signed verifies all the while, and for two weeks on.
func TestRotation(t *testing.T) {
	dir, now := t.TempDir(), time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := signer.New(dir, "us.example", func() time.Time { return now })
	const message = "From: a@us.example\r\nSubject: x\r\n\r\nhello\r\n"
	sign := func() string {
		t.Helper()
		fields, err := s.Sign(strings.NewReader(message), map[string]int{"from": 1, "subject": 1})
		if err != nil {
			t.Fatal(err)
		}
		return string(fields) + message
	}
	states := func() string {
		t.Helper()
		records, err := s.Records()
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, r := range records {
			out = append(out, string(r.State))
		}
		return strings.Join(out, " ")
	}
	zone := map[string]string{}
	publish := func() {
		t.Helper()
		records, err := s.Records()
		if err != nil {
			t.Fatal(err)
		}
		clear(zone)
		for _, r := range records {
			zone[r.Name] = r.Value
		}
	}
	holds := func(message string) int {
		t.Helper()
		found, err := dkim.VerifyWithOptions(strings.NewReader(message), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) { return []string{zone[name]}, nil }})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, v := range found {
			if v.Err == nil {
				n++
			}
		}
		return n
	}
	tidy := func(seen bool) string {
		t.Helper()
		did, err := s.Tidy(t.Context(), func(context.Context, signer.Record) bool { return seen })
		if err != nil {
			t.Fatal(err)
		}
		return did
	}
	remind := func(want string) {
		t.Helper()
		if got, err := s.Reminder(); err != nil || !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("the reminder is %q (%v), want %q", got, err, want)
		}
	}
	if err := s.Activate(); !errs.Is(err, errs.Conflict) {
		t.Errorf("with nothing new: %v", err)
	}
	first := sign()
	publish()
	remind("")
	now = now.Add(signer.Old + time.Hour)
	remind("days old")
	for range 2 { // asked twice, there is one new pair
		if err := s.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	remind("waits for its records")
	if got := states(); got != "active active next next" {
		t.Fatal(got)
	}
	if n := holds(sign()); n != 2 {
		t.Errorf("%d signatures hold while the new pair waits", n)
	}
	for _, step := range []struct {
		after time.Duration
		seen  bool
		did   bool
	}{{0, false, false}, {time.Minute, true, false}, {50 * time.Minute, true, false}, {time.Minute, false, false}, {time.Minute, true, false}, {59 * time.Minute, true, false}, {2 * time.Minute, true, true}} {
		now = now.Add(step.after)
		if did := tidy(step.seen); (did != "") != step.did {
			t.Fatalf("%+v: %q", step, did)
		}
	}
	publish()
	if got := states(); got != "active active old old" {
		t.Fatal(got)
	}
	if a, b := holds(first), holds(sign()); a != 2 || b != 2 {
		t.Errorf("of the old mail %d signatures hold, of the new %d", a, b)
	}
	s = signer.New(dir, "us.example", func() time.Time { return now }) // a restart knows it
	if got := states(); got != "active active old old" {
		t.Fatal(got)
	}
	now = now.Add(signer.KeepOld + time.Minute)
	if did := tidy(true); did == "" || states() != "active active" {
		t.Errorf("%q, %s", did, states())
	}
	// Twice in a day: the selectors differ, and the newer one signs.
	for range 2 {
		if err := s.Rotate(); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
		if err := s.Activate(); err != nil {
			t.Fatal(err)
		}
	}
	publish()
	if n := holds(sign()); n != 2 || states() != "active active old old old old" {
		t.Errorf("%d signatures hold, %s", n, states())
	}
}

// A crash between the files of an activation leaves a pair that signs, and never makes a third.
func TestActivationIsCutOff(t *testing.T) {
	dir, now := t.TempDir(), time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := signer.New(dir, "us.example", func() time.Time { return now })
	if _, err := s.Records(); err != nil {
		t.Fatal(err)
	}
	now = now.Add(24 * time.Hour)
	if err := s.Rotate(); err != nil {
		t.Fatal(err)
	}
	// Only the first of the four files was moved.
	if err := os.Rename(filepath.Join(dir, "uq20260502r.next"), filepath.Join(dir, "uq20260502r.pem")); err != nil {
		t.Fatal(err)
	}
	records, err := signer.New(dir, "us.example", func() time.Time { return now }).Records()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]signer.State{}
	for _, r := range records {
		got[r.Selector] = r.State
	}
	want := map[string]signer.State{"uq20260502r": signer.Active, "uq20260501e": signer.Active, "uq20260502e": signer.Next, "uq20260501r": signer.Former}
	for selector, state := range want {
		if got[selector] != state || len(got) != len(want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

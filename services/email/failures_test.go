package email_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/auth"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/services/email"
	"uniqverse/services/email/queue"
	"uniqverse/smtpd"
)

// What fails around the mail service; docs/failures.md has the list.

// A smarthost that says "later" for days: ten attempts at the times of the schedule, one word to the sender that it takes longer,
// then the mail comes back with what the host said, and is tried no more.
func TestSmarthostFailsForDays(t *testing.T) {
	w := start(t, "", func(o *email.Options) { o.HoldAll = false })
	began := time.Now().Truncate(time.Millisecond)
	w.now.Store(began.UnixMilli())
	w.peer.result = queue.Result{Reply: "451 4.3.0 the disk is full"}
	next := w.stream("demo")
	w.run()
	w.json("POST", "/api/send", "demo", `{"to":["bob@example.org"],"subject":"soon","text":"x"}`, 202, nil)
	var e api.EmailQueueDetail
	for attempt := 1; attempt <= queue.MaxAttempts(); attempt++ {
		await(t, fmt.Sprint("attempt ", attempt), func() bool {
			w.json("GET", "/api/queue/1", "admin", "", 200, &e)
			return e.Attempts == attempt && e.State != "sending"
		})
		if attempt < queue.MaxAttempts() {
			if e.State != "queued" || !strings.HasPrefix(e.LastReply, "451 4.3.0 ") {
				t.Fatalf("after attempt %d: %+v", attempt, e)
			}
			w.now.Store(int64(e.NextAt))
			w.svc.Queue().Wake()
		}
	}
	next(event.MailBounced)
	if e.State != "bounced" || !strings.Contains(e.LastReply, "given up after 10 attempts") || len(e.Log) != queue.MaxAttempts() {
		t.Errorf("at the end: %+v", e)
	}
	if took := time.UnixMilli(w.now.Load()).Sub(began); took < 50*time.Hour || took > 62*time.Hour {
		t.Errorf("it was given up after %v", took)
	}
	var subjects []string
	for _, m := range w.list("demo", "demo").Messages {
		if m.FromAddress == "postmaster@"+domain {
			subjects = append(subjects, m.Subject)
		}
	}
	if len(subjects) != 2 || !strings.Contains(subjects[1], "delayed") && !strings.Contains(subjects[1], "later") && !strings.Contains(subjects[1], "longer") {
		t.Errorf("the sender was told %q", subjects)
	}
	w.now.Add((7 * 24 * time.Hour).Milliseconds())
	w.svc.Queue().Wake()
	if n := len(w.peer.attempts()); n != queue.MaxAttempts() {
		t.Errorf("%d attempts were made", n)
	}
	w.json("POST", "/api/send", "demo", `{"to":["bob@example.org"],"subject":"again","text":"x"}`, 202, nil) // "later" condemns no address
}

// await waits for what comes soon.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}

// The clock set back by a day: what comes then comes after what was there, in lists and in the ids of events, and mail for
// other hosts leaves at once.
func TestClockGoesBack(t *testing.T) {
	w := start(t, "", func(o *email.Options) { o.HoldAll = false })
	w.peer.result = queue.Result{Verdict: queue.Delivered, Reply: "250 ok"}
	now := time.Now()
	w.now.Store(now.UnixMilli())
	sub, err := w.hub.Subscribe(t.Context(), event.StreamMailOf("pilot"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	next := func() int64 {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for {
			m, err := sub.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if m.Event.Type == event.MailReceived {
				return int64(m.ID)
			}
		}
	}
	sent := w.stream("demo")
	w.run()
	w.receive(mail("first", "1@example.org", "x"), at("pilot"))
	before := next()
	w.now.Store(now.Add(-24 * time.Hour).UnixMilli())
	w.receive(mail("second", "2@example.org", "x"), at("pilot"))
	after := next()
	if after <= before {
		t.Errorf("event %d came after %d", after, before)
	}
	l := w.list("demo", "pilot").Messages
	if len(l) != 2 || l[0].Subject != "second" || l[0].ID <= l[1].ID {
		t.Errorf("the list is %+v", l)
	}
	w.json("POST", "/api/send", "demo", `{"to":["bob@example.org"],"subject":"out","text":"x"}`, 202, nil)
	sent(event.MailSent)
	w.receive(mail("first", "1@example.org", "x"), at("pilot")) // sent again by who lost our 250
	if n := len(w.list("demo", "pilot").Messages); n != 2 {
		t.Errorf("pilot has %d messages", n)
	}
}

// unsure is a directory of users that cannot be asked now and then.
type unsure struct {
	people
	down *atomic.Bool
}

func (u unsure) UserByName(ctx context.Context, name string) (auth.User, error) {
	if u.down.Load() {
		return auth.User{}, errs.New(errs.Unavailable, "nobody answers")
	}
	return u.people.UserByName(ctx, name)
}

// While nobody can say who is a user, a recipient is put off and not refused, and gets no mailbox; and so is a message whose
// recipient was taken before.
func TestDirectoryIsDown(t *testing.T) {
	down := new(atomic.Bool)
	w := start(t, "", func(o *email.Options) { o.Demo, o.Users = false, unsure{down: down} })
	to := at("pilot")
	for _, err := range []error{
		func() error { down.Store(true); return w.svc.CheckRecipient(t.Context(), session(), to) }(),
		func() error {
			down.Store(false)
			if err := w.svc.CheckRecipient(t.Context(), session(), to); err != nil {
				t.Error(err)
			}
			down.Store(true)
			return w.svc.Deliver(t.Context(), envelope(to), smtpd.NewMessage(nil, []byte(mail("s", "1@example.org", "x"))))
		}(),
	} {
		var r *smtpd.Reply
		if !errs.Is(err, errs.Unavailable) && (!errors.As(err, &r) || r.Code/100 != 4) {
			t.Errorf("the answer is %v", err)
		}
	}
	down.Store(false)
	w.receive(mail("s", "1@example.org", "x"), to)
	if l := w.list("admin", to).Messages; len(l) != 1 {
		t.Errorf("pilot has %+v", l)
	}
}

// An address that goes away between RCPT and the end of the message: the message is refused, and is in no mailbox; the sender
// hears of it and sends it to the others again.
func TestAddressGoesDuringDelivery(t *testing.T) {
	w := start(t, "", func(o *email.Options) { o.Demo = false })
	w.json("POST", "/api/aliases", "admin", `{"alias":"crew","targets":["pilot"]}`, 200, nil)
	if err := w.svc.CheckRecipient(t.Context(), session(), at("crew")); err != nil {
		t.Fatal(err)
	}
	w.json("POST", "/api/aliases", "admin", `{"alias":"crew","targets":[]}`, 200, nil)
	var r *smtpd.Reply
	if err := w.svc.Deliver(t.Context(), envelope(at("crew")), smtpd.NewMessage(nil, []byte(mail("s", "1@example.org", "x")))); !errors.As(err, &r) || r.Code != 550 || r.Enhanced != "5.1.1" {
		t.Errorf("the answer is %v", err)
	}
	w.json("POST", "/api/mailboxes", "portal", `{"user":"pilot"}`, 200, nil)
	if n := len(w.list("admin", "pilot").Messages); n != 0 {
		t.Errorf("pilot has %d messages", n)
	}
}

// Who is meant by an alias, by an address with a tag and by a list at once has one copy.
func TestOneCopyByAllWays(t *testing.T) {
	w := start(t, "", func(o *email.Options) { o.Demo = false })
	w.json("POST", "/api/aliases", "admin", `{"alias":"captain","targets":["pilot"]}`, 200, nil)
	w.json("POST", "/api/aliases", "admin", `{"alias":"crew","targets":["pilot","mallory"]}`, 200, nil)
	w.receive(mail("once", "1@example.org", "x"), at("captain"), at("pilot+news"), at("crew"), at("Pilot"))
	for _, user := range []string{"pilot", "mallory"} {
		if n := len(w.list("admin", user).Messages); n != 1 {
			t.Errorf("%s has %d copies", user, n)
		}
	}
}

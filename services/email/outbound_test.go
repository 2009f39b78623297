package email_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"uniqverse/internal/api"
	"uniqverse/internal/event"
	"uniqverse/services/email"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/queue"
	"uniqverse/services/email/signer"
	"uniqverse/smtpd"
	"uniqverse/store/mailstore"
	"uniqverse/store/storetest"
)

// peer is the next host: it answers what it is told and keeps what it got.
type peer struct {
	mu      sync.Mutex
	result  queue.Result
	got     []string // recipients of the attempts
	message string   // of the last attempt
}

// Deliver implements queue.Deliverer.
func (p *peer) Deliver(_ context.Context, job queue.Job) queue.Result {
	raw, err := io.ReadAll(job.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || int64(len(raw)) != job.Size {
		return queue.Result{Reply: fmt.Sprintf("the message has %d bytes and not %d (%v)", len(raw), job.Size, err)}
	}
	p.got, p.message = append(p.got, job.Entry.Recipient), string(raw)
	r := p.result
	r.Host = "mx.example.org [192.0.2.1]"
	return r
}

func (p *peer) attempts() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{}, p.got...)
}

// run starts the service's background work for the rest of the test.
func (w *world) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.svc.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
}

// stream subscribes to a user's mail events from now on.
func (w *world) stream(user string) (next func(typ string) event.Event) {
	w.t.Helper()
	sub, err := w.hub.Subscribe(w.t.Context(), event.StreamMailOf(user), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { sub.Close() })
	return func(typ string) event.Event {
		w.t.Helper()
		ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
		defer cancel()
		for {
			m, err := sub.Next(ctx)
			if err != nil {
				w.t.Fatalf("no %s came: %v", typ, err)
			}
			if m.Event.Type == typ {
				return m.Event
			}
		}
	}
}

// queue is the queue through the API.
func (w *world) queue(state string) api.EmailQueue {
	w.t.Helper()
	var out api.EmailQueue
	w.json("GET", "/api/queue?state="+state, "admin", "", 200, &out)
	return out
}

// json makes a call that has to be answered with the status, and reads the answer.
func (w *world) json(method, path, token, body string, want int, out any, headers ...string) {
	w.t.Helper()
	status, text, _ := w.call(method, path, token, body, headers...)
	if status != want {
		w.t.Fatalf("%s %s: %d %s", method, path, status, text)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(text), out); err != nil {
			w.t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
}

const letter = `{"to":["Bob <bob@example.org>","pilot"],"cc":["ann@example.net"],"bcc":["secret@example.com"],"subject":"Grüße","text":"hello\n"}`

// What goes to other hosts is in the queue and held; what stays here is delivered; the sender has a copy; nobody sees Bcc.
func TestSendHoldsOutsideMail(t *testing.T) {
	w := start(t, "")
	w.run()
	var sent api.EmailSent
	w.json("POST", "/api/send", "demo", letter, 202, &sent)
	if sent.ID == 0 || sent.QueueID == "" || sent.Delivered != 1 || sent.Queued != 3 || !strings.HasSuffix(sent.MessageID, "@"+domain) {
		t.Errorf("the answer is %+v", sent)
	}
	q := w.queue("")
	if len(q.Entries) != 3 || q.Counts["held"] != 3 || q.Counts["queued"] != 0 {
		t.Fatalf("the queue is %+v", q)
	}
	for i, want := range []string{"secret@example.com", "ann@example.net", "bob@example.org"} {
		e := q.Entries[i]
		if e.Recipient != want || e.State != "held" || e.Reason != queue.HeldBySetting || e.QueueID != sent.QueueID || e.MessageID != sent.ID || e.User != "demo" || e.From != "demo@"+domain {
			t.Errorf("entry %d is %+v", i, e)
		}
	}
	inbox := w.list("demo", "pilot").Messages
	if len(inbox) != 1 || !inbox[0].Unread || inbox[0].Subject != "Grüße" || inbox[0].From != "demo@"+domain || inbox[0].To != "Bob <bob@example.org>, pilot@"+domain {
		t.Fatalf("the recipient here has %+v", inbox)
	}
	own := w.list("demo", "demo").Messages
	if len(own) != 1 || own[0].Unread || len(own[0].Labels) != 1 || own[0].Labels[0] != "sent" || own[0].ID != sent.ID {
		t.Fatalf("the sender has %+v", own)
	}
	if n := len(w.list("demo", "demo", "label=sent").Messages); n != 1 {
		t.Errorf("%d messages have the label sent", n)
	}
	_, raw, _ := w.call("GET", fmt.Sprintf("/api/messages/%d/raw", inbox[0].ID), "demo", "")
	if strings.Contains(raw, "secret@example.com") || strings.Contains(strings.ToLower(raw), "bcc") {
		t.Errorf("the message tells of the hidden recipient:\n%s", raw)
	}
	if got := w.peer.attempts(); len(got) != 0 {
		t.Errorf("held mail was sent to %v", got)
	}
}

// Released mail is sent, signed by both keys, and the sender hears of it.
func TestReleaseSends(t *testing.T) {
	w := start(t, "")
	w.peer.result = queue.Result{Verdict: queue.Delivered, Reply: "250 2.0.0 taken"}
	next := w.stream("demo")
	w.run()
	w.json("POST", "/api/send", "demo", `{"to":["bob@example.org"],"subject":"hi","text":"hello","html":"<b>hello</b>"}`, 202, nil)
	id := w.queue("held").Entries[0].ID
	w.json("POST", fmt.Sprintf("/api/queue/%d/release", id), "admin", "", 200, nil)
	ev := next(event.MailSent)
	var payload map[string]any
	if err := json.Unmarshal(ev.Payload, &payload); err != nil || payload["recipient"] != "bob@example.org" || payload["reply"] != "250 2.0.0 taken" || payload["user"] != "demo@"+domain {
		t.Errorf("mail.sent says %s (%v)", ev.Payload, err)
	}
	e := w.queue("sent").Entries[0]
	if e.Attempts != 1 || e.LastReply != "250 2.0.0 taken" || e.Host != "mx.example.org [192.0.2.1]" {
		t.Errorf("the entry is %+v", e)
	}
	for _, action := range []string{"release", "retry", "hold", "drop"} {
		w.json("POST", fmt.Sprintf("/api/queue/%d/%s", id, action), "admin", "", 409, nil)
	}

	records, err := signer.New(filepath.Join(w.dir, "dkim"), domain, time.Now).Records()
	if err != nil {
		t.Fatal(err)
	}
	zone := map[string]string{}
	for _, r := range records {
		zone[r.Name] = r.Value
	}
	verify := func(message string) (pass int) {
		found, err := dkim.VerifyWithOptions(strings.NewReader(message), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
			return []string{zone[name]}, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range found {
			if v.Err == nil && v.Domain == domain {
				pass++
			}
		}
		return pass
	}
	if n := verify(w.peer.message); n != 2 {
		t.Errorf("%d signatures hold, want 2:\n%s", n, w.peer.message)
	}
	for _, forged := range []string{"From: eve@example.org\r\n", "Subject: other\r\n", "To: eve@example.org\r\n", "Reply-To: eve@example.org\r\n"} {
		if n := verify(forged + w.peer.message); n != 0 {
			t.Errorf("%d signatures hold although %q was added", n, forged)
		}
	}
}

// submitted is an envelope of a user who is signed in.
func submitted(from string, to ...string) *smtpd.Envelope {
	e := envelope(to...)
	e.Mode, e.User, e.ReversePath, e.RemoteIP = smtpd.Submission, from, from, netip.MustParseAddr("192.0.2.9")
	e.Auth = smtpd.AuthResults{}
	return e
}

// A submission from a mail program is taken, and taken once.
func TestSubmissionIsQueuedOnce(t *testing.T) {
	w := start(t, "")
	user := "pilot@" + domain
	ses := session()
	ses.User = user
	if err := w.svc.CheckRecipient(t.Context(), ses, "bob@example.org"); err != nil {
		t.Fatal(err)
	}
	raw := "From: " + user + "\r\nTo: bob@example.org\r\nBcc: x@example.org\r\nSubject: hi\r\nMessage-ID: <1@client>\r\nDate: Sun, 22 Nov 2026 08:33:42 +0000\r\n\r\nhello\r\n"
	for range 2 {
		if err := w.svc.Deliver(t.Context(), submitted(user, "bob@example.org", "pilot@"+domain), smtpd.NewMessage(nil, []byte(raw))); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.queue("").Entries); n != 1 {
		t.Errorf("%d entries in the queue, want 1", n)
	}
	if own := w.list("demo", "pilot").Messages; len(own) != 1 || !own[0].Unread || own[0].Labels[0] != "sent" {
		t.Errorf("who writes to themselves has %+v", own)
	}
	two := strings.Replace(raw, "From:", "From: "+user+"\r\nFrom:", 1)
	err := w.svc.Deliver(t.Context(), submitted(user, "bob@example.org"), smtpd.NewMessage(nil, []byte(two)))
	if err == nil || !strings.HasPrefix(err.Error(), "550 5.6.0") {
		t.Errorf("two authors: %v", err)
	}
	err = w.svc.Deliver(t.Context(), envelope("bob@example.org"), smtpd.NewMessage(nil, []byte(raw)))
	if err == nil || !strings.HasPrefix(err.Error(), "550 5.7.1") {
		t.Errorf("relaying for strangers: %v", err)
	}
}

// A refusal for good comes back as a report in the sender's mailbox, and the address is not written to again.
func TestBounce(t *testing.T) {
	w := start(t, "", func(o *email.Options) { o.HoldAll = false })
	w.peer.result = queue.Result{Verdict: queue.Permanent, Reply: "550 5.1.1 No such user", BadMailbox: true}
	next := w.stream("demo")
	w.run()
	w.json("POST", "/api/send", "demo", `{"to":["nobody@example.org"],"subject":"Grüße","text":"hello"}`, 202, nil)
	next(event.MailBounced)
	got := w.list("demo", "demo").Messages
	if len(got) != 2 {
		t.Fatalf("the sender has %d messages, want the copy and the report", len(got))
	}
	report := got[0]
	if !report.Unread || report.FromAddress != "postmaster@"+domain || !strings.Contains(report.Subject, "nobody@example.org") || !strings.Contains(strings.Join(report.Flags, " "), "bounce") {
		t.Errorf("the report is %+v", report)
	}
	if report.SpamScore >= 5 {
		t.Errorf("our own report counts as spam (%v)", report.SpamScore)
	}
	_, text, _ := w.call("GET", fmt.Sprintf("/api/messages/%d/raw", report.ID), "demo", "")
	for _, want := range []string{"Final-Recipient: rfc822; nobody@example.org", "Status: 5.1.1", "Diagnostic-Code: smtp; 550 5.1.1 No such user", "Auto-Submitted: auto-replied", "Message-ID: <" + got[1].InternetMessageID} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
	var list api.EmailSuppressions
	w.json("GET", "/api/suppressions", "admin", "", 200, &list)
	if len(list.Suppressions) != 1 || list.Suppressions[0].Address != "nobody@example.org" {
		t.Errorf("the suppression list is %+v", list)
	}
	w.json("POST", "/api/send", "demo", `{"to":["Nobody@Example.ORG"],"text":"again"}`, 422, nil)
	w.json("DELETE", "/api/suppressions/nobody@example.org", "admin", "", 200, nil)
	w.json("DELETE", "/api/suppressions/nobody@example.org", "admin", "", 200, nil)
	w.json("POST", "/api/suppressions", "admin", `{"address":"bad address"}`, 422, nil)
	w.json("POST", "/api/suppressions", "admin", `{"address":"other@example.org","reason":"asked us to stop"}`, 200, nil)
	w.json("POST", "/api/send", "demo", `{"to":["other@example.org"],"text":"again"}`, 422, nil)
}

// The same Idempotency-Key never sends twice, also after the address was put on the suppression list.
func TestNotices(t *testing.T) {
	w := start(t, "")
	body := `{"to":"player@example.org","subject":"Ticket 7","text":"solved","ticket":7,"in_reply_to":"<a@b>"}`
	var first, again api.EmailSent
	w.json("POST", "/jmap/send", "desk", body, 202, &first, "Idempotency-Key", "k1")
	w.json("POST", "/api/suppressions", "admin", `{"address":"player@example.org"}`, 200, nil)
	w.json("POST", "/jmap/send", "desk", body, 202, &again, "Idempotency-Key", "k1")
	if first != again || first.ID == 0 || first.QueueID == "" || !strings.HasPrefix(first.MessageID, "ticket-7.") {
		t.Errorf("first %+v, then %+v", first, again)
	}
	w.json("POST", "/jmap/send", "desk", body, 422, nil, "Idempotency-Key", "k2")
	w.json("POST", "/jmap/send", "desk", `{"to":"x@example.org","subject":"s","text":"other"}`, 422, nil, "Idempotency-Key", "k1")
	q := w.queue("").Entries
	if len(q) != 1 || q[0].User != "support" || q[0].From != "support@"+domain {
		t.Errorf("the queue is %+v", q)
	}
	w.json("POST", "/jmap/send", "demo", `{"to":"pilot","subject":"hi","text":"here"}`, 202, &again)
	if m := w.list("demo", "pilot").Messages; len(m) != 1 || m[0].From != "demo@"+domain {
		t.Errorf("a person's notice came as %+v", m)
	}
	for _, c := range []struct {
		token, body string
		want        int
	}{
		{"", body, 401}, {"pilot", body, 403}, {"player", body, 403}, {"demo", `{"to":"x@example.org","subject":"s"}`, 422}, {"demo", `{"to":"","subject":"s","text":"t"}`, 422},
		{"demo", `{"to":"a@b@c","subject":"s","text":"t"}`, 422}, {"demo", `{"to":"x@[192.0.2.1]","subject":"s","text":"t"}`, 422}, {"demo", `{"to":"x@localhost","subject":"s","text":"t"}`, 422},
		{"demo", `{"to":"x@example.org","subject":"a\nBcc: y@example.org","text":"t"}`, 422}, {"demo", `{"to":"x@example.org","subject":"s","text":"t","in_reply_to":"a b"}`, 422},
	} {
		w.json("POST", "/jmap/send", c.token, c.body, c.want, nil)
	}
}

// Who may send as whom.
// Row 25. See docs/smtp.md.
func TestAuthors(t *testing.T) {
	w := start(t, "")
	w.json("POST", "/api/aliases", "admin", `{"alias":"crew","targets":["writer"]}`, 200, nil)
	for _, c := range []struct {
		token, from string
		want        int
	}{
		{"writer", "", 202}, {"writer", "writer", 202}, {"writer", "Ann <writer+tag@" + domain + ">", 202}, {"writer", "crew@" + domain, 202},
		{"writer", "pilot@" + domain, 403}, {"writer", "writer@example.org", 403}, {"writer", "a b", 422}, {"pilot", "", 403}, {"", "", 401},
		{"demo", "pilot", 202}, {"desk", "", 422}, {"desk", "pilot", 202},
	} {
		body, _ := json.Marshal(map[string]any{"from": c.from, "to": []string{"bob@example.org"}, "text": "x"})
		if c.from == "" {
			body = []byte(`{"to":["bob@example.org"],"text":"x"}`)
		}
		status, text, _ := w.call("POST", "/api/send", c.token, string(body))
		if status != c.want {
			t.Errorf("%s as %q: %d, want %d: %s", c.token, c.from, status, c.want, text)
		}
	}
}

// One sender has so many recipients a day; then it is 429, and 451 over SMTP.
func TestDailyLimit(t *testing.T) {
	w := start(t, "")
	to := make([]string, 100)
	for n := range email.DailyLimit / 100 {
		for i := range to {
			to[i] = fmt.Sprintf("r%d-%d@example.org", n, i)
		}
		body, _ := json.Marshal(map[string]any{"to": to, "text": "x"})
		w.json("POST", "/api/send", "writer", string(body), 202, nil)
	}
	w.json("POST", "/api/send", "writer", `{"to":["one@example.org"],"text":"x"}`, 429, nil)
	w.json("POST", "/api/send", "writer", `{"to":["pilot"],"text":"x"}`, 202, nil) // mail that stays here is not counted
	w.now.Store(time.Now().Add(25 * time.Hour).UnixMilli())
	w.json("POST", "/api/send", "writer", `{"to":["one@example.org"],"text":"x"}`, 202, nil)
}

// A process that dies between an attempt and its result repeats that attempt once, when the lease is over.
func TestCrashRepeatsOneAttempt(t *testing.T) {
	dir := storetest.Dir(t)
	w := start(t, dir, func(o *email.Options) { o.HoldAll = false })
	w.json("POST", "/api/send", "demo", `{"to":["bob@example.org"],"text":"x"}`, 202, nil)
	st := mailstore.New(w.db)
	claimed, err := st.Claim(t.Context(), queue.Want{Now: time.Now(), Lease: time.Now().Add(queue.Lease), Most: 10})
	if err != nil || len(claimed) != 1 || claimed[0].Attempts != 1 {
		t.Fatalf("claimed %+v, %v", claimed, err)
	}
	w.stop() // the result of this attempt is never written

	w = start(t, dir, func(o *email.Options) { o.HoldAll = false })
	w.peer.result = queue.Result{Verdict: queue.Delivered, Reply: "250 ok"}
	st = mailstore.New(w.db)
	for _, after := range []time.Duration{0, queue.Lease - time.Minute} {
		if again, err := st.Claim(t.Context(), queue.Want{Now: time.Now().Add(after), Lease: time.Now().Add(after + queue.Lease), Most: 10}); err != nil || len(again) != 0 {
			t.Fatalf("%v later the entry was handed out a second time: %+v, %v", after, again, err)
		}
	}
	next := w.stream("demo")
	w.now.Store(time.Now().Add(queue.Lease + time.Minute).UnixMilli())
	w.run()
	next(event.MailSent)
	if e := w.queue("sent").Entries; len(e) != 1 || e[0].Attempts != 2 || len(w.peer.attempts()) != 1 {
		t.Errorf("the entry is %+v after the attempts %v", e, w.peer.attempts())
	}
	// What the first process would have written now is refused.
	err = st.Update(t.Context(), nil, func(tx mailbox.Tx) error {
		late, _ := claimed[0].Finish(queue.Result{Reply: "450 late"}, time.Now(), 0)
		return tx.SaveEntry(claimed[0], late)
	})
	if err == nil {
		t.Error("a result was written without a lease")
	}
}

// What a start finds held by the setting is sent when the setting is another one now; what a person holds stays.
func TestHeldIsReleasedBySetting(t *testing.T) {
	dir := storetest.Dir(t)
	w := start(t, dir)
	w.json("POST", "/api/send", "demo", `{"to":["a@example.org","b@example.org"],"text":"x"}`, 202, nil)
	id := w.queue("held").Entries[0].ID // b
	w.json("POST", fmt.Sprintf("/api/queue/%d/release", id), "admin", "", 200, nil)
	w.json("POST", fmt.Sprintf("/api/queue/%d/hold", id), "admin", "", 200, nil)
	w.stop()
	w = start(t, dir, func(o *email.Options) { o.HoldAll = false })
	w.peer.result = queue.Result{Verdict: queue.Delivered, Reply: "250 ok"}
	next := w.stream("demo")
	w.run()
	next(event.MailSent)
	if got := w.peer.attempts(); len(got) != 1 || got[0] != "a@example.org" {
		t.Errorf("sent to %v", got)
	}
	w.json("POST", fmt.Sprintf("/api/queue/%d/drop", id), "admin", "", 200, nil)
	if q := w.queue(""); q.Counts["dropped"] != 1 || q.Counts["sent"] != 1 {
		t.Errorf("the queue is %+v", q.Counts)
	}
}

// The page shows the queue to administrators of mail, and its forms come back to it.
func TestQueuePage(t *testing.T) {
	w := start(t, "")
	w.json("POST", "/api/send", "demo", `{"to":["bob@example.org"],"subject":"x","text":"x"}`, 202, nil)
	status, page, _ := w.call("GET", "/queue", "admin", "", "Accept", "text/html")
	if status != 200 || !strings.Contains(page, "bob@example.org") || !strings.Contains(page, `action="/queue/1/release"`) {
		t.Fatalf("%d %s", status, page)
	}
	status, _, head := w.call("POST", "/queue/1/drop", "admin", "next=/queue?state=held", "Accept", "text/html")
	if status != 303 || head.Get("Location") != "/queue?state=held" {
		t.Errorf("the form was answered with %d to %q", status, head.Get("Location"))
	}
	status, _, head = w.call("POST", "/queue/1/drop", "admin", "next=//evil.example", "Accept", "text/html")
	if status != 409 {
		t.Errorf("a second drop: %d %q", status, head.Get("Location"))
	}
	if status, _, _ = w.call("GET", "/queue", "demo", "", "Accept", "text/html"); status != 403 {
		t.Errorf("demo sees the queue: %d", status)
	}
	w.json("GET", "/api/queue?state=lost", "admin", "", 422, nil)
}

// A large message is signed and sent from its file.
func TestLargeMail(t *testing.T) {
	w := start(t, "", func(o *email.Options) { o.HoldAll = false })
	w.peer.result = queue.Result{Verdict: queue.Delivered, Reply: "250 ok"}
	next := w.stream("pilot")
	w.run()
	user := "pilot@" + domain
	raw := "From: " + user + "\r\nSubject: big\r\n\r\n" + strings.Repeat("0123456789\r\n", email.MaxInRow/10)
	if err := w.svc.Deliver(t.Context(), submitted(user, "bob@example.org"), smtpd.NewMessage([]byte("Received: by us\r\n"), []byte(raw))); err != nil {
		t.Fatal(err)
	}
	next(event.MailSent)
	if m := w.peer.message; !strings.HasPrefix(m, "DKIM-Signature:") || !strings.Contains(m, "\r\nReceived: by us\r\n") || !bytes.HasSuffix([]byte(m), []byte(raw)) {
		t.Errorf("what was sent begins with %.300q", m)
	}
	if _, err := signer.New(filepath.Join(w.dir, "dkim"), domain, time.Now).Records(); err != nil {
		t.Error(err)
	}
}

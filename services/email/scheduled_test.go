package email_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/event"
	"uniqverse/services/email"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/queue"
	"uniqverse/smtpd"
	"uniqverse/smtpd/senderauth"
)

// Mail for later is in nobody's inbox before its time, and in everybody's after it; its copy says which.
func TestScheduledMail(t *testing.T) {
	w := start(t, "", func(o *email.Options) { o.HoldAll = false })
	w.peer.result = queue.Result{Verdict: queue.Delivered, Reply: "250 ok"}
	began := time.Now().Truncate(time.Millisecond)
	w.now.Store(began.UnixMilli())
	at := began.Add(48 * time.Hour).UTC().Truncate(time.Second)
	body, _ := json.Marshal(map[string]any{"to": []string{"bob@example.org", "pilot", "demo"}, "subject": "later", "text": "x", "send_at": at.Format(time.RFC3339)})
	var sent api.EmailSent
	w.json("POST", "/api/send", "demo", string(body), 202, &sent, "Idempotency-Key", "k")
	if sent.Delivered != 0 || sent.Queued != 3 || sent.SendAt != api.TimeOf(at) {
		t.Fatalf("%+v", sent)
	}
	if n := len(w.list("demo", "pilot").Messages); n != 0 {
		t.Errorf("pilot has %d messages before the time", n)
	}
	own := w.list("demo", "demo").Messages
	if len(own) != 1 || own[0].Labels[0] != "scheduled" || own[0].Unread {
		t.Fatalf("the copy is %+v", own)
	}
	var list api.EmailScheduledList
	w.json("GET", "/api/scheduled", "demo", "", 200, &list)
	if len(list.Scheduled) != 1 || list.Scheduled[0].QueueID != sent.QueueID || len(list.Scheduled[0].Recipients) != 3 || list.Scheduled[0].SendAt != api.TimeOf(at) {
		t.Errorf("%+v", list)
	}
	w.json("GET", "/api/scheduled?user=demo", "writer", "", 403, nil)
	next := w.stream("pilot")
	w.now.Store(at.Add(time.Second).UnixMilli())
	w.run()
	next(event.MailReceived)
	// The same goes for the other two, in any order.
	for deadline := time.Now().Add(20 * time.Second); w.queue("sent").Counts["sent"] != 3; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", w.queue("").Entries)
		}
	}
	if got := w.peer.attempts(); len(got) != 1 || got[0] != "bob@example.org" {
		t.Errorf("other hosts got %v", got)
	}
	if in := w.list("demo", "pilot").Messages; len(in) != 1 || !in[0].Unread || in[0].Subject != "later" || in[0].From != "demo@"+domain {
		t.Errorf("pilot has %+v", in)
	}
	own = w.list("demo", "demo").Messages
	if len(own) != 1 || own[0].Labels[0] != "sent" || !own[0].Unread {
		t.Errorf("the copy of who writes to themselves is %+v", own)
	}
	w.json("GET", "/api/scheduled", "demo", "", 200, &list)
	if len(list.Scheduled) != 0 {
		t.Errorf("%+v", list)
	}
	w.json("POST", "/api/scheduled/"+sent.QueueID+"/cancel", "demo", "", 409, nil)
}

// Taken back in time, a mail is sent to nobody, and its copy is a draft again. Only its sender can do that.
func TestUndoSend(t *testing.T) {
	w := start(t, "")
	w.peer.result = queue.Result{Verdict: queue.Delivered, Reply: "250 ok"}
	w.run()
	var sent api.EmailSent
	w.json("POST", "/api/send", "writer", `{"to":["bob@example.org","pilot"],"subject":"oh","text":"x","undo_seconds":30}`, 202, &sent)
	if d := time.Until(time.UnixMilli(int64(sent.SendAt))); d > 30*time.Second || d < 10*time.Second {
		t.Errorf("it is sent in %v", d)
	}
	w.json("POST", "/api/scheduled/"+sent.QueueID+"/cancel", "pilot", "", 403, nil) // without the scope
	w.json("POST", "/api/scheduled/NOSUCHMAIL/cancel", "writer", "", 404, nil)
	w.json("POST", "/api/scheduled/"+sent.QueueID+"/cancel", "sender2", "", 404, nil)
	var back api.EmailScheduled
	w.json("POST", "/api/scheduled/"+sent.QueueID+"/cancel", "writer", "", 200, &back)
	if back.MessageID != sent.ID || len(back.Recipients) != 2 {
		t.Errorf("%+v", back)
	}
	q := w.queue("dropped").Entries
	if len(q) != 2 || q[0].Reason != queue.TakenBackReason {
		t.Errorf("%+v", q)
	}
	w.json("POST", "/api/scheduled/"+sent.QueueID+"/cancel", "writer", "", 409, nil)
	var folders api.EmailFolders
	w.json("GET", "/api/folders?user=writer", "writer", "", 200, &folders)
	for _, f := range folders.Folders {
		if want := map[string]int64{"drafts": 1}[f.Role]; f.Messages != want {
			t.Errorf("%s holds %d messages, want %d", f.Name, f.Messages, want)
		}
	}
	if n := len(w.list("demo", "pilot").Messages); n != 0 {
		t.Errorf("pilot has %d messages", n)
	}
	for _, bad := range []string{`{"to":["pilot"],"text":"x","send_at":"2001-01-01T00:00:00Z"}`, `{"to":["pilot"],"text":"x","send_at":"tomorrow"}`, `{"to":["pilot"],"text":"x","send_at":"2999-01-01T00:00:00Z"}`,
		`{"to":["pilot"],"text":"x","undo_seconds":601}`, `{"to":["pilot"],"text":"x","undo_seconds":-1}`, `{"to":["pilot"],"text":"x","undo_seconds":9,"send_at":"2999-01-01T00:00:00Z"}`} {
		w.json("POST", "/api/send", "writer", bad, 422, nil)
	}
}

// What is taken back is a draft with everybody who was to get it, also those whom nobody was to see, whatever its size. Those who
// were to get it never learn of them.
func TestUndoKeepsBcc(t *testing.T) {
	w := start(t, "")
	w.peer.result = queue.Result{Verdict: queue.Delivered, Reply: "250 ok"}
	w.run()
	for _, size := range []int{10, email.MaxInRow + 1000} {
		text := strings.Repeat("0123456789 12345\n", size/17+1)
		var first api.EmailSent
		w.json("POST", "/api/send", "writer", `{"to":["Bob <Bob@Example.org>"],"cc":["pilot"],"subject":"start","text":"x"}`, 202, &first)
		body, err := json.Marshal(map[string]any{"to": []string{"Bob <Bob@Example.org>"}, "cc": []string{"pilot"}, "bcc": []string{"eve@example.net", "mallory", "Bob@example.org"},
			"subject": "Re: start", "text": text, "in_reply_to": "<" + first.MessageID + ">", "undo_seconds": 60})
		if err != nil {
			t.Fatal(err)
		}
		var sent api.EmailSent
		w.json("POST", "/api/send", "writer", string(body), 202, &sent)
		raw := func(id int64) string {
			t.Helper()
			status, raw, _ := w.call("GET", fmt.Sprintf("/api/messages/%d/raw", id), "writer", "")
			if status != 200 {
				t.Fatalf("message %d: %d", id, status)
			}
			return raw
		}
		if strings.Contains(raw(sent.ID), "eve") {
			t.Error("what is to be sent tells of the Bcc")
		}
		row := func(id int64) (m api.EmailMessage) {
			w.json("GET", fmt.Sprintf("/api/messages/%d", id), "writer", "", 200, &m)
			return m
		}
		was := row(sent.ID)
		var back api.EmailScheduled
		w.json("POST", "/api/scheduled/"+sent.QueueID+"/cancel", "writer", "", 200, &back)
		if len(back.Recipients) != 4 {
			t.Errorf("%+v", back)
		}
		draft := raw(back.MessageID)
		if !strings.HasPrefix(draft, "Bcc: eve@example.net,\r\n mallory@"+domain+"\r\nFrom: ") || !strings.HasSuffix(draft, strings.ReplaceAll(text, "\n", "\r\n")) || strings.Contains(draft, "DKIM-Signature") {
			t.Errorf("the draft is %.900s", draft)
		}
		now := row(back.MessageID)
		if now.ThreadID != was.ThreadID || len(now.Labels) != 0 || now.Subject != "Re: start" || now.Unread || !slices.Contains(now.Keywords, mailbox.KeywordDraft) || now.Size != int64(len(draft)) {
			t.Errorf("it was %+v and is %+v", was, now)
		}
		w.json("GET", fmt.Sprintf("/api/messages/%d", sent.ID), "writer", "", 404, nil)
		var folders api.EmailFolders
		w.json("GET", "/api/folders?user=writer", "writer", "", 200, &folders)
		for _, f := range folders.Folders {
			if f.Role == "drafts" && f.Messages != 1 {
				t.Errorf("%d drafts", f.Messages)
			}
		}
		w.json("DELETE", fmt.Sprintf("/api/messages/%d?forever=true", back.MessageID), "writer", "", 200, nil)
	}
}

// Whoever asked to hear of it hears that their mail was delivered: a user in their mailbox, a stranger by mail, and a
// stranger whose address nobody vouches for not at all.
func TestDeliveredReports(t *testing.T) {
	w := start(t, "")
	user := "pilot@" + domain
	raw := "From: " + user + "\r\nTo: x\r\nSubject: hi\r\nMessage-ID: <1@client>\r\nDate: Sun, 22 Nov 2026 08:33:42 +0000\r\n\r\nhello\r\n"
	env := submitted(user, "mallory@"+domain, "bob@example.org")
	env.DSN = smtpd.DSN{Return: "HDRS", EnvelopeID: "env-7", Recipients: []smtpd.RecipientDSN{{Notify: "SUCCESS", ORCPT: "rfc822;m@example.net"}, {Notify: "NEVER", ORCPT: "rfc822;b@example.net"}}}
	env.RequireTLS = true
	if err := w.svc.Deliver(t.Context(), env, smtpd.NewMessage(nil, []byte(raw))); err != nil {
		t.Fatal(err)
	}
	var e api.EmailQueueDetail
	w.json("GET", "/api/queue/1", "admin", "", 200, &e)
	if e.Notify != "NEVER" || e.Original != "b@example.net" || e.EnvelopeID != "env-7" || !e.RequireTLS {
		t.Errorf("the entry is %+v", e)
	}
	own := w.list("demo", "pilot").Messages
	if len(own) != 2 || own[0].FromAddress != "postmaster@"+domain || !strings.Contains(own[0].Subject, "was delivered") {
		t.Fatalf("pilot has %+v", own)
	}
	_, text, _ := w.call("GET", fmt.Sprintf("/api/messages/%d/raw", own[0].ID), "demo", "")
	for _, want := range []string{"Action: delivered", "Status: 2.0.0", "Original-Envelope-Id: env-7", "Original-Recipient: rfc822; m@example.net", "Final-Recipient: rfc822; mallory@" + domain} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
	for i, auth := range []senderauth.Results{{SPF: senderauth.None}, {SPF: senderauth.Pass}} {
		env := envelope("pilot@" + domain)
		env.Auth, env.DSN = auth, smtpd.DSN{Recipients: []smtpd.RecipientDSN{{Notify: "SUCCESS,FAILURE"}}}
		if err := w.svc.Deliver(t.Context(), env, smtpd.NewMessage(nil, []byte(mail("s", "", "text")))); err != nil {
			t.Fatal(err)
		}
		q := w.queue("").Entries
		if len(q) != 1+i {
			t.Fatalf("SPF %s: %d entries in the queue", auth.SPF, len(q))
		}
		if i == 1 && (q[0].Recipient != "ann@example.org" || q[0].From != "" || q[0].State != "held" || q[0].User != "postmaster") {
			t.Errorf("the report to a stranger is %+v", q[0])
		}
	}
}

// A host that reports nothing itself makes us say that the mail was handed on; NOTIFY=NEVER is never told of a failure.
func TestRelayedAndNever(t *testing.T) {
	w := start(t, "", func(o *email.Options) { o.HoldAll = false })
	w.peer.result = queue.Result{Verdict: queue.Delivered, Reply: "250 ok", Relayed: true}
	user := "pilot@" + domain
	raw := "From: " + user + "\r\nTo: x\r\nSubject: hi\r\nDate: Sun, 22 Nov 2026 08:33:42 +0000\r\nMessage-ID: <"
	deliver := func(id, notify string) {
		t.Helper()
		env := submitted(user, "bob@example.org")
		env.DSN.Recipients = []smtpd.RecipientDSN{{Notify: notify}}
		if err := w.svc.Deliver(t.Context(), env, smtpd.NewMessage(nil, []byte(raw+id+">\r\n\r\nhello\r\n"))); err != nil {
			t.Fatal(err)
		}
	}
	next := w.stream("pilot")
	w.run()
	deliver("1@client", "SUCCESS")
	next(event.MailSent)
	if own := w.list("demo", "pilot").Messages; len(own) != 2 || !strings.Contains(own[0].Subject, "is on its way") {
		t.Fatalf("%+v", own)
	}
	deliver("2@client", "")
	next(event.MailSent)
	w.peer.mu.Lock()
	w.peer.result = queue.Result{Verdict: queue.Permanent, Reply: "550 5.1.1 no"}
	w.peer.mu.Unlock()
	deliver("3@client", "NEVER")
	next(event.MailBounced)
	if own := w.list("demo", "pilot").Messages; len(own) != 4 {
		t.Errorf("%d messages, want three copies and one report", len(own))
	}
}

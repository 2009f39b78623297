package email_test

import (
	"errors"
	"strings"
	"testing"

	"uniqverse/internal/event"
	"uniqverse/services/email"
	"uniqverse/services/email/queue"
	"uniqverse/smtpd"
)

// Row 47: what was sent with a null reverse-path, as reports are, is never reported about; its sender keeps the copy
// and no more.
func TestNoReportAboutAReport(t *testing.T) {
	w := start(t, "", func(o *email.Options) { o.HoldAll = false })
	w.peer.result = queue.Result{Verdict: queue.Permanent, Reply: "550 5.1.1 No such user", BadMailbox: true}
	next := w.stream("pilot")
	w.run()
	env := envelope("nobody@example.org")
	env.Mode, env.User, env.ReversePath = smtpd.Submission, "pilot@"+domain, ""
	raw := strings.Replace(mail("report", "r@"+domain, "x"), "ann@example.org", "pilot@"+domain, 1)
	if err := w.svc.Deliver(t.Context(), env, smtpd.NewMessage(nil, []byte(raw))); err != nil {
		t.Fatal(err)
	}
	next(event.MailBounced)
	if got := w.list("pilot", "pilot").Messages; len(got) != 1 || got[0].Subject != "report" {
		t.Errorf("the mailbox holds %+v", got)
	}
}

// Whom an address leads to, as the journal of refused mail asks.
func TestOwners(t *testing.T) {
	w := start(t, "", func(o *email.Options) { o.Demo = false })
	w.json("POST", "/api/aliases", "admin", `{"alias":"team","targets":["pilot","mallory"]}`, 200, nil)
	for addr, want := range map[string]string{
		"pilot@" + domain: "pilot", "PILOT+x@" + domain: "pilot", "team@" + domain: "mallory pilot", "nobody@" + domain: "", "pilot@example.org": "", "eve@" + domain: "",
	} {
		got, err := w.svc.Owners(t.Context(), addr)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: got %v, %v, want %s", addr, got, err, want)
		}
	}
}

// A store that is closed is a server on its way out: the sender comes again, row 44.
func TestAClosedStore(t *testing.T) {
	w := start(t, "")
	w.receive(mail("before", "1@example.org", "x"), "pilot@"+domain)
	w.db.Close()
	var r *smtpd.Reply
	if err := w.tryReceive(mail("after", "2@example.org", "x"), "pilot@"+domain); !errors.As(err, &r) || r.Code != 421 || r.Enhanced != "4.3.2" {
		t.Errorf("RCPT: %v", err)
	}
	if err := w.svc.Deliver(t.Context(), envelope("pilot@"+domain), smtpd.NewMessage(nil, []byte(mail("after", "2@example.org", "x")))); !errors.As(err, &r) || r.Code != 421 {
		t.Errorf("DATA: %v", err)
	}
}

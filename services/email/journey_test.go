package email_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/event"
	"uniqverse/services/email/journey"
	"uniqverse/services/email/queue"
	"uniqverse/smtpd"
)

// told is a journey in short: the steps with their results.
func (w *world) told(token string, id int64) (out journey.Journey, short string) {
	w.t.Helper()
	w.json("GET", fmt.Sprintf("/api/messages/%d/journey", id), token, "", 200, &out)
	for _, s := range out.Steps {
		short += " " + s.Step
		if s.Result != "" {
			short += "=" + s.Result
		}
	}
	return out, strings.TrimSpace(short)
}

// A message from another host tells when it came, what each check found and took, why it is no junk, which rules held and where it was put.
func TestJourneyOfMailThatCame(t *testing.T) {
	w := start(t, "")
	pilot := "pilot@" + domain
	w.json("POST", "/api/rules", "pilot", `{"name":"Crew","conditions":"subject contains gate","actions":"label crew\nmove archive"}`, 200, nil)
	env := envelope(pilot, "mallory@"+domain)
	at := env.ReceivedAt.UnixMicro()
	env.TLS = &smtpd.TLSState{Version: "TLS 1.3"}
	env.Auth.Took.DMARC = 12.5
	env.Marks = []smtpd.Mark{{Step: "connected", At: at - 90_000}, {Step: "tls", At: at - 70_000}, {Step: "data", At: at - 4_000}, {Step: "received", At: at}, {Step: "checked", At: at + 1_000}}
	w.bring(env, mail("The gate", "g@example.org", "text"))
	id := w.list("pilot", pilot).Messages[0].ID
	way, short := w.told("pilot", id)
	if want := "connected tls received spf=pass dkim=none dmarc=pass spam=good rules addressed filed told now"; short != want {
		t.Fatalf("the way is\n%s, want\n%s", short, want)
	}
	if way.Traceparent != env.Traceparent {
		t.Errorf("the trace is %s", way.Traceparent)
	}
	took := map[string]float64{}
	for _, s := range way.Steps {
		if s.MS != nil {
			took[s.Step] = *s.MS
		}
	}
	if took["tls"] != 20 || took["received"] != 4 || took["dmarc"] != 12.5 || took["filed"] < 0 {
		t.Errorf("the times are %v", took)
	}
	if s := way.Steps[0]; s.At.Time().UnixMilli() != (at-90_000)/1000 {
		t.Errorf("it connected at %v", s.At)
	}
	if s := way.Steps[7]; len(s.Items) != 1 || !strings.HasPrefix(s.Items[0], "Crew: ") {
		t.Errorf("the rules are told as %+v", s)
	}
	// Where it was put stays told when it lies elsewhere; and nobody hears of the other recipients, who may be blind copies.
	w.json("POST", fmt.Sprintf("/api/messages/%d/move", id), "pilot", `{"folder":"trash"}`, 200, nil)
	way, _ = w.told("pilot", id)
	all := fmt.Sprint(way.Steps)
	if !strings.Contains(all, "put into Archive") || !strings.Contains(all, "lies in Trash") || strings.Contains(all, "mallory") {
		t.Errorf("the way is %s", all)
	}
	w.json("GET", fmt.Sprintf("/api/messages/%d/journey", id), "mallory", "", 404, nil)
	page := w.page(200, fmt.Sprintf("/messages/%d?view=journey", id), "pilot")
	for _, want := range []string{"took 20 ms", "Crew: ", "It was stored, and put into Archive."} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(page, "mallory") {
		t.Error("the page tells of another recipient")
	}
}

// What was sent tells of each attempt with the answer, of those here who have it, and that the author got a report.
func TestJourneyOfMailThatWasSent(t *testing.T) {
	w := start(t, "")
	w.peer.result = queue.Result{Verdict: queue.Permanent, Reply: "550 5.1.1 No such user", TLS: "TLS 1.3, verified"}
	next := w.stream("demo")
	w.run()
	var sent api.EmailSent
	w.json("POST", "/api/send", "demo", letter, 202, &sent)
	if _, short := w.told("demo", sent.ID); short != "received filed told queued=held held=held queued=held held=held queued=held held=held delivered=delivered now" {
		t.Errorf("held mail tells %s", short)
	}
	w.json("POST", fmt.Sprintf("/api/queue/%d/release", w.queue("held").Entries[0].ID), "admin", "", 200, nil)
	next(event.MailBounced)
	way, short := w.told("demo", sent.ID)
	if !strings.Contains(short, "queued=bounced attempt=refused bounced=bounced") {
		t.Fatalf("the way is %s", short)
	}
	for _, s := range way.Steps {
		switch s.Step {
		case "attempt":
			if s.MS == nil || fmt.Sprint(s.Items) != "[550 5.1.1 No such user]" || !strings.Contains(s.Text, "mx.example.org [192.0.2.1] (TLS 1.3, verified)") {
				t.Errorf("the attempt is %+v", s)
			}
		case "bounced":
			if !strings.Contains(s.Text, "A report of that went to demo@") {
				t.Errorf("it was returned: %+v", s)
			}
		}
	}
	// The recipient here sees who handed it in, and nothing of the others or of the queue.
	way, short = w.told("demo", w.list("demo", "pilot").Messages[0].ID)
	if all := fmt.Sprint(way.Steps); short != "received filed told now" || strings.Contains(all, "secret") || strings.Contains(all, "ann@") {
		t.Errorf("the recipient is told %s: %s", short, all)
	}
	// Mail for later has not been delivered here before its time.
	w.json("POST", "/api/send", "demo", fmt.Sprintf(`{"to":["pilot"],"subject":"later","text":"x","send_at":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339)), 202, &sent)
	if _, short := w.told("demo", sent.ID); strings.Contains(short, "delivered") || !strings.Contains(short, "queued=queued") {
		t.Errorf("mail for later tells %s", short)
	}
}

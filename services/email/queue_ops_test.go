package email_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"uniqverse/internal/api"
	"uniqverse/internal/event"
	"uniqverse/services/email"
	"uniqverse/services/email/queue"
	"uniqverse/store/storetest"
)

// Held mail is released to another address, which is what a person who tests mail wants.
func TestReleaseToAnotherAddress(t *testing.T) {
	w := start(t, "")
	w.peer.result = queue.Result{Verdict: queue.Delivered, Reply: "250 ok", TLS: "TLS 1.3"}
	next := w.stream("demo")
	w.run()
	w.json("POST", "/api/send", "demo", `{"to":["customer@example.org"],"text":"x"}`, 202, nil)
	w.json("POST", "/api/suppressions", "admin", `{"address":"gone@example.net"}`, 200, nil)
	w.json("POST", "/api/queue/1/release", "admin", `{"to":"gone@example.net"}`, 422, nil)
	w.json("POST", "/api/queue/1/release", "admin", `{"to":"QA@Example.net"}`, 200, nil)
	next(event.MailSent)
	if got := w.peer.attempts(); len(got) != 1 || got[0] != "QA@example.net" {
		t.Errorf("it went to %v", got)
	}
	var e api.EmailQueueDetail
	w.json("GET", "/api/queue/1", "admin", "", 200, &e)
	if e.State != "sent" || e.Recipient != "QA@example.net" || e.Original != "customer@example.org" || len(e.Log) != 1 {
		t.Fatalf("%+v", e)
	}
	if a := e.Log[0]; a.Attempt != 1 || a.Code != 250 || a.Verdict != "delivered" || a.TLS != "TLS 1.3" || a.Host == "" || a.BeganAt == 0 {
		t.Errorf("the attempt is %+v", a)
	}
	status, page, _ := w.call("GET", "/queue/1", "admin", "", "Accept", "text/html")
	for _, want := range []string{"QA@example.net", "customer@example.org", "250 ok", "TLS 1.3", "delivered"} {
		if status != 200 || !strings.Contains(page, want) {
			t.Errorf("the page (%d) lacks %q", status, want)
		}
	}
}

// A rule lets mail for its address or domain out, to somebody else if it says so; everything else is held.
func TestRulesRelease(t *testing.T) {
	w := start(t, "")
	w.json("POST", "/api/queue-rules", "admin", `{"pattern":"QA@Example.org"}`, 200, nil)
	w.json("POST", "/api/queue-rules", "admin", `{"pattern":"*.test.example","redirect":"qa@example.org"}`, 200, nil)
	var rule api.EmailQueueRule
	w.json("POST", "/api/queue-rules", "admin", `{"pattern":"bücher.example"}`, 200, &rule)
	if rule.Pattern != "xn--bcher-kva.example" {
		t.Errorf("%+v", rule)
	}
	w.json("POST", "/api/send", "demo", `{"to":["qa@example.org","other@example.org","x@a.test.example","x@test.example","y@xn--bcher-kva.example"],"text":"x"}`, 202, nil)
	want := map[string]string{"qa@example.org": "queued", "other@example.org": "held", "x@test.example": "held", "y@xn--bcher-kva.example": "queued"}
	for _, e := range w.queue("").Entries {
		if e.Original != "" {
			if e.Original != "x@a.test.example" || e.Recipient != "qa@example.org" || e.State != "queued" {
				t.Errorf("%+v", e)
			}
			continue
		}
		if e.State != want[e.Recipient] {
			t.Errorf("%s is %s, want %s", e.Recipient, e.State, want[e.Recipient])
		}
	}
	w.json("DELETE", fmt.Sprintf("/api/queue-rules/%d", rule.ID), "admin", "", 200, nil)
	var all api.EmailQueueRules
	w.json("GET", "/api/queue-rules", "admin", "", 200, &all)
	if len(all.Rules) != 2 {
		t.Errorf("%+v", all)
	}
}

// A pause holds across a restart; what is paused is not tried, and goes when it is resumed.
func TestPause(t *testing.T) {
	dir := storetest.Dir(t)
	free := func(o *email.Options) { o.HoldAll = false }
	w := start(t, dir, free)
	w.json("POST", "/api/queue/pause", "admin", `{"reason":"the move"}`, 200, nil)
	w.json("POST", "/api/queue/pause", "admin", `{"domain":"B.example"}`, 200, nil)
	w.json("POST", "/api/send", "demo", `{"to":["x@a.example","x@b.example"],"text":"x"}`, 202, nil)
	w.stop()
	w = start(t, dir, free)
	w.peer.result = queue.Result{Verdict: queue.Delivered, Reply: "250 ok"}
	next := w.stream("demo")
	w.run()
	var d api.EmailQueueDomains
	w.json("GET", "/api/queue/domains", "admin", "", 200, &d)
	if !d.Paused || len(d.Domains) != 2 || d.Domains[0].Domain != "*" || d.Domains[0].Reason != "the move" || d.Domains[1].Domain != "b.example" {
		t.Fatalf("%+v", d)
	}
	if _, page, _ := w.call("GET", "/queue", "admin", "", "Accept", "text/html"); !strings.Contains(page, "The queue is paused") || !strings.Contains(page, "the move") {
		t.Error("the page does not say that the queue is paused")
	}
	w.json("POST", "/api/queue/resume", "admin", `{}`, 200, nil)
	next(event.MailSent)
	if got := w.peer.attempts(); len(got) != 1 || got[0] != "x@a.example" {
		t.Errorf("sent to %v", got)
	}
	status, _, head := w.call("POST", "/queue/resume", "admin", url.Values{"domain": {"b.example"}, "next": {"/queue/1"}}.Encode(), "Accept", "text/html")
	if status != 303 || head.Get("Location") != "/queue/1" {
		t.Errorf("%d %q", status, head.Get("Location"))
	}
	next(event.MailSent)
	if got := w.peer.attempts(); len(got) != 2 || got[1] != "x@b.example" {
		t.Errorf("sent to %v", got)
	}
}

// Many at once: by domain, by state, by number.
func TestQueueInBulk(t *testing.T) {
	w := start(t, "")
	w.json("POST", "/api/send", "demo", `{"to":["a@one.example","b@one.example","c@two.example"],"text":"x"}`, 202, nil)
	var out api.EmailQueueChanged
	w.json("POST", "/api/queue/drop", "admin", `{"domain":"one.example"}`, 200, &out)
	if out.Changed != 2 || out.Skipped != 0 || out.More {
		t.Errorf("%+v", out)
	}
	w.json("POST", "/api/queue/release", "admin", `{"ids":[1,2,3],"to":"qa@three.example"}`, 200, &out)
	if out.Changed != 1 || out.Skipped != 2 {
		t.Errorf("%+v", out)
	}
	if q := w.queue("queued").Entries; len(q) != 1 || q[0].Recipient != "qa@three.example" || q[0].Domain != "three.example" {
		t.Errorf("%+v", q)
	}
	var list api.EmailQueue
	w.json("GET", "/api/queue?domain=three.example", "admin", "", 200, &list)
	if len(list.Entries) != 1 {
		t.Errorf("by domain: %+v", list.Entries)
	}
	status, _, head := w.call("POST", "/queue/bulk", "admin", url.Values{"action": {"hold"}, "state": {"queued"}, "next": {"/queue?state=queued"}}.Encode(), "Accept", "text/html")
	if status != 303 || head.Get("Location") != "/queue?state=queued" || len(w.queue("held").Entries) != 1 {
		t.Errorf("%d %q", status, head.Get("Location"))
	}
	w.json("POST", "/api/queue/release", "admin", `{"ids":[99]}`, 404, nil)
	w.json("POST", "/queue/bulk", "admin", "action=burn&state=held", 422, nil)
}

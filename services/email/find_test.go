package email_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"uniqverse/services/email"
	"uniqverse/store/storetest"
)

// find returns the subjects that a query finds, after the index knows everything.
func (w *world) find(user, q string, more ...string) string {
	w.t.Helper()
	end := time.Now().Add(20 * time.Second)
	for {
		rest, err := w.svc.Store.NotIndexed(context.Background(), 1)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(rest) == 0 {
			break
		}
		if time.Now().After(end) {
			w.t.Fatal("the index does not come to an end")
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Sprint(subjects(w.list(user, user+"@"+domain, append(more, "q="+url.QueryEscape(q))...)))
}

// A search finds what is in the caller's own mailbox, by words and by what a message is, also after a restart.
func TestSearch(t *testing.T) {
	w := start(t, "")
	w.run()
	pilot, mallory := "pilot@"+domain, "mallory@"+domain
	w.receive(mail("Launch window", "a@x", "The gate opens at dawn. Caf\u00e9 \u201cOrbit\u201d."), pilot)
	w.receive(mail("Cargo", "b@x", "Lost cargo near the launch pad"), pilot)
	w.receive("Cc: Bob Stone <bob@example.net>\r\n"+strings.Replace(mail("Report", "c@x", ""), "\r\n\r\n", "\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"+
		"--b\r\n\r\nsee the table\r\n--b\r\nContent-Type: application/pdf; name=\"fuel-2026.pdf\"\r\nContent-Disposition: attachment\r\n\r\nx\r\n--b--\r\n", 1), pilot)
	w.receive(mail("Launch codes", "d@x", "secret dawn"), mallory)
	w.as("pilot", 200, "POST", "/api/messages/2/star", "", nil)
	w.as("pilot", 200, "POST", "/api/messages/1/read", "", nil)
	w.as("pilot", 200, "POST", "/api/messages/1/labels", `{"labels":["to do"]}`, nil)
	w.as("pilot", 200, "POST", "/api/messages/3/move", `{"folder":"archive"}`, nil)
	for q, want := range map[string]string{
		"launch": "[Cargo Launch window]", "subject:launch": "[Launch window]", `"launch pad"`: "[Cargo]", "launch -cargo": "[Launch window]", "laun*": "[Cargo Launch window]",
		"cafe orbit": "[Launch window]", "from:ann": "[Report Cargo Launch window]", "from:ann@example.org gate": "[Launch window]", "to:bob": "[Report]", "bob@example.net": "[Report]",
		"filename:fuel": "[Report]", "has:attachment": "[Report]", "-has:attachment": "[Cargo Launch window]", "is:starred": "[Cargo]", "is:read": "[Launch window]",
		"is:unread launch": "[Cargo]", `label:"to do"`: "[Launch window]", `-label:"to do" launch`: "[Cargo]", "in:archive": "[Report]", "-in:archive launch": "[Cargo Launch window]", "id:<b@x>": "[Cargo]",
		"larger:1M": "[]", "smaller:1M dawn": "[Launch window]", "before:2020-01-01": "[]", "newer:1d cargo": "[Cargo]", "secret": "[]", "codes OR launch": "[]", `say "NEAR(" AND (x`: "[]", "mbox2": "[]",
	} {
		if got := w.find("pilot", q); got != want {
			t.Errorf("%s finds %s, want %s", q, got, want)
		}
	}
	if got := w.find("pilot", "launch", "limit=1", "before=2"); got != "[Launch window]" {
		t.Errorf("the second page is %s", got)
	}
	if got := w.find("pilot", "launch", "after=1"); got != "[Cargo]" {
		t.Errorf("what came after is %s", got)
	}
	if got := w.find("pilot", "from:ann", "mailbox=archive"); got != "[Report]" {
		t.Errorf("in the archive is %s", got)
	}
	l := w.list("pilot", pilot, "q=gate")
	if h := l.Messages[0].Highlight; h == nil || !strings.Contains(h.Snippet, "The <mark>gate</mark> opens") {
		t.Errorf("the highlight is %+v", h)
	}
	w.as("pilot", 422, "GET", "/api/messages?user=pilot&q=is:nothing", "", nil)
	w.as("pilot", 422, "GET", "/api/messages?user=pilot&q=in:nowhere", "", nil)
	w.as("pilot", 422, "GET", "/api/messages?user=pilot&q=x&unread=true", "", nil)

	// What is gone is not found, also when it goes before the index knows it.
	w.as("pilot", 200, "DELETE", "/api/messages/2?forever=true", "", nil)
	if got := w.find("pilot", "launch"); got != "[Launch window]" {
		t.Errorf("after a deletion: %s", got)
	}
}

// The index goes on where it was, whatever was stored while nobody fed it.
func TestSearchAfterRestart(t *testing.T) {
	dir := storetest.Dir(t)
	w := start(t, dir)
	w.receive(mail("one", "", "comet"), "pilot@"+domain)
	w.receive(mail("two", "", "comet"), "pilot@"+domain)
	w.as("pilot", 200, "DELETE", "/api/messages/2?forever=true", "", nil)
	w.stop()
	w = start(t, dir, func(o *email.Options) {})
	w.run()
	w.receive(mail("three", "", "comet"), "pilot@"+domain)
	if got := w.find("pilot", "comet"); got != "[three one]" {
		t.Errorf("found %s", got)
	}
}

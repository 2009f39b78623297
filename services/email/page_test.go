package email_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"uniqverse/services/email"
)

func TestInboxPage(t *testing.T) {
	w := start(t, "", func(o *email.Options) { o.SMTPPort = 2525 })
	page := func(path, token string) string {
		t.Helper()
		status, body, _ := w.call("GET", path, token, "", "Accept", "text/html")
		if status != 200 {
			t.Fatalf("%s: %d %s", path, status, body)
		}
		return body
	}
	for _, path := range []string{"/", "/inbox"} {
		if p := page(path, ""); !strings.Contains(p, "swaks --server 127.0.0.1:2525 --to demo@"+domain) {
			t.Errorf("%s does not say how to send a first mail", path)
		}
	}
	for i := range 3 {
		w.receive(mail(fmt.Sprintf("<b>subject</b> %d", i), fmt.Sprintf("%d@example.org", i), "<script>alert(1)</script>"), at("pilot"))
	}
	p := page("/inbox?user=pilot&limit=2", "")
	if !strings.Contains(p, "&lt;b&gt;subject&lt;/b&gt; 2") || strings.Contains(p, "subject&lt;/b&gt; 0") || strings.Contains(p, "<script>alert") || !strings.Contains(p, "3 unread") {
		t.Errorf("the page is %s", p)
	}
	if !strings.Contains(p, "/api/events?access_token=demo&amp;user=pilot%40"+domain) {
		t.Error("the page does not listen to the mailbox")
	}
	next := regexp.MustCompile(`/inbox\?before=\d+&amp;limit=2&amp;user=pilot`).FindString(p)
	if next == "" {
		t.Fatalf("no way to the next page in %s", p)
	}
	older := page(strings.ReplaceAll(next, "&amp;", "&"), "")
	if !strings.Contains(older, "subject&lt;/b&gt; 0") || strings.Contains(older, "subject&lt;/b&gt; 1") || !regexp.MustCompile(`/inbox\?after=\d+`).MatchString(older) {
		t.Errorf("the next page is %s", older)
	}
	if own := page("/inbox", "pilot"); !strings.Contains(own, "subject&lt;/b&gt; 2") || strings.Contains(own, "access_token") {
		t.Error("pilot's own inbox is wrong")
	}
}

func TestFormsWorkWithoutScript(t *testing.T) {
	w := start(t, "")
	w.receive(mail("hello", "1@example.org", "body"), at("demo"))
	m := w.list("demo", "demo").Messages[0]
	base := fmt.Sprintf("/messages/%d", m.ID)
	for _, c := range []struct{ path, body, want string }{
		{"/star", "starred=true&next=/inbox?unread=true", "/inbox?unread=true"},
		{"/read", "read=true&next=" + base, base},
		{"/labels", "labels=crew,+on+call&next=//evil.example.org/", "/inbox"},
		{"/labels", "labels=crew,+on+call&next=https://evil.example.org/", "/inbox"},
	} {
		status, body, h := w.call("POST", base+c.path, "", c.body, "Accept", "text/html")
		if status != 303 || h.Get("Location") != c.want {
			t.Errorf("%s %s: %d to %q, want %q: %s", c.path, c.body, status, h.Get("Location"), c.want, body)
		}
	}
	m = w.list("demo", "demo").Messages[0]
	if !m.Starred || m.Unread || strings.Join(m.Labels, "|") != "crew|on call" {
		t.Errorf("the message is %+v", m)
	}
	if status, _, _ := w.call("POST", base+"/star", "", "", "Origin", "https://evil.example.org"); status != 403 {
		t.Errorf("a foreign page's form answers %d", status)
	}
	// Looking changes nothing.
	w.call("POST", base+"/read", "", "read=false", "Accept", "text/html")
	w.call("GET", base, "", "", "Accept", "text/html")
	if !w.list("demo", "demo").Messages[0].Unread {
		t.Error("opening the page marked the message as read")
	}
}

func TestMessagePageAndHTML(t *testing.T) {
	w := start(t, "")
	raw, err := os.ReadFile("../../testdata/mail/mime-related.eml")
	if err != nil {
		t.Fatal(err)
	}
	w.receive(string(raw), at("pilot"))
	m := w.list("demo", "pilot").Messages[0]
	if m.Attachments != 1 || m.Snippet != "Your order is on its way." || strings.Join(m.Flags, " ") != "attachment html" {
		t.Errorf("the message is %+v", m)
	}
	base := fmt.Sprintf("/api/messages/%d", m.ID)
	status, page, _ := w.call("GET", fmt.Sprintf("/messages/%d", m.ID), "", "", "Accept", "text/html")
	for _, want := range []string{base + "/html?access_token=demo", base + "/raw?access_token=demo", base + "/parts/6?access_token=demo", "invoice.pdf", "view=text", "shop@example.org"} {
		if status != 200 || !strings.Contains(page, want) {
			t.Errorf("the page (%d) lacks %s", status, want)
		}
	}
	status, doc, h := w.call("GET", base+"/html", "pilot", "")
	if status != 200 || !strings.Contains(doc, "<b>order</b>") || !strings.Contains(doc, `src="data:image/png;base64,iVBOR`) || strings.Contains(doc, "tracker") {
		t.Errorf("the HTML is %d %s", status, doc)
	}
	csp := h.Get("Content-Security-Policy")
	if !strings.HasPrefix(csp, "sandbox ") || strings.Contains(csp, "allow-scripts") || strings.Contains(csp, "allow-same-origin") || !strings.Contains(csp, "default-src 'none'") ||
		!strings.Contains(csp, "img-src data:;") || h.Get("X-Frame-Options") != "SAMEORIGIN" || h.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("the HTML is sent with %v", h)
	}
	status, pdf, h := w.call("GET", base+"/parts/6", "pilot", "")
	if status != 200 || pdf != "%PDF-1.4\n" || h.Get("Content-Type") != "application/pdf" || h.Get("Content-Disposition") != "attachment; filename=invoice.pdf" {
		t.Errorf("the file is %d %q with %v", status, pdf, h)
	}
	_, _, h = w.call("GET", base+"/parts/4", "pilot", "")
	if h.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") {
		t.Errorf("HTML as a file is sent with %v", h)
	}
}

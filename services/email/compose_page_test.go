package email_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"uniqverse/services/email/webmail"
)

// upload posts a multipart form; files are name and content. accept "" is a script's.
func (w *world) upload(path, token, accept string, fields url.Values, files ...[2]string) (int, string, http.Header) {
	w.t.Helper()
	var b bytes.Buffer
	mw := multipart.NewWriter(&b)
	for name, values := range fields {
		for _, v := range values {
			if err := mw.WriteField(name, v); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	for _, f := range files {
		p, err := mw.CreateFormFile("attachments", f[0])
		if err != nil {
			w.t.Fatal(err)
		}
		p.Write([]byte(f[1]))
	}
	mw.Close()
	return w.call("POST", path, token, b.String(), "Content-Type", mw.FormDataContentType(), "Accept", accept)
}

// writes posts the form of a mail as the page's script does.
func (w *world) writes(want int, fields url.Values, files ...[2]string) webmail.Written {
	w.t.Helper()
	status, body, _ := w.upload("/compose", "", "application/json", fields, files...)
	var out webmail.Written
	if status != want || status == 200 && json.Unmarshal([]byte(body), &out) != nil {
		w.t.Fatalf("POST /compose %v: %d, want %d: %s", fields, status, want, body)
	}
	return out
}

// A draft keeps what is typed, also what no mail can say; an older version never replaces a newer one; what is sent is no draft any more.
func TestDrafts(t *testing.T) {
	w := start(t, "")
	one := w.writes(200, url.Values{"to": {"pilot, half@"}, "bcc": {"ghost"}, "subject": {"Grüße\t"}, "text": {"line\r\nline"}, "do": {"save"}}, [2]string{"a b.txt", "alpha"})
	if len(one.Files) != 1 || one.Files[0].Name != "a b.txt" || one.Files[0].Size != 5 {
		t.Fatalf("saved %+v", one)
	}
	p := w.page(200, one.Next, "")
	for _, want := range []string{`value="pilot, half@"`, `value="ghost"`, "Grüße", "line\nline</textarea>", "a b.txt"} {
		if !strings.Contains(p, want) {
			t.Errorf("the draft's page lacks %q", want)
		}
	}
	keep := fmt.Sprint(one.Files[0].Part)
	two := w.writes(200, url.Values{"draft": {fmt.Sprint(one.Draft)}, "to": {"pilot"}, "text": {"more"}, "keep": {keep}, "do": {"save"}}, [2]string{"b.bin", "\x00\xff"})
	if len(two.Files) != 2 || two.Draft == one.Draft {
		t.Fatalf("saved again %+v", two)
	}
	w.writes(409, url.Values{"draft": {fmt.Sprint(one.Draft)}, "text": {"stale"}, "do": {"save"}}) // another window's
	w.writes(409, url.Values{"draft": {fmt.Sprint(one.Draft)}, "to": {"pilot"}, "text": {"stale"}, "do": {"send"}})
	if n := len(w.list("demo", "demo", "mailbox=drafts").Messages); n != 1 {
		t.Errorf("%d drafts, want 1", n)
	}
	// A form that is refused is shown again with what was typed, and its files are kept.
	status, body, _ := w.upload("/compose", "", "text/html", url.Values{"draft": {fmt.Sprint(two.Draft)}, "to": {"no body@"}, "subject": {"S<1>"}, "text": {"kept"}, "keep": {keep}, "do": {"send"}}, [2]string{"c.txt", "gamma"})
	if status != 422 || !strings.Contains(body, `value="no body@"`) || !strings.Contains(body, "S&lt;1&gt;") || !strings.Contains(body, "kept</textarea>") || !strings.Contains(body, "c.txt") || !strings.Contains(body, `aria-invalid="true" aria-describedby="to-error"`) {
		t.Fatalf("refused: %d %s", status, body)
	}
	draft := regexp.MustCompile(`name="draft" value="(\d+)"`).FindStringSubmatch(body)[1]
	parts := regexp.MustCompile(`name="keep" value="(\d+)"`).FindAllStringSubmatch(body, -1)
	fields := url.Values{"draft": {draft}, "to": {"pilot"}, "subject": {"S"}, "text": {"kept"}, "do": {"send"}}
	for _, p := range parts {
		fields.Add("keep", p[1])
	}
	status, _, h := w.upload("/compose", "", "text/html", fields)
	if status != 303 || !strings.HasPrefix(h.Get("Location"), "/inbox?folder=sent&sent=") {
		t.Fatalf("sent: %d to %s", status, h.Get("Location"))
	}
	if n := len(w.list("demo", "demo", "mailbox=drafts").Messages); n != 0 {
		t.Errorf("%d drafts are left", n)
	}
	// It can be taken back: then it is a draft again, with its files.
	notice := w.page(200, h.Get("Location"), "")
	back := regexp.MustCompile(`action="(/scheduled/[^"]+/cancel)"`).FindStringSubmatch(notice)
	if back == nil {
		t.Fatal("nothing offers to take the mail back")
	}
	again := w.form(back[1], "", url.Values{})
	if p := w.page(200, again, ""); !strings.Contains(p, "kept</textarea>") || !strings.Contains(p, "a b.txt") || !strings.Contains(p, "c.txt") {
		t.Errorf("taken back to %s: %s", again, p)
	}
	w.writes(200, url.Values{"draft": {regexp.MustCompile(`\d+`).FindString(again)}, "do": {"discard"}})
	if n := len(w.list("demo", "demo", "mailbox=drafts").Messages); n != 0 {
		t.Errorf("%d drafts are left", n)
	}
	if status, _, _ := w.call("GET", fmt.Sprintf("/compose?draft=%d", two.Draft), "writer", "", "Accept", "text/html"); status != 404 {
		t.Errorf("somebody else's draft opens with %d", status)
	}
}

// An answer names whom it answers, in the fields and by a mark; answering everybody leaves oneself out; passing on takes the files along.
func TestAnswers(t *testing.T) {
	w := start(t, "")
	raw := "From: \"Reyes, Nova\" <nova@example.org>\r\nTo: demo@" + domain + ", Orbit <orbit@example.org>\r\nCc: pilot@" + domain + "\r\nReply-To: crew@example.org\r\nSubject: Gate\r\n" +
		"Message-ID: <second@example.org>\r\nReferences: <first@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
		"--b\r\nContent-Type: text/plain\r\n\r\nopen?\r\n> before\r\n--b\r\nContent-Type: application/pdf; name=plan.pdf\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n--b--\r\n"
	w.receive(raw, "demo@"+domain)
	id := w.list("demo", "demo").Messages[0].ID
	p := w.page(200, fmt.Sprintf("/compose?reply=%d&all=true", id), "")
	for _, want := range []string{`name="to" value="crew@example.org"`, `name="cc" value="Orbit &lt;orbit@example.org&gt;, pilot@` + domain + `"`, `value="Re: Gate"`, "wrote:\n&gt; open?\n&gt;&gt; before"} {
		if !strings.Contains(p, want) {
			t.Errorf("the answer lacks %s", want)
		}
	}
	if p = w.page(200, fmt.Sprintf("/compose?reply=%d", id), ""); strings.Contains(p, "orbit@example.org, ") || strings.Contains(p, `name="cc" value="Orbit`) {
		t.Error("an answer to one goes to others")
	}
	w.writes(200, url.Values{"to": {"pilot"}, "subject": {"Re: Gate"}, "text": {"*yes*"}, "markdown": {"true"}, "answers": {fmt.Sprint(id)}, "do": {"send"}})
	sent := w.list("demo", "demo", "mailbox=sent").Messages[0]
	_, source, _ := w.call("GET", fmt.Sprintf("/api/messages/%d/raw", sent.ID), "demo", "")
	if !strings.Contains(source, "In-Reply-To: <second@example.org>\r\nReferences: <first@example.org> <second@example.org>\r\n") || !strings.Contains(source, "<em>yes</em>") || sent.ThreadID != w.list("demo", "demo", "mailbox=inbox").Messages[0].ThreadID {
		t.Errorf("the answer is %s", source)
	}
	if got := fmt.Sprint(w.list("demo", "demo", "mailbox=inbox").Messages[0].Keywords); got != "[$answered]" {
		t.Errorf("the answered message is marked %s", got)
	}
	part := regexp.MustCompile(`name="take" value="(\d+)"`).FindStringSubmatch(w.page(200, fmt.Sprintf("/compose?forward=%d", id), ""))
	if part == nil {
		t.Fatal("no file to take along")
	}
	out := w.writes(200, url.Values{"forwards": {fmt.Sprint(id)}, "take": {part[1], "-1"}, "do": {"save"}})
	if len(out.Files) != 2 || out.Files[0].Name != "Gate.eml" || out.Files[1].Name != "plan.pdf" || out.Files[1].Size != 4 {
		t.Errorf("passed on with %+v", out.Files)
	}
	// Markdown makes no HTML of HTML, and no link that acts.
	w.writes(200, url.Values{"to": {"pilot"}, "text": {"<script>x</script>\n\n[a](javascript:alert(1)) **b**"}, "markdown": {"true"}, "do": {"send"}})
	_, source, _ = w.call("GET", fmt.Sprintf("/api/messages/%d/raw", w.list("demo", "demo", "mailbox=sent").Messages[0].ID), "demo", "")
	html := source[strings.Index(source, "text/html"):]
	if strings.Contains(html, "<script>") || strings.Contains(html, "javascript:") || !strings.Contains(html, "<strong>b</strong>") {
		t.Errorf("laid out as %s", html)
	}
}

// The API takes files, as a form and in JSON, and says what it does not take.
func TestSendFiles(t *testing.T) {
	w := start(t, "")
	status, body, _ := w.upload("/api/send", "writer", "", url.Values{"to": {"pilot"}, "text": {"see"}}, [2]string{"../x/Plan.pdf", "%PDF"}, [2]string{"b.csv", "1,2"})
	if status != 202 {
		t.Fatalf("%d %s", status, body)
	}
	content := base64.StdEncoding.EncodeToString([]byte("%PDF"))
	w.as("writer", 202, "POST", "/api/send", `{"to":["pilot"],"text":"see","attachments":[{"name":"Plan.pdf","type":"application/pdf","content":"`+content+`"}]}`, nil)
	for i, want := range []int{1, 2} {
		if m := w.list("pilot", "pilot").Messages[i]; m.Attachments != want {
			t.Errorf("message %d has %d files, want %d", i, m.Attachments, want)
		}
	}
	w.as("writer", 422, "POST", "/api/send", `{"to":["pilot"],"text":"see","attachments":[{"name":"x","content":"%%%"}]}`, nil)
	w.as("writer", 413, "POST", "/api/send", `{"to":["pilot"],"text":"see","attachments":[{"name":"x","content":"`+base64.StdEncoding.EncodeToString(make([]byte, 19<<20))+`"}]}`, nil)
	if n := len(w.list("pilot", "pilot").Messages); n != 2 {
		t.Errorf("%d messages after two that were refused, want 2", n)
	}
}

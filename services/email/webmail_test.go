package email_test

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// page opens a page as a browser does and returns its HTML.
func (w *world) page(want int, path, token string) string {
	w.t.Helper()
	status, body, _ := w.call("GET", path, token, "", "Accept", "text/html")
	if status != want {
		w.t.Fatalf("GET %s: %d, want %d: %.500s", path, status, want, body)
	}
	return body
}

// form posts a form as a browser does and returns where it leads.
func (w *world) form(path, token string, fields url.Values) string {
	w.t.Helper()
	status, body, h := w.call("POST", path, token, fields.Encode(), "Accept", "text/html")
	if status != 303 {
		w.t.Fatalf("POST %s %v: %d: %.500s", path, fields, status, body)
	}
	return h.Get("Location")
}

// rows are the messages of a list page, by their subject and what is shown as their author.
func rows(page string) (out []string) {
	for _, m := range regexp.MustCompile(`(?s)<li class="mail[^>]*>.*?</li>`).FindAllString(page, -1) {
		who := regexp.MustCompile(`(?s)class="mail-who"><span class="clip">(.*?)</span>(<span class="count"[^>]*>(\d+))?`).FindStringSubmatch(m)
		subject := regexp.MustCompile(`(?s)data-open>(.*?)</a>`).FindStringSubmatch(m)
		text := regexp.MustCompile(`<[^>]*>`).ReplaceAllString(subject[1], "")
		out = append(out, strings.TrimSpace(who[1]+" "+who[3])+"|"+text)
	}
	return out
}

func answering(subject, id, to, from string) string {
	return "From: " + from + "\r\nTo: pilot@" + domain + "\r\nSubject: " + subject + "\r\nMessage-ID: <" + id + ">\r\nIn-Reply-To: <" + to + ">\r\nReferences: <" + to + ">\r\n\r\ntext\r\n"
}

// A folder has one row for each conversation, under its newest message; what is done to the row is done to all of it there.
func TestConversations(t *testing.T) {
	w := start(t, "")
	pilot := "pilot@" + domain
	w.receive(mail("Gate", "g1@example.org", "text"), pilot)
	w.receive(mail("Other", "o1@example.org", "text"), pilot)
	for i := range 3 {
		w.receive(answering("Re: Gate", fmt.Sprintf("r%d@example.org", i), "g1@example.org", fmt.Sprintf("Orbit %d <orbit@example.org>", i)), pilot)
	}
	if got := fmt.Sprint(rows(w.page(200, "/inbox", "pilot"))); got != "[Ann … Orbit, Orbit 4|Unread: Re: Gate Ann Pilot|Unread: Other]" {
		t.Errorf("the inbox shows %s", got)
	}
	list := w.list("pilot", pilot)
	newest, oldest := list.Messages[0].ID, list.Messages[4].ID
	// A page after the newest row of the conversation does not show it again.
	if got := fmt.Sprint(rows(w.page(200, fmt.Sprintf("/inbox?before=%d", newest), "pilot"))); got != "[Ann Pilot|Unread: Other]" {
		t.Errorf("the second page shows %s", got)
	}
	inbox := list.Messages[0].Folders[0]
	if to := w.form("/messages/bulk", "pilot", url.Values{"ids": {fmt.Sprint(newest)}, "do": {"archive"}, "from": {fmt.Sprint(inbox)}, "next": {"/inbox?unread=true"}}); to != "/inbox?unread=true" {
		t.Errorf("the form leads to %s", to)
	}
	if got := rows(w.page(200, "/inbox", "pilot")); len(got) != 1 {
		t.Errorf("the inbox still shows %v", got)
	}
	if got := fmt.Sprint(subjects(w.list("pilot", pilot, "mailbox=archive"))); got != "[Re: Gate Re: Gate Re: Gate Gate]" {
		t.Errorf("archived: %s", got)
	}
	// One of them in the trash is not counted; the newest in the archive leads the row.
	w.form("/messages/bulk", "pilot", url.Values{"ids": {fmt.Sprint(newest)}, "do": {"delete"}})
	if got := fmt.Sprint(rows(w.page(200, "/inbox?folder=archive", "pilot"))); got != "[Ann, Orbit, Orbit 3|Unread: Re: Gate]" {
		t.Errorf("the archive shows %s", got)
	}
	for do, want := range map[string]string{"spam": "junk", "ham": "inbox"} {
		w.form("/messages/bulk", "pilot", url.Values{"ids": {fmt.Sprint(oldest)}, "do": {do}})
		if got := len(w.list("pilot", pilot, "mailbox="+want).Messages); got == 0 {
			t.Errorf("%s: nothing in %s", do, want)
		}
	}
	if status, _, _ := w.call("POST", "/messages/bulk", "mallory", fmt.Sprintf("ids=%d&do=delete&from=%d", oldest, inbox)); status != 404 {
		t.Errorf("somebody else's message: %d", status)
	}
}

// Folders are made, renamed, moved and removed on their page; a search shows what it found, and says what it did not understand.
func TestFoldersPageAndSearch(t *testing.T) {
	w := start(t, "")
	w.run()
	pilot := "pilot@" + domain
	w.receive(mail("Launch <b>window</b>", "1@example.org", "The window opens at noon & closes."), pilot)
	w.form("/folders", "pilot", url.Values{"name": {"Projects"}, "next": {"/folders"}})
	p := w.page(200, "/folders", "pilot")
	id := regexp.MustCompile(`/folders/(\d+)/delete`).FindStringSubmatch(p)
	if id == nil {
		t.Fatalf("the new folder is not on its page: %s", p)
	}
	w.form("/folders/"+id[1], "pilot", url.Values{"name": {"Ships"}, "parent": {"0"}, "next": {"/folders"}})
	if p = w.page(200, "/inbox?folder="+id[1], "pilot"); !strings.Contains(p, "<h1>Ships</h1>") || !strings.Contains(p, "This folder is empty") {
		t.Error("the renamed folder does not open")
	}
	w.form("/folders/"+id[1]+"/delete", "pilot", url.Values{})
	w.page(404, "/inbox?folder="+id[1], "pilot")

	w.find("pilot", "window") // the index knows it
	p = w.page(200, "/search?q=window", "pilot")
	if got := rows(p); len(got) != 1 || !strings.Contains(p, "<mark>window</mark>") || !strings.Contains(p, "noon &amp; closes") || strings.Contains(p, "Launch <b>") {
		t.Errorf("the search shows %v: %s", got, p)
	}
	if p = w.page(200, "/search?q=nowhere", "pilot"); !strings.Contains(p, "No mail matches") || !strings.Contains(p, "has:attachment") {
		t.Error("a search without a result does not say so")
	}
	if p = w.page(422, "/search?q=larger%3Amuch", "pilot"); !strings.Contains(p, "larger:") || !strings.Contains(p, `value="larger:much"`) {
		t.Error("a query that cannot be understood is not shown again with the reason")
	}
}

// Every view of a message says what it is about, and a view that there is none of is the message.
func TestMessageViews(t *testing.T) {
	w := start(t, "")
	pilot := "pilot@" + domain
	w.receive("From: Ann <ann@example.org>\r\nTo: "+pilot+"\r\nSubject: Views\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n"+
		`<p>see <a href="https://evil.example/">https://bank.example/</a></p><img src="https://t.example/x.png"><script>x</script>`+"\r\n--b\r\nContent-Type: text/csv; name=a.csv\r\n\r\n1,2\r\n--b--\r\n", pilot)
	id := w.list("pilot", pilot).Messages[0].ID
	for view, want := range map[string][]string{
		"":        {"<iframe", "Archive", "a.csv"},
		"none":    {"<iframe"},
		"text":    {"msg-body", "see"},
		"source":  {"Received: from mx.example.org", "&lt;script&gt;x&lt;/script&gt;"},
		"headers": {"<dt>Subject</dt><dd>Views</dd>", ">ours<"},
		"parts":   {"multipart/mixed", fmt.Sprintf("/api/messages/%d/parts/2", id)},
		"auth":    {"no domain to ask", "The host 192.0.2.7 called itself mx.example.org"},
		"journey": {"The host 192.0.2.7 connected", "It lies in Inbox."},
		"lint":    {"No plain text", "Images without alt", "shows bank.example and leads to evil.example"},
	} {
		p := w.page(200, fmt.Sprintf("/messages/%d?view=%s", id, view), "pilot")
		for _, s := range want {
			if !strings.Contains(p, s) {
				t.Errorf("the view %q lacks %q", view, s)
			}
		}
		if strings.Contains(p, `href="https://evil.example`) {
			t.Errorf("the view %q links to where the mail wants", view)
		}
	}
}

package e2e_test

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// typed is what the fields of a mail hold.
const typed = `["to", "cc", "bcc", "subject", "text"].map(n => document.querySelector("#" + n).value).join("|")`

// filesKept are the files that a mail keeps.
const filesKept = `[...document.querySelectorAll("[data-files] .file")].filter(f => f.querySelector("input").checked).map(f => f.querySelector(".clip").textContent).join()`

// saved waits until the draft is stored, all of it.
func (p *tab) saved() {
	p.t.Helper()
	p.until("the draft is saved", `document.querySelector("[data-saved]").textContent.startsWith("Saved") && !sessionStorage.getItem("uq-mail:" + location.pathname) && new URLSearchParams(location.search).get("draft") === document.querySelector("[name=draft]").value`)
}

// chord presses a key together with Ctrl.
func (p *tab) chord(k rune) {
	p.t.Helper()
	for _, ev := range kb.Encode(k) {
		if ev.Type == kb.KeyChar {
			continue
		}
		ev.Modifiers, ev.Text, ev.UnmodifiedText = 2, "", ""
		if _, err := chromedp.Call(p.ctx, input.DispatchKeyEvent, *ev); err != nil {
			p.t.Fatal(err)
		}
	}
}

// attach chooses files (name, content, name, content, …) as the button does.
func (p *tab) attach(files ...string) {
	p.t.Helper()
	js := "const d = new DataTransfer();"
	for i := 0; i < len(files); i += 2 {
		js += "d.items.add(new File([" + quote(files[i+1]) + "], " + quote(files[i]) + "));"
	}
	look[bool](p, `(() => { `+js+` const i = document.querySelector("[data-attach]"); i.files = d.files; return i.dispatchEvent(new Event("change", { bubbles: true })); })()`)
}

// folder returns the subjects in a folder of the demo identity's mailbox, the newest first, and its newest message.
func (s *system) folder(name string) (subjects []string, newest int64) {
	s.t.Helper()
	var list struct {
		Messages []struct {
			ID      int64
			Subject string
		}
	}
	s.get(200, "email/api/messages?user=demo&access_token=demo&mailbox="+name).JSON(s.t, &list)
	for i, m := range list.Messages {
		if subjects = append(subjects, m.Subject); i == 0 {
			newest = m.ID
		}
	}
	return subjects, newest
}

// nextMonth is a time to send at, as its field has it.
func nextMonth() string { return time.Now().UTC().AddDate(0, 1, 0).Format("2006-01-02T15:04") }

// A mail is written with the keyboard: it saves itself, keeps its files through reloads and removals, tells what is wrong
// beside the field, and is sent with one chord; blind copies are nobody else's business.
func TestBrowserCompose(t *testing.T) {
	b, s := startBrowser(t), start(t)
	p := b.tab(t)
	p.open(s.URL("portal") + "/proxy/email/compose")
	p.until("one begins with whom it goes to", `document.activeElement.id === "to"`)
	p.key("no body@\t")
	p.until("copies come next", `document.activeElement.matches(".copies summary")`)
	p.key(kb.Enter)
	p.until("they open", `document.querySelector(".copies").open`)
	p.key("\tnova\tghost\tGate <4>\tIt reports open.")
	p.saved()
	p.attach("one.txt", "1", "two.txt", "22", "three & four.txt", "333")
	p.until("the files are there", filesKept+` === "one.txt,two.txt,three & four.txt"`)
	p.saved()
	// One that is taken out takes no other with it, whatever is saved afterwards.
	p.press("[data-files] input")
	p.chord('s')
	p.until("what is taken out is gone once it is saved", `document.querySelectorAll("[data-files] .file").length === 2`)
	p.do(chromedp.Focus(chromedp.CSS("#text")))
	for _, more := range []string{" Twice", " now"} {
		p.key(kb.End + more)
		p.chord('s')
		p.saved()
	}
	const text = `no body@|nova|ghost|Gate <4>|It reports open. Twice now`
	for _, where := range []string{"before", "after"} { // a reload
		p.until("all of it is there "+where+" a reload", typed+` === `+quote(text)+` && `+filesKept+` === "two.txt,three & four.txt" && document.querySelector(".copies").open`)
		p.open(look[string](p, `location.href`))
	}

	p.chord('\r')
	p.until("it says what is wrong where it is wrong", `document.querySelector("#to-error") && document.activeElement.id === "to" && document.activeElement.getAttribute("aria-describedby") === "to-error"`)
	p.clean("a form that is refused", "422")
	p.fill("#to", "pilot")
	p.chord('\r')
	p.until("it is on its way", `location.pathname === "/proxy/email/inbox" && location.search.startsWith("?folder=sent&sent=") && document.querySelector("form[action$='/cancel']")`)
	sent, id := s.folder("sent")
	drafts, _ := s.folder("drafts")
	if !slices.Equal(sent, []string{"Gate <4>"}) || len(drafts) != 0 {
		t.Errorf("sent are %q, drafts %q", sent, drafts)
	}
	raw := string(s.get(200, fmt.Sprintf("email/api/messages/%d/raw?access_token=demo", id)).body)
	if !strings.Contains(raw, "two.txt") || strings.Contains(raw, "one.txt") || strings.Contains(raw, "ghost") || !strings.Contains(raw, "\r\nCc: nova@vezeuniqverse.com\r\n") {
		t.Errorf("it was sent as %s", raw)
	}
	q := look[string](p, `new URLSearchParams(location.search).get("sent")`)
	var queue struct{ Entries []struct{ Recipient string } }
	s.get(200, "email/api/queue?queue_id="+q, "Authorization", "Bearer "+s.token("chief", "email.admin")).JSON(t, &queue)
	if got := fmt.Sprint(queue.Entries); len(queue.Entries) != 3 || !strings.Contains(got, "ghost@vezeuniqverse.com") {
		t.Errorf("it goes to %s", got)
	}
	p.clean("a mail that is written")
}

// A mail that waits for its time is taken back and is a draft again, blind copies and all; two windows on a draft never
// write over each other, and what one of them cannot save goes on as a draft of its own; a network that fails loses nothing.
func TestBrowserComposeTwice(t *testing.T) {
	b, s := startBrowser(t), start(t)
	compose := s.URL("email") + "/compose"
	one, two := b.tab(t), b.tab(t)
	one.open(compose + "?to=pilot&subject=Later&text=See+you.")
	one.press(".copies summary")
	one.fill("#bcc", "ghost")
	one.press(".later summary")
	look[string](one, `document.querySelector("#send_at").value = `+quote(nextMonth()))
	one.click("button[value=send]")
	one.until("it waits", `location.pathname === "/inbox"`)
	one.click("form[action$='/cancel'] button")
	one.until("it is a draft again", `location.pathname === "/compose" && document.readyState === "complete" && `+typed+` === "pilot@vezeuniqverse.com||ghost@vezeuniqverse.com|Later|See you."`)
	if sent, _ := s.folder("sent"); len(sent) != 0 {
		t.Errorf("sent are %q", sent)
	}
	one.attach("plan.txt", "plan")
	one.until("the file is there", filesKept+` === "plan.txt"`)
	one.saved()

	two.open(look[string](one, `location.href`))
	two.fill("#subject", "Two's")
	two.chord('s')
	two.saved()
	one.fill("#subject", "One's")
	one.chord('s')
	one.until("the window that comes second is told", `!document.querySelector("[data-conflict]").hidden`)
	one.clean("a conflict", "409")
	one.click("[data-keep-new]")
	one.saved()
	one.until("its own draft has the file", filesKept+` === "plan.txt"`)
	two.clean("the first window")
	drafts, _ := s.folder("drafts")
	if slices.Sort(drafts); !slices.Equal(drafts, []string{"One's", "Two's"}) {
		t.Errorf("drafts are %q", drafts)
	}
	one.open(look[string](one, `location.href`))
	one.until("and after a reload", filesKept+` === "plan.txt" && document.querySelector("#subject").value === "One's"`)

	one.offline(true)
	one.fill("#text", "Said offline.")
	one.chord('s')
	one.until("it says that nothing is saved", `document.querySelector("[data-saved]").textContent.startsWith("Not saved")`)
	one.offline(false)
	one.saved()
	if got := string(s.get(200, "email/compose?"+look[string](one, `location.search.slice(1)`), "Accept", "text/html").body); !strings.Contains(got, "Said offline.</textarea>") {
		t.Error("what was written offline is not stored")
	}
	one.complaints() // of the network
	one.click("button[value=discard]")
	one.until("it is gone", `location.pathname === "/inbox"`)
	if drafts, _ = s.folder("drafts"); !slices.Equal(drafts, []string{"Two's"}) {
		t.Errorf("drafts are %q", drafts)
	}
	one.clean("the second window")
}

// The forms of the pages are all that a browser without scripts needs to write, keep, send and take back a mail.
func TestComposeWithPlainForms(t *testing.T) {
	s, at := start(t), nextMonth()
	page := func(path string) string {
		return string(s.get(200, "email"+path, "Accept", "text/html").body)
	}
	value := func(page, name string) string { // of the first field of this name, as the browser would send it
		m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(page)
		if m == nil {
			t.Fatalf("no field %s on %s", name, page)
		}
		return m[1]
	}
	submit := func(path string, want int, file string, fields ...string) (reply, string) {
		t.Helper()
		var body strings.Builder
		part := func(head, content string) {
			fmt.Fprintf(&body, "--bound\r\nContent-Disposition: form-data; name=%s\r\n\r\n%s\r\n", head, content)
		}
		for i := 0; i < len(fields); i += 2 {
			part(`"`+fields[i]+`"`, fields[i+1])
		}
		if file != "" {
			part(`"attachments"; filename="`+file+`"`, "content of "+file)
		} else {
			part(`"attachments"; filename=""`, "") // what a browser sends for no file
		}
		body.WriteString("--bound--\r\n")
		r := s.call("POST", "email"+path, body.String(), "Content-Type", "multipart/form-data; boundary=bound", "Accept", "text/html", "Origin", s.URL("email"))
		if r.StatusCode != want {
			t.Fatalf("POST %s: %d, want %d\n%.800s", path, r.StatusCode, want, r.body)
		}
		return r, r.Header.Get("Location")
	}
	inbox := page("/inbox")
	if !strings.Contains(inbox, `href="/compose"`) {
		t.Error("the inbox does not lead to compose")
	}
	first := page("/compose")
	_, next := submit("/compose", 303, "plan.txt", "draft", value(first, "draft"), "to", "pilot", "cc", "", "bcc", "ghost", "subject", "Plain", "text", "line\r\nline", "send_at", "", "do", "save")
	p := page(next)
	if !strings.Contains(p, "plan.txt") || !strings.Contains(p, "line\nline</textarea>") || value(p, "to") != "pilot" || value(p, "bcc") != "ghost" {
		t.Fatalf("the draft is %s", p)
	}
	// Wrong: the same form again, with the reason and all that was in it, the new file, too.
	r, _ := submit("/compose", 422, "more.txt", "draft", value(p, "draft"), "keep", value(p, "keep"), "to", "pilot", "cc", "", "bcc", "gh ost@", "subject", "Plain", "text", "line", "send_at", at, "do", "send")
	p = string(r.body)
	files := regexp.MustCompile(`name="keep" value="(\d+)"`).FindAllStringSubmatch(p, -1)
	if len(files) != 2 || !strings.Contains(p, `aria-describedby="bcc-error"`) || !strings.Contains(p, `value="`+at+`"`) {
		t.Fatalf("the form that was refused is %s", p)
	}
	_, next = submit("/compose", 303, "", "draft", value(p, "draft"), "keep", files[0][1], "keep", files[1][1], "to", "pilot", "cc", "", "bcc", "ghost", "subject", "Plain", "text", "line", "send_at", at, "do", "send")
	p = page(next)
	cancel := regexp.MustCompile(`action="(/scheduled/[^"]+/cancel)"`).FindStringSubmatch(p)
	if drafts, _ := s.folder("drafts"); cancel == nil || len(drafts) != 0 {
		t.Fatalf("%d drafts after sending, and the page is %s", len(drafts), p)
	}
	r = s.call("POST", "email"+cancel[1], "", "Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html", "Origin", s.URL("email"))
	if p = page(r.Header.Get("Location")); r.StatusCode != 303 || value(p, "bcc") != "ghost@vezeuniqverse.com" || !strings.Contains(p, "plan.txt") || !strings.Contains(p, "more.txt") {
		t.Fatalf("taken back: %d, %s", r.StatusCode, p)
	}
	if _, next = submit("/compose", 303, "", "draft", value(p, "draft"), "do", "discard"); !strings.HasPrefix(next, "/inbox") {
		t.Errorf("discarding leads to %s", next)
	}
	if r := s.call("POST", "email/compose", url.Values{"to": {"pilot"}, "text": {"x"}, "do": {"send"}}.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Origin", "https://elsewhere.example"); r.StatusCode != 403 {
		t.Errorf("a form of another site sends mail: %d", r.StatusCode)
	}
}

package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
)

// What strangers send is shown as what it is: nothing of it runs, nothing of it is fetched, and no page breaks. The trap
// counts every request that anything hostile made the browser send.
func TestBrowserHostileContent(t *testing.T) {
	b, s := startBrowser(t), start(t)
	var caught atomic.Int64
	trap := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		caught.Add(1)
		t.Errorf("hostile content made the browser ask for %s", r.URL)
	}))
	defer trap.Close()
	there := strings.Replace(trap.URL, "127.0.0.1", "localhost", 1)

	attacks := []string{
		`<script>window.hit=1;fetch("` + there + `/s")</script>`, `<img src=x onerror="window.hit=2;fetch('` + there + `/i')">`, `"><svg onload=window.hit=3>`,
		`' autofocus onfocus=window.hit=4 x='`, `javascript:window.hit=5`, `{{.}}${window.hit=6}`, `<iframe srcdoc="<script>parent.hit=7</script>"></iframe>`,
		`</title></textarea></script><script>window.hit=8</script>`, "\u202egnp.exe\u202c \u200b\ufeff", `<div hx-get="` + there + `/hx" hx-trigger="load" data-refresh="chat.">x</div>`,
		strings.Repeat("Wort", 25), strings.Repeat("a\u0301\u0323", 40), `<meta http-equiv=refresh content="0;url=` + there + `/m">`, `<base href="` + there + `/">`, `</li></ol></main><h1>Signed out</h1>`,
	}
	var room, ticket int64
	for i, a := range attacks {
		if r := s.call("POST", "chat/rooms?"+url.Values{"name": {a}, "kind": {"global"}}.Encode(), ""); r.StatusCode == 200 || r.StatusCode == 201 {
			var o struct{ ID int64 }
			r.JSON(t, &o)
			room = o.ID
		}
		if r := s.call("POST", "chat/tickets?"+url.Values{"subject": {a}, "created_by": {fmt.Sprint(20 + i)}}.Encode(), ""); r.StatusCode < 300 {
			var o struct{ ID int64 }
			r.JSON(t, &o)
			ticket = o.ID
		}
		s.call("POST", "game/leaderboards/submit?"+url.Values{"user_id": {a}, "score": {fmt.Sprint(i)}, "season": {"s1"}, "mode": {"duel"}}.Encode(), "")
	}
	if room == 0 || ticket == 0 {
		t.Fatal("no room or no ticket could be made at all")
	}
	talk := func() {
		for _, a := range attacks {
			s.call("POST", fmt.Sprintf("chat/rooms/%d/messages?", room)+url.Values{"user_id": {"66"}, "handle": {a}, "text": {a}}.Encode(), "")
			s.call("POST", fmt.Sprintf("chat/tickets/%d/comments?", ticket)+url.Values{"text": {a}}.Encode(), "")
			s.post(200, "game/ws/inputs", fmt.Sprintf(`{"type":"input.notice","text":%s,"handle":%[1]s}`, quote(a)))
		}
	}
	mail := func(subject string) {
		html := `<html><head><meta http-equiv="refresh" content="0;url=` + there + `/meta"><base href="` + there + `/"><link rel="stylesheet" href="` + there + `/css"><style>@import "` + there + `/import"; body { background: url(` + there + `/bg) }</style></head>
<body onload="window.hit=20;parent.hit=21"><script src="` + there + `/js"></script><script>parent.hit=22;top.location="` + there + `/top"</script>
<img src="` + there + `/img"><img srcset="` + there + `/srcset 2x"><picture><source srcset="` + there + `/source"></picture><video src="` + there + `/video" poster="` + there + `/poster" autoplay></video><audio src="` + there + `/audio" autoplay></audio>
<iframe src="` + there + `/frame"></iframe><object data="` + there + `/object"></object><embed src="` + there + `/embed"><svg><image href="` + there + `/svg"/><use href="` + there + `/use#a"/><script>parent.hit=23</script></svg>
<form action="` + there + `/form"><input name="password" autofocus onfocus="parent.hit=24"><button>Sign in</button></form><div style="background:url(` + there + `/style);position:fixed;inset:0">covers</div>
<a href="javascript:parent.hit=25">click</a><a href="` + there + `/ping" ping="` + there + `/ping">ping</a><table background="` + there + `/tbl"><tr><td>cell</td></tr></table><p>the honest words</p></body></html>`
		s.handIn("evil@example.org", "demo@vezeuniqverse.com", "From: \"<script>window.hit=30</script>\" <evil@example.org>\nTo: demo@vezeuniqverse.com\nSubject: "+subject+
			"\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html; charset=utf-8\n\n"+html+
			"\n--b\nContent-Type: text/html; name=\"evil.html\"\nContent-Disposition: attachment; filename=\"<img src=x onerror=hit=31>.html\"\n\n<script>hit=32</script>\n--b--\n")
	}
	for _, a := range attacks[:8] {
		mail(a)
	}
	talk()
	var box struct{ Messages []struct{ ID int64 } }
	s.get(200, "email/api/messages?user=demo@vezeuniqverse.com&access_token=demo").JSON(t, &box)

	p := b.tab(t)
	for _, address := range []string{s.URL("portal") + "/", s.URL("email") + "/inbox", fmt.Sprintf("%s/messages/%d", s.URL("email"), box.Messages[0].ID), s.URL("chat") + "/", s.URL("chat") + "/rooms",
		fmt.Sprintf("%s/rooms/%d", s.URL("chat"), room), s.URL("chat") + "/inbox", fmt.Sprintf("%s/tickets/%d", s.URL("chat"), ticket), s.URL("game") + "/", s.URL("game") + "/leaderboards?season=s1&mode=duel",
		s.URL("chat") + "/rooms?name=" + url.QueryEscape(attacks[0]), s.URL("portal") + "/login?next=" + url.QueryEscape("javascript:window.hit=40") + "&user=" + url.QueryEscape(attacks[1]), s.URL("chat") + "/rooms/" + url.PathEscape(attacks[0]),
		s.URL("email") + "/inbox?label=" + url.QueryEscape(attacks[1])} {
		p.do(chromedp.EmulateViewport(360, 800))
		p.open(address)
		p.until("it is loaded", `document.readyState === "complete" && ![...document.querySelectorAll("[data-live-badge]")].some(b => b.textContent === "connecting")`)
		if address == fmt.Sprintf("%s/rooms/%d", s.URL("chat"), room) || address == s.URL("portal")+"/" {
			talk() // while it looks
			s.hears(room, "the end of it")
			p.reads("the end of it")
		}
		if !look[bool](p, `window.hit === undefined && document.querySelectorAll("h1").length === 1 && document.querySelectorAll("main *:is(script, base, meta, object, embed)").length === 0`) {
			t.Errorf("%s: something hostile ran, or is an element of the page", address)
		}
		for _, wrong := range look[[]string](p, tooWide) {
			t.Errorf("%s: %s", address, wrong)
		}
		// That a policy held something back is what it is for, and an address that is no page is none.
		p.clean(address, "Failed to load resource: the server responded with a status of 4")
	}
	// The mail's own frame shows its words, alone.
	p.open(fmt.Sprintf("%s/api/messages/%d/html?access_token=demo", s.URL("email"), box.Messages[0].ID))
	p.reads("the honest words")
	p.until("and nothing that acts", `!document.querySelector("script, form, input, iframe, object, embed, meta[http-equiv], link, base, [onload], [onerror], [onfocus], [ping]")`)
	p.clean("the mail's frame")
	if caught.Load() > 0 {
		t.Errorf("%d requests fell in the trap", caught.Load())
	}
}

package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// says is a page with what must be read on it.
type says struct {
	screen
	texts []string
}

// shows adds to the pages what each must show of what was posted.
func (w peopled) shows(s *system) []says {
	texts := map[string][]string{
		"portal": {"Helm", "Healthy", "Mail", "Chat & Desk", "Game", "The five-minute tour", "Re: Warp gate", "provision/pilot"}, "helm": {"Healthy", "Ticket"},
		"login": {"Sign in", "Look around as demo"}, "signup": {"Create an account", "@vezeuniqverse.com"}, "ui": {"Components"},
		"docs": {"/provision/{user}", "portal.provision"}, "docs-email": {"/api/messages/{id}/star", "email.read"}, "docs-chat": {"/ws/rooms/{id}", "ticket.manage"}, "docs-game": {"/matchmaking/enqueue", "game.play"},
		"mail-home": {"Raid on Friday at eight"}, "inbox": {"Re: Warp gate", "Orbit", "Full report tomorrow", "gates", "3 unread", "4 messages"},
		"message": {"Re: Warp gate", "orbit@crew.example", "Full report tomorrow", "SPF", "DKIM", "DMARC"}, "message-html": {"Gate 4 sensor readings", "readings.csv", "crew", "Starred"},
		"chat-home": {"Hangar", "I cannot sign in on my phone", "I bring the shields"}, "rooms": {"Hangar", "Kepler guild", "@pilot: Thank you both"},
		"room":    {"Hangar", "@orbit", "Warp gate is online again. Took the crew two hours.", "See you at the raid at eight."},
		"tickets": {"Gate sensors: log both ends", "assigned", "solved", "unassigned"}, "ticket": {"Gate sensors: log both ends", "assigned", "The valve at gate 4 reported open", "they come on Thursday"},
		"ticket-solved": {"Refund for the season pass", "solved"},
		"game-home":     {"Leaderboards", "duel"}, "leaderboards": {"nova", "4\u202f180", "lyra", "2026-11", "duel"},
	}
	var all []says
	for _, p := range w.pages(s) {
		all = append(all, says{p, texts[p.name]})
	}
	return all
}

// access is a list of what a page lacks for people who do not see it, or use no mouse.
const access = `(() => {
	const wrong = [], name = (e) => e.outerHTML.slice(0, 120);
	const text = (e) => (e.getAttribute("aria-label") || (e.getAttribute("aria-labelledby") && document.getElementById(e.getAttribute("aria-labelledby"))?.textContent) || e.textContent || e.title || "").trim();
	if (!document.documentElement.lang) wrong.push("html has no lang");
	if (!document.title.includes(" · UniQVerse")) wrong.push("the title is " + document.title);
	if (document.querySelectorAll("h1").length !== 1) wrong.push("there are " + document.querySelectorAll("h1").length + " h1");
	if (document.querySelectorAll("main").length !== 1) wrong.push("no main");
	if (!document.querySelector("meta[name=viewport]")) wrong.push("no viewport");
	let level = 0;
	for (const h of document.querySelectorAll("h1, h2, h3, h4")) {
		if (h.closest("dialog")) continue;
		if (+h.tagName[1] > level + 1) wrong.push("after h" + level + " comes " + name(h));
		level = +h.tagName[1];
	}
	for (const e of document.querySelectorAll("input:not([type=hidden]), textarea, select")) if (!e.labels?.length && !e.getAttribute("aria-label")) wrong.push("no label: " + name(e));
	for (const e of document.querySelectorAll("a[href], button, summary")) if (!text(e)) wrong.push("no words: " + name(e));
	for (const e of document.querySelectorAll("img:not([alt]), iframe:not([title])")) wrong.push("no words: " + name(e));
	for (const e of document.querySelectorAll("svg:not([aria-hidden=true]):not([role=img])")) wrong.push("neither hidden nor named: " + name(e));
	for (const e of document.querySelectorAll("[aria-labelledby], [aria-describedby]")) for (const a of ["aria-labelledby", "aria-describedby"]) if (e.getAttribute(a) && !document.getElementById(e.getAttribute(a))) wrong.push(a + " leads nowhere: " + name(e));
	const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
	for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) wrong.push("the id twice: " + id);
	for (const e of document.querySelectorAll("[style], [onclick], [onload], script:not([src]), style")) wrong.push("inline: " + name(e));
	return wrong;
})()`

// tooWide is a list of what makes a page wider than its window.
const tooWide = `(() => {
	const room = document.documentElement.clientWidth;
	if (document.documentElement.scrollWidth <= room) return [];
	return ["the page is " + document.documentElement.scrollWidth + " px wide, the window " + room, ...[...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > room + 1).slice(0, 5).map((e) => e.outerHTML.slice(0, 120))];
})()`

// fit fails the test for anything that the page lacks for people who do not see it, and where it is wider than a
// window of one of these widths.
func (p *tab) fit(where string, widths ...int64) {
	p.t.Helper()
	for _, wrong := range look[[]string](p, access) {
		p.t.Errorf("%s: %s", where, wrong)
	}
	for _, width := range widths {
		p.do(chromedp.EmulateViewport(width, 800))
		for _, wrong := range look[[]string](p, tooWide) {
			p.t.Errorf("%s: at %d px: %s", where, width, wrong)
		}
	}
}

// What was posted is on every page, directly and under the portal's proxy; nothing comes from elsewhere, the browser
// has no complaint (of the Content-Security-Policy, say), and the pages fit a phone.
func TestBrowserPages(t *testing.T) {
	b, s := startBrowser(t), start(t)
	w := s.populate()
	p := b.tab(t)
	for _, pg := range w.shows(s) {
		for _, address := range slices.Compact([]string{pg.address, proxied(s, pg.address)}) {
			p.do(chromedp.EmulateViewport(1280, 800))
			p.open(address)
			p.until("the page is live, if it can be", `document.readyState === "complete" && ![...document.querySelectorAll("[data-live-badge]")].some(b => b.textContent !== "live")`)
			for _, text := range pg.texts {
				if !look[bool](p, `document.body.textContent.includes(`+quote(text)+`)`) {
					t.Errorf("%s does not show %q", address, text)
				}
			}
			p.fit(address, 1280, 390, 360)
			p.clean(address)
		}
	}
}

// Errors, empty lists and unknown addresses are pages as well.
func TestBrowserErrorPages(t *testing.T) {
	b, s := startBrowser(t), start(t)
	p := b.tab(t)
	for _, c := range []struct{ address, text string }{
		{"portal/nowhere", "404"}, {"portal/proxy/chat/rooms/999", "404"}, {"chat/rooms/999", "404"}, {"chat/tickets/999", "404"}, {"email/messages/999", "404"},
		{"email/inbox?limit=9999", "422"}, {"chat/rooms/abc", "422"}, {"email/inbox?user=x@example.org", "403"}, {"portal/proxy/nothing/", "404"},
		{"email/inbox", "No mail yet"}, {"chat/rooms", "No rooms yet"}, {"chat/inbox", "No tickets here"}, {"game/leaderboards", "No"}, {"chat/", "Nothing open"}, {"portal/setup?token=wrong", "used"},
	} {
		service, path, _ := strings.Cut(c.address, "/")
		p.open(s.URL(service) + "/" + path)
		p.reads(c.text)
		p.fit(c.address, 360)
		// That the page's own status is 4xx is a line in the console.
		p.clean(c.address, "Failed to load resource: the server responded with a status of 4")
	}
}

// The keyboard reaches everything: the skip link comes first, the composer is on the way, ? opens the help, g goes places.
func TestBrowserKeyboard(t *testing.T) {
	b, s := startBrowser(t), start(t)
	w := s.populate()
	p := b.tab(t)
	p.open(fmt.Sprintf("%s/rooms/%d", s.URL("chat"), w.room))
	p.live()
	press := func(keys string) { t.Helper(); p.do(chromedp.KeyEvent(keys)) }
	press("\t")
	p.until("the first stop is the skip link, and it is seen", `document.activeElement.className === "skip" && document.activeElement.getBoundingClientRect().top >= 0`)
	press("\r")
	p.until("it leads to the content", `location.hash === "#main" && document.activeElement.id === "main"`)
	reached := false
	for range 40 {
		press("\t")
		if look[bool](p, `document.activeElement.matches("[data-composer] textarea")`) {
			reached = true
			break
		}
		if !look[bool](p, `(() => { const e = document.activeElement; if (e === document.body) return true; const s = getComputedStyle(e); return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2; })()`) {
			t.Errorf("the focus is not seen on %s", look[string](p, `document.activeElement.outerHTML.slice(0, 160)`))
		}
	}
	if !reached {
		t.Fatal("the tab key does not lead to the composer")
	}
	p.do(chromedp.KeyEvent("typed, not clicked"), chromedp.KeyEvent("\r"))
	p.until("the line is said", `[...document.querySelectorAll(".line:not(.is-sending) .line-text")].at(-1).textContent === "typed, not clicked"`)
	p.do(chromedp.Blur(chromedp.CSS("#text")))
	press("?")
	p.until("the help is open", `document.querySelector("#help").open`)
	press("\x1b")
	p.until("and closed", `!document.querySelector("#help").open`)
	press("/")
	p.until("the slash leads to the search", `document.activeElement.id === "q"`)
	p.do(chromedp.Blur(chromedp.CSS("#q")))
	press("c")
	p.until("c leads to the field", `document.activeElement.id === "text"`)
	p.do(chromedp.Blur(chromedp.CSS("#text")))
	press("g")
	press("r")
	p.at("/rooms")
	p.clean("the keyboard")
}

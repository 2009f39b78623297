package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// said are the lines that a room's page shows, in their order.
const said = `[...document.querySelectorAll(".line:not(.is-gone) .line-text")].map(e => e.textContent)`

// settled waits until nothing is on its way and the last line is this one, and returns all.
func (p *tab) settled(last string) []string {
	p.t.Helper()
	p.until("the last line is "+last, `!document.querySelector(".is-sending, .is-failed") && `+said+`.at(-1) === `+quote(last))
	return look[[]string](p, said)
}

// shows waits until nothing is on its way and the lines are these: one's own may be there before what was missed is.
func (p *tab) shows(lines ...string) {
	p.t.Helper()
	var is []string
	for end := time.Now().Add(pagePatience); time.Now().Before(end); time.Sleep(15 * time.Millisecond) {
		is = look[[]string](p, said)
		if slices.Equal(is, lines) && look[bool](p, `!document.querySelector(".is-sending, .is-failed")`) {
			return
		}
	}
	p.t.Errorf("the page shows %q, want %q", is, lines)
}

// say writes a line as a person does and presses enter.
func (p *tab) say(text string) {
	p.t.Helper()
	p.do(chromedp.SendKeys(chromedp.CSS("#text"), text))
	p.key(kb.Enter)
}

// offline takes the page off the network, or puts it back.
func (p *tab) offline(off bool) {
	p.t.Helper()
	rule := network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: []*network.Conditions{}}
	if off {
		rule.MatchedNetworkConditions = append(rule.MatchedNetworkConditions, &network.Conditions{Offline: true, DownloadThroughput: -1, UploadThroughput: -1})
	}
	if _, err := chromedp.Call(p.ctx, network.EmulateNetworkConditionsByRule, rule); err != nil {
		p.t.Fatal(err)
	}
	if _, err := chromedp.Call(p.ctx, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: off, DownloadThroughput: -1, UploadThroughput: -1}); err != nil {
		p.t.Fatal(err)
	}
}

// hears says a line in a room by the API.
func (s *system) hears(room int64, text string) {
	s.t.Helper()
	s.id("POST", fmt.Sprintf("chat/rooms/%d/messages?", room)+url.Values{"user_id": {"77"}, "handle": {"@api"}, "text": {text}}.Encode())
}

// Two pages in one room, one on the service's port and one under the portal, exchange lines: each line once, and in
// the same order on both.
func TestBrowserRoomExchangesLines(t *testing.T) {
	b, s := startBrowser(t), start(t)
	room := s.id("POST", "chat/rooms?name=Hangar&kind=global")
	one, two := b.tab(t), b.tab(t)
	one.open(fmt.Sprintf("%s/rooms/%d", s.URL("chat"), room))
	two.open(fmt.Sprintf("%s/proxy/chat/rooms/%d", s.URL("portal"), room))
	one.live()
	two.live()
	for i := range 6 {
		one.say(fmt.Sprintf("one says %d", i))
		two.say(fmt.Sprintf("two says %d", i))
	}
	for _, p := range []*tab{one, two} { // lines are shown before they are stored
		p.until("all lines are stored", `document.querySelectorAll(".line:not(.is-sending):not(.is-failed) .line-text").length === 12`)
	}
	s.hears(room, "all done")
	a, z := one.settled("all done"), two.settled("all done")
	if !slices.Equal(a, z) || len(a) != 13 {
		t.Errorf("the pages show different lines, or not 13:\n%q\n%q", a, z)
	}
	for who := range []int{0, 1} { // each page's own lines are in the order in which they were written
		var own []string
		for _, l := range a {
			if strings.HasPrefix(l, []string{"one", "two"}[who]) {
				own = append(own, l)
			}
		}
		if !slices.IsSorted(own) || len(own) != 6 {
			t.Errorf("the lines of a page are out of order: %q", own)
		}
	}
	one.open(fmt.Sprintf("%s/rooms/%d", s.URL("chat"), room)) // and what is stored is the same
	if again := one.settled("all done"); !slices.Equal(a, again) {
		t.Errorf("after a reload the lines are %q", again)
	}
	one.clean("the first page")
	two.clean("the second page")
}

// A page that loses its connection, because it goes offline or because the server restarts, comes back by itself with
// every line that it missed, and sends what was written meanwhile: nothing lost, nothing twice.
func TestBrowserRoomComesBack(t *testing.T) {
	b, s := startBrowser(t), start(t)
	s.keepPorts()
	room := s.id("POST", "chat/rooms?name=Hangar&kind=global")
	p := b.tab(t)
	p.open(fmt.Sprintf("%s/rooms/%d", s.URL("chat"), room))
	p.live()
	s.hears(room, "before")
	p.settled("before")

	p.offline(true)
	p.until("it says so", `!document.querySelector("[data-linkbar]").hidden`)
	s.hears(room, "missed 1")
	s.hears(room, "missed 2")
	p.say("written offline 1")
	p.say("written offline 2")
	p.until("they wait", `document.querySelectorAll(".is-sending").length === 2`)
	p.offline(false)
	p.shows("before", "missed 1", "missed 2", "written offline 1", "written offline 2")

	s.restart()
	p.say("written while it restarts")
	p.settled("written while it restarts")
	p.live()
	s.hears(room, "after the restart")
	lines := p.settled("after the restart")
	p.open(fmt.Sprintf("%s/rooms/%d", s.URL("chat"), room))
	if stored := p.settled("after the restart"); !slices.Equal(stored, lines) || len(stored) != 7 {
		t.Errorf("the page showed %q, the room has %q", lines, stored)
	}
}

// Open pages show what happens: a mail in the inbox, everything on Helm, a score on the board, a comment on the ticket.
func TestBrowserPagesAreLive(t *testing.T) {
	b, s := startBrowser(t), start(t)
	s.keepPorts()
	w := s.populate()
	for _, portal := range []bool{false, true} {
		at := func(address string) *tab {
			p := b.tab(t)
			if portal {
				address = proxied(s, address)
			}
			p.open(address)
			p.live()
			return p
		}
		mark := fmt.Sprintf("Live %v", portal)
		inbox, ticket, board := at(s.URL("email")+"/inbox"), at(fmt.Sprintf("%s/tickets/%d", s.URL("chat"), w.ticket)), at(s.URL("game")+"/leaderboards")
		helm := at(s.URL("portal") + "/")
		ticket.fill("#text", "half a comment")
		mails := look[int](helm, `Number(document.querySelector(".stat-value").textContent)`)
		s.handIn("ann@example.org", "demo@vezeuniqverse.com", "From: Ann <ann@example.org>\nTo: demo@vezeuniqverse.com\nSubject: "+mark+"\n\nIt has come.\n")
		inbox.reads(mark)
		helm.reads("Mail from Ann: " + mark)
		helm.until("it is counted", fmt.Sprintf(`Number(document.querySelector(".stat-value").textContent) === %d`, mails+1))
		s.hears(w.room, mark+" line")
		helm.reads("@api: " + mark + " line")
		s.id("POST", fmt.Sprintf("chat/tickets/%d/comments?text=", w.ticket)+url.QueryEscape(mark+" comment"))
		ticket.reads(mark + " comment")
		ticket.until("what is being written stays", `document.querySelector("#text").value === "half a comment"`)
		name := "comet" + fmt.Sprint(portal)
		s.post(200, "game/leaderboards/submit?season=2026-11&mode=duel&score=9000&user_id="+name, "")
		board.reads(name)
		for _, p := range []*tab{inbox, ticket, board, helm} {
			p.clean("a live page")
		}
		if !portal {
			continue
		}
		s.restart() // the streams come back by themselves, and the parts are fetched anew
		s.handIn("ann@example.org", "demo@vezeuniqverse.com", "From: Ann <ann@example.org>\nTo: demo@vezeuniqverse.com\nSubject: After the restart\n\nIt has come.\n")
		inbox.reads("After the restart")
		helm.live()
	}
}

// An open Helm sees a service fall and come back, without a reload.
func TestBrowserHelmTilesAreLive(t *testing.T) {
	b := startBrowser(t)
	var down atomic.Bool
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if w.Header().Set("Content-Type", "application/json"); down.Load() {
			w.WriteHeader(503)
			fmt.Fprint(w, `{"status":"failing","checks":{"store":"no space <b>left</b>"}}`)
			return
		}
		fmt.Fprint(w, `{"status":"ok"}`)
	}))
	defer far.Close()
	s := start(t, "VEZE_SERVICES=portal,chat", "VEZE_SERVICE_EMAIL="+far.URL, "VEZE_SERVICE_TOKEN=a service token for tests")
	p := b.tab(t)
	p.open(s.URL("portal") + "/")
	p.live()
	tile := func(word string) string {
		return `[...document.querySelectorAll(".tile")].find(e => e.querySelector("h3").textContent === "Mail").textContent.includes("` + word + `")`
	}
	p.until("mail is well", tile("Healthy"))
	down.Store(true)
	p.until("its tile is red", tile("Down"))
	p.reads("email is down")
	down.Store(false)
	p.until("and green again", tile("Healthy"))
	p.reads("email is up")
	p.until("a service that is not here is neither", `[...document.querySelectorAll(".tile")].find(e => e.querySelector("h3").textContent === "Game").textContent.includes("Unknown")`)
	p.clean("Helm")
}

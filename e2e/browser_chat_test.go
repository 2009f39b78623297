package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// between is a proxy before the chat, such as people have who configure them in a hurry.
func (s *system) between(change func(r *http.Request) (answered func(w http.ResponseWriter) bool)) *httptest.Server {
	s.t.Helper()
	to, err := url.Parse(s.URL("chat"))
	if err != nil {
		s.t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(to)
		p.Out.Host = p.In.Host
	}, ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if done := change(r); done != nil && done(w) {
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	s.t.Cleanup(srv.CloseClientConnections)
	s.t.Cleanup(srv.Close)
	return srv
}

// A proxy that takes the Upgrade away: the page says so, is live over an event stream, and misses nothing.
func TestBrowserRoomBehindAProxyWithoutUpgrade(t *testing.T) {
	b, s := startBrowser(t), start(t)
	proxy := s.between(func(r *http.Request) func(http.ResponseWriter) bool {
		r.Header.Del("Upgrade")
		r.Header.Del("Connection")
		return nil
	})
	room := s.id("POST", "chat/rooms?name=Hangar&kind=global")
	s.hears(room, "before")
	p := b.tab(t)
	p.open(fmt.Sprintf("%s/rooms/%d", proxy.URL, room))
	p.until("it is live over an event stream", `document.querySelector("[data-live-badge]").textContent === "live by event stream"`)
	p.reads("WebSockets do not get through")
	s.hears(room, "over the stream")
	p.settled("over the stream")
	p.say("written over the stream")
	p.settled("written over the stream")

	p.offline(true)
	p.until("it says that it is cut off", `document.querySelector("[data-linkbar]").textContent.includes("offline")`)
	s.hears(room, "missed")
	p.say("written offline")
	p.offline(false)
	p.shows("before", "over the stream", "written over the stream", "missed", "written offline")
}

// A line whose answer is lost on the way is sent again with its key: it is there once. One that is refused is shown as
// such, and can be sent again by hand. What is being written survives a reload.
func TestBrowserRoomSendsAgain(t *testing.T) {
	b, s := startBrowser(t), start(t)
	var losing, refusing atomic.Bool
	var posts atomic.Int32
	proxy := s.between(func(r *http.Request) func(http.ResponseWriter) bool {
		if r.Method != "POST" || !strings.HasSuffix(r.URL.Path, "/messages") {
			return nil
		}
		posts.Add(1)
		if refusing.Load() {
			return func(w http.ResponseWriter) bool {
				w.Header().Set("Content-Type", "application/problem+json")
				w.WriteHeader(403)
				fmt.Fprint(w, `{"status":403,"detail":"not <b>now</b>"}`)
				return true
			}
		}
		if losing.CompareAndSwap(true, false) {
			body, _ := io.ReadAll(r.Body)
			return func(w http.ResponseWriter) bool { // it arrives, and its answer does not
				req, _ := http.NewRequest("POST", s.URL("chat")+r.URL.RequestURI(), strings.NewReader(string(body)))
				req.Header = r.Header.Clone()
				req.Header.Del("Origin")
				req.Header.Del("Sec-Fetch-Site")
				if res, err := http.DefaultClient.Do(req); err != nil || res.StatusCode != 200 {
					t.Errorf("the line did not arrive: %v %v", res, err)
				} else {
					res.Body.Close()
				}
				conn, _, err := http.NewResponseController(w).Hijack()
				if err == nil {
					conn.Close()
				}
				return true
			}
		}
		return nil
	})
	room := s.id("POST", "chat/rooms?name=Hangar&kind=global")
	p := b.tab(t)
	p.open(fmt.Sprintf("%s/rooms/%d", proxy.URL, room))
	p.live()
	losing.Store(true)
	p.say("sent twice")
	p.settled("sent twice")
	p.say("after it")
	if lines := p.settled("after it"); !slices.Equal(lines, []string{"sent twice", "after it"}) {
		t.Errorf("the page shows %q", lines)
	}
	if posts.Load() != 3 {
		t.Errorf("%d posts, want 3: one of them twice", posts.Load())
	}
	refusing.Store(true)
	p.say("refused")
	p.reads("not sent: not <b>now</b>")
	refusing.Store(false)
	p.click(".line-retry button")
	p.settled("refused")
	var stored []struct{ Text string }
	s.get(200, fmt.Sprintf("chat/rooms/%d/messages", room)).JSON(t, &stored)
	if len(stored) != 3 {
		t.Errorf("the room has %v", stored)
	}

	p.do(chromedp.SendKeys(chromedp.CSS("#text"), "half a line"))
	p.open(fmt.Sprintf("%s/rooms/%d", proxy.URL, room))
	p.until("the draft is there again", `document.querySelector("#text").value === "half a line"`)
}

// When the server says that a part is missing, the page takes the room's lines anew and keeps what is being written.
func TestBrowserRoomIsTakenAnew(t *testing.T) {
	b, s := startBrowser(t), start(t)
	room := s.id("POST", "chat/rooms?name=Hangar&kind=global")
	s.hears(room, "one")
	p := b.tab(t)
	p.open(fmt.Sprintf("%s/rooms/%d", s.URL("chat"), room))
	p.live()
	p.do(chromedp.SendKeys(chromedp.CSS("#text"), "half a line"))
	p.until("the loaded page is marked", `(document.body.dataset.same = "yes")`)
	// As if the database had been replaced: the place that the page knows is of another epoch.
	look[bool](p, `import(document.querySelector("script[type=module]").src.replace(/main[^/]*$/, "events.js")).then((m) => { m.position.epoch = "another"; return true; }) && true`)
	p.until("it knows another epoch", `(window.asked ??= 1)`)
	p.offline(true)
	s.hears(room, "two")
	p.offline(false)
	if lines := p.settled("two"); !slices.Equal(lines, []string{"one", "two"}) {
		t.Errorf("the page shows %q", lines)
	}
	s.hears(room, "three")
	if lines := p.settled("three"); !slices.Equal(lines, []string{"one", "two", "three"}) {
		t.Errorf("the page shows %q", lines)
	}
	p.until("without a load of the page, and with the draft", `document.body.dataset.same === "yes" && document.querySelector("#text").value === "half a line"`)
}

// key presses a key as a keyboard does: what the page prevents is not typed.
func (p *tab) key(k string) {
	p.t.Helper()
	for _, r := range k {
		text := ""
		for _, ev := range kb.Encode(r) {
			if ev.Type == kb.KeyChar {
				text = ev.Text
			}
		}
		for _, ev := range kb.Encode(r) {
			if ev.Type == kb.KeyChar {
				continue
			}
			if ev.Type != kb.KeyUp && text != "" {
				ev.Type, ev.Text = input.DispatchKeyEventTypeKeyDown, text
			}
			if _, err := chromedp.Call(p.ctx, input.DispatchKeyEvent, *ev); err != nil {
				p.t.Fatal(err)
			}
		}
	}
}

// Everything in a room can be done with the keyboard, and the focus is never lost.
func TestBrowserRoomByKeyboard(t *testing.T) {
	b, s := startBrowser(t), start(t)
	room := s.id("POST", "chat/rooms?name=Hangar&kind=global")
	s.hears(room, "from the api")
	p := b.tab(t)
	p.open(fmt.Sprintf("%s/rooms/%d", s.URL("chat"), room))
	p.live()
	press := func(keys ...string) {
		t.Helper()
		for _, k := range keys {
			p.key(k)
		}
	}
	focus := func(what, expression string) {
		t.Helper()
		p.until("the focus is on "+what, `document.activeElement?.matches(`+quote(expression)+`)`)
	}
	const up, down, esc, enter = kb.ArrowUp, kb.ArrowDown, kb.Escape, kb.Enter
	press("/")
	focus("the search", "#q")
	p.do(chromedp.Blur(chromedp.CSS("#q")))
	press("c")
	focus("the field", "#text")
	press("m", "i", "n", "e", enter)
	p.settled("mine")
	press(up)
	focus("my line", ".line.is-own")
	press("e")
	focus("its text", "[data-edit] textarea")
	press("!", enter)
	p.settled("mine!")
	focus("my line", ".line.is-own")
	press(up)
	focus("the other line", `.line[data-id="1"]`)
	press("+")
	focus("the first emoji", `button[name="emoji"]`)
	press(enter)
	p.until("the reaction is there", `document.querySelector('.line[data-id="1"] .chip.is-mine')?.textContent === "👍 1"`)
	focus("the other line", `.line[data-id="1"]`)
	press("+", esc)
	focus("the other line", `.line[data-id="1"]`)
	press("r")
	focus("the field", "#text")
	p.until("it answers", `document.querySelector("[data-answers-what]").textContent === "@api: from the api"`)
	press("@", "a")
	p.until("a name is offered", `document.querySelector("#names .is-chosen")?.textContent === "@api" && document.querySelector("#text").getAttribute("aria-activedescendant") === "name-0"`)
	press(enter, "y", "e", "s", enter)
	p.settled("@api yes")
	p.until("the answer shows what it answers", `document.querySelector(".line:last-child .line-reply")?.textContent === "@api: from the api"`)
	press(up, "?")
	p.until("there is help", `document.querySelector("#help").open && document.querySelector("#help").innerText.includes("Answer the line")`)
	press(esc)
	focus("the line again", ".line")
	press(esc)
	focus("the field", "#text")
	press(up, down)
	focus("the field", "#text")
	p.clean("a room without a mouse")
}

// A long room: earlier lines come as one scrolls up, an answer leads to its line wherever that is, and what is new is marked.
func TestBrowserLongRoom(t *testing.T) {
	b, s := startBrowser(t), start(t)
	room := s.id("POST", "chat/rooms?name=Hangar&kind=global")
	say := func(i int, more ...string) {
		q := url.Values{"user_id": {"77"}, "handle": {"@api"}, "text": {fmt.Sprintf("line %d", i)}}
		if len(more) > 0 {
			q.Set("reply_to", more[0])
		}
		s.id("POST", fmt.Sprintf("chat/rooms/%d/messages?", room)+q.Encode())
	}
	for i := range 160 {
		say(i + 1)
	}
	say(161, "3")
	s.post(200, fmt.Sprintf("chat/rooms/%d/read?seq=159", room), "")
	p := b.tab(t)
	p.open(fmt.Sprintf("%s/rooms/%d", s.URL("chat"), room))
	p.live()
	p.until("what is new is marked", `document.querySelector("[data-fresh]")?.nextElementSibling.textContent.includes("line 160")`)
	look[bool](p, `(document.querySelector("[data-scroller]").scrollTop = 0) === 0`)
	p.until("earlier lines come", said+`.includes("line 80")`)
	p.until("in one order", `JSON.stringify(`+said+`.map(t => +t.slice(5))) === JSON.stringify(`+said+`.map(t => +t.slice(5)).sort((a, b) => a - b))`)
	p.open(fmt.Sprintf("%s/rooms/%d", s.URL("chat"), room))
	p.live()
	p.press(`.line[data-id="161"] [data-to="3"]`)
	p.at(fmt.Sprintf("/rooms/%d?around=3", room))
	p.until("the line has the focus", `document.activeElement?.id === "line-3"`)
	p.click(".room-older .btn:last-child")
	p.at(fmt.Sprintf("/rooms/%d", room))
	p.live()
	look[bool](p, `(document.querySelector("[data-scroller]").scrollTop = 0) === 0`)
	s.hears(room, "meanwhile")
	p.until("a new line is told of, and does not move the reader", `!document.querySelector("[data-jump]").hidden && document.querySelector("[data-jump]").textContent.includes("1 new line")`)
	p.click("[data-jump]")
	p.until("it leads to the end", `document.querySelector("[data-jump]").hidden`)
	p.clean("a long room")
}

// A picture that is pasted and a file that is dropped are uploaded at once, go with the next line, and are shown on
// both pages: the picture as such, the other to be saved.
func TestBrowserRoomSendsFiles(t *testing.T) {
	b, s := startBrowser(t), start(t)
	room := s.id("POST", "chat/rooms?name=Hangar&kind=global")
	one, two := b.tab(t), b.tab(t)
	one.open(fmt.Sprintf("%s/rooms/%d", s.URL("chat"), room))
	two.open(fmt.Sprintf("%s/proxy/chat/rooms/%d", s.URL("portal"), room))
	one.live()
	two.live()
	const give = `(async (kind, target, file) => {
		const data = new DataTransfer();
		data.items.add(await file());
		document.querySelector(target).dispatchEvent(kind === "paste" ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }) : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
	})`
	look[bool](one, give+`("paste", "#text", async () => { const c = new OffscreenCanvas(40, 30); c.getContext("2d").fillRect(5, 5, 20, 20); return new File([await c.convertToBlob()], "chart.png", { type: "image/png" }); }) && true`)
	look[bool](one, give+`("drop", "[data-room]", async () => new File(["<script>alert(1)</script>"], "notes <b>.html", { type: "text/html" })) && true`)
	one.until("both are there", `document.querySelectorAll(".load.is-done").length === 2`)
	one.click("[data-composer] button.primary") // a line may be nothing but files
	for _, p := range []*tab{one, two} {
		p.until("the picture is shown", `document.querySelector(".line .picture img")?.naturalWidth === 40 && document.querySelector(".line .picture img").alt === "chart.png"`)
		p.until("the file can be saved", `document.querySelector(".line a.file[download] .clip")?.textContent === "notes <b>.html"`)
		p.clean("a room with files")
	}
	one.until("nothing is left to send", `document.querySelector("[data-loads]").hidden && !document.querySelector(".is-sending")`)
	two.open(fmt.Sprintf("%s/proxy/chat/rooms/%d", s.URL("portal"), room))
	two.until("and after a reload", `document.querySelector(".line .picture img")?.naturalWidth === 40 && document.querySelectorAll(".line").length === 1`)
}

// Lines are found by their words and lead to where they stand; what is worth finding again is pinned. With and without scripts.
func TestBrowserRoomIsSearched(t *testing.T) {
	b, s := startBrowser(t), start(t)
	room := s.id("POST", "chat/rooms?name=Hangar&kind=global")
	for _, text := range []string{"The <b>warp</b> gate is online", "nothing of note", "the gate again"} {
		s.hears(room, text)
	}
	for _, scripts := range []bool{true, false} {
		p := b.tab(t)
		if !scripts {
			p.noScripts()
		}
		p.open(fmt.Sprintf("%s/proxy/chat/rooms/%d", s.URL("portal"), room))
		if scripts {
			p.live()
			p.key("/")
			p.until("the search has the focus", `document.activeElement?.id === "q"`)
			p.do(chromedp.SendKeys(chromedp.CSS("#q"), "gate"))
			p.key(kb.Enter)
		} else {
			p.fill("#q", "gate")
			look[bool](p, `(document.querySelector(".room-search").submit(), true)`)
		}
		p.until("both are found, the words marked", `location.pathname === "/proxy/chat/search" && [...document.querySelectorAll(".found-text")].map(e => e.textContent).join("|") === "the gate again|The <b>warp</b> gate is online" && document.querySelectorAll(".hit").length === 2`)
		p.press(".rows li:last-child .found-text")
		p.at(fmt.Sprintf("/proxy/chat/rooms/%d?around=1", room))
		if scripts {
			p.until("the line has the focus", `document.activeElement?.id === "line-1"`)
		}
		p.press(`.line[data-id="1"] form[action$="/pin"] button`)
		if scripts {
			p.reads("Pinned.")
		} else {
			p.at(fmt.Sprintf("/proxy/chat/rooms/%d", room))
		}
		p.open(fmt.Sprintf("%s/proxy/chat/rooms/%d/pins", s.URL("portal"), room))
		p.reads("The <b>warp</b> gate is online")
		p.press(`form[action$="/unpin"] button`)
		p.reads("Nothing is pinned")
		p.clean("search and pins")
	}
}

// A moderator works in the page: the muted one's own page says why they cannot write, and then lets them again; who is
// taken out is told so.
func TestBrowserRoomIsModerated(t *testing.T) {
	b, s := startBrowser(t), start(t)
	nova := b.tab(t)
	nova.open(s.URL("portal") + "/signup")
	nova.fill("#user", "nova")
	nova.fill("#password", "a long enough passphrase")
	nova.click(".gate button[type=submit]")
	nova.until("nova is signed in", `location.pathname !== "/signup"`)
	room := s.id("POST", "chat/rooms?name=Crew&kind=guild")
	s.post(200, fmt.Sprintf("chat/rooms/%d/invite?handle=@nova", room), "")
	chief := b.tab(t)
	at := fmt.Sprintf("%s/proxy/chat/rooms/%d", s.URL("portal"), room)
	chief.open(at)
	nova.open(at)
	chief.live()
	nova.live()
	nova.say("here I am")
	chief.settled("here I am")

	person := `document.querySelector('[data-people] details.person')`
	chief.until("nova is among the people, and here", person+`?.textContent.includes("@nova") && `+person+`.querySelector(".is-here")`)
	chief.press(`[data-people] details.person summary`)
	look[bool](chief, `(document.querySelector('form[action$="/mute"] input[name=reason]').value = "shouting <b>loud</b>") !== ""`)
	chief.press(`form[action$="/mute"] button`)
	nova.reads("You are muted in this room until")
	nova.until("nobody muted writes", `!document.querySelector("[data-composer]")`)
	chief.until("it is written down", `document.querySelector(".acts")?.textContent.includes("muted @nova") && document.querySelector(".acts").textContent.includes("shouting <b>loud</b>")`)
	chief.press(`form[action$="/unmute"] button`)
	nova.until("and again", `document.querySelector("[data-composer]") !== null`)
	nova.live()
	nova.say("thank you")
	chief.settled("thank you")
	chief.until("the people are shown again", person+` !== null`)
	chief.press(`form[action$="/kick"] button`)
	nova.until("who is taken out is told", `document.querySelector("[data-linkbar]").textContent.includes("you were taken out of this room")`)
	nova.open(at)
	nova.reads("This room is for its members")
	chief.clean("the moderator's page")
}

package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pictures keeps how a page looks, light and wide, dark and narrow, in the folder that UNIQ_LOOK names, for people to look at.
func (p *tab) pictures(name string) {
	dir := os.Getenv("UNIQ_LOOK")
	if dir == "" {
		return
	}
	p.picture(filepath.Join(dir, name+"-390-dark.png"), shot{width: 390, height: 900, dark: true, phone: true, whole: true})
	p.picture(filepath.Join(dir, name+"-1280.png"), shot{width: 1280, height: 900, whole: true})
}

// A room's moderators let programs post and be told, and see what was sent, on pages.
func TestBrowserProgramsOfARoom(t *testing.T) {
	b, s := startBrowser(t), start(t)
	room := s.id("POST", "chat/rooms?name=Hangar&kind=global")
	p := b.tab(t)
	p.open(fmt.Sprintf("%s/rooms/%d", s.URL("chat"), room))
	p.press(`#people a[href$="/hooks"]`)
	p.reads("No program posts here")
	p.fill("#name", "grafana")
	p.click("main form button.primary")
	p.reads("it is shown this once")
	address := look[string](p, `document.querySelector(".notice strong").textContent`)
	if !strings.HasPrefix(address, "/hooks/") {
		t.Fatalf("the address is %q", address)
	}
	p.fit("a hook that was made", 1280, 390)
	p.pictures("hooks")
	s.post(200, "chat"+address, `{"text":"disk is full"}`)
	p.open(fmt.Sprintf("%s/rooms/%d/hooks", s.URL("chat"), room))
	p.reads("Last used")
	if look[bool](p, `document.body.innerHTML.includes(`+quote(strings.TrimPrefix(address, "/hooks/"))+`)`) {
		t.Error("the address is shown again")
	}
	p.fill("#name", "grafana")
	p.click("main form button.primary")
	p.reads("has a hook with this name")

	to := newReceiver(t, always(204))
	p.press(`.tabs a[href*="/webhooks"]`)
	p.reads("No program is told")
	p.fill("#url", "ftp://nowhere")
	p.click("main form button.primary")
	p.until("what is wrong stands at the field", `document.querySelector("#url-error")?.textContent.includes("https://example.org/hook") && document.querySelector("#url").value === "ftp://nowhere"`)
	p.fill("#url", to.URL+"/hook")
	p.press("main details summary")
	p.press(`input[value="chat.message.created"]`)
	p.click("main form button.primary")
	p.until("the secret is shown", `document.querySelector(".notice strong")?.textContent.startsWith("whsec_")`)
	p.fit("a webhook that was made", 1280, 390)
	p.pictures("webhooks")
	s.hears(room, "tell them")
	to.wait(t, 1)
	eventually(t, "the delivery is written down", func() bool { return contains(s.get(200, "chat/webhooks/1/deliveries").body, `"delivered"`) })
	p.press(`#row-1 a`)
	p.reads("answered 204")
	p.fit("what was sent", 1280, 390)
	p.pictures("deliveries")
	p.press(`#row-1 .row-acts button`)
	to.wait(t, 2)
	p.at("/webhooks/1/deliveries")
	p.press(`.tabs a[href*="/webhooks"]`)
	p.press(`#row-1 form[action$="/change"] button`)
	p.until("it is paused, and the page is the room's", `document.querySelector("#row-1 .badge")?.textContent === "paused" && location.search === "?room_id=`+fmt.Sprint(room)+`"`)
	p.press(`#row-1 form[action$="/change"] button`)
	p.until("it is on", `document.querySelector("#row-1 .badge")?.textContent === "on"`)
	p.press(`#row-1 form[action$="/delete"] button`)
	p.reads("No program is told")
	p.press(`.tabs a[href$="/hooks"]`)
	p.press(`#row-1 form[action$="/delete"] button`)
	p.reads("No program posts here")
	s.post(404, "chat"+address, `{"text":"again"}`)
	p.clean("programs of a room", "Failed to load resource: the server responded with a status of 4")
}

// A moderator works the queue off with one key for each case.
func TestBrowserQueueByKeyboard(t *testing.T) {
	b, s := startBrowser(t), start(t)
	room := s.id("POST", "chat/rooms?name=Hangar&kind=global")
	for i, text := range []string{"first", "second", "third"} {
		s.hears(room, text)
		s.post(200, fmt.Sprintf("chat/rooms/%d/messages/%d/report", room, i+1), `{"reason":"rude"}`)
	}
	line := func(id int) string {
		return string(s.get(200, fmt.Sprintf("chat/rooms/%d/messages/%d", room, id)).body)
	}
	p := b.tab(t)
	queue := s.URL("chat") + "/moderation/queue"
	waits := func(n int) {
		t.Helper()
		p.until(fmt.Sprintf("%d cases wait, and the first has the focus", n), fmt.Sprintf(`document.readyState === "complete" && document.querySelectorAll("[data-keys] > li").length === %d && (%[1]d === 0 || document.activeElement?.matches("[data-keys] > li"))`, n))
	}
	p.open(queue)
	waits(3) // the newest first
	p.key("j")
	p.until("the second has the focus", `document.activeElement?.textContent.includes("second")`)
	p.key("d")
	waits(2)
	if got := line(2); !strings.Contains(got, `"deleted":true`) {
		t.Errorf("d leaves %s", got)
	}
	p.key("a")
	waits(1)
	if got := line(3); !strings.Contains(got, `"text":"third"`) {
		t.Errorf("a leaves %s", got)
	}
	p.key("x") // no key of the page's
	waits(1)
	p.key("t")
	waits(0)
	if got := string(s.get(200, fmt.Sprintf("chat/rooms/%d/actions", room)).body); !strings.Contains(got, `"action":"mute"`) {
		t.Errorf("t writes down %s", got)
	}
	p.open(queue + "?state=done")
	waits(3)
	p.until("the removed one is there", `[...document.querySelectorAll("[data-keys] > li")].some(l => l.textContent.includes("decided: remove"))`)
	for i := range 3 {
		if look[bool](p, `document.activeElement.textContent.includes("decided: remove")`) {
			break
		}
		if i == 2 {
			t.Fatal("the arrows do not reach the removed one")
		}
		p.key("j")
	}
	p.key("u")
	p.until("the queue has it again", `document.readyState === "complete" && document.querySelectorAll("[data-keys] > li").length === 1 && location.search === ""`)
	if got := line(2); !strings.Contains(got, `"text":"second"`) {
		t.Errorf("u leaves %s", got)
	}
	p.clean("the queue by keyboard")
}

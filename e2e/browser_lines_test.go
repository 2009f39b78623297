package e2e_test

import (
	"fmt"
	"testing"
)

// press clicks what the selector finds first, as a script would; it need not be in view.
func (p *tab) press(selector string) {
	p.t.Helper()
	p.until("there is "+selector, `!!document.querySelector(`+quote(selector)+`)`)
	look[bool](p, `document.querySelector(`+quote(selector)+`).click() || true`)
}

// What one page does with a line the other shows without a reload: reaction, answer, change, removal.
func TestBrowserLinesChange(t *testing.T) {
	b, s := startBrowser(t), start(t)
	room := s.id("POST", "chat/rooms?name=Hangar&kind=global")
	s.id("POST", fmt.Sprintf("chat/rooms/%d/messages?text=before", room))
	one, two := b.tab(t), b.tab(t)
	one.open(fmt.Sprintf("%s/rooms/%d", s.URL("chat"), room))
	two.open(fmt.Sprintf("%s/proxy/chat/rooms/%d", s.URL("portal"), room))
	one.live()
	two.live()
	one.say("first")
	one.settled("first")
	two.settled("first")
	for _, id := range []string{"1", "2"} { // a line that the server wrote, and one that the script made
		tools := `.line[data-id="` + id + `"] [data-tools] `
		one.press(tools + `button[value="🚀"]`)
		two.until("the reaction is there", `document.querySelector('.line[data-id="`+id+`"] [data-emoji]')?.textContent === "🚀 1"`)
		two.press(tools + `[data-reply]`)
		two.say("answer to " + id)
		one.until("the answer shows what it answers", `[...document.querySelectorAll(".line-reply")].at(-1)?.getAttribute("href") === "#line-`+id+`"`)
		two.settled("answer to " + id)
		look[string](one, `document.querySelector('.line[data-id="`+id+`"] [data-tools] textarea').value = "<b>changed</b>"`)
		one.press(tools + `form[action$="/edit"] button`)
		two.until("the line is changed", `document.querySelector('.line[data-id="`+id+`"] .line-text').textContent === "<b>changed</b>"`)
		one.press(tools + `form[action$="/delete"] button`)
		two.until("the line is gone", `document.querySelector('.line[data-id="`+id+`"]').matches(".is-gone") && !document.querySelector('.line[data-id="`+id+`"] [data-tools]')`)
	}
	one.clean("the first page")
	two.clean("the second page")
}

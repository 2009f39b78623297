package chat_test

import (
	"strings"
	"testing"
)

// A guild's page is a door for who may ask to come in, and nothing for who may not know of a room.
func TestDoorsForPeople(t *testing.T) {
	w := start(t, "")
	const html = "Accept"
	w.must("POST", "/rooms", "pilot", `{"name":"crew","kind":"guild"}`)
	w.must("POST", "/rooms", "pilot", `{"name":"secret","kind":"party"}`)
	for path, want := range map[string]string{"/rooms/1": `action="/rooms/1/requests"`, "/rooms/1?asked=true": "You have asked"} {
		if a := w.call("GET", path, "outsider", "", html, "text/html"); a.status != 404 || !strings.Contains(a.body, want) || strings.Contains(a.body, "crew") {
			t.Errorf("%s: %d, %s is there: %v", path, a.status, want, strings.Contains(a.body, want))
		}
	}
	for _, c := range []struct{ path, token string }{{"/rooms/2", "outsider"}, {"/rooms/9", "outsider"}, {"/rooms/1", "reader"}} {
		if a := w.call("GET", c.path, c.token, "", html, "text/html"); a.status != 404 || strings.Contains(a.body, "/requests") {
			t.Errorf("%s for %s: %d %s", c.path, c.token, a.status, a.body)
		}
	}
}

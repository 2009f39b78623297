package e2e_test

import (
	"encoding/base64"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// A JMAP client that others wrote works a mailbox through, and an app password opens the same session.
func TestJMAPClient(t *testing.T) {
	dir := nodeClients(t)
	s := start(t)
	token := s.token("ann", "email.read email.send")
	cmd := exec.CommandContext(t.Context(), "node", "jmap.mjs", s.URL("email"), token, "bob@vezeuniqverse.com")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "\n") < 10 {
		t.Fatalf("%v\n%s", err, out)
	}
	// Through the portal every address of the session leads through the portal.
	var session struct{ APIURL string }
	s.get(200, "portal/proxy/email/.well-known/jmap", "Authorization", "Bearer "+token).JSON(t, &session)
	if want := s.URL("portal") + "/proxy/email/jmap/api"; session.APIURL != want {
		t.Errorf("through the portal the API is at %s, want %s", session.APIURL, want)
	}
	body, err := json.Marshal(map[string]any{"using": []string{"urn:ietf:params:jmap:core"}, "methodCalls": []any{[]any{"Core/echo", map[string]any{"x": 1}, "0"}}})
	if err != nil {
		t.Fatal(err)
	}
	if r := s.post(200, "portal/proxy/email/jmap/api", string(body), "Authorization", "Bearer "+token); !contains(r.body, `["Core/echo",{"x":1},"0"]`) {
		t.Errorf("through the portal the answer is %s", r.body)
	}
	password := s.appPassword("pilot")
	req := s.call("GET", "email/jmap/session", "", "Authorization", "Basic "+basic("pilot@vezeuniqverse.com", password))
	if req.StatusCode != 200 || !contains(req.body, `"username":"pilot@vezeuniqverse.com"`) {
		t.Errorf("an app password is answered %d %s", req.StatusCode, req.body)
	}
}

// basic is what follows Basic in an Authorization header.
func basic(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

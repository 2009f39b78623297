package e2e_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"testing"
)

// Clients that others wrote, unchanged.

// script runs a script of a folder with its program and returns what it prints; its error fails the test.
func script(t *testing.T, dir, program string, args ...string) []byte {
	t.Helper()
	var out, complaint bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &complaint
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v\n%s%s", program, args, err, out.Bytes(), complaint.Bytes())
	}
	return out.Bytes()
}

// lounge opens a room and returns its id.
func (s *system) lounge() string {
	var r struct{ ID json.Number }
	s.post(200, "chat/rooms", `{"name":"lounge"}`).JSON(s.t, &r)
	return r.ID.String()
}

func TestCentrifugoClient(t *testing.T) {
	dir := nodeClients(t)
	s := start(t)
	out := script(t, dir, "node", "centrifuge.mjs", "talk", s.URL("chat"), s.lounge(), "demo")
	var at struct {
		Offset json.Number
		Epoch  string
	}
	if err := json.Unmarshal(out, &at); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	// The same client comes to another database, where nobody can say what it missed.
	other := start(t)
	room := other.lounge()
	for range 3 {
		other.post(200, "chat/rooms/"+room+"/messages", `{"text":"old"}`)
	}
	script(t, dir, "node", "centrifuge.mjs", "replaced", other.URL("chat"), room, "demo", at.Offset.String(), at.Epoch)
	script(t, dir, "node", "centrifuge.mjs", "replaced", other.URL("chat"), room, "demo", "2", at.Epoch)
}

package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
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

// debianPython returns a Python that has a module of Debian's, or skips the test (and fails it where UNIQ_REQUIRE
// names it).
func debianPython(t *testing.T, module string) string {
	t.Helper()
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(python, "-c", "import "+module).Run() == nil {
			return python
		}
	}
	mend := "python3-" + module + " is not installed: apt-get install python3-" + module
	if slices.Contains(strings.Split(os.Getenv("UNIQ_REQUIRE"), ","), module) {
		t.Fatal(mend)
	}
	t.Skip(mend)
	return ""
}

// Plain clients that are cut again and again while lines are posted see what one sees that never was.
func TestPlainClients(t *testing.T) {
	for _, client := range []string{"ws", "websockets"} {
		t.Run(client, func(t *testing.T) {
			var dir, program, file string
			if client == "ws" {
				dir, program, file = nodeClients(t), "node", "ws.mjs"
			} else {
				dir, program, file = "testdata", debianPython(t, "websockets"), "websockets_plain.py"
			}
			s := start(t)
			room := s.lounge()
			url := "ws" + strings.TrimPrefix(s.URL("chat"), "http") + "/ws/rooms/" + room
			twin := s.dial("chat/ws/rooms/" + room)
			const lines = 400
			before := 50
			for i := range before {
				s.post(200, "chat/rooms/"+room+"/messages", fmt.Sprintf(`{"text":"line %d"}`, i))
			}
			var posting sync.WaitGroup
			for p := range 5 {
				posting.Go(func() {
					for i := range (lines - before) / 5 {
						r := s.call("POST", "chat/rooms/"+room+"/messages", fmt.Sprintf(`{"text":"poster %d line %d"}`, p, i), "Content-Type", "application/json")
						if r.StatusCode != 200 {
							t.Errorf("a line: %d %s", r.StatusCode, r.body)
						}
					}
				})
			}
			got := script(t, dir, program, file, url, strconv.Itoa(lines))
			posting.Wait()
			var want bytes.Buffer
			epoch := ""
			for range lines {
				twin.SetReadDeadline(time.Now().Add(patience))
				_, frame, err := twin.ReadMessage()
				if err != nil {
					t.Fatal(err)
				}
				want.Write(frame)
				want.WriteByte('\n')
				var f struct{ Epoch string }
				if err := json.Unmarshal(frame, &f); err != nil {
					t.Fatal(err)
				}
				epoch = f.Epoch
			}
			if !bytes.Equal(got, want.Bytes()) {
				t.Errorf("the client saw\n%.3000s\nits twin\n%.3000s", got, want.Bytes())
			}

			other := start(t)
			room = other.lounge()
			for range 3 {
				other.post(200, "chat/rooms/"+room+"/messages", `{"text":"old"}`)
			}
			url = "ws" + strings.TrimPrefix(other.URL("chat"), "http") + "/ws/rooms/" + room
			for _, seq := range []string{"2", "400"} {
				got := script(t, dir, program, file, url, "1000", seq, epoch)
				if !bytes.HasPrefix(got, []byte(`{"type":"recovered","recovered":false,`)) || bytes.Count(got, []byte("\n")) != 1 {
					t.Errorf("on another database, after seq %s, came\n%s", seq, got)
				}
			}
		})
	}
}

package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// Helpers of the tests that speak SMTP byte for byte.

// wire is a connection to an SMTP port.
type wire struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

// dialWire connects and reads the greeting.
func dialWire(t testing.TB, addr string) *wire {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, longWait)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return newWire(t, conn)
}

// newWire reads the greeting of a connection.
func newWire(t testing.TB, conn net.Conn) *wire {
	t.Helper()
	w := &wire{t, conn, bufio.NewReader(conn)}
	w.want("220")
	return w
}

// send writes text as it is.
func (w *wire) send(text string) {
	w.t.Helper()
	w.conn.SetWriteDeadline(time.Now().Add(longWait))
	if _, err := w.conn.Write([]byte(text)); err != nil {
		w.t.Fatalf("send %.60q: %v", text, err)
	}
}

// reply reads a whole reply; "" when the connection ended instead.
func (w *wire) reply() string {
	w.conn.SetReadDeadline(time.Now().Add(longWait))
	var all strings.Builder
	for {
		line, err := w.r.ReadString('\n')
		if err != nil {
			return ""
		}
		all.WriteString(line)
		if len(line) < 4 || line[3] != '-' {
			return all.String()
		}
	}
}

// want fails the test unless the next reply starts so.
func (w *wire) want(start string) string {
	w.t.Helper()
	got := w.reply()
	if !strings.HasPrefix(got, start) {
		w.t.Fatalf("the server says %q, want %s", got, start)
	}
	return got
}

// say sends a command line and wants a reply.
func (w *wire) say(line, want string) string {
	w.t.Helper()
	w.send(line + "\r\n")
	return w.want(want)
}

// data opens a transaction up to the 354.
func (w *wire) data(from, to string) {
	w.t.Helper()
	w.say("MAIL FROM:<"+from+">", "250")
	w.say("RCPT TO:<"+to+">", "250")
	w.say("DATA", "354")
}

// mails returns every message of a mailbox, newest first, page by page.
func (p *program) mails(user string) []map[string]any {
	p.t.Helper()
	var all []map[string]any
	before := ""
	for {
		var page struct {
			Total    int              `json:"total"`
			Messages []map[string]any `json:"messages"`
		}
		body := p.must(200, "GET", "email/api/messages?limit=200&access_token=demo&user="+user+"@vezeuniqverse.com"+before, "")
		if err := json.Unmarshal(body, &page); err != nil {
			p.t.Fatal(err)
		}
		if all = append(all, page.Messages...); len(page.Messages) < 200 {
			if len(all) != page.Total {
				p.t.Errorf("%s: the pages hold %d messages, total says %d", user, len(all), page.Total)
			}
			return all
		}
		before = fmt.Sprintf("&before=%.0f", page.Messages[199]["id"])
	}
}

// subjects counts the messages of each subject.
func subjects(mails []map[string]any) map[string]int {
	n := map[string]int{}
	for _, m := range mails {
		s, _ := m["subject"].(string)
		n[s]++
	}
	return n
}

// letter is a short message with line ends as they go over the wire, without the final dot.
func letter(from, to, subject, text string) string {
	return fmt.Sprintf("From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%s@e2e.test>\r\n\r\n%s\r\n",
		from, to, subject, strings.ReplaceAll(subject, " ", "."), text)
}

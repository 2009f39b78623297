package compose_test

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"

	"uniqverse/services/email/compose"
)

func message() compose.Message {
	return compose.Message{From: mail.Address{Name: "Ann, Pilot", Address: "ann@vezeuniqverse.com"}, To: []mail.Address{{Address: "bob@example.org"}},
		Subject: "hello", Text: "one\ntwo\n", Date: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC), MessageID: "1@vezeuniqverse.com", Boundary: "bound"}
}

// read parses a message strictly and checks what holds for every one.
func read(t *testing.T, m compose.Message) (*mail.Message, []byte) {
	t.Helper()
	raw := m.Bytes()
	for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
		if bytes.ContainsAny(line, "\r\n\x00") || len(line) > 998 {
			t.Errorf("a line that no mail may have: %.80q (%d bytes)", line, len(line))
		}
	}
	if !bytes.HasSuffix(raw, []byte("\r\n")) {
		t.Error("the last line has no end")
	}
	msg, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(msg.Body)
	if err != nil {
		t.Fatal(err)
	}
	return msg, body
}

func TestFields(t *testing.T) {
	m := message()
	m.InReplyTo = "<first@example.org>"
	m.Fields = [][2]string{{"X-Veze-Ticket", "12"}}
	msg, body := read(t, m)
	from, err := msg.Header.AddressList("From")
	if err != nil || from[0].Name != "Ann, Pilot" || from[0].Address != "ann@vezeuniqverse.com" {
		t.Errorf("From is %v, %v", from, err)
	}
	for name, want := range map[string]string{"To": "bob@example.org", "Date": "Sun, 22 Nov 2026 08:00:00 +0000", "Message-Id": "<1@vezeuniqverse.com>",
		"In-Reply-To": "<first@example.org>", "References": "<first@example.org>", "X-Veze-Ticket": "12", "Mime-Version": "1.0",
		"Content-Type": "text/plain; charset=utf-8", "Content-Transfer-Encoding": "7bit"} {
		if got := msg.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if string(body) != "one\r\ntwo\r\n" {
		t.Errorf("the body is %q", body)
	}
}

func TestSubjects(t *testing.T) {
	long := strings.Repeat("word ", 60) + "end"
	for _, subject := range []string{"", "plain", "Grüße aus dem All 🚀", long, strings.Repeat("x", 3000), strings.Repeat("ü", 900), "=?utf-8?q?not_encoded?=", "a  b", "q? = _"} {
		m := message()
		m.Subject = subject
		msg, _ := read(t, m)
		got, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
		if err != nil || got != subject {
			t.Errorf("subject %.60q came back as %.60q (%v)", subject, got, err)
		}
	}
}

// What people write must never become a field, an address or a line of its own.
func TestNothingIsInjected(t *testing.T) {
	m := message()
	evil := "x\r\nBcc: eve@example.org\r\n\r\nbody"
	m.Subject, m.From.Name, m.To[0].Address, m.MessageID, m.InReplyTo = evil, evil, evil, evil, evil
	m.Fields = [][2]string{{"X-A", evil}}
	msg, _ := read(t, m)
	if v := msg.Header.Get("Bcc"); v != "" {
		t.Errorf("a Bcc field came in: %q", v)
	}
	if len(msg.Header) != 11 {
		t.Errorf("%d fields, want 11: %v", len(msg.Header), msg.Header)
	}
}

func TestBodies(t *testing.T) {
	for _, text := range []string{"", "x", "Grüße\n", "From here on\n", strings.Repeat("y", 5000), "a\rb\r\nc\n", "tab\tand blank \n", "\x00\x01", ".\n..\n"} {
		m := message()
		m.Text = text
		msg, body := read(t, m)
		var r io.Reader = bytes.NewReader(body)
		if msg.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
			r = quotedprintable.NewReader(r)
		}
		got, err := io.ReadAll(r)
		want := strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
		if !strings.HasSuffix(want, "\n") {
			want += "\n"
		}
		if err != nil || strings.ReplaceAll(string(got), "\r\n", "\n") != want {
			t.Errorf("%.40q came back as %.40q (%v)", want, got, err)
		}
	}
}

func TestAlternative(t *testing.T) {
	m := message()
	m.HTML = "<p>Grüße</p>"
	msg, body := read(t, m)
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for _, want := range [][2]string{{"text/plain; charset=utf-8", "one\r\ntwo\r\n"}, {"text/html; charset=utf-8", "<p>Grüße</p>\r\n"}} {
		p, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(p)
		if err != nil || string(got) != want[1] || p.Header.Get("Content-Type") != want[0] {
			t.Errorf("a part is %q %q (%v), want %q", p.Header.Get("Content-Type"), got, err, want)
		}
	}
	if _, err := parts.NextPart(); err != io.EOF {
		t.Errorf("after the parts: %v", err)
	}
}

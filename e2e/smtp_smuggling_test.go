package e2e_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"uniqverse/smtpd"
)

// A message that another server would cut in two is never two here: what looks like the end
// of one and commands after it is delivered to nobody.
func TestSMTPSmugglesNothing(t *testing.T) {
	s := start(t)
	const to = "pilot@vezeuniqverse.com"
	smuggled := "MAIL FROM:<admin@vezeuniqverse.com>\r\nRCPT TO:<" + to + ">\r\nDATA\r\n" + letter("admin@vezeuniqverse.com", to, "smuggled", "x") + ".\r\n"
	for _, end := range []string{
		"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\n.\r", "\r.\n", "\r\r\n.\r\r\n", "\n\n.\n\n", "\r\n\x00.\r\n", "\r\n.\x00\r\n", "\r\n. \r\n", "\r\n.\x85", "\u2028.\u2028",
	} {
		t.Run(fmt.Sprintf("%q", end), func(t *testing.T) {
			peer := dialWire(t, s.mx())
			peer.say("EHLO peer.test", "250")
			peer.data("a@peer.test", to)
			// The last line ends the message for a strict server, such as ours; QUIT shows that the
			// session goes on from there, unless it was cut.
			peer.send("Subject: carrier\r\nFrom: <a@peer.test>\r\n\r\nbody" + end + smuggled + "QUIT\r\n")
			first, second := peer.reply(), peer.reply()
			switch {
			case strings.ContainsAny(strings.ReplaceAll(end, "\r\n", ""), "\r\n"): // what servers disagree about
				if !strings.HasPrefix(first, "521 5.5.2 ") || second != "" {
					t.Errorf("the answers are %q and %q, want 521 5.5.2 and the end", first, second)
				}
			case !strings.HasPrefix(first, "250 2.0.0 ") && !strings.HasPrefix(first, "554 5.6.0 ") || !strings.HasPrefix(second, "221 "):
				t.Errorf("the answers are %q and %q, want one for the message and 221", first, second)
			}
		})
	}
	for _, m := range s.inbox("pilot") {
		if m.Subject != "carrier" {
			t.Errorf("%q was delivered", m.Subject)
		}
		if strings.ContainsAny(strings.ReplaceAll(s.raw(m), "\r\n", ""), "\r\n") {
			t.Errorf("message %d is stored with CR or LF alone", m.ID)
		}
	}

	t.Run("chunks", func(t *testing.T) {
		peer := dialWire(t, s.mx())
		peer.say("EHLO peer.test", "250")
		peer.say("MAIL FROM:<a@peer.test>", "250")
		peer.say("RCPT TO:<"+to+">", "250")
		body := "Subject: in chunks\r\nFrom: <a@peer.test>\r\n\r\nx\r\n.\r\n" + smuggled
		peer.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(body), body))
		peer.want("250 2.0.0 ")
		peer.say("QUIT", "221")
		if raw := s.raw(s.withSubject("pilot", "in chunks")); !strings.HasSuffix(raw, smuggled) {
			t.Errorf("a chunk is not stored as it was counted:\n%q", raw)
		}
	})
	t.Run("before TLS", func(t *testing.T) {
		for _, mode := range []smtpd.Mode{smtpd.MX, smtpd.Submission} {
			peer := dialWire(t, s.SMTP(mode))
			peer.say("EHLO peer.test", "250")
			peer.send("STARTTLS\r\n" + smuggled)
			if got := peer.reply(); !strings.HasPrefix(got, "220 ") {
				continue // refused altogether
			}
			sealed := tls.Client(peer.conn, &tls.Config{InsecureSkipVerify: true})
			peer.conn, peer.r = sealed, bufio.NewReader(sealed)
			if sealed.Handshake() != nil {
				continue // cut
			}
			// What was sent in the clear must not be answered inside.
			peer.say("EHLO peer.test", "250")
			peer.say("QUIT", "221")
		}
	})
	for _, m := range s.inbox("pilot") {
		if m.Subject == "smuggled" {
			t.Error("a smuggled message was delivered")
		}
	}
}

package e2e_test

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"uniqverse/smtpd"
)

// Programs of this machine may send as much, and as fast, as they can.
func TestSMTPLoopbackPeerIsNotHeldBack(t *testing.T) {
	s := start(t, "VEZE_JWT_DEMO=0")
	password := s.appPassword("pilot")

	t.Run("200 connections at once, 600 in a minute", func(t *testing.T) {
		var held [200]net.Conn
		for range 3 {
			var all sync.WaitGroup
			for i := range held {
				all.Go(func() {
					conn, err := net.Dial("tcp", s.mx())
					if err != nil {
						t.Error(err)
						return
					}
					held[i] = conn
					conn.SetReadDeadline(time.Now().Add(longWait))
					line := make([]byte, 200)
					if n, err := conn.Read(line); err != nil || !strings.HasPrefix(string(line[:n]), "220 ") {
						t.Errorf("connection %d is greeted %q, %v", i, line[:n], err)
					}
				})
			}
			all.Wait()
			for _, conn := range held {
				if conn != nil {
					conn.Close()
				}
			}
		}
	})
	t.Run("1200 commands in a session", func(t *testing.T) {
		peer := dialWire(t, s.mx())
		peer.say("EHLO peer.test", "250")
		go peer.conn.Write([]byte(strings.Repeat("NOOP\r\n", 1200)))
		for range 1200 {
			peer.want("250 2.0.0")
		}
		peer.say("QUIT", "221")
	})
	t.Run("40 unknown users in a session", func(t *testing.T) {
		peer := dialWire(t, s.mx())
		peer.say("EHLO peer.test", "250")
		peer.say("MAIL FROM:<a@peer.test>", "250")
		for i := range 40 {
			peer.say(fmt.Sprintf("RCPT TO:<nobody%d@vezeuniqverse.com>", i), "550 5.1.1 ")
		}
		peer.say("RCPT TO:<pilot@vezeuniqverse.com>", "250")
	})
	t.Run("a right password after 30 wrong ones", func(t *testing.T) {
		try := func(password, want string) {
			t.Helper()
			conn, err := tls.Dial("tcp", s.SMTP(smtpd.Submissions), &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			peer := newWire(t, conn)
			peer.say("EHLO peer.test", "250")
			peer.say("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00pilot\x00"+password)), want)
		}
		for range 30 {
			try("wrong", "535 5.7.8 ")
		}
		try(password, "235 2.7.0 ")
	})
}

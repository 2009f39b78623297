package smtpd_test

import (
	"bufio"
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"uniqverse/smtpd"
)

// Row 22: who guesses recipients waits longer for each answer, and is then shown out. The clock is the bubble's own.
func TestGuessingGetsSlower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &stage{next: make(chan net.Conn), done: make(chan struct{})}
		srv, err := smtpd.New(smtpd.Options{Listeners: []smtpd.Listener{{Listener: st}}, Domain: domain, Backend: &backend{}, Limits: smtpd.Limits{BannerPause: -1, UnknownUsers: 10}})
		if err != nil {
			t.Fatal(err)
		}
		over := make(chan error, 1)
		go func() { over <- srv.Serve(context.Background()) }()
		here, there := net.Pipe()
		st.next <- elsewhere{there}
		in := bufio.NewReader(here)
		say := func(line string) string {
			if line != "" {
				here.Write([]byte(line + "\r\n"))
			}
			for {
				got, err := in.ReadString('\n')
				if err != nil || len(got) < 4 || got[3] != '-' {
					return got
				}
			}
		}
		say("")
		say("EHLO x.test")
		say("MAIL FROM:<a@client.test>")
		var last time.Duration
		for i := range 10 {
			began := time.Now()
			if got := say("RCPT TO:<nobody@mail.test>"); !strings.HasPrefix(got, "550 5.1.1") {
				t.Fatalf("guess %d: %q", i, got)
			}
			took := time.Since(began)
			if i >= 3 && took <= last || i < 3 && took != 0 {
				t.Errorf("guess %d took %s, the one before %s", i, took, last)
			}
			last = took
		}
		if got := say("RCPT TO:<nobody@mail.test>"); !strings.HasPrefix(got, "421 4.7.0 Too many refused recipients") {
			t.Errorf("in the end: %q", got)
		}
		here.Close()
		srv.Shutdown(context.Background())
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
}

// elsewhere is a connection whose peer has an address of the Internet.
type elsewhere struct{ net.Conn }

func (e elsewhere) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 9), Port: 40000}
}

package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"uniqverse/services/email/queue"
)

// Outgoing mail survives the program's sudden end, and nobody gets it twice but for the ends.

const (
	queueRounds = 12
	queueMails  = 40 // in each round
)

// sink is a mail server that takes everything, and counts how often it was given each mail: from the moment when it has the
// whole of it, answered or not.
type sink struct {
	addr string
	mu   sync.Mutex
	got  map[string]int // by recipient
	n    int
}

func startSink(t testing.TB) *sink {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{addr: ln.Addr().String(), got: map[string]int{}}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			open.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() { ln.Close(); open.Wait() })
	return s
}

func (s *sink) serve(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	in, to := bufio.NewReader(c), ""
	io.WriteString(c, "220 sink.test ESMTP\r\n")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch {
		case strings.HasPrefix(strings.ToUpper(verb), "RCPT"):
			to = strings.Trim(rest, "<> ")
		case strings.EqualFold(verb, "DATA"):
			io.WriteString(c, "354 go on\r\n")
			for line != ".\r\n" {
				if line, err = in.ReadString('\n'); err != nil {
					return
				}
			}
			s.mu.Lock()
			s.got[to]++
			s.n++
			s.mu.Unlock()
			time.Sleep(3 * time.Millisecond) // a host takes its time, and the program may end in it
		case strings.EqualFold(verb, "QUIT"):
			io.WriteString(c, "221 bye\r\n")
			return
		}
		io.WriteString(c, "250 2.0.0 ok\r\n")
	}
}

func (s *sink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

func TestKillRepeatsAtMostOneAttempt(t *testing.T) {
	s := startSink(t)
	p := newProgram(t, "EMAIL_SMARTHOST="+s.addr)
	var mu sync.Mutex
	born := map[string]int{} // the round in which a mail was acknowledged
	for round := range queueRounds {
		p.launch()
		before := s.count()
		var all sync.WaitGroup
		stop := make(chan struct{})
		for worker := range 8 {
			all.Go(func() {
				for i := range queueMails / 8 {
					to := fmt.Sprintf("r%d-%d-%d@d%d.example", round, worker, i, i%3)
					status, _, err := p.ask(t.Context(), "POST", "email/jmap/send", `{"to":"`+to+`","subject":"x","text":"y"}`, "Authorization", "Bearer demo", "Content-Type", "application/json")
					select {
					case <-stop: // the program was ended: whether this one is in the queue, nobody knows
						if err != nil || status != http.StatusAccepted {
							return
						}
					default:
						if err != nil || status != http.StatusAccepted {
							t.Errorf("%s: %d, %v", to, status, err)
							return
						}
					}
					mu.Lock()
					born[to] = round
					mu.Unlock()
				}
			})
		}
		eventually(t, "mail is on its way", func() bool { return s.count() >= before+3+5*round }) // another moment in each round
		close(stop)
		p.killed()
		all.Wait()
	}
	p.launch()
	eventually(t, "all that was acknowledged is sent", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for to := range born {
			if s.got[to] == 0 {
				return false
			}
		}
		return true
	})
	p.drained()
	s.mu.Lock()
	defer s.mu.Unlock()
	extra := 0
	for to, round := range born {
		n := s.got[to]
		if lives := queueRounds - round; n > 1+lives {
			t.Errorf("%s was sent %d times in %d lives", to, n, lives+1)
		}
		extra += max(0, n-1)
	}
	if extra > queueRounds*queue.Workers {
		t.Errorf("%d deliveries too many, in %d ends", extra, queueRounds)
	}
	t.Logf("%d ends, %d mails, %d deliveries more than needed", queueRounds, len(born), extra)
	checkStore(t, p.dir)
}

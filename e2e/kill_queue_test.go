package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"uniqverse/services/email/queue"
)

// A hundred sudden ends: of what comes in nothing is lost or twice, and of what goes out nobody gets more than an end explains.

const (
	hundred         = 100
	hundredSenders  = 6  // of mail over SMTP
	hundredPosters  = 4  // of mail for other hosts, over HTTP
	hundredOutgoing = 12 // mails for other hosts in each life, at most
)

// sink is a mail server that takes everything, and counts how often it was given each mail: from the moment when it has the
// whole of it, answered or not.
type sink struct {
	addr string
	mu   sync.Mutex
	life int                    // of the program
	got  map[string]map[int]int // by recipient and life
	n    int
	held chan struct{} // the answer to a mail waits until it is closed; nil is at once
}

// hold lets the answers to mails wait, or lets them go.
func (s *sink) hold(wait bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if wait {
		s.held = make(chan struct{})
	} else {
		close(s.held)
		s.held = nil
	}
}

func startSink(t testing.TB) *sink {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{addr: ln.Addr().String(), got: map[string]map[int]int{}}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			life := s.life // a connection of the life before cannot speak any more
			s.mu.Unlock()
			open.Go(func() { s.serve(c, life) })
		}
	})
	t.Cleanup(func() { ln.Close(); open.Wait() })
	return s
}

func (s *sink) serve(c net.Conn, life int) {
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
			if s.got[to] == nil {
				s.got[to] = map[int]int{}
			}
			s.got[to][life]++
			s.n++
			held := s.held
			s.mu.Unlock()
			if held != nil {
				<-held
			}
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

// next begins another life and says how much the sink got in those before.
func (s *sink) next() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life++
	return s.n
}

// outgoing is what was sent to other hosts.
type outgoing struct {
	mu       sync.Mutex
	accepted []string // recipients, a mail each
}

// post is one poster's life: it sends mail to other hosts until the program is killed.
func (o *outgoing) post(t *testing.T, r *killRound, poster int) {
	for i := range hundredOutgoing / hundredPosters {
		to := fmt.Sprintf("%s-%d-%d@d%d.example", r.user, poster, i, i%3)
		status, _, err := r.p.ask(t.Context(), "POST", "email/jmap/send", `{"to":"`+to+`","subject":"x","text":"y"}`, "Authorization", "Bearer demo")
		if err != nil || status != http.StatusAccepted {
			if !r.over() {
				t.Errorf("%s: %d, %v", to, status, err)
			}
			return // whether this one is in the queue, nobody knows
		}
		o.mu.Lock()
		o.accepted = append(o.accepted, to)
		o.mu.Unlock()
	}
}

// TestKillAHundredTimes is row 45 of docs/smtp.md: kill -9 while mail comes in and while it goes out.
func TestKillAHundredTimes(t *testing.T) {
	s := startSink(t)
	p := newProgram(t, "EMAIL_SMARTHOST="+s.addr)
	var out outgoing
	var rounds []*killRound
	unanswered := 0
	chance := rand.New(rand.NewPCG(4, 5)) // the moments are the same in every run, as far as the machine lets them
	for i := range hundred {
		before := s.next()
		p.launch()
		if i > 0 {
			last := rounds[i-1]
			unanswered += len(last.mails.unanswered)
			last.repeat(t)
			last.checkMails(t)
		}
		r := &killRound{p: p, user: fmt.Sprintf("life%d", i), stop: make(chan struct{})}
		rounds = append(rounds, r)
		var all sync.WaitGroup
		for sender := range hundredSenders {
			all.Go(func() { r.sendMails(t, sender+min(i%10, 1)) }) // sender 0's mails are large
		}
		for poster := range hundredPosters {
			all.Go(func() { out.post(t, r, poster) })
		}
		// In every other life the moment is one of what comes in, else one of what goes out. Some of the latter were
		// accepted in a life before.
		in, gone := chance.IntN(40), before+chance.IntN(hundredOutgoing)
		for late := time.Now().Add(time.Minute); !t.Failed(); time.Sleep(500 * time.Microsecond) {
			r.mu.Lock()
			acknowledged := len(r.mails.acknowledged)
			r.mu.Unlock()
			if i%2 == 0 && acknowledged >= in || i%2 == 1 && s.count() >= gone {
				break
			}
			if time.Now().After(late) {
				t.Errorf("life %d: %d mails came in, want %d, and %d went out, want %d", i, acknowledged, in, s.count()-before, gone-before)
			}
		}
		close(r.stop)
		p.killed()
		all.Wait()
		if t.Failed() {
			return
		}
	}
	s.next()
	p.launch()
	unanswered += len(rounds[hundred-1].mails.unanswered)
	rounds[hundred-1].repeat(t)
	mails := 0
	for _, r := range rounds {
		r.checkMails(t)
		mails += len(r.mails.acknowledged)
	}
	s.await(t, out.accepted)
	p.drained()
	repeated := s.repeats(t)
	t.Logf("%d ends: %d mails were acknowledged and %d had no answer; %d were sent on, %d times more than needed", hundred, mails, unanswered, len(out.accepted), repeated)
	if mails < 5*hundred || unanswered < hundred/4 || len(out.accepted) < hundred {
		t.Error("too little happened for the test to say anything")
	}
	checkStore(t, p.dir)
}

// await waits until all that was accepted has arrived.
func (s *sink) await(t *testing.T, accepted []string) {
	t.Helper()
	for late := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		missing := 0
		s.mu.Lock()
		for _, to := range accepted {
			if len(s.got[to]) == 0 {
				missing++
			}
		}
		s.mu.Unlock()
		if missing == 0 {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("%d of %d mails were not sent within a minute", missing, len(accepted))
		}
	}
}

// repeats counts the mails that came more than once, and fails the test unless the ends explain it: in one life nobody gets a
// mail twice, and an end repeats no more than was under way in that moment.
func (s *sink) repeats(t *testing.T) (repeated int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	cut := map[int]int{} // by life: mails that came in it and once more later
	for to, lives := range s.got {
		last := 0
		for life, n := range lives {
			if n > 1 {
				t.Errorf("%s was sent %d times in life %d", to, n, life)
			}
			last = max(last, life)
		}
		for life := range lives {
			if life != last {
				cut[life]++
				repeated++
			}
		}
	}
	for life, n := range cut {
		if n > queue.Workers {
			t.Errorf("the end of life %d repeated %d mails, and %d at most were under way", life, n, queue.Workers)
		}
	}
	return repeated
}

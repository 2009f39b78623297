package dnsclient

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// resendAfter is how long an answer may take before the query is sent once more. A look-up of
	// the mail checks has 2 s, so without this a single lost datagram would make the verdict temperror.
	resendAfter = 800 * time.Millisecond
	// probeTime is how long a server must have had to answer anything before it is taken for dead.
	probeTime = 500 * time.Millisecond
	// deadFor is how long a server that answers nothing is left alone.
	deadFor = 5 * time.Second
	// longest is how long one question may take when the caller sets no time.
	longest = 5 * time.Second
	// udpSize is how large a datagram we take (RFC 9715).
	udpSize = 1232
	// rereadAfter is how often the system's list of servers is looked at.
	rereadAfter = 5 * time.Second

	systemFile = "/etc/resolv.conf"
)

var errDead = errors.New("the DNS does not answer")

// servers are who is asked.
type servers struct {
	fixed []string // host:port; nil: the system's list
	now   func() time.Time

	mu      sync.Mutex // guards what follows
	list    []string   // the system's
	read    time.Time  // when list was read
	deadTil time.Time  // until then nobody is asked
}

// systemServers returns the servers of the system's list, nil where there is no such list.
func systemServers() *servers {
	s := &servers{now: time.Now}
	if len(s.current()) == 0 {
		return nil
	}
	return s
}

// current returns the servers to ask.
func (s *servers) current() []string {
	if s.fixed != nil {
		return s.fixed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); s.list == nil || now.Sub(s.read) >= rereadAfter || now.Before(s.read) {
		s.read = now
		if conf, err := dns.ClientConfigFromFile(systemFile); err == nil {
			s.list = s.list[:0:0]
			for _, host := range conf.Servers {
				s.list = append(s.list, net.JoinHostPort(host, conf.Port))
			}
		}
	}
	return s.list
}

// ask puts one question. It fails at once while the servers are known to be dead; when that time is over, one
// question finds out whether they still are.
func (s *servers) ask(ctx context.Context, name string, kind uint16) (*dns.Msg, error) {
	list := s.current()
	if len(list) == 0 {
		return nil, errors.New("the system has no DNS server")
	}
	s.mu.Lock()
	now := s.now()
	if left := s.deadTil.Sub(now); left > 0 && left <= deadFor {
		s.mu.Unlock()
		return nil, errDead
	}
	wasDead := !s.deadTil.IsZero()
	if wasDead {
		s.deadTil = now.Add(deadFor) // for the others, while we try
	}
	s.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	m, alive, err := question(ctx, list, name, kind)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case alive:
		s.deadTil = time.Time{}
	case errors.Is(err, errDead):
		s.deadTil = s.now().Add(deadFor)
	case wasDead && ctx.Err() != nil: // the caller gave up before we could know
		s.deadTil = s.now()
	}
	return m, err
}

// question asks the servers in turn until one answers. alive says that one has said anything at all, be it only to
// the question that every server can answer. The error is errDead only when they had the time to say that much.
func question(ctx context.Context, list []string, name string, kind uint16) (m *dns.Msg, alive bool, err error) {
	q := new(dns.Msg)
	q.SetQuestion(name, kind)
	q.SetEdns0(udpSize, false)
	end, _ := ctx.Deadline()
	var probed time.Time
	for i := 0; ; i++ {
		server, until := list[i%len(list)], time.Now().Add(resendAfter)
		last := i > 0 && i+1 >= len(list) || end.Before(until)
		if last {
			until = end
		}
		if i == 1 {
			probed = time.Now()
		}
		m, said, err := overUDP(ctx, server, q, until, i > 0)
		alive = alive || said
		if err == nil && m.Truncated {
			m, err = overTCP(ctx, server, q)
		}
		switch {
		case err == nil && m.Rcode == dns.RcodeFormatError && q.IsEdns0() != nil:
			q.Extra = nil // a server that has never heard of EDNS
			continue
		case err == nil:
			return m, true, nil
		case errors.Is(ctx.Err(), context.Canceled):
			return nil, alive, ctx.Err()
		case !last && ctx.Err() == nil:
			continue
		case errors.Is(err, os.ErrDeadlineExceeded) && !alive && !probed.IsZero() && time.Since(probed) >= probeTime:
			return nil, false, errDead
		case errors.Is(err, os.ErrDeadlineExceeded):
			err = errors.New("no answer in time")
		}
		return nil, alive, err
	}
}

// overUDP sends the question and waits for its answer until then. With probe it asks for the root servers
// besides, which every resolver knows: whoever answers only that is not dead.
func overUDP(ctx context.Context, server string, q *dns.Msg, until time.Time, probe bool) (m *dns.Msg, said bool, err error) {
	q.Id = dns.Id()
	wire, err := q.Pack()
	if err != nil {
		return nil, false, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp", server)
	if err != nil {
		return nil, false, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	conn.SetDeadline(until)
	if _, err := conn.Write(wire); err != nil {
		return nil, false, err
	}
	if probe {
		root := new(dns.Msg)
		root.SetQuestion(".", dns.TypeNS)
		if wire, err := root.Pack(); err == nil {
			conn.Write(wire)
		}
	}
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, said, err
		}
		m := new(dns.Msg)
		if m.Unpack(buf[:n]) != nil || !m.Response {
			continue // not from a server, whoever it is from
		}
		said = true
		if answers(m, q) {
			return m, true, nil
		}
	}
}

// answers reports whether m is about the question q. The port of the socket, the id and the name are what a
// forger has to guess.
func answers(m, q *dns.Msg) bool {
	return m.Id == q.Id && len(m.Question) == 1 && m.Question[0].Qtype == q.Question[0].Qtype && strings.EqualFold(m.Question[0].Name, q.Question[0].Name)
}

func overTCP(ctx context.Context, server string, q *dns.Msg) (*dns.Msg, error) {
	c := dns.Client{Net: "tcp"}
	m, _, err := c.ExchangeContext(ctx, q, server)
	if err != nil {
		return nil, err
	}
	if !answers(m, q) {
		return nil, errors.New("the answer over TCP is about something else")
	}
	return m, nil
}

package e2e_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// says plays commands to the MX and returns the last answer, "" when the server hung up.
func (s *system) says(commands ...string) string {
	s.t.Helper()
	c, err := net.Dial("tcp", s.mx())
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	in, last := bufio.NewReader(c), ""
	for _, command := range append([]string{""}, commands...) {
		if command != "" {
			io.WriteString(c, command+"\r\n")
		}
		for {
			if last, err = in.ReadString('\n'); err != nil {
				return ""
			}
			if len(last) < 4 || last[3] != '-' {
				break
			}
		}
	}
	return strings.TrimSpace(last)
}

// A chaos rule strikes whom it names, at its stage, and nobody else.
func TestChaosStrikes(t *testing.T) {
	s := start(t)
	rule := func(json string) {
		t.Helper()
		s.post(200, "email/api/chaos?access_token=demo", json)
	}
	rule(`{"pattern":"full@vezeuniqverse.com","stage":"rcpt","code":452,"enhanced":"4.2.2","text":"The mailbox is full, says chaos"}`)
	rule(`{"pattern":"gone@vezeuniqverse.com","stage":"rcpt","effect":"drop"}`)
	rule(`{"pattern":"grey@vezeuniqverse.com","stage":"rcpt","effect":"greylist","delay_ms":3600000}`)
	rule(`{"pattern":"late@vezeuniqverse.com","stage":"data","code":554}`)
	rule(`{"pattern":"slow@vezeuniqverse.com","stage":"rcpt","effect":"delay","delay_ms":20}`)
	rule(`{"pattern":"bad.example","stage":"mail","code":550}`)
	rule(`{"pattern":"*.burst.example","stage":"mail","effect":"rate","per_minute":2}`)
	rule(`{"pattern":"never@vezeuniqverse.com","stage":"rcpt","disabled":true}`)
	hello, from := "EHLO peer.test", "MAIL FROM:<a@peer.test>"
	for _, c := range []struct {
		commands []string
		want     string
	}{
		{[]string{hello, from, "RCPT TO:<full@vezeuniqverse.com>"}, "452 4.2.2 The mailbox is full, says chaos"},
		{[]string{hello, from, "RCPT TO:<full+tag@vezeuniqverse.com>"}, "250"},
		{[]string{hello, from, "RCPT TO:<gone@vezeuniqverse.com>"}, ""},
		{[]string{hello, from, "RCPT TO:<grey@vezeuniqverse.com>"}, "451 4.7.1 You are new here"},
		{[]string{hello, from, "RCPT TO:<grey@vezeuniqverse.com>"}, "451 4.7.1 You are new here"},
		{[]string{hello, from, "RCPT TO:<slow@vezeuniqverse.com>"}, "250"},
		{[]string{hello, from, "RCPT TO:<never@vezeuniqverse.com>"}, "250"},
		{[]string{hello, from, "RCPT TO:<late@vezeuniqverse.com>", "DATA", "Subject: x\r\n\r\nx\r\n."}, "554 5.0.0 Refused by a chaos rule"},
		{[]string{hello, "MAIL FROM:<a@bad.example>"}, "550 5.0.0"},
		{[]string{hello, "MAIL FROM:<a@x.burst.example>"}, "250"},
		{[]string{hello, "MAIL FROM:<a@y.burst.example>"}, "250"},
		{[]string{hello, "MAIL FROM:<a@x.burst.example>"}, "421 4.7.0 Too many messages"},
		{[]string{hello, "MAIL FROM:<a@burst.example>"}, "250"},
	} {
		if got := s.says(c.commands...); c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
			t.Errorf("%v is answered %q, want %q", c.commands, got, c.want)
		}
	}
	if list := s.get(200, "email/api/chaos?access_token=demo"); !contains(list.body, `"pattern":"full@vezeuniqverse.com","stage":"rcpt","effect":"reply","code":452,"enhanced":"4.2.2","text":"The mailbox is full, says chaos","delay_ms":0,"per_minute":0,"probability":100,"enabled":true,"note":"","hits":1,`) {
		t.Errorf("the rules are %s", list.body)
	}
	eventually(t, "the refusal can be looked up", func() bool {
		return contains(s.get(200, "email/api/refusals?access_token=demo&user=full@vezeuniqverse.com").body, `"rule":"chaos"`) &&
			contains(s.get(200, "email/refusals?user=full@vezeuniqverse.com&address=full@vezeuniqverse.com", "Accept", "text/html").body, `data-label="Why">chaos`)
	})
	rule(`{"pattern":"*","stage":"tls"}`)
	c, err := net.Dial("tcp", s.mx())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewReader(c)
	for _, step := range [][2]string{{"", "220 "}, {"EHLO x\r\n", "250 "}, {"STARTTLS\r\n", "220 "}} {
		io.WriteString(c, step[0])
		for line := ""; !strings.HasPrefix(line, step[1]); {
			if line, err = in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Handshake(); err == nil {
		t.Error("TLS works though a rule makes it fail")
	}
}

// What chaos says of a delivery comes to pass, and nothing leaves for it.
func TestChaosOfDeliveries(t *testing.T) {
	s := start(t)
	for _, r := range []string{
		`{"pattern":"refused.example","stage":"deliver","code":550,"enhanced":"5.1.1","text":"No such pilot"}`,
		`{"pattern":"taken.example","stage":"deliver","code":250}`,
		`{"pattern":"bouncy@vezeuniqverse.com","stage":"deliver","code":554,"text":"Lost in space"}`,
	} {
		s.post(200, "email/api/chaos?access_token=demo", r)
	}
	events := s.listen("email/api/events?user=demo@vezeuniqverse.com&access_token=demo")
	for _, to := range []string{"a@refused.example", "b@taken.example", "c@held.example"} {
		s.post(202, "email/api/send?access_token=demo", fmt.Sprintf(`{"to":[%q],"subject":"To %s","text":"hi"}`, to, to))
	}
	want := map[string]string{"mail.bounced": "a@refused.example", "mail.sent": "b@taken.example"}
	for len(want) > 0 {
		ev := events.next()
		if w := want[ev.name]; w != "" && w == fmt.Sprint(ev.data["recipient"]) {
			delete(want, ev.name)
		}
	}
	eventually(t, "the report is in the sender's mailbox", func() bool {
		return contains(s.get(200, "email/api/messages?access_token=demo&user=demo&q=pilot+is:bounce").body, "550 5.1.1 No such")
	})
	s.sendMail("wing@vezeuniqverse.com", "bouncy@vezeuniqverse.com", "Hello", "there")
	if got := s.inbox("bouncy"); len(got) != 1 {
		t.Errorf("the message was not delivered first: %v", got)
	}
	eventually(t, "the sender hears that it failed", func() bool {
		return contains(s.get(200, "email/api/messages?access_token=demo&user=wing&q=space+is:bounce").body, "Lost in")
	})
}

package smtpd_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"uniqverse/smtpd"
	"uniqverse/smtpd/policy"
	"uniqverse/smtpd/senderauth"
)

// TestDialogues runs every dialogue in testdata/smtp. A file holds dialogues that start with
// "=== name"; the words that one is written in are those of (*talk).step, and README.md there
// tells them. A new case needs no Go.
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("../testdata/smtp/*.dlg")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogues: %v", err)
	}
	wrong := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		base := strings.TrimSuffix(filepath.Base(file), ".dlg")
		line := 1
		for i, part := range strings.Split("\n"+string(text), "\n=== ") {
			if i > 0 {
				name, script, _ := strings.Cut(part, "\n")
				first := line
				for _, mode := range modesOf(script) {
					t.Run(base+"/"+mode.String()+"/"+strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
						t.Parallel()
						runDialogue(t, file, first, mode, script)
					})
				}
				if strings.Contains(script, "\nS: 4") || strings.Contains(script, "\nS: 5") {
					wrong++
				}
			}
			line += strings.Count(part, "\n") + 1
			if i == 0 {
				line--
			}
		}
	}
	if wrong < 60 {
		t.Errorf("%d wrong dialogues with exact answers, want at least 60", wrong)
	}
}

// talk is one dialogue under way.
type talk struct {
	t      *testing.T
	s      *server
	mode   smtpd.Mode
	user   bool // HELLO signs in, as the dialogue is one of a host
	from   string
	lim    smtpd.Limits
	offers string // what the server offers beside the usual: words of @offer
	policy string // words of @policy; "" is no policy at all
	lists  []string
	dns    zones
	conn   net.Conn
	tcp    *net.TCPConn
	in     *bufio.Reader
}

// modesOf returns the listeners that a dialogue is for: the one that it names, the MX alone when it says @only or
// speaks of the greeting, TLS or AUTH itself, and otherwise all three. A user then says what the host said.
func modesOf(script string) []smtpd.Mode {
	for line := range strings.Lines(script) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case word == "@mode":
			return []smtpd.Mode{map[string]smtpd.Mode{"mx": smtpd.MX, "submission": smtpd.Submission, "submissions": smtpd.Submissions}[rest]}
		case word == "@only":
			return []smtpd.Mode{smtpd.MX}
		case word == "HELLO" || word == "START":
			return []smtpd.Mode{smtpd.MX, smtpd.Submission, smtpd.Submissions}
		case word != "" && !strings.HasPrefix(word, "@") && !strings.HasPrefix(word, "#"):
			return []smtpd.Mode{smtpd.MX}
		}
	}
	return nil
}

func runDialogue(t *testing.T, file string, first int, mode smtpd.Mode, script string) {
	d := &talk{t: t, mode: mode, user: mode != smtpd.MX && !strings.Contains(script, "@mode "), lim: smtpd.Limits{BannerPause: time.Nanosecond, LookupTime: 100 * time.Millisecond}, dns: newZones()}
	for i, line := range strings.Split(script, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := d.step(line); err != nil {
			t.Fatalf("%s:%d: %s\n%v", file, first+i, line, err)
		}
	}
	if d.conn != nil {
		d.conn.Close()
	}
}

func (d *talk) step(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	if strings.HasPrefix(word, "@") {
		return d.set(word, rest)
	}
	if d.conn == nil {
		d.connect()
	}
	switch word {
	case "AGAIN": // a new connection
		d.connect()
	case "C:": // a line
		return d.send(rest, "\r\n")
	case "C~": // bytes
		return d.send(rest, "")
	case "C*": // "n bytes": repeated
		n, bytes, _ := strings.Cut(rest, " ")
		k, err := strconv.Atoi(n)
		if err != nil {
			return err
		}
		return d.send(strings.Repeat(bytes, k), "")
	case "S:": // exactly this line
		return d.expect(func(got string) bool { return got == rest })
	case "S~": // a line that starts so
		return d.expect(func(got string) bool { return strings.HasPrefix(got, rest) })
	case "S*": // a whole reply with this code
		for {
			more := false
			err := d.expect(func(got string) bool { more = strings.HasPrefix(got, rest+"-"); return strings.HasPrefix(got, rest) })
			if err != nil || !more {
				return err
			}
		}
	case "TLS":
		c := tls.Client(d.conn, clientTLS())
		d.conn, d.in = c, bufio.NewReader(c)
		return c.Handshake()
	case "END": // we send no more
		return d.tcp.CloseWrite()
	case "CLOSE": // the server closes, saying no more
		if line, err := d.in.ReadString('\n'); err != io.EOF || line != "" {
			return fmt.Errorf("want the connection closed, got %q, %v", line, err)
		}
	case "LATER": // the server's clock goes on by so many seconds
		n, err := strconv.Atoi(rest)
		d.s.later.Add(int64(n))
		return err
	case "REFUSED":
		return d.refused(rest)
	case "MAILS", "RAW", "HAS", "HASNOT", "TO", "DSN", "VERDICTS", "FAULTS":
		return d.check(word, rest)
	case "HELLO":
		if d.user {
			return d.signedIn()
		}
		return d.all("S: 220 mail.test ESMTP UniQVerse", "C: EHLO client.test", "S* 250")
	case "START":
		return d.all("HELLO", "C: MAIL FROM:<a@client.test>", "S: 250 2.1.0 Sender OK", "C: RCPT TO:<pilot@mail.test>", "S: 250 2.1.5 Recipient OK")
	case "SECURE":
		return d.all("HELLO", "C: STARTTLS", "S: 220 2.0.0 Ready to start TLS", "TLS", "C: EHLO client.test", "S* 250")
	default:
		return fmt.Errorf("no such word")
	}
	return nil
}

func (d *talk) all(lines ...string) error {
	for _, l := range lines {
		if err := d.step(l); err != nil {
			return fmt.Errorf("%s: %w", l, err)
		}
	}
	return nil
}

// signedIn is HELLO of a user.
func (d *talk) signedIn() error {
	if d.mode == smtpd.Submissions {
		if err := d.step("TLS"); err != nil {
			return err
		}
	}
	if err := d.all("S: 220 mail.test ESMTP UniQVerse", "C: EHLO client.test", "S* 250"); err != nil {
		return err
	}
	if d.mode == smtpd.Submission {
		if err := d.all("C: STARTTLS", "S: 220 2.0.0 Ready to start TLS", "TLS", "C: EHLO client.test", "S* 250"); err != nil {
			return err
		}
	}
	return d.all("C: AUTH PLAIN AHBpbG90AHNlY3JldA==", "S: 235 2.7.0 Signed in")
}

// set changes the server that the dialogue will run against.
func (d *talk) set(word, rest string) error {
	switch word {
	case "@mode", "@only": // see modesOf
	case "@from":
		d.from = rest
	case "@offer":
		d.offers = rest
	case "@limit":
		return d.limit(rest)
	case "@policy": // enforce or record, and greylist
		d.policy = rest
	case "@list":
		d.lists = append(d.lists, rest)
	case "@dns":
		return d.dns.add(rest)
	default:
		return fmt.Errorf("no such setting")
	}
	return nil
}

// refused looks at what the journal heard last: "rule code enhanced from > to …".
func (d *talk) refused(want string) error {
	var r smtpd.Refusal
	select {
	case r = <-d.s.journal: // a pipelined reply may be read before its refusal was told
	case <-time.After(10 * time.Second):
		return fmt.Errorf("the journal heard nothing")
	}
	got := fmt.Sprintf("%s %d %s %s > %s", r.Reply.Rule, r.Reply.Code, r.Reply.Enhanced, r.From, strings.Join(r.To, " "))
	if got != want || r.At.IsZero() || !r.Session.RemoteIP.IsValid() || r.Reply.Err != nil {
		return fmt.Errorf("the journal heard %q: %+v", got, r)
	}
	return nil
}

func (d *talk) limit(rest string) error {
	name, value, _ := strings.Cut(rest, "=")
	n, err := strconv.Atoi(value)
	if err != nil {
		return err
	}
	ms := time.Duration(n) * time.Millisecond
	switch name {
	case "size":
		d.lim.MessageBytes = int64(n)
	case "memory":
		d.lim.MemoryBytes = n
	case "recipients":
		d.lim.Recipients = n
	case "bodyline":
		d.lim.BodyLine = n
	case "header":
		d.lim.HeaderBytes = n
	case "commands":
		d.lim.Commands = n
	case "errors":
		d.lim.Errors = n
	case "unknown":
		d.lim.UnknownUsers = n
	case "auth":
		d.lim.AuthFailures = n
	case "connections":
		d.lim.Connections = n
	case "peraddress":
		d.lim.PerAddress = n
	case "messages":
		d.lim.MessageRate = n
	case "rate":
		d.lim.ConnectRate = n
	case "idle":
		d.lim.Idle = ms
	case "dataidle":
		d.lim.DataIdle = ms
	case "datatime":
		d.lim.DataTime = ms
	case "session":
		d.lim.SessionTime = ms
	case "pause":
		d.lim.BannerPause = ms
	default:
		return fmt.Errorf("no such limit")
	}
	return nil
}

func (d *talk) connect() {
	if d.s == nil {
		d.s = start(d.t, d.from, func(o *smtpd.Options) {
			o.Limits = d.lim
			o.DSN, o.RequireTLS = strings.Contains(d.offers, "dsn"), strings.Contains(d.offers, "requiretls")
			o.Resolver, o.Blocklists = d.dns, d.lists
			if d.policy != "" {
				o.Backend = d.gate(o)
			}
		})
	}
	c, err := net.Dial("tcp", d.s.addr[d.mode])
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	d.conn, d.tcp, d.in = c, c.(*net.TCPConn), bufio.NewReader(c)
}

// gate is the policy before the backend.
func (d *talk) gate(o *smtpd.Options) smtpd.Backend {
	p := policy.Options{Enforce: strings.Contains(d.policy, "enforce"), Log: o.Log, Checker: senderauth.New(senderauth.Options{Resolver: d.dns, Blocklists: d.lists, LookupTime: 100 * time.Millisecond})}
	if strings.Contains(d.policy, "greylist") {
		p.Greylist = &policy.Greylist{Store: &greylist{first: map[string]time.Time{}, last: map[string]time.Time{}}, Now: o.Now, Log: o.Log}
	}
	return policy.New(o.Backend, p)
}

func (d *talk) send(text, end string) error {
	s, err := strconv.Unquote(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`)
	if err != nil {
		return err
	}
	_, err = io.WriteString(d.conn, s+end)
	return err
}

func (d *talk) expect(ok func(string) bool) error {
	got, err := d.in.ReadString('\n')
	if err != nil {
		return fmt.Errorf("got %q, %v", got, err)
	}
	if got = strings.TrimSuffix(got, "\r\n"); !ok(got) {
		return fmt.Errorf("got %q", got)
	}
	return nil
}

func (d *talk) check(word, rest string) error {
	mails := d.s.b.all()
	if word == "MAILS" {
		if n, _ := strconv.Atoi(rest); n != len(mails) {
			return fmt.Errorf("%d mails were stored", len(mails))
		}
		return nil
	}
	if len(mails) == 0 {
		return fmt.Errorf("no mail was stored")
	}
	m := mails[len(mails)-1]
	want, err := strconv.Unquote(`"` + strings.ReplaceAll(rest, `"`, `\"`) + `"`)
	if err != nil {
		return err
	}
	got := m.full
	ok := strings.Contains(m.full, want)
	switch word {
	case "RAW":
		got, ok = m.raw, m.raw == want
	case "HASNOT":
		ok = !ok
	case "TO":
		got = m.env.ReversePath + " > " + strings.Join(m.env.Recipients, " ")
		ok = got == want
	case "FAULTS":
		got = strings.Join(m.env.Faults, " ")
		ok = got == want
	case "VERDICTS":
		got = ""
		for _, v := range m.env.Auth.Policy {
			got += fmt.Sprintf(" %s %d %s", v.Rule, v.Code, v.Enhanced)
		}
		got = strings.TrimSpace(got)
		ok = got == want
	case "DSN":
		got = fmt.Sprintf("ret=%s envid=%s requiretls=%t", m.env.DSN.Return, m.env.DSN.EnvelopeID, m.env.RequireTLS)
		for _, r := range m.env.DSN.Recipients {
			got += fmt.Sprintf(" notify=%s orcpt=%s", r.Notify, r.ORCPT)
		}
		ok = got == want
	}
	if !ok {
		return fmt.Errorf("the mail is %q", got)
	}
	return nil
}

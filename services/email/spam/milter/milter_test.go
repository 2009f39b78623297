package milter_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"uniqverse/services/email/spam"
	"uniqverse/services/email/spam/milter"
	"uniqverse/smtpd"
)

// filter is the other end: it answers each command with what answers says, "c" otherwise, and writes down what it was told.
type filter struct {
	t       *testing.T
	answers map[string][]string // by command, or by command and data: packets
	options string              // the answer to O; "" agrees
	said    []string
	done    chan struct{}
}

func (f *filter) serve(l net.Listener) {
	defer close(f.done)
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		var size [4]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		p := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(conn, p); err != nil {
			return
		}
		cmd, data := string(p[:1]), strings.ReplaceAll(string(p[1:]), "\x00", "|")
		if cmd == "O" {
			answer := f.options
			if answer == "" {
				answer = "O\x00\x00\x00\x06\x00\x00\x00\x21\x00\x00\x00\x00"
			}
			write(conn, answer)
			continue
		}
		if len(data) > 100 {
			data = fmt.Sprintf("%s… %d", data[:10], len(data))
		}
		f.said = append(f.said, cmd+data)
		if cmd == "D" || cmd == "Q" {
			continue
		}
		packets, ok := f.answers[cmd+data]
		if !ok {
			packets, ok = f.answers[cmd]
		}
		if !ok {
			packets = []string{"c"}
		}
		for _, p := range packets {
			write(conn, p)
		}
	}
}

func write(conn net.Conn, p string) {
	_, _ = conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(p))), p...))
}

// scan lets a filter look at a message.
func scan(t *testing.T, f *filter, message string) (spam.Reason, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.t, f.done = t, make(chan struct{})
	go f.serve(l)
	env := &smtpd.Envelope{ID: "Q1", ReversePath: "ann@example.org", Recipients: []string{"one@x.test", "two@x.test"}, HELO: "mx.example.org", RemoteIP: netip.MustParseAddr("192.0.2.7")}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	r, err := milter.New(l.Addr().String(), "mx.x.test").Scan(ctx, env, strings.NewReader(message), int64(len(message)))
	l.Close()
	<-f.done
	return r, err
}

const small = "Subject: hi\r\nTo: one\r\n\r\nbody\r\n"

func TestWhatAFilterIsTold(t *testing.T) {
	f := &filter{}
	r, err := scan(t, f, small)
	if err != nil || r != (spam.Reason{}) {
		t.Errorf("%+v, %v", r, err)
	}
	want := "DCj|mx.x.test|{client_addr}|192.0.2.7|{client_name}|192.0.2.7|\nC192.0.2.7|4||192.0.2.7|\nHmx.example.org|\nDMi|Q1|{mail_addr}|ann@example.org|\n" +
		"M<ann@example.org>|\nDR{rcpt_addr}|one@x.test|\nR<one@x.test>|\nDR{rcpt_addr}|two@x.test|\nR<two@x.test>|\nT\nLSubject|hi|\nLTo|one|\nN\nBbody\r\n\nE\nQ"
	if got := strings.Join(f.said, "\n"); got != want {
		t.Errorf("told:\n%s\nwant:\n%s", got, want)
	}
}

func TestWhatAFilterSays(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers map[string][]string
		score   float64
		detail  string
	}{
		{"accepts at once", map[string][]string{"C": {"a"}}, 0, ""},
		{"accepts at the end", map[string][]string{"E": {"a"}}, 0, ""},
		{"rejects", map[string][]string{"E": {"r"}}, 8, "reject"},
		{"rejects with a reply", map[string][]string{"E": {"p", "y550 5.7.1 no\x00"}}, 8, "reject 550 5.7.1 no"},
		{"wants to see it later", map[string][]string{"M": {"y451 4.7.1 later\x00"}}, 2.5, "temporary failure 451 4.7.1 later"},
		{"fails", map[string][]string{"E": {"t"}}, 2.5, "temporary failure"},
		{"discards", map[string][]string{"E": {"d"}}, 8, "discard"},
		{"holds", map[string][]string{"E": {"qodd\x00", "c"}}, 5, "quarantine odd"},
		{"flags", map[string][]string{"E": {"hX-Spam-Flag\x00YES\x00", "c"}}, 5, "X-Spam-Flag: YES"},
		{"adds a field", map[string][]string{"E": {"i\x00\x00\x00\x01X-Seen\x00yes\x00", "c"}}, 0, "X-Seen: yes"},
		{"changes a field", map[string][]string{"E": {"m\x00\x00\x00\x01X-Spam\x00Yes\x00", "m\x00\x00\x00\x01X-Old\x00\x00", "c"}}, 5, "X-Spam: Yes"},
		{"changes the body", map[string][]string{"E": {"bnew", "c"}}, 0, "it wants to change the message, which it may not"},
		{"refuses one recipient", map[string][]string{"R<one@x.test>|": {"r"}}, 0, ""},
		{"refuses both", map[string][]string{"R": {"r"}}, 8, "reject"},
		{"has seen enough", map[string][]string{"B": {"s"}, "E": {"r"}}, 8, "reject"},
	} {
		r, err := scan(t, &filter{answers: c.answers}, small)
		if err != nil || r.Score != c.score || r.Detail != c.detail {
			t.Errorf("%s: %+v, %v", c.name, r, err)
		}
	}
}

func TestAFilterThatDoesNotKeepToIt(t *testing.T) {
	for name, f := range map[string]*filter{
		"no negotiation":         {options: "c"},
		"too new":                {options: "O\x00\x00\x00\x07\x00\x00\x00\x21\x00\x00\x00\x00"},
		"says what nobody knows": {answers: map[string][]string{"E": {"Xnew", "c"}}},
		"endless progress":       {answers: map[string][]string{"E": strings.Split(strings.Repeat("p", 2000), "")}},
		"an empty answer":        {answers: map[string][]string{"C": {""}}},
		"an enormous answer":     {answers: map[string][]string{"C": {strings.Repeat("c", 70<<10)}}},
	} {
		if r, err := scan(t, f, small); err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestALargeBodyIsShownInPieces(t *testing.T) {
	f := &filter{}
	if _, err := scan(t, f, "Subject: x\r\n\r\n"+strings.Repeat("0123456789\r\n", 12_000)); err != nil {
		t.Fatal(err)
	}
	var pieces []string
	for _, s := range f.said {
		if s[0] == 'B' {
			pieces = append(pieces, s[strings.LastIndexByte(s, ' ')+1:])
		}
	}
	if got := strings.Join(pieces, " "); got != "65535 65535 12930" {
		t.Errorf("pieces of %s", got)
	}
}

// A filter chooses what it is told, and what it answers; rspamd answers nothing but the end.
func TestStepsThatAreLeftOut(t *testing.T) {
	f := &filter{options: "O\x00\x00\x00\x06\x00\x00\x00\x21\x00\x0f\xf0\x80", answers: map[string][]string{"E": {"r"}}}
	for _, cmd := range []string{"C", "H", "M", "R", "T", "L", "N", "B"} {
		f.answers[cmd] = []string{}
	}
	if r, err := scan(t, f, small); err != nil || r.Score != 8 || len(f.said) != 16 {
		t.Errorf("%+v, %v after %q", r, err, f.said)
	}
	f = &filter{options: "O\x00\x00\x00\x06\x00\x00\x00\x21\x00\x00\x02\x7f", answers: map[string][]string{"E": {"r"}}}
	if r, err := scan(t, f, small); err != nil || r.Score != 8 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, s := range f.said {
		if s[0] != 'D' && s[0] != 'E' && s[0] != 'Q' {
			t.Errorf("told %q", s)
		}
	}
}

// A filter that says nothing is left when the time is over.
func TestASilentFilter(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := milter.New(l.Addr().String(), "x").Scan(ctx, &smtpd.Envelope{}, strings.NewReader(small), 1); err == nil {
		t.Error("no error")
	}
}

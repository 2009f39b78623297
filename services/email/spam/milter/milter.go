// Package milter asks a mail filter about a message in the protocol that Sendmail and Postfix speak with theirs
// (milter protocol, version 6).
//
// It is a client of the parts that a verdict needs: negotiation, CONNECT, HELO, MAIL, RCPT, DATA, the header fields, the
// body and its end, each answered before the next is sent, unless the filter wants that otherwise. It changes no message: the only actions that it offers are added
// fields and quarantine, and both, like every verdict of the filter, become one reason with points in the terms of package
// spam. What a filter wants to change beyond that is not done, and noted.
//
// One connection is made for each message. A Scanner is safe for concurrent use.
package milter

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"uniqverse/services/email/spam"
	"uniqverse/smtpd"
	"uniqverse/smtpd/header"
)

// Timeout bounds one conversation.
const Timeout = 8 * time.Second

// The bounds of what is sent and read.
const (
	maxPacket = 64 << 10 // bytes of an answer
	chunk     = 65535    // bytes of the body in one packet
	maxHead   = 1 << 20  // bytes read for the header section; the edge takes less
	maxBody   = 10 << 20 // bytes of the body that are shown: what comes after is not scanned
	maxSteps  = 1000     // answers to one question, progress reports among them
)

// What is offered: version 6, adding fields and quarantine, and every step to be left out or not to be answered.
const (
	version       = 6
	actAddHeaders = 0x01
	actQuarantine = 0x20
)

// step is what a filter may say of one command in the negotiation.
type step struct{ unsent, unanswered uint32 }

// steps are the flags of the commands.
func steps() map[byte]step {
	return map[byte]step{
		'C': {0x1, 0x1000}, 'H': {0x2, 0x2000}, 'M': {0x4, 0x4000}, 'R': {0x8, 0x8000}, 'T': {0x200, 0x10000},
		'L': {0x20, 0x80}, 'N': {0x40, 0x40000}, 'B': {0x10, 0x80000},
	}
}

// Scanner is a mail filter. Make one with New.
type Scanner struct {
	addr string
	name string // ours, as the filter is told
}

var _ spam.Scanner = (*Scanner)(nil)

// New returns a scanner at host:port; name is this host's.
func New(addr, name string) *Scanner { return &Scanner{addr, name} }

// Name implements spam.Scanner.
func (s *Scanner) Name() string { return "milter" }

// verdict is what the filter has said so far.
type verdict struct {
	final  byte // the answer that ends the conversation; 0 for none
	reply  string
	fields []string // that it adds
	hold   string   // why it wants the message held
	held   bool

	changes bool // it wants the message other than it is
}

// Scan implements spam.Scanner.
func (s *Scanner) Scan(ctx context.Context, env *smtpd.Envelope, message io.Reader, _ int64) (spam.Reason, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return spam.Reason{}, err
	}
	defer conn.Close()
	if end, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(end); err != nil {
			return spam.Reason{}, err
		}
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	t := &talk{conn: conn, r: bufio.NewReader(conn), steps: steps()}
	if err := t.negotiate(); err != nil {
		return spam.Reason{}, err
	}
	if err := s.tell(t, env, message); err != nil {
		return spam.Reason{}, err
	}
	_ = t.send('Q', nil) // polite, and no longer needed
	return t.v.reason(), nil
}

// tell goes through the message until the filter has made up its mind.
func (s *Scanner) tell(t *talk, env *smtpd.Envelope, message io.Reader) error {
	steps := []func() error{
		func() error {
			host, family, addr := "localhost", byte('U'), ""
			if env.RemoteIP.IsValid() {
				if host, family, addr = env.RemoteIP.String(), '4', env.RemoteIP.String(); env.RemoteIP.Is6() {
					family, addr = '6', "IPv6:"+addr
				}
			}
			if err := t.macros('C', "j", s.name, "{client_addr}", addr, "{client_name}", host); err != nil {
				return err
			}
			data := append(str(host), family)
			if family != 'U' {
				data = append(data, 0, 0) // the port: nobody's business
				data = append(data, str(addr)...)
			}
			return t.ask('C', data)
		},
		func() error { return t.ask('H', str(env.HELO)) },
		func() error {
			if err := t.macros('M', "i", env.ID, "{auth_authen}", env.User, "{mail_addr}", env.ReversePath); err != nil {
				return err
			}
			return t.ask('M', str("<"+env.ReversePath+">"))
		},
	}
	refused := 0
	for _, rcpt := range env.Recipients {
		steps = append(steps, func() error {
			if err := t.macros('R', "{rcpt_addr}", rcpt); err != nil {
				return err
			}
			err := t.ask('R', str("<"+rcpt+">"))
			if t.v.final == 'r' || t.v.final == 't' { // this recipient, and not the message
				if refused++; refused < len(env.Recipients) {
					t.v.final = 0
				}
			}
			return err
		})
	}
	steps = append(steps, func() error { return t.ask('T', nil) })
	head, err := io.ReadAll(io.LimitReader(message, maxHead))
	if err != nil {
		return err
	}
	end := header.End(head)
	for _, f := range header.Fields(head[:end]) {
		steps = append(steps, func() error { return t.ask('L', append(str(f.Name), str(strings.TrimPrefix(f.Value(), " "))...)) })
	}
	steps = append(steps, func() error { return t.ask('N', nil) })
	for _, step := range steps {
		if err := step(); err != nil || t.v.final != 0 {
			return err
		}
	}
	rest := bytes.TrimPrefix(head[end:], []byte("\r\n")) // the line between header and body
	return t.body(io.LimitReader(io.MultiReader(bytes.NewReader(rest), message), maxBody))
}

// body shows the body, until the filter has seen enough, and asks for the end's verdict.
func (t *talk) body(src io.Reader) error {
	buf := make([]byte, chunk)
	for !t.enough && t.flags&t.steps['B'].unsent == 0 {
		n, err := io.ReadFull(src, buf)
		if n > 0 {
			if err := t.ask('B', buf[:n]); err != nil || t.v.final != 0 {
				return err
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return err
		}
	}
	return t.ask('E', nil)
}

// talk is one conversation.
type talk struct {
	conn   net.Conn
	r      *bufio.Reader
	v      verdict
	enough bool // the filter wants no more of the body
	steps  map[byte]step
	flags  uint32 // what the filter wants left out
}

func str(s string) []byte { return append([]byte(strings.ReplaceAll(s, "\x00", "")), 0) }

func (t *talk) send(cmd byte, data []byte) error {
	p := binary.BigEndian.AppendUint32(make([]byte, 0, 5+len(data)), uint32(1+len(data)))
	_, err := t.conn.Write(append(append(p, cmd), data...))
	return err
}

func (t *talk) read() (byte, []byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(t.r, size[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n == 0 || n > maxPacket {
		return 0, nil, fmt.Errorf("an answer of %d bytes", n)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(t.r, data); err != nil {
		return 0, nil, err
	}
	return data[0], data[1:], nil
}

func (t *talk) negotiate() error {
	offer := binary.BigEndian.AppendUint32(nil, version)
	offer = binary.BigEndian.AppendUint32(offer, actAddHeaders|actQuarantine)
	flags := uint32(0x400) // a body may be cut short
	for _, s := range t.steps {
		flags |= s.unsent | s.unanswered
	}
	offer = binary.BigEndian.AppendUint32(offer, flags)
	if err := t.send('O', offer); err != nil {
		return err
	}
	cmd, data, err := t.read()
	switch {
	case err != nil:
		return err
	case cmd != 'O' || len(data) < 12:
		return errors.New("it does not negotiate")
	case binary.BigEndian.Uint32(data) < 2 || binary.BigEndian.Uint32(data) > version:
		return fmt.Errorf("it speaks version %d", binary.BigEndian.Uint32(data))
	}
	t.flags = binary.BigEndian.Uint32(data[8:])
	return nil
}

// macros tells values that belong to the next question; empty ones are left out.
func (t *talk) macros(cmd byte, pairs ...string) error {
	data := []byte{cmd}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			data = append(append(data, str(pairs[i])...), str(pairs[i+1])...)
		}
	}
	return t.send('D', data)
}

// ask sends a question and reads until it is answered, as far as the filter wants that.
func (t *talk) ask(cmd byte, data []byte) error {
	if t.flags&t.steps[cmd].unsent != 0 {
		return nil
	}
	if err := t.send(cmd, data); err != nil || t.flags&t.steps[cmd].unanswered != 0 {
		return err
	}
	for range maxSteps {
		got, data, err := t.read()
		if err != nil {
			return err
		}
		switch got {
		case 'c': // continue
			return nil
		case 's': // skip the rest of the body
			t.enough = true
			return nil
		case 'p': // still at work
		case 'h', 'i', 'm': // a field to add or to change, for 'i' and 'm' behind its place; rspamd changes what it adds
			if got != 'h' && len(data) >= 4 {
				data = data[4:]
			}
			name, value, _ := bytes.Cut(data, []byte{0})
			if value = bytes.TrimRight(value, "\x00"); len(value) > 0 && len(t.v.fields) < maxSteps {
				t.v.fields = append(t.v.fields, string(name)+": "+string(value))
			}
		case '+', '-', '2', 'e', 'b': // recipients, the sender, the body: they stay as they are
			t.v.changes = true
		case 'q':
			t.v.held, t.v.hold = true, string(bytes.TrimRight(data, "\x00"))
		case 'y':
			t.v.final, t.v.reply = 'r', string(bytes.TrimRight(data, "\x00"))
			if strings.HasPrefix(t.v.reply, "4") {
				t.v.final = 't'
			}
			return nil
		case 'a', 'r', 't', 'd':
			t.v.final = got
			return nil
		default:
			return fmt.Errorf("an answer %q that was not offered", got)
		}
	}
	return errors.New("it does not come to an end")
}

// reason turns what the filter said into points.
func (v verdict) reason() spam.Reason {
	r := spam.Reason{Rule: "milter"}
	var details []string
	points := func(p float64, detail string) {
		r.Score = max(r.Score, p)
		details = append(details, detail)
	}
	switch v.final {
	case 'r':
		points(8, strings.TrimSpace("reject "+v.reply))
	case 'd':
		points(8, "discard")
	case 't':
		points(2.5, strings.TrimSpace("temporary failure "+v.reply))
	}
	if v.held {
		points(5, strings.TrimSpace("quarantine "+v.hold))
	}
	if v.changes {
		points(0, "it wants to change the message, which it may not")
	}
	for _, f := range v.fields {
		name, value, _ := strings.Cut(strings.ToLower(f), ":")
		if name == "x-spam-flag" && strings.TrimSpace(value) == "yes" || name == "x-spam" && strings.TrimSpace(value) == "yes" {
			points(5, f)
		} else if len(details) < 8 {
			details = append(details, f)
		}
	}
	if len(details) == 0 {
		return spam.Reason{}
	}
	detail := strings.Join(details, ", ")
	r.Detail = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(detail[:min(len(detail), 500)], ""))
	return r
}

package smtpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"uniqverse/internal/event"
	"uniqverse/smtpd/header"
	"uniqverse/smtpd/senderauth"
	"uniqverse/smtpd/spool"
)

// session is what go-smtp calls for the commands that the guard let through. The guard has
// read their arguments already; those are used, and what go-smtp made of them is not.
type session struct {
	g    *guard
	srv  *Server
	copy []byte // between the library and the spool, kept from message to message
}

const copySize = 16 << 10

func (s *Server) newSession(c *smtp.Conn) (smtp.Session, error) {
	g, ok := c.Conn().(*guard)
	if !ok {
		return nil, toLibrary(Unavailable(errors.New("smtpd: a connection without its guard")))
	}
	return &session{g: g, srv: s}, nil
}

// Reset does nothing: the transaction is the guard's.
func (s *session) Reset() {}

// Logout does nothing: the connection is the guard's.
func (s *session) Logout() error { return nil }

// Mail asks the Backend about the sender.
func (s *session) Mail(string, *smtp.MailOptions) error {
	from := s.g.current.mail.From.Addr
	return s.ask("MAIL", from, nil, slog.String("from", from), func(ctx context.Context) error {
		return s.srv.opt.Backend.CheckSender(ctx, s.g.session(), from)
	})
}

// Rcpt asks the Backend about one recipient.
func (s *session) Rcpt(string, *smtp.RcptOptions) error {
	to := s.g.current.rcpt.To
	return s.ask("RCPT", s.g.tx.mail.From.Addr, []string{to}, slog.String("to", to), func(ctx context.Context) error {
		return s.srv.opt.Backend.CheckRecipient(ctx, s.g.session(), to)
	})
}

// ask calls the Backend in bounded time and puts its error in our words.
func (s *session) ask(verb, from string, to []string, what slog.Attr, f func(context.Context) error) error {
	err := s.call(f)
	if err == nil {
		return nil
	}
	r := replyFor(err)
	s.srv.count("smtp_rejects_total", "mode", s.g.mode.String(), "code", strconv.Itoa(r.Code))
	s.srv.log.rejected(s.g, verb, r, what)
	s.g.journal(verb, "", from, to, r)
	if r.HangUp {
		s.g.hangUp(nil)
	}
	return toLibrary(r)
}

// call runs f with the time that the Backend has. A panic in it costs the command, not the
// process, and the peer is told to try again.
func (s *session) call(f func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("smtpd: backend panicked: %v", p)
		}
	}()
	ctx, cancel := context.WithTimeout(s.g.ctx, s.srv.limits.BackendTime)
	defer cancel()
	return f(ctx)
}

func toLibrary(r *Reply) *smtp.SMTPError {
	e := &smtp.SMTPError{Code: r.Code, Message: r.Text}
	if n, err := fmt.Sscanf(r.Enhanced, "%d.%d.%d", &e.EnhancedCode[0], &e.EnhancedCode[1], &e.EnhancedCode[2]); n != 3 || err != nil {
		e.EnhancedCode = smtp.EnhancedCode{r.Code / 100, 0, 0}
	}
	return e
}

// Data receives a message, judges it, and hands it to the Backend. A nil return is the 250.
func (s *session) Data(r io.Reader) error {
	// One byte more than a header section may have, so that one above its limit is seen.
	sp := spool.New(s.srv.opt.SpoolDir, max(s.srv.limits.MemoryBytes, s.srv.limits.HeaderBytes+1))
	defer sp.Remove()
	begun := time.Now()
	if s.copy == nil {
		s.copy = make([]byte, copySize)
	}
	_, err := io.CopyBuffer(sp, r, s.copy)
	if s.g.failed != nil {
		s.srv.count("smtp_messages_total", "mode", s.g.mode.String(), "result", "aborted")
		return toLibrary(Unavailable(err)) // nobody is there to read it
	}
	s.srv.observe("receive", begun)
	if refusal := s.g.body.reply(); refusal != nil {
		return s.refused("", refusal)
	}
	if err != nil {
		return s.refused("", replyFor(fmt.Errorf("spool message: %w", err)))
	}
	return s.received(sp, begun)
}

// received goes on with a message that has come whole.
func (s *session) received(sp *spool.Spool, begun time.Time) error {
	fields, refusal := checkHeader(sp, s.srv.limits, s.g.tx.rcpts)
	if refusal != nil {
		return s.refused("", refusal)
	}
	trace := event.NewTrace()
	env := s.envelope(fields, trace)
	came := time.Now()
	mark := func(step string, at time.Time) { // on one clock, the service's, however that is set
		env.Marks = append(env.Marks, Mark{step, env.ReceivedAt.Add(at.Sub(came)).UnixMicro()})
	}
	mark("connected", s.g.started)
	if !s.g.secured.IsZero() {
		mark("tls", s.g.secured)
	}
	mark("data", begun)
	mark("received", came)
	if refusal := authorRefusal(s.g.mode, env.Faults); refusal != nil {
		return s.refused(env.ID, refusal)
	}

	if s.g.mode == MX {
		at := time.Now()
		env.Auth = s.srv.checker.Check(s.g.ctx, senderauth.Input{
			IP: s.g.remote, HELO: env.HELO, MailFrom: env.ReversePath,
			Fields: fields, Message: sp.Reader,
		})
		s.srv.observe("authenticate", at)
		mark("checked", time.Now())
	}
	msg, err := messageOf(sp, fields, s.g.mode, s.srv.opt.Domain)
	if err != nil {
		return s.refused(env.ID, replyFor(err))
	}
	msg.Prepended = prepended(env, s.srv.opt.Domain)

	at := time.Now()
	err = s.call(func(ctx context.Context) error {
		return s.srv.opt.Backend.Deliver(event.WithTrace(ctx, trace), env, msg)
	})
	s.srv.observe("deliver", at)
	if err != nil {
		return s.refused(env.ID, replyFor(err), slog.String("id", env.ID), slog.String("from", env.ReversePath), slog.Any("to", env.Recipients))
	}
	mode := s.g.mode.String()
	s.srv.count("smtp_messages_total", "mode", mode, "result", "accepted")
	s.srv.add("smtp_message_bytes_total", int(msg.Size), "mode", mode)
	s.srv.log.accepted(s.g, env, msg, time.Since(begun))
	s.g.current.ok = "250 2.0.0 queued as " + env.ID + " trace " + trace.ID
	return nil
}

func (s *session) refused(id string, r *Reply, attrs ...slog.Attr) error {
	result := "rejected"
	if r.Code/100 == 4 {
		result = "deferred"
	}
	s.srv.count("smtp_messages_total", "mode", s.g.mode.String(), "result", result)
	s.srv.count("smtp_rejects_total", "mode", s.g.mode.String(), "code", strconv.Itoa(r.Code))
	s.srv.log.rejected(s.g, "DATA", r, attrs...)
	s.g.journal("DATA", id, s.g.tx.mail.From.Addr, s.g.tx.rcpts, r)
	if r.HangUp {
		s.g.hangUp(nil)
	}
	return toLibrary(r)
}

// envelope collects what is known about the message beside its content.
func (s *session) envelope(fields []header.Field, trace *event.Trace) *Envelope {
	g := s.g
	return &Envelope{
		ID:          newID(),
		Mode:        g.mode,
		ReversePath: g.tx.mail.From.Addr,
		Recipients:  append([]string(nil), g.tx.rcpts...),
		HELO:        g.helo,
		ESMTP:       g.esmtp,
		SMTPUTF8:    g.tx.mail.UTF8,
		EightBit:    g.tx.mail.EightBit,
		RequireTLS:  g.tx.mail.RequireTLS,
		DSN:         DSN{Return: g.tx.mail.Return, EnvelopeID: g.tx.mail.EnvelopeID, Recipients: append([]RecipientDSN(nil), g.tx.dsn...)},
		RemoteIP:    g.remote,
		Loopback:    g.loopback,
		TLS:         g.tls,
		User:        g.user,
		ReceivedAt:  s.srv.opt.Now().UTC(),
		Auth:        senderauth.Unchecked(),
		Traceparent: trace.Traceparent(),
		Faults:      headerFaults(fields),
	}
}

// headerFaults says in words what is odd about a header.
func headerFaults(fields []header.Field) []string {
	if len(fields) == 0 {
		return []string{"no_header"}
	}
	var faults []string
	for _, f := range fields {
		if f.Name == "" {
			faults = append(faults, "bad_field")
			break
		}
	}
	if f := senderauth.AuthorFault(fields); f != "" {
		faults = append(faults, f)
	}
	return faults
}

// checkHeader splits the header section and refuses one that is out of bounds.
func checkHeader(sp *spool.Spool, lim Limits, rcpts []string) ([]header.Field, *Reply) {
	section := sp.Head()[:header.End(sp.Head())]
	if len(section) > lim.HeaderBytes {
		return nil, &Reply{Code: 552, Enhanced: "5.3.4", Text: "The header section is too large", Rule: "header"}
	}
	fields := header.Fields(section)
	if len(fields) > lim.HeaderFields {
		return nil, &Reply{Code: 552, Enhanced: "5.3.4", Text: "The header section has too many fields", Rule: "header"}
	}
	hops := 0
	for _, f := range fields {
		if f.Is("Received") {
			hops++
		}
		if f.Is("Delivered-To") && slices.ContainsFunc(rcpts, func(r string) bool { return strings.EqualFold(r, f.Value()) }) {
			return nil, &Reply{Code: 554, Enhanced: "5.4.6", Text: "The message was delivered to this address before: it is in a loop", Rule: "loop"}
		}
	}
	if hops > lim.Hops {
		return nil, &Reply{Code: 554, Enhanced: "5.4.6", Text: "Too many hops: the message is in a loop", Rule: "loop"}
	}
	return fields, nil
}

// authorRefusal refuses a message whose author different programs would read differently: the one that
// was checked need not be the one that is shown. One without any author is taken, and flagged.
func authorRefusal(mode Mode, faults []string) *Reply {
	text := ""
	switch {
	case slices.Contains(faults, "many_from"):
		text = "The message has more than one author domain; write one From field with addresses of one domain"
	case slices.Contains(faults, "bad_from"):
		text = "The From field cannot be read; write From: Name <address>"
	default:
		return nil
	}
	if mode == MX {
		return &Reply{Code: 550, Enhanced: "5.7.1", Text: text, Rule: "author"}
	}
	return &Reply{Code: 550, Enhanced: "5.6.0", Text: text, Rule: "author"}
}

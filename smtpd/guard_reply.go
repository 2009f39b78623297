package smtpd

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"uniqverse/smtpd/command"
)

// Write takes what go-smtp says, line by line, and answers the peer once a reply is whole.
func (g *guard) Write(p []byte) (int, error) {
	if g.failed != nil {
		return len(p), nil // the last word was ours
	}
	g.partial = append(g.partial, p...)
	for {
		i := bytes.IndexByte(g.partial, '\n')
		if i < 0 {
			return len(p), nil
		}
		line := strings.TrimRight(string(g.partial[:i]), "\r")
		g.partial = g.partial[i+1:]
		g.lines = append(g.lines, line)
		if len(line) < 4 || line[3] != '-' {
			g.replied()
		}
	}
}

// replied handles one whole reply of go-smtp: what it means for the state, and its wording.
func (g *guard) replied() {
	lines, cmd := g.lines, g.current
	g.lines = nil
	last := lines[len(lines)-1]
	code, _ := strconv.Atoi(last[:min(3, len(last))])
	good := code >= 200 && code < 400
	text := strings.Join(lines, "\r\n")
	if code/100 == 2 && cmd.ok != "" {
		text = cmd.ok
	}
	if !good && cmd.bad != "" {
		text = cmd.bad
	}
	switch cmd.verb {
	case "": // the greeting
		text = "220 " + g.srv.opt.Domain + " ESMTP UniQVerse"
	case "HELO", "EHLO":
		if good {
			g.helo, g.esmtp, g.tx = cmd.arg, cmd.verb == "EHLO", nil
			text = g.hello()
		}
	case "MAIL":
		if good {
			g.tx = &transaction{mail: cmd.mail}
		}
	case "RCPT":
		if good {
			g.tx.add(cmd.rcpt)
		} else if !g.refusedRecipient(code) {
			return
		}
	case "DATA":
		if code == 354 {
			g.startBody()
			if g.body.chunked {
				return // the peer speaks BDAT and expects no go-ahead
			}
			text = "354 Go ahead; end with <CRLF>.<CRLF>"
			break
		}
		g.tx = nil
		if g.body.closing() {
			g.say(text)
			g.hangUp(nil)
			return
		}
	case "RSET":
		g.tx = nil
	case "AUTH":
		g.state = stateCommand
		if code == 334 {
			g.state = stateAuth
		}
	}
	g.say(text)
	if code == 421 { // RFC 5321 section 3.8: it says that we close
		g.hangUp(nil)
	}
}

// add takes a recipient in. One that is named again gets the message once, with what was asked for first.
func (t *transaction) add(rcpt command.Rcpt) {
	for _, r := range t.rcpts {
		if strings.EqualFold(r, rcpt.To) {
			return
		}
	}
	t.rcpts = append(t.rcpts, rcpt.To)
	t.dsn = append(t.dsn, RecipientDSN{Notify: rcpt.Notify, ORCPT: rcpt.ORCPT})
}

// refusedRecipient slows down a peer that tries names, and ends it after too many. It returns
// false when it has answered already.
func (g *guard) refusedRecipient(code int) bool {
	if code < 500 || g.loopback {
		return true
	}
	g.unknown++
	if g.unknown > g.srv.limits.UnknownUsers {
		g.hangUp(&Reply{Code: 421, Enhanced: "4.7.0", Text: "Too many refused recipients"})
		return false
	}
	if g.unknown > 3 {
		t := time.NewTimer(time.Duration(g.unknown) * 100 * time.Millisecond)
		defer t.Stop()
		select {
		case <-t.C:
		case <-g.ctx.Done():
		}
	}
	return true
}

// hello is our answer to EHLO: what we offer now, on this port.
func (g *guard) hello() string {
	d := g.srv.opt.Domain
	if !g.esmtp {
		return "250 " + d
	}
	lim := g.srv.limits
	caps := []string{d + " greets you", "PIPELINING", fmt.Sprintf("SIZE %d", lim.MessageBytes), "8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES"}
	if g.srv.opt.DSN {
		caps = append(caps, "DSN")
	}
	if g.srv.opt.RequireTLS && g.tls != nil {
		caps = append(caps, "REQUIRETLS")
	}
	if g.tls == nil && g.srv.opt.TLS != nil {
		caps = append(caps, "STARTTLS")
	}
	if g.tls != nil && g.mode != MX {
		caps = append(caps, "AUTH PLAIN LOGIN OAUTHBEARER")
	}
	caps = append(caps, fmt.Sprintf("LIMITS RCPTMAX=%d", lim.Recipients))
	for i := range caps[:len(caps)-1] {
		caps[i] = "250-" + caps[i]
	}
	caps[len(caps)-1] = "250 " + caps[len(caps)-1]
	return strings.Join(caps, "\r\n")
}

// say queues one reply.
func (g *guard) say(text string) {
	g.out = append(append(g.out, text...), "\r\n"...)
}

func (g *guard) answer(r *Reply) {
	g.say(fmt.Sprintf("%d %s %s", r.Code, r.Enhanced, r.Text))
}

// refuse answers a command that go-smtp never sees, and counts it as the peer's error.
func (g *guard) refuse(r *Reply) {
	g.errors++
	g.srv.count("smtp_rejects_total", "mode", g.mode.String(), "code", strconv.Itoa(r.Code))
	if g.errors > g.srv.limits.Errors {
		g.hangUp(&Reply{Code: 421, Enhanced: "4.7.0", Text: "Too many errors"})
		return
	}
	g.answer(r)
}

// hangUp answers, if there is something to say, and ends the session.
func (g *guard) hangUp(r *Reply) {
	if g.failed != nil {
		return
	}
	if r != nil {
		g.srv.count("smtp_rejects_total", "mode", g.mode.String(), "code", strconv.Itoa(r.Code))
		g.srv.log.rejected(g, g.current.verb, r)
		if g.tx != nil && len(g.tx.rcpts) > 0 && r.Code >= 500 {
			g.journal(g.current.verb, "", g.tx.mail.From.Addr, g.tx.rcpts, r)
		}
		g.answer(r)
	}
	g.flush()
	g.fail(errHungUp)
}

// flush writes what the peer is owed.
func (g *guard) flush() bool {
	if g.failed != nil && len(g.out) == 0 {
		return false
	}
	if len(g.out) == 0 {
		return true
	}
	g.raw.SetWriteDeadline(time.Now().Add(g.srv.limits.Write))
	_, err := g.conn.Write(g.out)
	g.out = g.out[:0]
	if err != nil {
		g.fail(errVanished)
		return false
	}
	return true
}

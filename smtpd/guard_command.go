package smtpd

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-sasl"

	"uniqverse/smtpd/command"
)

// readLine returns the next line without its CRLF; ok is false when the session is over.
// RFC 5321 section 2.3.8: a line ends in CRLF and in nothing else. A peer that sends
// something else is broken or tries to make two servers read differently.
func (g *guard) readLine() (line string, ok bool) {
	for {
		max := g.lineLimit()
		i := bytes.IndexByte(g.buf[g.r:g.w], '\n')
		if i+1 > max || (i < 0 && g.w-g.r >= max) {
			g.hangUp(&Reply{Code: 500, Enhanced: "5.5.2", Text: "The line is too long"})
			return "", false
		}
		if i >= 0 {
			b := g.buf[g.r : g.r+i]
			g.r += i + 1
			if !bytes.HasSuffix(b, []byte("\r")) || !cleanText(b[:len(b)-1]) {
				g.hangUp(&Reply{Code: 500, Enhanced: "5.5.2", Text: "A line is text that ends in CRLF"})
				return "", false
			}
			return string(b[:len(b)-1]), true
		}
		if g.commands == 0 && foreignProtocol(g.buf[g.r:g.w]) {
			g.hangUp(notSMTP())
			return "", false
		}
		if !g.fill(g.commandDeadline(), true) {
			return "", false
		}
	}
}

// lineLimit is how long the next line may be. A token is longer than any command; RFC 4954 section 4.3 wants 12288
// bytes for AUTH and its answers, which are read only from who may sign in.
func (g *guard) lineLimit() int {
	const authLine = 12288
	if g.mode != MX && (g.state == stateAuth || g.tls != nil && g.user == "" && hasPrefixFold(g.buf[g.r:g.w], "AUTH ")) {
		return max(g.srv.limits.CommandLine, authLine)
	}
	return g.srv.limits.CommandLine
}

func hasPrefixFold(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && strings.EqualFold(string(b[:len(prefix)]), prefix)
}

// cleanText reports whether a line holds no control characters and is UTF-8.
func cleanText(b []byte) bool {
	for _, c := range b {
		if (c < ' ' && c != '\t') || c == 0x7f {
			return false
		}
	}
	return utf8.Valid(b)
}

// foreignProtocol recognises a TLS or SSL hello and HTTP. A browser can be made to send a form
// to our port; it must not find a mail server in the lines of its body.
func foreignProtocol(b []byte) bool {
	if len(b) > 0 && (b[0] == 0x16 || b[0] == 0x80) {
		return true
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	verb, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok {
		return false
	}
	if bytes.Contains(rest, []byte(" HTTP/")) {
		return true
	}
	switch strings.ToUpper(string(verb)) {
	case "GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PATCH", "PRI":
		return true
	}
	return false
}

func notSMTP() *Reply {
	return &Reply{Code: 500, Enhanced: "5.5.2", Text: "This is a mail server; it speaks SMTP"}
}

func syntax(enhanced, text string) *Reply {
	return &Reply{Code: 501, Enhanced: enhanced, Text: text}
}

func tooLarge() *Reply {
	return &Reply{Code: 552, Enhanced: "5.3.4", Text: "The message is larger than SIZE allows", Rule: "size"}
}

func refusedBy(r *command.Refusal) *Reply {
	return &Reply{Code: r.Code, Enhanced: r.Enhanced, Text: oneLine(r.Text)}
}

func outOfOrder(text string) *Reply { return &Reply{Code: 503, Enhanced: "5.5.1", Text: text} }

// nextCommand reads one command and either hands it to go-smtp or answers it.
func (g *guard) nextCommand() {
	verb, arg, ok := g.readCommand()
	if !ok {
		return
	}
	switch verb {
	case "HELO", "EHLO":
		g.cmdHello(verb, arg)
	case "MAIL":
		g.cmdMail(arg)
	case "RCPT":
		g.cmdRcpt(arg)
	case "DATA":
		g.cmdData(arg)
	case "BDAT":
		g.cmdBdat(arg)
	case "AUTH":
		g.cmdAuth(arg)
	case "STARTTLS":
		g.cmdStartTLS(arg)
	case "RSET", "QUIT":
		if arg != "" {
			g.refuse(syntax("5.5.4", verb+" takes no argument"))
			return
		}
		ok := "250 2.0.0 Reset"
		if verb == "QUIT" {
			ok = "221 2.0.0 " + g.srv.opt.Domain + " says goodbye"
		}
		g.pass(passed{verb: verb, ok: ok}, verb)
	default:
		g.simple(verb, arg)
	}
}

// readCommand reads a line and cuts it into verb and argument. It ends sessions that are
// draining or too long.
func (g *guard) readCommand() (verb, arg string, ok bool) {
	line, ok := g.readLine()
	if !ok {
		return "", "", false
	}
	if g.isDraining() {
		g.hangUp(shuttingDown())
		return "", "", false
	}
	g.commands++
	if g.commands > g.srv.limits.Commands && !g.loopback {
		g.hangUp(&Reply{Code: 421, Enhanced: "4.7.0", Text: "Too many commands in one session"})
		return "", "", false
	}
	if time.Since(g.started) >= g.srv.limits.SessionTime {
		g.hangUp(&Reply{Code: 421, Enhanced: "4.7.0", Text: "The session took too long"})
		return "", "", false
	}
	if foreignProtocol([]byte(line)) {
		g.hangUp(notSMTP())
		return "", "", false
	}
	verb, arg, _ = strings.Cut(line, " ")
	return strings.ToUpper(verb), strings.TrimSpace(arg), true
}

// simple answers the commands that touch no state.
func (g *guard) simple(verb, arg string) {
	switch verb {
	case "NOOP":
		g.say("250 2.0.0 OK")
	case "VRFY":
		if arg == "" {
			g.refuse(syntax("5.5.4", "VRFY takes an address"))
			return
		}
		g.say("252 2.5.0 Send to it and see")
	case "HELP":
		g.say("214 2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY STARTTLS AUTH QUIT; see RFC 5321")
	case "EXPN", "TURN", "ETRN", "ATRN", "SEND", "SOML", "SAML":
		g.refuse(&Reply{Code: 502, Enhanced: "5.5.1", Text: verb + " is not offered here"})
	default:
		g.refuse(&Reply{Code: 500, Enhanced: "5.5.1", Text: "Unknown command; HELP lists what there is"})
	}
}

// pass hands a command to go-smtp.
func (g *guard) pass(c passed, line string) {
	g.current = c
	g.feed = append(append(g.feed[:0], line...), "\r\n"...)
}

func (g *guard) cmdHello(verb, arg string) {
	if arg == "" || len(arg) > 255 || strings.ContainsAny(arg, " \t") {
		g.refuse(syntax("5.5.4", verb+" takes your host name"))
		return
	}
	g.pass(passed{verb: verb, arg: arg}, verb+" "+arg)
}

// offer is which parameters of MAIL and RCPT are taken now.
func (g *guard) offer() command.Offer {
	return command.Offer{MaxBytes: g.srv.limits.MessageBytes, DSN: g.srv.opt.DSN, RequireTLS: g.srv.opt.RequireTLS && g.tls != nil}
}

func (g *guard) cmdMail(arg string) {
	switch {
	case g.helo == "":
		g.refuse(outOfOrder("Say EHLO first"))
	case g.mode != MX && g.user == "" && g.tls == nil:
		g.refuse(&Reply{Code: 530, Enhanced: "5.7.0", Text: "Start TLS and sign in first"})
	case g.mode != MX && g.user == "":
		g.refuse(&Reply{Code: 530, Enhanced: "5.7.0", Text: "Sign in with AUTH first"})
	case g.tx != nil:
		g.refuse(outOfOrder("There is a sender already; RSET starts over"))
	default:
		m, refusal := command.ParseMail(arg, g.offer())
		if refusal != nil {
			g.refuse(refusedBy(refusal))
			return
		}
		if !g.loopback && g.user == "" && g.srv.peers.Message(g.remote) > g.srv.limits.MessageRate {
			g.refuse(&Reply{Code: 450, Enhanced: "4.7.1", Text: "Too many messages from your address; wait a minute", Rule: "rate"})
			return
		}
		g.pass(passed{verb: "MAIL", mail: m, ok: "250 2.1.0 Sender OK"}, "MAIL FROM:<"+m.From.Addr+">")
	}
}

func (g *guard) cmdRcpt(arg string) {
	if g.tx == nil {
		g.refuse(outOfOrder("Say MAIL first"))
		return
	}
	rcpt, refusal := command.ParseRcpt(arg, g.srv.opt.Domain, g.tx.mail.UTF8, g.offer())
	if refusal != nil {
		g.refuse(refusedBy(refusal))
		return
	}
	// A bounce goes to one address; many are a way to reach many with one forged message.
	if n := len(g.tx.rcpts); n >= g.srv.limits.Recipients || (n > 0 && g.tx.mail.From.Addr == "") {
		r := &Reply{Code: 452, Enhanced: "4.5.3", Text: "Too many recipients; send the rest in another message", Rule: "recipients"}
		g.journal("RCPT", "", g.tx.mail.From.Addr, []string{rcpt.To}, r)
		g.answer(r)
		return
	}
	g.pass(passed{verb: "RCPT", rcpt: rcpt, ok: "250 2.1.5 Recipient OK"}, "RCPT TO:<"+rcpt.To+">")
}

func (g *guard) cmdData(arg string) {
	switch {
	case g.w > g.r:
		// RFC 2920 section 3.1: DATA ends a group. What follows it was sent without waiting
		// for our 354 and would be run as commands if we refused.
		g.current = passed{verb: "DATA"}
		g.hangUp(outOfOrder("Wait for 354 after DATA"))
	case arg != "":
		g.refuse(syntax("5.5.4", "DATA takes no argument"))
	case g.tx == nil:
		g.refuse(outOfOrder("Say MAIL and RCPT first"))
	case len(g.tx.rcpts) == 0:
		g.refuse(outOfOrder("No recipient was accepted"))
	default:
		g.body = bodyState{}
		g.pass(passed{verb: "DATA"}, "DATA")
	}
}

func (g *guard) cmdStartTLS(arg string) {
	switch {
	case arg != "":
		g.refuse(syntax("5.5.2", "STARTTLS takes no argument"))
	case g.tls != nil:
		g.refuse(outOfOrder("TLS is on already"))
	case g.srv.opt.TLS == nil:
		g.refuse(&Reply{Code: 502, Enhanced: "5.5.1", Text: "STARTTLS is not offered here"})
	case g.w > g.r:
		// Bytes that came in plain text must never be taken for the first ones under TLS.
		g.r, g.w = 0, 0
		g.current = passed{verb: "STARTTLS"}
		g.hangUp(outOfOrder("Wait for 220 after STARTTLS"))
	default:
		g.say("220 2.0.0 Ready to start TLS")
		if g.flush() && g.handshake() {
			// RFC 3207 section 4.2: all that was said before is forgotten. go-smtp forgets its
			// part at the EHLO that now has to come before anything else.
			g.helo, g.tx = "", nil
		}
	}
}

func (g *guard) cmdAuth(arg string) {
	mech, initial, has := strings.Cut(arg, " ")
	switch {
	case g.mode == MX:
		g.refuse(&Reply{Code: 502, Enhanced: "5.5.1", Text: "AUTH is not offered on this port; use submission"})
	case g.helo == "":
		g.refuse(outOfOrder("Say EHLO first"))
	case g.tls == nil:
		g.refuse(&Reply{Code: 538, Enhanced: "5.7.11", Text: "Start TLS before you sign in"})
	case g.user != "":
		g.refuse(outOfOrder("You are signed in already"))
	case g.tx != nil:
		g.refuse(outOfOrder("Not within a message"))
	case mech == "":
		g.refuse(syntax("5.5.4", "AUTH takes a mechanism: PLAIN, LOGIN or OAUTHBEARER"))
	case !strings.EqualFold(mech, sasl.Plain) && !strings.EqualFold(mech, sasl.Login) && !strings.EqualFold(mech, sasl.OAuthBearer):
		g.refuse(unknownMechanism())
	case has && !base64OK(initial):
		g.refuse(syntax("5.5.2", "That is not base64"))
	case g.srv.tooManyFailures(g):
		g.hangUp(&Reply{Code: 421, Enhanced: "4.7.0", Text: "Too many failed sign-ins; wait a minute"})
	default:
		g.pass(passed{verb: "AUTH", ok: "235 2.7.0 Signed in"}, "AUTH "+arg)
	}
}

func base64OK(s string) bool {
	if s == "=" {
		return true
	}
	_, err := base64.StdEncoding.DecodeString(s)
	return err == nil && s != ""
}

// nextAuthLine hands the peer's answer to a challenge to go-smtp, and says better than the
// library what was wrong with it.
func (g *guard) nextAuthLine() {
	line, ok := g.readLine()
	if !ok {
		return
	}
	switch {
	case line == "*":
		g.current.bad = "501 5.7.0 Sign-in cancelled"
	case line != "" && !base64OK(line):
		g.errors++
		g.current.bad = "501 5.5.2 That is not base64"
		line = "!"
	}
	g.feed = append(append(g.feed[:0], line...), "\r\n"...)
}

// cmdBdat starts or continues a message in chunks (RFC 3030).
func (g *guard) cmdBdat(arg string) {
	n, last, ok := parseBdat(arg)
	if !ok {
		// How many octets follow is unknown, so nothing after this can be understood.
		g.current = passed{verb: "BDAT"}
		g.hangUp(syntax("5.5.4", "Write BDAT size [LAST]"))
		return
	}
	if g.state != stateBetween {
		g.body = bodyState{chunked: true}
	}
	lim := g.srv.limits.MessageBytes
	switch {
	case g.tx == nil || len(g.tx.rcpts) == 0:
		if g.skip(n) {
			g.refuse(outOfOrder("Say MAIL and RCPT first"))
		}
	case g.body.size+n > lim:
		if g.skip(n) {
			g.abort("552 5.3.4 The message is larger than SIZE allows")
		}
	case g.state == stateBetween:
		g.body.left, g.body.last = n, last
		g.state = stateChunk
	default:
		// go-smtp is told DATA and given the chunks with dots stuffed: its own BDAT takes the
		// end of a connection for the end of a chunk, and a message cut short for a whole one.
		g.body = bodyState{chunked: true, left: n, last: last}
		g.pass(passed{verb: "DATA"}, "DATA")
	}
}

func parseBdat(arg string) (n int64, last, ok bool) {
	size, word, has := strings.Cut(arg, " ")
	if has && !strings.EqualFold(strings.TrimSpace(word), "LAST") {
		return 0, false, false
	}
	u, err := strconv.ParseUint(size, 10, 62)
	return int64(u), has, err == nil
}

// abort gives up a message in chunks, whether go-smtp has begun it or not, with this reply.
func (g *guard) abort(reply string) {
	if g.state == stateBetween {
		g.body.fault = faultAborted
		g.current.ok, g.current.bad = reply, reply
		g.endOfBody(true)
		return
	}
	g.pass(passed{verb: "RSET", ok: reply}, "RSET")
}

// nextBetween handles the commands that may come between the chunks of one message.
func (g *guard) nextBetween() {
	verb, arg, ok := g.readCommand()
	if !ok {
		return
	}
	switch verb {
	case "BDAT":
		g.cmdBdat(arg)
	case "RSET":
		g.abort("250 2.0.0 Reset")
	case "QUIT":
		g.say("221 2.0.0 " + g.srv.opt.Domain + " says goodbye")
		g.hangUp(nil)
	case "NOOP", "VRFY", "HELP":
		g.simple(verb, arg)
	default:
		g.refuse(outOfOrder("The message is not complete; send BDAT or RSET"))
	}
}

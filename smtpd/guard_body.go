package smtpd

import (
	"bytes"
	"time"
)

// bodyState is how far a message has come.
type bodyState struct {
	chunked bool      // BDAT
	left    int64     // octets of the chunk still to come
	last    bool      // it is the last chunk
	begun   time.Time // when the message began
	size    int64     // octets so far, without stuffed dots
	line    int       // octets of the line so far
	at      place
	fault   fault
}

// place is where in a line the scanner is.
type place int

const (
	atStart place = iota // of a line
	atDot                // after a dot that starts a line
	atDotCR              // after a dot and a CR: the end, if LF follows
	atText
	atCR
)

// fault is what is wrong with a message. It is remembered while the rest is read.
type fault int

const (
	faultNone    fault = iota
	faultNewline       // a CR or LF on its own
	faultLong          // a line above the limit
	faultNUL
	faultSize
	faultAborted // RSET between chunks
)

// closing reports whether the session ends after the reply. RFC 5321 section 2.3.8: a peer
// that sends CR or LF alone may be carrying another server's message that ends elsewhere for
// us; nothing that follows it can be trusted. A chunk has its length, so there it can.
func (b *bodyState) closing() bool { return b.fault == faultNewline && !b.chunked }

func (b *bodyState) reply() *Reply {
	switch b.fault {
	case faultNewline:
		if b.chunked {
			return &Reply{Code: 554, Enhanced: "5.6.0", Text: "The message has CR or LF alone; lines end in CRLF", Rule: "line_ends"}
		}
		return &Reply{Code: 521, Enhanced: "5.5.2", Text: "The message has CR or LF alone; lines end in CRLF", Rule: "line_ends"}
	case faultLong:
		return &Reply{Code: 554, Enhanced: "5.6.0", Text: "The message has a line that is too long", Rule: "line_length"}
	case faultNUL:
		return &Reply{Code: 554, Enhanced: "5.6.0", Text: "The message has NUL octets", Rule: "nul"}
	case faultSize:
		return tooLarge()
	case faultAborted:
		return &Reply{Code: 451, Enhanced: "4.3.0", Text: "The message was given up"}
	}
	return nil
}

func (b *bodyState) blame(f fault) {
	// Two faults: the one that closes the connection counts.
	if b.fault == faultNone || f == faultNewline {
		b.fault = f
	}
}

func (g *guard) startBody() {
	g.body.begun = time.Now()
	g.state = stateData
	if g.body.chunked {
		g.state = stateChunk
	}
}

// bodyDeadline is how long the next bytes of the message may take, and all of it.
func (g *guard) bodyDeadline() time.Time {
	l := g.srv.limits
	idle := time.Now().Add(l.DataIdle)
	end := g.body.begun.Add(l.DataTime + time.Duration(g.body.size>>10)*time.Second)
	if end.Before(idle) {
		return end
	}
	return idle
}

// scan looks at one octet of the message; end is true at the LF of the final line. The
// message ends with CRLF, dot, CRLF and with nothing that looks similar.
func (b *bodyState) scan(c byte, maxLine int) (end bool) {
	b.size++
	b.line++
	if c == 0 {
		b.blame(faultNUL)
	}
	if b.line > maxLine {
		b.blame(faultLong)
	}
	switch b.at {
	case atDot:
		if c == '\r' {
			b.at = atDotCR
			return false
		}
		b.size-- // the dot was stuffed
		b.at = atText
	case atDotCR:
		if c == '\n' {
			b.size -= 3
			return true
		}
		b.blame(faultNewline)
		b.at = atText
	case atCR:
		if c == '\n' {
			b.at, b.line = atStart, 0
			return false
		}
		b.blame(faultNewline)
		b.at = atText
	case atStart:
		if c == '.' && !b.chunked {
			b.at = atDot
			return false
		}
		b.at = atText
	}
	switch c {
	case '\r':
		b.at = atCR
	case '\n':
		b.blame(faultNewline)
	}
	return false
}

// plain takes the octets at hand that are text within a line, at most most, and returns how many they are: that is what a
// message mostly is. 0 says that scan has to look at the next one.
func (b *bodyState) plain(buf []byte, most, maxLine int, maxBytes int64) int {
	if b.fault != faultNone || b.at != atText && b.at != atStart || b.at == atStart && buf[0] == '.' {
		return 0
	}
	// Where a limit may be met, octet by octet.
	k := min(len(buf), most, maxLine-b.line)
	if k <= 0 || b.size+int64(k) > maxBytes {
		return 0
	}
	for _, special := range [...]byte{'\r', '\n', 0} {
		if i := bytes.IndexByte(buf[:k], special); i >= 0 {
			k = i
		}
	}
	if k == 0 {
		return 0
	}
	b.size += int64(k)
	b.line += k
	b.at = atText
	return k
}

// readData moves octets of a DATA to go-smtp, up to and including the final dot and never
// beyond. After a fault they are only scanned: a message that is refused need not be kept,
// but its end must be found before another command is read.
func (g *guard) readData(p []byte) int {
	if g.r == g.w && !g.fill(g.bodyDeadline(), false) {
		return 0
	}
	b, lim := &g.body, g.srv.limits
	n := 0
	for g.r < g.w && n < len(p) {
		if k := b.plain(g.buf[g.r:g.w], len(p)-n, lim.BodyLine+2, lim.MessageBytes); k > 0 {
			copy(p[n:], g.buf[g.r:g.r+k])
			n, g.r = n+k, g.r+k
			continue
		}
		c := g.buf[g.r]
		g.r++
		end := b.scan(c, lim.BodyLine+2)
		if b.size > lim.MessageBytes && !end && b.at != atDot && b.at != atDotCR {
			b.blame(faultSize)
			if b.size > 2*lim.MessageBytes {
				g.hangUp(tooLarge())
				return 0
			}
		}
		if b.fault == faultNone {
			p[n] = c
			n++
		}
		if end {
			g.endOfBody(b.fault != faultNone)
			break
		}
	}
	return n
}

// endOfBody ends the message for the session and the guard. With synthetic, go-smtp has not
// got the real end; it gets one that works from wherever its own scanner stands.
func (g *guard) endOfBody(synthetic bool) {
	g.state = stateEndOfData
	if synthetic {
		g.feed = append(g.feed[:0], "x\r\n.\r\n"...)
	}
}

// readChunk moves octets of a BDAT to go-smtp in the form of DATA.
func (g *guard) readChunk() {
	b, lim := &g.body, g.srv.limits
	if b.left > 0 && g.r == g.w && !g.fill(g.bodyDeadline(), false) {
		return
	}
	out := g.feed[:0]
	for b.left > 0 && g.r < g.w {
		if k := b.plain(g.buf[g.r:g.w], int(min(b.left, bufferSize)), lim.BodyLine+2, lim.MessageBytes); k > 0 {
			out = append(out, g.buf[g.r:g.r+k]...)
			g.r += k
			b.left -= int64(k)
			continue
		}
		c := g.buf[g.r]
		g.r++
		b.left--
		if b.at == atStart && c == '.' {
			out = append(out, '.')
		}
		b.scan(c, lim.BodyLine+2)
		out = append(out, c)
	}
	if b.fault != faultNone {
		out = out[:0]
	}
	g.feed = out
	if b.left > 0 {
		return
	}
	if !b.last {
		g.say("250 2.0.0 Continue")
		g.state = stateBetween
		return
	}
	switch {
	case b.at == atCR:
		b.blame(faultNewline)
		fallthrough
	case b.fault != faultNone:
		g.endOfBody(true)
	case b.at == atStart:
		g.feed = append(g.feed, ".\r\n"...)
		g.endOfBody(false)
	default: // a text without a last line end gets one
		g.feed = append(g.feed, "\r\n.\r\n"...)
		g.endOfBody(false)
	}
}

// skip reads and drops the octets of a chunk that is refused.
func (g *guard) skip(n int64) bool {
	if n > 2*g.srv.limits.MessageBytes {
		g.hangUp(tooLarge())
		return false
	}
	if g.body.begun.IsZero() {
		g.body.begun = time.Now()
	}
	for n > 0 {
		if g.r == g.w && !g.fill(g.bodyDeadline(), false) {
			return false
		}
		k := min(n, int64(g.w-g.r))
		g.r += int(k)
		n -= k
	}
	return true
}

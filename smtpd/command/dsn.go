package command

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of RFC 3461 sections 4.2 and 4.4, in bytes as sent.
const (
	maxEnvelopeID = 100
	maxORCPT      = 500
)

// dsnParam reads a parameter of MAIL that RFC 3461 adds; known is false when it is none.
func (m *Mail) dsnParam(name, value string) (refusal *Refusal, known bool) {
	switch name {
	case "RET":
		if m.Return = strings.ToUpper(value); m.Return != "FULL" && m.Return != "HDRS" {
			return syntax("5.5.4", "RET is FULL or HDRS"), true
		}
	case "ENVID":
		id, ok := xtext(value)
		if !ok || id == "" || len(value) > maxEnvelopeID {
			return syntax("5.5.4", "ENVID takes up to 100 characters of xtext"), true
		}
		m.EnvelopeID = id
	default:
		return nil, false
	}
	return nil, true
}

// dsnParam reads a parameter of RCPT that RFC 3461 adds; known is false when it is none.
func (r *Rcpt) dsnParam(name, value string) (refusal *Refusal, known bool) {
	switch name {
	case "NOTIFY":
		notify, ok := parseNotify(value)
		if !ok {
			return syntax("5.5.4", "NOTIFY is NEVER or a list of SUCCESS, FAILURE and DELAY"), true
		}
		r.Notify = notify
	case "ORCPT":
		orcpt, ok := parseORCPT(value)
		if !ok {
			return syntax("5.5.4", "ORCPT takes type;address, the address as xtext"), true
		}
		r.ORCPT = orcpt
	default:
		return nil, false
	}
	return nil, true
}

// parseNotify reads NEVER, or a list in which each word stands once, and returns it in capitals.
func parseNotify(value string) (string, bool) {
	value = strings.ToUpper(value)
	if value == "NEVER" {
		return value, true
	}
	words := strings.Split(value, ",")
	for i, w := range words {
		if w != "SUCCESS" && w != "FAILURE" && w != "DELAY" || slices.Contains(words[:i], w) {
			return "", false
		}
	}
	return value, true
}

// parseORCPT reads an address with its type (RFC 3461 section 4.2, RFC 6533 section 3) and returns it
// decoded, the type in lower case.
func parseORCPT(value string) (string, bool) {
	kind, addr, ok := strings.Cut(value, ";")
	if !ok || len(value) > maxORCPT || kind == "" || strings.Trim(strings.ToUpper(kind), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
		return "", false
	}
	kind = strings.ToLower(kind)
	decode := xtext
	if kind == "utf-8" {
		decode = utf8Text
	}
	addr, ok = decode(addr)
	return kind + ";" + addr, ok && addr != ""
}

// xtext decodes +HH (RFC 3461 section 4). What comes out is printable ASCII: it will be written into
// reports, where a line break would add lines.
func xtext(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '+' {
			if i+2 >= len(s) || strings.Trim(s[i+1:i+3], "0123456789ABCDEF") != "" {
				return "", false
			}
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", false
			}
			c = byte(n)
			i += 2
		} else if c == '=' {
			return "", false
		}
		if c < ' ' || c > '~' {
			return "", false
		}
		b.WriteByte(c)
	}
	return b.String(), true
}

// utf8Text decodes \x{HEX} (RFC 6533 section 3) besides plain UTF-8.
func utf8Text(s string) (string, bool) {
	var b strings.Builder
	for s != "" {
		if hex, ok := strings.CutPrefix(s, `\x{`); ok {
			digits, rest, ok := strings.Cut(hex, "}")
			n, err := strconv.ParseUint(digits, 16, 21)
			if !ok || err != nil || !utf8.ValidRune(rune(n)) || n < ' ' || n == 0x7f {
				return "", false
			}
			b.WriteRune(rune(n))
			s = rest
			continue
		}
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError || r <= ' ' || r == 0x7f || r == '+' || r == '=' || r == '\\' {
			return "", false
		}
		b.WriteRune(r)
		s = s[n:]
	}
	return b.String(), true
}

package mime

import (
	"net/mail"
	"strings"
	"time"
)

// Address is one author or recipient of a header field.
type Address struct {
	Name string // decoded; "" when there is none
	Addr string // "local@domain" as written; "" when it cannot be read
}

// String returns the address for people: "Name <addr>".
func (a Address) String() string {
	switch {
	case a.Name == "":
		return a.Addr
	case a.Addr == "":
		return a.Name
	}
	return a.Name + " <" + a.Addr + ">"
}

// Domain returns what follows the last @ of the address, in lower case; "" when there is none.
func (a Address) Domain() string {
	i := strings.LastIndexByte(a.Addr, '@')
	if i < 0 {
		return ""
	}
	return strings.ToLower(a.Addr[i+1:])
}

// Addresses reads a list of addresses (RFC 5322 section 3.4), however sloppy, and returns at
// most most of them. Groups are taken apart. It is for showing: what a message is checked by
// is decided by package senderauth.
func Addresses(field string, most int) []Address {
	field = clipBytes(field, 64<<10)
	var out []Address
	for field != "" && len(out) < most {
		var one string
		one, field = cutAddress(field)
		if a := readAddress(one); a != (Address{}) {
			out = append(out, a)
		}
	}
	return out
}

// cutAddress cuts at the first comma or semicolon outside quotes, comments and <>; the name
// of a group before it is dropped.
func cutAddress(s string) (one, rest string) {
	quoted, angle, depth, start := false, false, 0, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && (quoted || depth > 0):
			i++
		case c == '"' && depth == 0:
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth > 0:
		case c == '<':
			angle = true
		case c == '>':
			angle = false
		case angle:
		case c == ',' || c == ';':
			return s[start:i], s[i+1:]
		case c == ':' && !strings.Contains(s[start:i], "@"):
			start = i + 1
		}
	}
	return s[start:], ""
}

// readAddress reads one address with its name: "Name <addr>", "addr (Name)", "addr".
func readAddress(s string) Address {
	quoted := false
	lt, gt := -1, -1
	for i := 0; i < len(s) && gt < 0; i++ {
		switch c := s[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == '<' && !quoted:
			lt = i
		case c == '>' && !quoted && lt >= 0:
			gt = i
		}
	}
	if lt >= 0 {
		if gt < 0 {
			gt = len(s)
		}
		addr := strings.TrimSpace(s[lt+1 : gt])
		if i := strings.LastIndexByte(addr, ':'); i >= 0 && strings.HasPrefix(addr, "@") {
			addr = addr[i+1:] // a source route
		}
		return Address{Name: Line(Header(unquoteWords(s[:lt])), 200), Addr: Line(addr, 320)}
	}
	bare := Line(stripComments(s), 320)
	if !strings.Contains(bare, "@") {
		return Address{Name: Line(Header(unquoteWords(s)), 200)}
	}
	name := ""
	if i := strings.LastIndexByte(s, '('); i >= 0 {
		name, _, _ = strings.Cut(s[i+1:], ")")
	}
	return Address{Name: Line(Header(name), 200), Addr: bare}
}

// unquoteWords takes the quotes off a name and undoes their backslashes.
func unquoteWords(s string) string {
	if !strings.Contains(s, `"`) {
		return s
	}
	var b strings.Builder
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Date reads a Date field (RFC 5322 section 3.3 and what is found beside it); the zero time
// when it cannot be read or lies outside the years 1970 to 2199.
func Date(field string) time.Time {
	field = strings.TrimSpace(stripComments(clipBytes(field, 200)))
	t, err := time.Parse("Mon, 2 Jan 2006 15:04:05 -0700", field) // as nearly all are
	if err != nil {
		t, err = mail.ParseDate(field)
	}
	for _, layout := range []string{"Mon, 2 Jan 2006 15:04:05", "2 Jan 2006 15:04:05", "Mon Jan _2 15:04:05 2006", time.RFC3339, "2006-01-02 15:04:05"} {
		if err == nil {
			break
		}
		t, err = time.Parse(layout, field)
	}
	if err != nil || t.Year() < 1970 || t.Year() > 2199 {
		return time.Time{}
	}
	return t.UTC()
}

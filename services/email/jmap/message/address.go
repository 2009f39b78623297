package message

import (
	"strings"

	"uniqverse/services/email/mime"
)

// Address is an EmailAddress.
type Address struct {
	Name  *string `json:"name"`
	Email string  `json:"email"`
}

// Group is an EmailAddressGroup; Name is nil for addresses outside of any.
type Group struct {
	Name      *string   `json:"name"`
	Addresses []Address `json:"addresses"`
}

// maxAddresses bounds how many addresses of a field are read.
const maxAddresses = 5000

// tokenKind is what a piece of a structured field is.
type tokenKind int

const (
	tokenAtom tokenKind = iota
	tokenQuoted
	tokenSpecial
	tokenComment
)

type token struct {
	kind  tokenKind
	text  string
	blank bool // white space before it
}

// tokens cuts an address field into pieces.
func tokens(s string) []token {
	var out []token
	blank := false
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			blank = true
			i++
			continue
		case c == '"':
			var b strings.Builder
			for i++; i < len(s) && s[i] != '"'; i++ {
				if s[i] == '\\' && i+1 < len(s) {
					i++
				}
				b.WriteByte(s[i])
			}
			i++
			out = append(out, token{tokenQuoted, b.String(), blank})
		case c == '(':
			var b strings.Builder
			depth := 1
			for i++; i < len(s) && depth > 0; i++ {
				switch {
				case s[i] == '\\' && i+1 < len(s):
					i++
					b.WriteByte(s[i])
					continue
				case s[i] == '(':
					depth++
				case s[i] == ')':
					if depth--; depth == 0 {
						continue
					}
				}
				b.WriteByte(s[i])
			}
			out = append(out, token{tokenComment, b.String(), blank})
		case strings.IndexByte("<>,;:@[]", c) >= 0:
			out = append(out, token{tokenSpecial, string(c), blank})
			i++
		default:
			j := i
			for j < len(s) && strings.IndexByte(" \t\r\n\"(<>,;:@[]", s[j]) < 0 {
				j++
			}
			out = append(out, token{tokenAtom, s[i:j], blank})
			i = j
		}
		blank = false
	}
	return out
}

// Groups reads an address field (RFC 5322 section 3.4, and what is found beside it) with its groups.
func Groups(field string) []Group {
	p := &addressParser{in: tokens(field)}
	return p.groups()
}

// Addresses reads an address field without its groups.
func Addresses(field string) []Address {
	out := []Address{}
	for _, g := range Groups(field) {
		out = append(out, g.Addresses...)
	}
	return out
}

type addressParser struct {
	in  []token
	pos int
	n   int // addresses so far
}

func (p *addressParser) groups() []Group {
	out := []Group{}
	loose := Group{Addresses: []Address{}} // addresses outside of groups since the last one
	flush := func() {
		if len(loose.Addresses) > 0 {
			out = append(out, loose)
			loose = Group{Addresses: []Address{}}
		}
	}
	for p.pos < len(p.in) && p.n < maxAddresses {
		if name, ok := p.groupStart(); ok {
			flush()
			g := Group{Name: &name, Addresses: []Address{}}
			for p.pos < len(p.in) && !p.is(";") && p.n < maxAddresses {
				p.add(&g)
			}
			p.pos++
			out = append(out, g)
			continue
		}
		if p.is(";") {
			p.pos++
			continue
		}
		p.add(&loose)
	}
	flush()
	return out
}

func (p *addressParser) is(special string) bool {
	return p.pos < len(p.in) && p.in[p.pos].kind == tokenSpecial && p.in[p.pos].text == special
}

// groupStart reads "name:" if that comes next.
func (p *addressParser) groupStart() (string, bool) {
	i := p.pos
	for i < len(p.in) && p.in[i].kind != tokenSpecial {
		i++
	}
	if i == p.pos || i >= len(p.in) || p.in[i].text != ":" {
		return "", false
	}
	name := phrase(p.in[p.pos:i])
	p.pos = i + 1
	return name, true
}

// add reads up to the next comma or end of the group.
func (p *addressParser) add(g *Group) {
	start, angle := p.pos, false
	for ; p.pos < len(p.in); p.pos++ {
		t := p.in[p.pos]
		if t.kind != tokenSpecial {
			continue
		}
		switch t.text {
		case "<":
			angle = true
		case ">":
			angle = false
		}
		if !angle && (t.text == "," || t.text == ";") {
			break
		}
	}
	piece := p.in[start:p.pos]
	if p.is(",") {
		p.pos++
	}
	if a, ok := readAddress(piece); ok {
		g.Addresses = append(g.Addresses, a)
		p.n++
	}
}

func readAddress(piece []token) (Address, bool) {
	lt, gt := -1, len(piece)
	for i, t := range piece {
		if t.kind == tokenSpecial && t.text == "<" && lt < 0 {
			lt = i
		}
		if t.kind == tokenSpecial && t.text == ">" && lt >= 0 {
			gt = i
			break
		}
	}
	comment := ""
	for _, t := range piece {
		if t.kind == tokenComment {
			comment = t.text
		}
	}
	var a Address
	if lt >= 0 {
		inner := piece[lt+1 : gt]
		for i := len(inner) - 1; i >= 0; i-- { // a source route
			if inner[i].kind == tokenSpecial && inner[i].text == ":" && len(inner) > 0 && inner[0].text == "@" {
				inner = inner[i+1:]
				break
			}
		}
		a.Email = spec(inner)
		if name := phrase(piece[:lt]); name != "" {
			a.Name = &name
		}
	} else {
		a.Email = spec(piece)
	}
	if a.Name == nil && comment != "" {
		name := strings.TrimSpace(mime.Words(comment))
		a.Name = &name
	}
	return a, a.Email != "" || a.Name != nil
}

// spec writes an addr-spec without comments and blanks, quoted where it has to be.
func spec(list []token) string {
	var b strings.Builder
	for _, t := range list {
		switch t.kind {
		case tokenQuoted:
			b.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(t.text) + `"`)
		case tokenAtom, tokenSpecial:
			b.WriteString(t.text)
		}
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD")
}

// phrase writes a display name, decoded.
func phrase(list []token) string {
	var b strings.Builder
	for _, t := range list {
		if t.kind == tokenComment {
			continue
		}
		if b.Len() > 0 && t.blank {
			b.WriteByte(' ')
		}
		b.WriteString(t.text)
	}
	return strings.TrimSpace(mime.Words(b.String()))
}

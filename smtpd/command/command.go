// Package command reads the arguments of MAIL and RCPT: paths and parameters (RFC 5321 sections
// 4.1.2 and 4.1.1.11, RFC 1870, RFC 3461, RFC 6152, RFC 6531, RFC 8689).
//
// It is not the session: whether a command is allowed at that moment, and whether an address
// exists, is not its business. What it lets through is well formed, so that nothing behind it
// has to parse an address again. All functions are pure.
package command

import (
	"net/netip"
	"strconv"
	"strings"
)

// Path is a reverse-path or forward-path of MAIL or RCPT (RFC 5321 section 4.1.2).
type Path struct {
	Addr  string // local part, quoted where it needs to be, @, domain in lower case; "" is <>
	ascii bool
	local int // bytes of the local part
}

// parsePath reads a path in angle brackets and returns what follows it. A source route is
// read over, as RFC 5321 section 4.1.1.3 wants. The domain may be missing only when bare is
// the local part, which is how <postmaster> comes.
func parsePath(s, bare string) (p Path, rest string, ok bool) {
	if !strings.HasPrefix(s, "<") {
		return p, "", false
	}
	s = s[1:]
	if strings.HasPrefix(s, ">") {
		return Path{ascii: true}, s[1:], true
	}
	if strings.HasPrefix(s, "@") {
		i := strings.IndexByte(s, ':')
		if i < 0 || !routeOK(s[:i]) {
			return p, "", false
		}
		s = s[i+1:]
	}
	local, s, ok := parseLocal(s)
	if !ok {
		return p, "", false
	}
	if strings.HasPrefix(s, ">") && bare != "" && strings.EqualFold(local, bare) {
		return Path{Addr: local, ascii: true, local: len(local)}, s[1:], true
	}
	if !strings.HasPrefix(s, "@") {
		return p, "", false
	}
	i := strings.IndexByte(s, '>')
	if i < 0 {
		return p, "", false
	}
	domain := strings.ToLower(s[1:i])
	if !domainOK(domain) {
		return p, "", false
	}
	addr := local + "@" + domain
	return Path{Addr: addr, ascii: isASCII(addr), local: len(local)}, s[i+1:], true
}

// routeOK checks "@a,@b".
func routeOK(s string) bool {
	for hop := range strings.SplitSeq(s, ",") {
		if !strings.HasPrefix(hop, "@") || !domainOK(hop[1:]) {
			return false
		}
	}
	return true
}

// parseLocal reads a local part, quoted or not, and returns it in its shortest form.
func parseLocal(s string) (local, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		i := strings.IndexAny(s, "@> ")
		if i < 0 {
			return "", "", false
		}
		return s[:i], s[i:], dotAtom(s[:i])
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; c {
		case '"':
			return quoteLocal(b.String()), s[i+1:], b.Len() > 0
		case '\\':
			i++
			if i == len(s) {
				return "", "", false
			}
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// quoteLocal writes a local part as it has to stand before an @.
func quoteLocal(s string) string {
	if dotAtom(s) {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// dotAtom reports whether s is atoms with single dots between them; letters beyond ASCII
// count as in RFC 6531.
func dotAtom(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
		for i := 0; i < len(atom); i++ {
			c := atom[i]
			if c <= ' ' || c == 0x7f || strings.IndexByte(`()<>[]:;@\,"`, c) >= 0 {
				return false
			}
		}
	}
	return true
}

// domainOK checks a domain or an address literal; an underscore is let through because
// there are hosts with one.
func domainOK(d string) bool {
	if strings.HasPrefix(d, "[") && strings.HasSuffix(d, "]") {
		lit := strings.ToLower(d[1 : len(d)-1])
		v6, is6 := strings.CutPrefix(lit, "ipv6:")
		a, err := netip.ParseAddr(v6)
		return err == nil && a.Zone() == "" && a.Is6() == is6
	}
	if d == "" || len(d) > 255 {
		return false
	}
	for label := range strings.SplitSeq(d, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := 0; i < len(label); i++ {
			c := label[i]
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c < 0x80 {
				return false
			}
		}
	}
	return true
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// Mail is a MAIL command that is in order.
type Mail struct {
	From     Path
	Size     int64 // declared, in bytes; 0 when it was not
	UTF8     bool  // SMTPUTF8 was asked for
	EightBit bool  // BODY=8BITMIME was declared

	Return     string // RET: FULL or HDRS; "" when it was not given
	EnvelopeID string // ENVID, decoded; "" when it was not given
	RequireTLS bool   // REQUIRETLS was asked for
}

// Rcpt is a RCPT command that is in order.
type Rcpt struct {
	To     string // the address
	Notify string // NOTIFY in capitals: NEVER, or a list of SUCCESS, FAILURE and DELAY; "" when it was not given
	ORCPT  string // decoded, with its type in lower case: rfc822;address; "" when it was not given
}

// Offer is what this server takes of the parameters that not every server does.
type Offer struct {
	MaxBytes   int64 // of a message
	DSN        bool  // RET, ENVID, NOTIFY and ORCPT
	RequireTLS bool  // REQUIRETLS
}

// ParseMail reads the argument of MAIL. A nil refusal means that it is in order.
func ParseMail(arg string, offer Offer) (m Mail, refusal *Refusal) {
	rest, ok := cutFold(arg, "FROM:")
	if !ok {
		return m, syntax("5.5.2", "Write MAIL FROM:<address>")
	}
	p, rest, ok := parsePath(strings.TrimLeft(rest, " "), "")
	if !ok || len(p.Addr) > 256 {
		return m, syntax("5.1.7", "The sender's address is malformed; write MAIL FROM:<address>")
	}
	m.From = p
	params, refusal := parseParams(rest, "5.1.7")
	if refusal != nil {
		return m, refusal
	}
	for _, kv := range params {
		if refusal := m.param(kv[0], kv[1], offer); refusal != nil {
			return m, refusal
		}
	}
	if !p.ascii && !m.UTF8 {
		return m, &Refusal{Code: 553, Enhanced: "5.6.7", Text: "An address beyond ASCII needs the SMTPUTF8 parameter"}
	}
	return m, nil
}

func (m *Mail) param(name, value string, offer Offer) *Refusal {
	if offer.DSN {
		if refusal, known := m.dsnParam(name, value); known {
			return refusal
		}
	}
	switch name {
	case "SIZE":
		if value == "" || len(value) > 20 || strings.Trim(value, "0123456789") != "" {
			return syntax("5.5.4", "SIZE takes a number of bytes")
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n > offer.MaxBytes {
			return tooLarge()
		}
		m.Size = n
	case "BODY":
		switch strings.ToUpper(value) {
		case "7BIT":
		case "8BITMIME":
			m.EightBit = true
		case "BINARYMIME":
			return &Refusal{Code: 504, Enhanced: "5.5.4", Text: "BODY=BINARYMIME is not offered here"}
		default:
			return syntax("5.5.4", "BODY is 7BIT or 8BITMIME")
		}
	case "SMTPUTF8":
		if value != "" {
			return syntax("5.5.4", "SMTPUTF8 takes no value")
		}
		m.UTF8 = true
	case "AUTH":
		// RFC 4954 section 5: who claims to have submitted it. We trust nobody's claim, so it
		// is only checked for being xtext.
		if value == "" || strings.ContainsFunc(value, func(r rune) bool { return r < '!' || r > '~' || r == '=' }) {
			return syntax("5.5.4", "AUTH takes an address or <>")
		}
	case "REQUIRETLS":
		if !offer.RequireTLS {
			return unknown(name)
		}
		if value != "" {
			return syntax("5.5.4", "REQUIRETLS takes no value")
		}
		m.RequireTLS = true
	default:
		return unknown(name)
	}
	return nil
}

func unknown(param string) *Refusal {
	return &Refusal{Code: 555, Enhanced: "5.5.4", Text: "Parameter " + param + " is not known here"}
}

// ParseRcpt reads the argument of RCPT. domain completes <postmaster>.
func ParseRcpt(arg, domain string, utf8 bool, offer Offer) (r Rcpt, refusal *Refusal) {
	rest, ok := cutFold(arg, "TO:")
	if !ok {
		return r, syntax("5.5.2", "Write RCPT TO:<address>")
	}
	p, rest, ok := parsePath(strings.TrimLeft(rest, " "), "postmaster")
	if !ok || p.Addr == "" || p.local > 64 || len(p.Addr) > 254 {
		return r, syntax("5.1.3", "The recipient's address is malformed; write RCPT TO:<address>")
	}
	params, refusal := parseParams(rest, "5.1.3")
	if refusal != nil {
		return r, refusal
	}
	for _, kv := range params {
		if !offer.DSN {
			return r, unknown(kv[0])
		}
		refusal, known := r.dsnParam(kv[0], kv[1])
		if !known {
			return r, unknown(kv[0])
		}
		if refusal != nil {
			return r, refusal
		}
	}
	if !p.ascii && !utf8 {
		return r, &Refusal{Code: 553, Enhanced: "5.6.7", Text: "An address beyond ASCII needs SMTPUTF8 at MAIL"}
	}
	if r.To = p.Addr; strings.EqualFold(p.Addr, "postmaster") {
		r.To += "@" + domain
	}
	return r, nil
}

// parseParams reads " NAME[=value] …". Names come back in upper case. junk is the enhanced
// code for something that touches the path.
func parseParams(s, junk string) ([][2]string, *Refusal) {
	if s != "" && s[0] != ' ' {
		return nil, syntax(junk, "There is something after the address")
	}
	var params [][2]string
	for _, f := range strings.Fields(s) {
		name, value, has := strings.Cut(f, "=")
		name = strings.ToUpper(name)
		if name == "" || (has && value == "") || !keyword(name) {
			return nil, syntax("5.5.4", "A parameter is NAME or NAME=value")
		}
		for _, p := range params {
			if p[0] == name {
				return nil, syntax("5.5.4", "Parameter "+name+" is given twice")
			}
		}
		params = append(params, [2]string{name, value})
	}
	return params, nil
}

func keyword(s string) bool {
	return strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == "" && len(s) <= 32
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

// Refusal is why a command is not taken, as the peer is told. Text is one line of ASCII.
type Refusal struct {
	Code     int    // 500 to 599
	Enhanced string // RFC 3463
	Text     string
}

func syntax(enhanced, text string) *Refusal {
	return &Refusal{Code: 501, Enhanced: enhanced, Text: text}
}

func tooLarge() *Refusal {
	return &Refusal{Code: 552, Enhanced: "5.3.4", Text: "The message is larger than SIZE allows"}
}

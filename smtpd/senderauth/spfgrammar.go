package senderauth

import (
	"context"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// spfRecords stands between the SPF module and the DNS and gives it what the module leaves out of RFC 7208: a record with
// a syntax error anywhere is one (section 4.6), a domain may have a slash in it (section 7.1), and the macro p has a
// value (section 7.3).
type spfRecords struct {
	Resolver
	ip     netip.Addr
	domain string // whose policy is asked for
}

// slash stands for / in the names of a record that the module reads; no name in the DNS has it.
const slash = "\x7f"

// maxSPF is how long a record may be, in bytes. RFC 7208 section 3.4 wants 512; the longest that are seen have some
// thousand, and one of 64 KB is there to cost us time.
const maxSPF = 8 << 10

// broken is a record that the module takes for a syntax error.
const broken = "v=spf1 breaks-the-grammar"

// LookupTXT returns the records of a name; what is no SPF record goes through as it is.
func (s spfRecords) LookupTXT(ctx context.Context, name string) ([]string, error) {
	all, err := s.Resolver.LookupTXT(ctx, s.real(name))
	out := make([]string, len(all))
	for i, txt := range all {
		out[i] = txt
		if len(txt) < 6 || !strings.EqualFold(txt[:6], "v=spf1") || len(txt) > 6 && txt[6] != ' ' {
			continue
		}
		if rec, ok := spfTerms(txt); ok {
			out[i] = s.withP(ctx, rec)
		} else {
			out[i] = broken
		}
	}
	return out, err
}

// LookupMX asks for the name that is meant.
func (s spfRecords) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	return s.Resolver.LookupMX(ctx, s.real(name))
}

// LookupIPAddr asks for the name that is meant.
func (s spfRecords) LookupIPAddr(ctx context.Context, name string) ([]net.IPAddr, error) {
	return s.Resolver.LookupIPAddr(ctx, s.real(name))
}

func (s spfRecords) real(name string) string { return strings.ReplaceAll(name, slash, "/") }

// spfTerms checks a record against the grammar (section 12) and returns it as the module can read it.
func spfTerms(record string) (string, bool) {
	for i := range len(record) {
		if record[i] < ' ' || record[i] > '~' {
			return "", false
		}
	}
	if len(record) > maxSPF {
		return "", false
	}
	out := make([]byte, 0, len(record))
	out = append(out, "v=spf1"...)
	once := map[string]bool{}
	for term := range strings.SplitSeq(record[6:], " ") {
		if term == "" {
			continue
		}
		if name, value, ok := modifier(term); ok {
			switch name {
			case "redirect", "exp":
				if once[name] || !domainSpec(value) {
					return "", false
				}
				once[name] = true
			default:
				if !macroString(value) {
					return "", false
				}
			}
			out = append(append(out, ' '), strings.ReplaceAll(term, "/", slash)...)
			continue
		}
		term, ok := mechanism(term)
		if !ok {
			return "", false
		}
		out = append(append(out, ' '), term...)
	}
	return string(out), true
}

// modifier cuts name=value; a mechanism has its : or / before any =.
func modifier(term string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(term, "=")
	if !ok || name == "" || !letter(name[0]) {
		return "", "", false
	}
	for i := range len(name) {
		if c := name[i]; !letter(c) && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return "", "", false
		}
	}
	return strings.ToLower(name), value, true
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// mechanism checks a directive and returns it with the slashes of its domain replaced.
func mechanism(term string) (string, bool) {
	rest := term
	if strings.IndexByte("+-?~", term[0]) >= 0 {
		rest = term[1:]
	}
	qualifier := term[:len(term)-len(rest)]
	end := strings.IndexAny(rest, ":/")
	if end < 0 {
		end = len(rest)
	}
	name, arg := strings.ToLower(rest[:end]), rest[end:]
	switch name {
	case "all":
		return term, arg == ""
	case "include", "exists":
		return qualifier + name + strings.ReplaceAll(arg, "/", slash), strings.HasPrefix(arg, ":") && domainSpec(arg[1:])
	case "ptr":
		return qualifier + name + strings.ReplaceAll(arg, "/", slash), arg == "" || arg[0] == ':' && domainSpec(arg[1:])
	case "a", "mx":
		domain, cidr := cutCIDR(arg)
		if domain != "" && (domain[0] != ':' || !domainSpec(domain[1:])) {
			return "", false
		}
		return qualifier + name + strings.ReplaceAll(domain, "/", slash) + cidr, true
	case "ip4", "ip6":
		return term, network(name == "ip4", arg)
	}
	return "", false
}

// network checks the argument of ip4 and ip6.
func network(v4 bool, arg string) bool {
	if !strings.HasPrefix(arg, ":") {
		return false
	}
	addr, bits, has := strings.Cut(arg[1:], "/")
	ip, err := netip.ParseAddr(addr)
	longest := 128
	if v4 {
		longest = 32
	}
	return err == nil && ip.Zone() == "" && ip.Is4() == v4 && (!has || prefixLength(bits, longest))
}

// cutCIDR takes "/n", "//m" or "/n//m" from the end of an argument.
func cutCIDR(arg string) (domain, cidr string) {
	rest := arg
	if i := strings.LastIndex(rest, "//"); i >= 0 && prefixLength(rest[i+2:], 128) {
		rest, cidr = rest[:i], rest[i:]
	}
	if i := strings.LastIndexByte(rest, '/'); i >= 0 && prefixLength(rest[i+1:], 32) {
		rest, cidr = rest[:i], rest[i:]+cidr
	}
	return rest, cidr
}

func prefixLength(s string, longest int) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= 0 && n <= longest && strconv.Itoa(n) == s
}

// macro is one macro-expand (section 7.1) at the start of a text; c, r and t are for explanations alone.
func macro(s string) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '%', '_', '-':
		return 2
	case '{':
	default:
		return 0
	}
	end := strings.IndexByte(s, '}')
	if end < 3 || strings.IndexByte("slodiphv", s[2]|0x20) < 0 {
		return 0
	}
	body := s[3:end]
	digits := len(body) - len(strings.TrimLeft(body, "0123456789"))
	if digits > 0 && (digits > 3 || strings.Trim(body[:digits], "0") == "") {
		return 0
	}
	body = body[digits:]
	if body != "" && body[0]|0x20 == 'r' {
		body = body[1:]
	}
	if strings.Trim(body, ".-+,/_=") != "" {
		return 0
	}
	return end + 1
}

// macroString checks a text with macros, and lastMacro says whether it ends in one.
func macroString(s string) bool { ok, _ := macros(s); return ok }

func macros(s string) (ok, lastMacro bool) {
	for s != "" {
		lastMacro = false
		if s[0] != '%' {
			s = s[1:]
			continue
		}
		n := macro(s)
		if n == 0 {
			return false, false
		}
		s, lastMacro = s[n:], true
	}
	return true, lastMacro
}

// domainSpec checks a domain: text with macros that ends in one, or in a dot and a top label.
func domainSpec(s string) bool {
	ok, lastMacro := macros(s)
	if !ok || s == "" {
		return false
	}
	if lastMacro {
		return true
	}
	s = strings.TrimSuffix(s, ".")
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return false
	}
	top, alpha, dash := s[i+1:], false, false
	if top == "" || top[0] == '-' || top[len(top)-1] == '-' {
		return false
	}
	for i := range len(top) {
		switch c := top[i]; {
		case letter(c):
			alpha = true
		case c == '-':
			dash = true
		case c < '0' || c > '9':
			return false
		}
	}
	return alpha || dash
}

// withP puts the validated name of the peer where a record asks for it.
func (s spfRecords) withP(ctx context.Context, record string) string {
	if !strings.Contains(strings.ToLower(record), "%{p") {
		return record
	}
	name := s.validated(ctx)
	return regexp.MustCompile(`(?i)%\{p([0-9]*)(r?)([^}]*)\}`).ReplaceAllStringFunc(record, func(m string) string {
		body := strings.TrimLeft(m[3:len(m)-1], "0123456789")
		keep, _ := strconv.Atoi(m[3 : len(m)-1-len(body)])
		reverse := body != "" && body[0]|0x20 == 'r'
		if reverse {
			body = body[1:]
		}
		if body == "" {
			body = "."
		}
		parts := strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune(body, r) })
		if reverse {
			for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
				parts[i], parts[j] = parts[j], parts[i]
			}
		}
		if keep > 0 && keep < len(parts) {
			parts = parts[len(parts)-keep:]
		}
		return strings.Join(parts, ".")
	})
}

// validated returns the name of the peer that has its address (section 5.5): best the domain itself, then one below
// it, then any; "unknown" when there is none.
func (s spfRecords) validated(ctx context.Context) string {
	names, err := s.Resolver.LookupAddr(ctx, s.ip.String())
	if err != nil {
		return "unknown"
	}
	best, rank := "unknown", 0
	for _, name := range names[:min(len(names), 10)] {
		name = canonical(name)
		r := 1
		if name == s.domain {
			r = 3
		} else if strings.HasSuffix(name, "."+s.domain) {
			r = 2
		}
		if name == "" || r <= rank {
			continue
		}
		addrs, err := s.Resolver.LookupIPAddr(ctx, name)
		if err != nil {
			continue
		}
		for _, a := range addrs {
			if ip, ok := netip.AddrFromSlice(a.IP); ok && ip.Unmap() == s.ip.Unmap() {
				best, rank = name, r
			}
		}
	}
	return best
}

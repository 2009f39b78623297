package mime

import (
	"slices"
	"strconv"
	"strings"
)

// The bounds of a structured field: what lies beyond is ignored.
const (
	maxParams   = 64
	maxSegments = 64       // of one parameter continued as RFC 2231 allows
	maxValue    = 16 << 10 // bytes of a field that are read
)

// segment is a piece of a parameter: name*2*=…
type segment struct {
	n       int
	escaped bool
	value   string
}

// parseParams reads "value; name=value; …" (RFC 2045 section 5.1, RFC 2231) and returns the
// value in lower case and the parameters, decoded, by their names in lower case. Of a
// repeated parameter the first counts.
func parseParams(field string) (value string, params map[string]string) {
	field = clipBytes(field, maxValue)
	value, rest := cutSemicolon(field)
	value = strings.ToLower(strings.TrimSpace(stripComments(value)))
	params = map[string]string{}
	continued := map[string][]segment{}
	for n := 0; rest != "" && n < maxParams*2; n++ {
		var one string
		one, rest = cutSemicolon(rest)
		name, val, ok := strings.Cut(one, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if !ok || name == "" {
			continue
		}
		val = unquote(strings.TrimSpace(val))
		base, star, isExt := strings.Cut(name, "*")
		if !isExt {
			if _, dup := params[name]; !dup && len(params) < maxParams {
				params[name] = val
			}
			continue
		}
		seg := segment{value: val, escaped: star == "" || strings.HasSuffix(star, "*")}
		if idx := strings.TrimSuffix(star, "*"); idx != "" {
			i, err := strconv.Atoi(idx)
			if err != nil || i < 0 || i >= maxSegments {
				continue
			}
			seg.n = i
		}
		if len(continued) < maxParams && len(continued[base]) < maxSegments {
			continued[base] = append(continued[base], seg)
		}
	}
	for base, segs := range continued {
		params[base] = joinSegments(segs) // the extended form goes before the plain one
	}
	return value, params
}

// Params reads a field such as Content-Type: its value in lower case and its parameters, decoded, by their names in lower case.
func Params(field string) (value string, params map[string]string) { return parseParams(field) }

// joinSegments puts the pieces of a continued parameter together, in the order of their
// numbers; the first names the charset of all.
func joinSegments(segs []segment) string {
	slices.SortStableFunc(segs, func(a, b segment) int { return a.n - b.n })
	charset := ""
	var raw []byte
	for i, s := range segs {
		if i > 0 && s.n == segs[i-1].n {
			continue // a repeated number: the first counts
		}
		if !s.escaped {
			raw = append(raw, s.value...)
			continue
		}
		v := s.value
		if i == 0 {
			if parts := strings.SplitN(v, "'", 3); len(parts) == 3 {
				charset, v = parts[0], parts[2]
			}
		}
		raw = appendPercent(raw, v)
	}
	text, _ := toUTF8(raw, charset)
	return text
}

func appendPercent(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if hi, lo := unhex(s[i+1]), unhex(s[i+2]); hi >= 0 && lo >= 0 {
				dst = append(dst, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		dst = append(dst, s[i])
	}
	return dst
}

// unhex returns the value of a hexadecimal digit, -1 for anything else.
func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// cutSemicolon cuts at the first semicolon outside quotes.
func cutSemicolon(s string) (before, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if quoted {
				i++
			}
		case '"':
			quoted = !quoted
		case ';':
			if !quoted {
				return s[:i], s[i+1:]
			}
		}
	}
	return s, ""
}

// unquote takes the quotes off a value and undoes its backslashes; a value without quotes
// loses a comment behind it.
func unquote(s string) string {
	if !strings.HasPrefix(s, `"`) {
		return strings.TrimSpace(stripComments(s))
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String()
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// stripComments takes "(…)" out of s, nested ones too.
func stripComments(s string) string {
	if strings.IndexByte(s, '(') < 0 {
		return s
	}
	var b strings.Builder
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && depth > 0:
			i++
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth == 0:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// validType reports whether s is "type/subtype" in the characters that RFC 2045 allows.
func validType(s string) bool {
	i := strings.IndexByte(s, '/')
	if i <= 0 || i == len(s)-1 || len(s) > 127 {
		return false
	}
	for k := 0; k < len(s); k++ {
		if c := s[k]; c <= ' ' || c >= 0x7f || k != i && strings.IndexByte(`()<>@,;:\"/[]?=`, c) >= 0 {
			return false
		}
	}
	return true
}

// fileName decodes a file's name and takes from it what could lead into a folder or deceive:
// paths, control characters, dots at the start.
func fileName(s string) string {
	s = Header(s)
	if i := strings.LastIndexAny(s, `/\`); i >= 0 {
		s = s[i+1:]
	}
	return Line(strings.TrimLeft(s, ". "), 200)
}

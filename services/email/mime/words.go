package mime

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxWord bounds one encoded word in bytes; RFC 2047 allows 75, real ones are longer.
const maxWord = 4 << 10

// Header decodes a header value for people: encoded words (RFC 2047, wherever they stand),
// bytes that are not UTF-8, control characters. What cannot be decoded stays as it is.
func Header(s string) string { return Line(Words(s), maxValue) }

// Words is Header without the tidying: blanks and control characters stay as they are. The text is valid UTF-8.
func Words(s string) string {
	s = clipBytes(s, maxValue)
	if !strings.Contains(s, "=?") {
		text, _ := toUTF8([]byte(s), "")
		return text
	}
	var out strings.Builder
	var raw []byte // decoded bytes of adjacent words of one charset: characters may be split between words
	charset := ""
	flush := func() {
		if len(raw) > 0 {
			text, _ := toUTF8(raw, charset)
			out.WriteString(text)
			raw = raw[:0]
		}
	}
	for s != "" {
		i := strings.Index(s, "=?")
		if i < 0 {
			break
		}
		cs, data, n := encodedWord(s[i:])
		if n == 0 {
			flush()
			text, _ := toUTF8([]byte(s[:i+2]), "")
			out.WriteString(text)
			s = s[i+2:]
			continue
		}
		if gap := s[:i]; strings.Trim(gap, " \t") != "" || (len(raw) == 0 && charset == "") {
			flush()
			text, _ := toUTF8([]byte(gap), "")
			out.WriteString(text)
		} // blanks between two encoded words are not part of the text
		if cs != charset {
			flush()
			charset = cs
		}
		raw = append(raw, data...)
		s = s[i+n:]
	}
	flush()
	text, _ := toUTF8([]byte(s), "")
	out.WriteString(text)
	return out.String()
}

// encodedWord reads an encoded word at the start of s, "=?charset?B?…?=", and returns its
// charset, its bytes and its length; 0 when there is none.
func encodedWord(s string) (charset string, data []byte, n int) {
	s = clipBytes(s, maxWord)
	name, rest, ok := strings.Cut(s[2:], "?")
	if !ok || name == "" || len(name) > 64 || strings.ContainsAny(name, " \t\"(),;:<>@[]") || len(rest) < 2 || rest[1] != '?' {
		return "", nil, 0
	}
	body, _, ok := strings.Cut(rest[2:], "?=")
	if !ok {
		return "", nil, 0
	}
	switch rest[0] {
	case 'b', 'B':
		data = wordBase64(body)
	case 'q', 'Q':
		data = wordQ(body)
	default:
		return "", nil, 0
	}
	charset, _, _ = strings.Cut(name, "*") // a language may follow (RFC 2231)
	return strings.ToLower(charset), data, len("=?") + len(name) + len("?B?") + len(body) + len("?=")
}

func wordBase64(s string) []byte {
	clean := strings.Map(func(r rune) rune {
		if r == '=' || r == ' ' || r == '\t' {
			return -1
		}
		return r
	}, s)
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(clean)))
	n, _ := base64.RawStdEncoding.Decode(out, []byte(clean)) // what came before an error is good
	return out[:n]
}

func wordQ(s string) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '_':
			out = append(out, ' ')
		case c == '=' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0:
			out = append(out, byte(unhex(s[i+1])<<4|unhex(s[i+2])))
			i += 2
		default:
			out = append(out, c)
		}
	}
	return out
}

// Line makes s fit for one line of at most most runes: no control characters, none that turn the
// direction of text around, no blanks at the ends, valid UTF-8.
func Line(s string, most int) string {
	var b strings.Builder
	n := 0
	blank := false
	for _, r := range s {
		switch {
		case r == utf8.RuneError || unicode.IsPrint(r) && !unicode.IsSpace(r) || unicode.Is(unicode.Join_Control, r):
		case unicode.IsSpace(r):
			blank = blank || n > 0
			continue
		default:
			continue
		}
		if n >= most {
			break
		}
		if blank {
			b.WriteByte(' ')
			n++
			blank = false
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}

// clipBytes cuts s to n bytes.
func clipBytes(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

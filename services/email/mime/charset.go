package mime

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
)

// toUTF8 converts text from a charset; "" means that none was declared. known is false when
// nobody knows the charset. The text is valid UTF-8 in every case.
func toUTF8(b []byte, charset string) (text string, known bool) {
	charset = strings.ToLower(strings.Trim(charset, " \t'\""))
	switch charset {
	case "", "us-ascii", "ascii", "ansi_x3.4-1968", "7bit", "8bit":
		return guess(b), true // what claims to be ASCII and is not is UTF-8 or Windows' Latin
	case "utf-8", "utf8", "unicode-1-1-utf-8":
		return strings.ToValidUTF8(string(b), "\uFFFD"), true
	}
	enc, err := htmlindex.Get(charset)
	if err != nil || enc == encoding.Replacement {
		return guess(b), false
	}
	out, err := enc.NewDecoder().Bytes(b)
	if err != nil {
		return guess(b), true
	}
	return strings.ToValidUTF8(string(out), "\uFFFD"), true
}

// guess takes bytes without a charset as UTF-8 when they are, as windows-1252 otherwise.
func guess(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	out, err := charmap.Windows1252.NewDecoder().Bytes(b)
	if err != nil {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	return string(out)
}

// plain ends lines with "\n" alone and takes out NULs and other control characters. All of those are bytes of their
// own, so that text is UTF-8 after it when it was before.
func plain(s string) string {
	odd := func(c byte) bool { return c < ' ' && c != '\n' && c != '\t' || c == 0x7f }
	var b strings.Builder
	from := 0
	for i := 0; i < len(s); i++ {
		if !odd(s[i]) {
			continue
		}
		if from == 0 {
			b.Grow(len(s))
		}
		b.WriteString(s[from:i])
		if from = i + 1; s[i] == '\r' && (from == len(s) || s[from] != '\n') {
			b.WriteByte('\n')
		}
	}
	if from == 0 {
		return s
	}
	b.WriteString(s[from:])
	return b.String()
}

// wholeRunes cuts a half character off the end of b, as a limit may leave one.
func wholeRunes(b []byte) []byte {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		c := b[len(b)-i]
		if utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(b[len(b)-i:]) {
				return b[:len(b)-i]
			}
			break
		}
	}
	return b
}

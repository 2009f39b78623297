package mailbox

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Split parts an address at its last @; without one, domain is "".
func Split(addr string) (local, domain string) {
	i := strings.LastIndexByte(addr, '@')
	if i < 0 {
		return addr, ""
	}
	return addr[:i], addr[i+1:]
}

// ErrLocal is why a local part is none.
var ErrLocal = errors.New("must be a local part: 1 to 64 bytes of letters, digits and .!#$%&'*+-/=?^_{|}~ without two dots in a row")

// Canonical returns a local part as mailboxes are named: in lower case, composed (NFC), without
// quotes that it does not need.
func Canonical(local string) (string, error) {
	if !utf8.ValidString(local) {
		return "", ErrLocal
	}
	local = norm.NFC.String(strings.ToLower(local))
	quoted := strings.HasPrefix(local, `"`) && strings.HasSuffix(local, `"`) && len(local) > 2
	if quoted {
		if bare := local[1 : len(local)-1]; DotAtom(bare) {
			local, quoted = bare, false
		}
	}
	if len(local) > 64 || !quoted && !DotAtom(local) || quoted && !quotedString(local[1:len(local)-1]) {
		return "", ErrLocal
	}
	return local, nil
}

// DotAtom reports whether s can be a local part without quotes (RFC 5321, RFC 6531).
func DotAtom(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for _, r := range s {
		switch {
		case r >= utf8.RuneSelf:
			if !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) {
				return false
			}
		case r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("!#$%&'*+-/=?^_`{|}~.", r):
		default:
			return false
		}
	}
	return true
}

// quotedString reports whether s can stand between quotes: printable ASCII, quotes escaped.
func quotedString(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < ' ' || c > '~' || c == '"':
			return false
		case c == '\\':
			if i++; i == len(s) {
				return false
			}
		}
	}
	return s != ""
}

// WithoutTag takes "+tag" off a local part.
func WithoutTag(local string) string {
	if i := strings.IndexByte(local, '+'); i > 0 && local[0] != '"' {
		return local[:i]
	}
	return local
}

// Package text says what people may write in rooms: lines, names of rooms, handles, topics, emoji and addresses.
// It refuses (errs.Invalid, with the field's name) or brings a text into the form in which it is stored; what a
// text means, and whether it may be said, is package moderation's.
//
// # What becomes of tricks with invisible characters
//
//   - Bytes that are no UTF-8, and NUL, do not come this far: the edge refuses them (400).
//   - Names (rooms, topics, handles, reasons) show in lists beside other names, so that nothing in them may be
//     invisible: direction marks, zero-width characters and control characters are refused. The joiner inside
//     of an emoji is none of them. Room names are stored in Unicode's composed form (NFC), in which two that look alike
//     because of how an accent is written are the same.
//   - A line is plain text and may be in any script. Overrides and embeddings (U+202A to U+202E), with which a text
//     can be shown in another order than it is read, are taken out; isolates (U+2066 to U+2069) stay and
//     are closed where their writer did not, so that a line never turns what stands behind it. Other
//     invisible characters stay, for scripts need them; the moderation sees through them.
//   - What shows nothing at all is empty.
//
// The functions keep nothing and may be used from everywhere at once.
package text

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"uniqverse/internal/errs"
)

// What fits, in characters.
const (
	MaxLine     = 4000
	MaxHandle   = 80 // @ included
	MaxRoomName = 120
	MaxEmoji    = 16
)

// Line returns a line as it is stored: the line ends of forms become \n, and it leaves the direction of what
// follows alone. What is empty, longer than MaxLine or holds control characters is errs.Invalid.
func Line(line string) (string, error) {
	line = isolated(strings.ReplaceAll(line, "\r\n", "\n"))
	switch {
	case !Shows(line):
		return "", errs.BadField("text", "is required and must not be empty")
	case utf8.RuneCountInString(line) > MaxLine:
		return "", errs.BadField("text", "must be at most %d characters", MaxLine)
	case strings.ContainsFunc(line, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }):
		return "", errs.BadField("text", "must not hold control characters other than line ends and tabs")
	}
	return line, nil
}

// The characters that change the direction of a text.
const (
	firstEmbedding, lastEmbedding = '\u202a', '\u202e'
	firstIsolate, lastIsolate     = '\u2066', '\u2068'
	endIsolate                    = '\u2069'
)

// isolated takes embeddings and overrides out of a text and closes its isolates.
func isolated(line string) string {
	if !strings.ContainsFunc(line, func(r rune) bool {
		return r >= firstEmbedding && r <= lastEmbedding || r >= firstIsolate && r <= endIsolate
	}) {
		return line
	}
	open := 0
	line = strings.Map(func(r rune) rune {
		switch {
		case r >= firstEmbedding && r <= lastEmbedding, r == endIsolate && open == 0:
			return -1
		case r >= firstIsolate && r <= lastIsolate:
			open++
		case r == endIsolate:
			open--
		}
		return r
	}, line)
	return line + strings.Repeat(string(endIsolate), open)
}

// Handle returns the name in a handle: "@pilot" and "pilot" are the same, and so is
// an address in the domain. "" stays "".
func Handle(handle, domain string) (string, error) {
	name := strings.TrimSpace(handle)
	if local, host, ok := strings.Cut(name, "@"); ok && local != "" && strings.EqualFold(host, domain) {
		name = local
	}
	name = strings.TrimPrefix(name, "@")
	switch {
	case name == "" && strings.TrimSpace(handle) == "":
		return "", nil
	case !Shows(name) || name != strings.TrimSpace(name):
		return "", errs.BadField("handle", "must be a name such as @pilot")
	case utf8.RuneCountInString(name) >= MaxHandle:
		return "", errs.BadField("handle", "must be at most %d characters", MaxHandle)
	case strings.ContainsFunc(name, func(r rune) bool { return r == '@' || !unicode.IsGraphic(r) || r != ' ' && unicode.IsSpace(r) }):
		return "", errs.BadField("handle", "must be a name such as @pilot, on one line and without another @")
	}
	return name, nil
}

// RoomName trims a room's name; one that is empty, longer than MaxRoomName or holds what shows nothing is
// errs.Invalid.
func RoomName(name string) (string, error) {
	name = norm.NFC.String(strings.TrimSpace(name))
	switch {
	case !Shows(name):
		return "", errs.BadField("name", "is required and must not be empty")
	case utf8.RuneCountInString(name) > MaxRoomName:
		return "", errs.BadField("name", "must be at most %d characters", MaxRoomName)
	}
	return name, OneLine("name", name)
}

// OneLine refuses what has more than one line, or characters that nobody sees; field is its name.
func OneLine(field, words string) error {
	var before rune
	for _, r := range words {
		switch {
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
			return errs.BadField(field, "must be one line without control characters")
		case r == '\u200d' && before > unicode.MaxLatin1 && !unicode.IsSpace(before): // joins emoji, and letters of some scripts
		case r == '\u200c' && unicode.IsLetter(before): // parts letters of some scripts
		case unicode.Is(unicode.Cf, r) && (r < 0xe0020 || r > 0xe007f): // the tags spell flags
			return errs.BadField(field, "must not hold invisible characters, such as U+%04X", r)
		}
		before = r
	}
	return nil
}

// Shows reports whether a text has anything to see: a letter, digit, sign or symbol.
func Shows(words string) bool {
	return strings.ContainsFunc(words, func(r rune) bool {
		return unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.Is(unicode.Mn, r)
	})
}

// Emoji refuses what is not one emoji, a short run of symbols without letters or spaces.
func Emoji(emoji string) error {
	symbol := false
	for _, r := range emoji {
		switch {
		case unicode.Is(unicode.So, r) || r == 0x20e3: // symbols, flags; the keycap
			symbol = true
		case unicode.In(r, unicode.Sm, unicode.Mn, unicode.Sk, unicode.Nd) || r == '#' || r == '*' || r == 0x200d || r >= 0xe0020 && r <= 0xe007f:
		default:
			return errs.BadField("emoji", "must be one emoji")
		}
	}
	if !symbol || utf8.RuneCountInString(emoji) > MaxEmoji {
		return errs.BadField("emoji", "must be one emoji")
	}
	return nil
}

// InDomain reports whether an address is <local part>@<domain>, exactly: it is parsed, so that
// x@evil@domain, a quoted local part, a longer domain and a dot at the end do not pass. The
// domain is compared in its ASCII form, whatever its case.
func InDomain(address, domain string) bool {
	local, host, ok := strings.Cut(address, "@")
	if !ok || local == "" || host == "" || domain == "" || strings.ContainsFunc(local, notInLocalPart) ||
		local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, "..") {
		return false
	}
	got, err := idna.Lookup.ToASCII(host)
	if err != nil {
		return false
	}
	want, err := idna.Lookup.ToASCII(domain)
	return err == nil && strings.EqualFold(got, want)
}

// notInLocalPart refuses what is no dot-atom of RFC 5322, section 3.2.3 (RFC 6531 adds what is not ASCII).
func notInLocalPart(r rune) bool {
	return r <= ' ' || r == 0x7f || r == utf8.RuneError || unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`()<>[]:;@\,"`, r)
}

// Clip returns the first characters of a text.
func Clip(words string, most int) string {
	if all := []rune(words); len(all) > most {
		return string(all[:most])
	}
	return words
}

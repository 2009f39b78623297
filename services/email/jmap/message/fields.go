package message

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"strings"
	"time"
	"unicode/utf8"
)

// line is a field as it is written: its value begins behind the colon.
type line struct{ name, value string }

func (l line) write(b *bytes.Buffer) { b.WriteString(l.name + ":" + l.value + "\r\n") }

// clean takes out of a text what could end a field.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

// lines writes the property's value as fields. The error completes "<property> …".
func (f Field) lines(value json.RawMessage) ([]line, error) {
	if !f.All {
		v, err := f.encode(value)
		if err != nil {
			return nil, err
		}
		return []line{{f.Name, v}}, nil
	}
	var list []json.RawMessage
	if json.Unmarshal(value, &list) != nil {
		return nil, errors.New("must be a list")
	}
	var out []line
	for _, one := range list {
		v, err := f.encode(one)
		if err != nil {
			return nil, err
		}
		out = append(out, line{f.Name, v})
	}
	return out, nil
}

func (f Field) encode(value json.RawMessage) (string, error) {
	switch f.Form {
	case "Text":
		var text *string
		if json.Unmarshal(value, &text) != nil || text == nil {
			return "", errors.New("must be a text")
		}
		return words(clean(*text)), nil
	case "Addresses":
		return encodeAddresses(value)
	case "GroupedAddresses":
		return encodeGroups(value)
	case "MessageIds":
		return encodeBracketed(value, " ", func(id string) bool { return !strings.ContainsAny(id, "<> \t") })
	case "URLs":
		return encodeBracketed(value, ", ", func(url string) bool { return !strings.ContainsAny(url, "<> \t") })
	case "Date":
		var text *string
		if json.Unmarshal(value, &text) != nil || text == nil {
			return "", errors.New("must be a date")
		}
		t, err := time.Parse(time.RFC3339, *text)
		if err != nil {
			return "", errors.New("must be a date such as 2026-11-27T12:00:00+01:00")
		}
		return " " + t.Format("Mon, 02 Jan 2006 15:04:05 -0700"), nil
	}
	var text *string
	if json.Unmarshal(value, &text) != nil || text == nil {
		return "", errors.New("must be a text")
	}
	return *text, checkRaw(*text)
}

// checkRaw refuses a raw value that would end its field, or the header.
func checkRaw(s string) error {
	length := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\r' && i+2 < len(s) && s[i+1] == '\n' && (s[i+2] == ' ' || s[i+2] == '\t'):
			i += 2
			length = 1
		case c == '\n' || c == '\r' || c == 0:
			return errors.New("must not hold line ends that do not continue it")
		default:
			length++
		}
		if length > 990 {
			return errors.New("has a line that is too long")
		}
	}
	if !utf8.ValidString(s) {
		return errors.New("must be UTF-8")
	}
	return nil
}

// words writes a text with encoded words where they are needed, folded.
func words(s string) string {
	plain := len(s) < 900
	for i := range len(s) {
		plain = plain && s[i] < 0x7f
	}
	if plain && !strings.Contains(s, "=?") && strings.TrimSpace(s) == s {
		return fold(s)
	}
	return " " + strings.ReplaceAll(encodeWords(s), "?= =?", "?=\r\n =?")
}

func encodeWords(s string) string {
	ascii := 0
	for i := range len(s) {
		if s[i] < 0x7f {
			ascii++
		}
	}
	enc := mime.QEncoding
	if ascii*2 < len(s) {
		enc = mime.BEncoding
	}
	out := enc.Encode("utf-8", s)
	if out == s { // plain, but not fit to stand as it is: the encoder sees no need
		const hex = "0123456789ABCDEF"
		var b strings.Builder
		open := 0
		for i := range len(s) {
			if open == 0 {
				b.WriteString("=?utf-8?q?")
			}
			b.WriteString("=" + string(hex[s[i]>>4]) + string(hex[s[i]&15]))
			if open++; open == 18 {
				b.WriteString("?= ")
				open = 0
			}
		}
		out = strings.TrimSuffix(b.String()+"?=", " ?=")
	}
	return out
}

// fold breaks a text at blanks so that lines stay below 78 bytes where they can.
func fold(s string) string {
	var b strings.Builder
	length := 20
	for i, w := range strings.SplitAfter(s, " ") {
		if i > 0 && length+len(w) > 76 && strings.TrimSpace(w) != "" {
			// The blank before stays on its line and the next begins with one of its own: take the former back.
			text := strings.TrimSuffix(b.String(), " ")
			if !strings.HasSuffix(text, " ") {
				b.Reset()
				b.WriteString(text + "\r\n ")
				length = 1
			}
		}
		b.WriteString(w)
		length += len(w)
	}
	return " " + b.String()
}

type addressIn struct {
	Name  *string `json:"name"`
	Email *string `json:"email"`
}

func (a addressIn) text() (string, error) {
	if a.Email == nil {
		return "", errors.New("has an address without email")
	}
	email := clean(*a.Email)
	if email != *a.Email || strings.ContainsAny(email, "<>") || !utf8.ValidString(email) || len(email) > 998 {
		return "", errors.New("has an address that cannot be written")
	}
	if a.Name == nil || clean(*a.Name) == "" {
		if email == "" || strings.ContainsAny(email, " ,;:()") && !strings.HasPrefix(email, `"`) {
			return "<" + email + ">", nil
		}
		return email, nil
	}
	return displayName(clean(*a.Name)) + " <" + email + ">", nil
}

// displayName writes a name as an atom, quoted, or in encoded words.
func displayName(name string) string {
	ascii, atom := len(name) < 200, true
	for i := range len(name) {
		c := name[i]
		ascii = ascii && c < 0x7f
		atom = atom && (c == ' ' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-/=^_`{|}~", c) >= 0)
	}
	switch {
	case !ascii || strings.Contains(name, "=?"):
		return strings.ReplaceAll(encodeWords(name), "?= =?", "?=\r\n =?")
	case atom && strings.TrimSpace(name) == name && !strings.Contains(name, "  "):
		return name
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

func addressTexts(list []addressIn) (string, error) {
	var out []string
	for _, a := range list {
		t, err := a.text()
		if err != nil {
			return "", err
		}
		out = append(out, t)
	}
	return strings.Join(out, ",\r\n "), nil
}

func encodeAddresses(value json.RawMessage) (string, error) {
	var list []addressIn
	if err := strictly(value, &list); err != nil {
		return "", err
	}
	text, err := addressTexts(list)
	return " " + text, err
}

// strictly decodes a list and refuses names that the type does not have.
func strictly(value json.RawMessage, into any) error {
	dec := json.NewDecoder(bytes.NewReader(value))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return errors.New("must be a list of addresses")
	}
	return nil
}

func encodeGroups(value json.RawMessage) (string, error) {
	var groups []struct {
		Name      *string     `json:"name"`
		Addresses []addressIn `json:"addresses"`
	}
	if err := strictly(value, &groups); err != nil {
		return "", err
	}
	var out []string
	for _, g := range groups {
		text, err := addressTexts(g.Addresses)
		if err != nil {
			return "", err
		}
		switch {
		case g.Name != nil:
			out = append(out, displayName(clean(*g.Name))+": "+text+";")
		case text != "":
			out = append(out, text)
		}
	}
	joined := ""
	for i, t := range out {
		if i > 0 {
			joined += ",\r\n "
		}
		joined += t
	}
	return " " + joined, nil
}

func encodeBracketed(value json.RawMessage, between string, ok func(string) bool) (string, error) {
	var list []string
	if json.Unmarshal(value, &list) != nil {
		return "", errors.New("must be a list of texts")
	}
	var out []string
	for _, v := range list {
		if v == "" || clean(v) != v || !ok(v) || len(v) > 900 {
			return "", fmt.Errorf("has %.60q, which cannot be written", v)
		}
		out = append(out, "<"+v+">")
	}
	return " " + strings.Join(out, strings.TrimSuffix(between, " ")+"\r\n "), nil
}

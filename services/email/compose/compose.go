// Package compose writes mail: a text, if wanted with HTML and files beside it, as a whole message (RFC 5322, RFC 2045,
// RFC 2047, RFC 2183, RFC 2231).
//
// It does not read mail (package mime does) and sends nothing. What it writes has CRLF line
// ends throughout, no line above 998 bytes, no byte of a field where another field could begin, and is plain ASCII unless
// an address is not. All functions are pure.
package compose

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"
	"unicode/utf8"

	"uniqverse/smtpd/header"
)

// Message is what a mail says.
type Message struct {
	From      mail.Address
	To, Cc    []mail.Address
	Subject   string
	Text      string
	HTML      string // "" is none
	InReplyTo string // Message-ID without <>; "" is none
	Date      time.Time
	MessageID string      // without <>
	Boundary  string      // a text that is in no part; only used with HTML or files
	Fields    [][2]string // more fields: name and value, ASCII; folded at blanks

	References []string // Message-IDs of the thread without <>, the first that came first; InReplyTo is added
	Files      []File
}

// Bytes returns the message.
func (m Message) Bytes() []byte {
	var b bytes.Buffer
	field(&b, "From", []string{address(m.From)}, "")
	addresses(&b, "To", m.To)
	addresses(&b, "Cc", m.Cc)
	if len(m.To)+len(m.Cc) == 0 {
		field(&b, "To", []string{"undisclosed-recipients:;"}, "")
	}
	field(&b, "Subject", words(m.Subject), "")
	field(&b, "Date", []string{m.Date.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700")}, "")
	field(&b, "Message-ID", []string{"<" + clean(m.MessageID) + ">"}, "")
	if m.InReplyTo != "" {
		id := "<" + clean(strings.Trim(m.InReplyTo, "<> ")) + ">"
		field(&b, "In-Reply-To", []string{id}, "")
		field(&b, "References", append(references(m.References, id), id), "")
	}
	for _, f := range m.Fields {
		field(&b, clean(f[0]), strings.Split(clean(f[1]), " "), "")
	}
	field(&b, "MIME-Version", []string{"1.0"}, "")
	boundary := clean(m.Boundary)
	if len(m.Files) == 0 {
		m.text(&b, boundary)
		return b.Bytes()
	}
	fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=%q\r\n\r\n--%s\r\n", boundary, boundary)
	m.text(&b, boundary+"-text")
	for _, f := range m.Files {
		fmt.Fprintf(&b, "\r\n--%s\r\n", boundary)
		f.write(&b)
	}
	fmt.Fprintf(&b, "\r\n--%s--\r\n", boundary)
	return b.Bytes()
}

// text writes what is to be read, as one part or two that say the same.
func (m Message) text(b *bytes.Buffer, boundary string) {
	if m.HTML == "" {
		part(b, "text/plain", m.Text)
		return
	}
	fmt.Fprintf(b, "Content-Type: multipart/alternative; boundary=%q\r\n\r\n", boundary)
	fmt.Fprintf(b, "--%s\r\n", boundary)
	part(b, "text/plain", m.Text)
	fmt.Fprintf(b, "\r\n--%s\r\n", boundary)
	part(b, "text/html", m.HTML)
	fmt.Fprintf(b, "\r\n--%s--\r\n", boundary)
}

// maxReferences bounds how many Message-IDs of a thread are named: the first, and the newest.
const maxReferences = 20

// references are the items of the field References before the message that is answered.
func references(ids []string, answered string) []string {
	var out []string
	for _, id := range ids {
		if id = "<" + clean(strings.Trim(id, "<> ")) + ">"; id != answered && id != "<>" && len(id) < 900 {
			out = append(out, id)
		}
	}
	if len(out) > maxReferences {
		out = append(out[:1:1], out[len(out)-maxReferences+1:]...)
	}
	return out
}

// part writes a text with the fields that belong to it.
func part(b *bytes.Buffer, kind, text string) {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	fmt.Fprintf(b, "Content-Type: %s; charset=utf-8\r\n", kind)
	if plain(text) {
		b.WriteString("Content-Transfer-Encoding: 7bit\r\n\r\n")
		b.WriteString(strings.ReplaceAll(text, "\n", "\r\n"))
		return
	}
	b.WriteString("Content-Transfer-Encoding: quoted-printable\r\n\r\n")
	w := quotedprintable.NewWriter(b)
	_, _ = io.WriteString(w, strings.ReplaceAll(text, "\n", "\r\n")) // a Buffer takes everything
	_ = w.Close()
}

// plain reports whether a text can go as it is: ASCII without control characters, and lines that nothing folds. A line
// that begins with "From " is rewritten by old programs.
func plain(text string) bool {
	for line := range strings.SplitSeq(text, "\n") {
		if len(line) > 78 || strings.HasPrefix(line, "From ") || strings.HasSuffix(line, " ") {
			return false
		}
	}
	for i := range len(text) {
		if c := text[i]; c >= 0x7f || c < ' ' && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}

// addresses writes a list of addresses, one after the other.
func addresses(b *bytes.Buffer, name string, list []mail.Address) {
	var texts []string
	for _, a := range list {
		texts = append(texts, address(a))
	}
	if len(texts) > 0 {
		field(b, name, texts, ",")
	}
}

// address writes an address with its name; the address itself stays as it is, also beyond ASCII (RFC 6532).
func address(a mail.Address) string {
	addr := clean(a.Address)
	if a.Name == "" {
		return addr
	}
	// The library quotes or encodes the name; it would escape an address beyond ASCII as well.
	name := strings.TrimSuffix((&mail.Address{Name: clean(a.Name), Address: "a@b"}).String(), " <a@b>")
	return name + " <" + addr + ">"
}

// words parts a text into what may stand on lines of their own: as it is where that is plain, else as encoded words.
func words(s string) []string {
	s = clean(s)
	encode := false
	for _, w := range strings.Split(s, " ") {
		encode = encode || len(w) > 70 || strings.HasPrefix(w, "=?")
	}
	for i := range len(s) {
		encode = encode || s[i] >= 0x7f
	}
	if !encode {
		return strings.Split(s, " ")
	}
	// An umlaut takes the library to encode; a long word or a false encoded word does not.
	var out []string
	for s != "" {
		n := min(len(s), 40)
		for n < len(s) && !utf8.RuneStart(s[n]) {
			n--
		}
		e := mime.BEncoding.Encode("utf-8", s[:n])
		if e == s[:n] {
			e = "=?utf-8?q?" + strings.NewReplacer(" ", "_", "?", "=3F", "=", "=3D", "_", "=5F").Replace(s[:n]) + "?="
		}
		out, s = append(out, e), s[n:]
	}
	return out
}

// field writes a field, folded between its items so that lines stay below 78 bytes where that can be.
func field(b *bytes.Buffer, name string, items []string, sep string) {
	b.WriteString(name + ":")
	width := len(name) + 1
	for i, it := range items {
		if i+1 < len(items) {
			it += sep
		}
		if width+1+len(it) > 76 && i > 0 && it != "" {
			b.WriteString("\r\n")
			width = 0
		}
		b.WriteString(" " + it)
		width += 1 + len(it)
	}
	b.WriteString("\r\n")
}

// clean takes control characters out of a text that goes into a field: no field can begin within another.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// WithoutBcc takes the Bcc fields off a message that a user submits: they are for us alone
// (RFC 5322 section 3.6.3). No signature covers them yet.
func WithoutBcc(src io.Reader) (io.Reader, error) {
	head, err := io.ReadAll(io.LimitReader(src, 1<<20)) // the edge bounds a header section to 256 KB
	if err != nil {
		return nil, fmt.Errorf("read message: %w", err)
	}
	end := header.End(head)
	var out []byte
	rest := head[:end]
	for _, f := range header.Fields(head[:end]) {
		if !f.Is("Bcc") {
			out = append(out, f.Raw...)
		}
		rest = rest[len(f.Raw):]
	}
	out = append(append(out, rest...), head[end:]...)
	return io.MultiReader(bytes.NewReader(out), src), nil
}

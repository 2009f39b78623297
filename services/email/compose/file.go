package compose

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"mime"
	"path"
	"strings"
	"unicode/utf8"
)

// File is a file that goes with a mail.
type File struct {
	Name string // as people see it; "" is "file"
	Type string // media type; what is none, and any multipart, is sent as application/octet-stream
	Data []byte
}

// maxName bounds a file's name, in bytes.
const maxName = 200

// FileName returns a name that may be written beside a file: the last element of a path, without what no file system
// takes and what turns the direction of a line.
func FileName(name string) string {
	name = path.Base(strings.ReplaceAll(strings.ToValidUTF8(name, "_"), `\`, "/"))
	name = strings.Map(func(r rune) rune {
		switch {
		case r < ' ' || r == 0x7f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f:
			return -1
		case strings.ContainsRune(`<>:"/|?*`, r):
			return '_'
		}
		return r
	}, name)
	name = strings.TrimSpace(name)
	if len(name) > maxName { // the ending says what it is
		ext := path.Ext(name)
		if len(ext) > 20 {
			ext = ""
		}
		n := maxName - len(ext)
		for n > 0 && !utf8.RuneStart(name[n]) {
			n--
		}
		name = name[:n] + ext
	}
	if strings.Trim(name, ". ") == "" {
		return "file"
	}
	return name
}

// mediaType returns a file's type as it may be written.
func (f File) mediaType() string {
	t, _, err := mime.ParseMediaType(f.Type)
	kind, sub, ok := strings.Cut(t, "/")
	if err != nil || !ok || kind == "multipart" || kind == "message" && sub != "rfc822" || len(t) > 100 {
		return "application/octet-stream"
	}
	return t
}

// write writes the file as a part. A whole message keeps its type only where it needs no encoding, which RFC 2046
// section 5.2.1 forbids for it.
func (f File) write(b *bytes.Buffer) {
	t := f.mediaType()
	bare := t == "message/rfc822" && sevenBit(f.Data)
	if t == "message/rfc822" && !bare {
		t = "application/octet-stream"
	}
	name := FileName(f.Name)
	fmt.Fprintf(b, "Content-Type: %s%s\r\n", t, parameter("name", name))
	if bare {
		b.WriteString("Content-Transfer-Encoding: 7bit\r\n")
	} else {
		b.WriteString("Content-Transfer-Encoding: base64\r\n")
	}
	fmt.Fprintf(b, "Content-Disposition: attachment%s\r\n\r\n", parameter("filename", name))
	if bare {
		b.Write(f.Data)
		return
	}
	line := make([]byte, 0, 78)
	for rest := f.Data; len(rest) > 0; {
		n := min(len(rest), 57)
		line = base64.StdEncoding.AppendEncode(line[:0], rest[:n])
		b.Write(line)
		b.WriteString("\r\n")
		rest = rest[n:]
	}
}

// sevenBit reports whether bytes are lines of ASCII that end as those of mail do.
func sevenBit(data []byte) bool {
	line := 0
	for i, c := range data {
		switch {
		case c >= 0x80 || c == 0 || c == '\r' && (i+1 == len(data) || data[i+1] != '\n') || c == '\n' && (i == 0 || data[i-1] != '\r'):
			return false
		case c == '\n':
			line = 0
		default:
			if line++; line > 990 {
				return false
			}
		}
	}
	return true
}

// parameter writes a parameter of a field on lines of its own: quoted where it is plain, else in pieces as RFC 2231 wants
// it.
func parameter(name, value string) string {
	plain := len(value) < 60
	for i := range len(value) {
		plain = plain && value[i] >= ' ' && value[i] < 0x7f && value[i] != '"' && value[i] != '\\'
	}
	if plain {
		return ";\r\n " + name + `="` + value + `"`
	}
	var b strings.Builder
	piece, n := "utf-8''", 0
	flush := func() {
		fmt.Fprintf(&b, ";\r\n %s*%d*=%s", name, n, piece)
		piece, n = "", n+1
	}
	for _, r := range value {
		e := ""
		for _, c := range []byte(string(r)) {
			if c < 0x80 && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_') {
				e += string(c)
			} else {
				e += fmt.Sprintf("%%%02X", c)
			}
		}
		if len(piece)+len(e) > 60 {
			flush()
		}
		piece += e
	}
	flush()
	return b.String()
}

// Package header splits the header section of a message into its fields without changing a
// byte of it (RFC 5322 section 2.2).
//
// It is not a MIME parser and decodes nothing: what stands on the wire is what a signature
// covers and what a forger plays with. It never fails; a line that is no field is returned
// as one without a name. All functions are pure.
package header

import (
	"bytes"
	"strings"
)

// Field is one header field as it stands in the message.
type Field struct {
	Name string // as written, without blanks before the colon; "" when the line is no field
	Raw  []byte // the whole field: name, colon, value, continuation lines, line ends
}

// End returns the length of the header section of message, the empty line that ends it
// included; len(message) when there is no such line.
func End(message []byte) int {
	for i := 0; i < len(message); {
		j := bytes.IndexByte(message[i:], '\n')
		if j < 0 {
			return len(message)
		}
		if empty(message[i : i+j+1]) {
			return i + j + 1
		}
		i += j + 1
	}
	return len(message)
}

// Fields splits a header section; the empty line at its end, if any, is left out. The fields
// point into section.
func Fields(section []byte) []Field {
	var fields []Field
	for len(section) > 0 {
		n := bytes.IndexByte(section, '\n') + 1
		if n == 0 {
			n = len(section)
		}
		line := section[:n]
		if empty(line) {
			break
		}
		for n < len(section) && (section[n] == ' ' || section[n] == '\t') {
			m := bytes.IndexByte(section[n:], '\n') + 1
			if m == 0 {
				m = len(section) - n
			}
			n += m
		}
		fields = append(fields, Field{Name: nameOf(line), Raw: section[:n:n]})
		section = section[n:]
	}
	return fields
}

// empty reports whether the line, with its line end, is the one that ends a header section.
// End and Fields must agree on it: a line that only one of them took for the end would hide
// what follows from the other.
func empty(line []byte) bool { return string(line) == "\r\n" || string(line) == "\n" }

// nameOf returns the field name at the start of a line. A blank before the colon is against
// RFC 5322 but widely read as part of nothing, so it must not hide a second From.
func nameOf(line []byte) string {
	i := bytes.IndexByte(line, ':')
	if i <= 0 {
		return ""
	}
	name := strings.TrimRight(string(line[:i]), " \t")
	if name == "" {
		return ""
	}
	for k := 0; k < len(name); k++ {
		if name[k] <= ' ' || name[k] >= 0x7f {
			return ""
		}
	}
	return name
}

// Is reports whether the field has this name, in any case.
func (f Field) Is(name string) bool { return strings.EqualFold(f.Name, name) }

// Value returns the unfolded value: line ends taken out, blanks at both ends trimmed.
func (f Field) Value() string {
	i := bytes.IndexByte(f.Raw, ':')
	if i < 0 {
		return ""
	}
	v := strings.Map(func(r rune) rune {
		if r == '\r' || r == '\n' {
			return -1
		}
		return r
	}, string(f.Raw[i+1:]))
	return strings.Trim(v, " \t")
}

package header_test

import (
	"bytes"
	"strings"
	"testing"

	"uniqverse/smtpd/header"
)

func TestFields(t *testing.T) {
	for _, c := range []struct {
		name, message string
		end           int    // of the header section, -1 for all
		fields        string // name=value of each, joined by |
	}{
		{"plain", "A: 1\r\nB:2\r\n\r\nbody: 3\r\n", 13, "A=1|B=2"},
		{"folded", "A: 1\r\n\t2\r\n 3\r\nB: 4\r\n\r\n", -1, "A=1\t2 3|B=4"},
		{"no body", "A: 1\r\n", -1, "A=1"},
		{"no line end", "A: 1", -1, "A=1"},
		{"empty", "", -1, ""},
		{"body alone", "\r\nA: 1\r\n", 2, ""},
		{"blank before the colon", "From : a\r\nFrom\t: b\r\n\r\n", -1, "From=a|From=b"},
		{"no field", "hello\r\n: x\r\nA B: c\r\n\r\n", -1, "=|=x|=c"},
		{"starts with a fold", " x\r\nA: 1\r\n\r\n", -1, "=|A=1"},
		{"a line of blanks is no end", "A: 1\r\n \r\nB: 2\r\n\r\n", -1, "A=1|B=2"},
		{"a lone CR is no end", "\r\r\nFrom: a\r\n\r\nB: 2\r\n", 14, "=|From=a"},
		{"LF", "A: 1\nB: 2\n\nC: 3\n", 11, "A=1|B=2"},
	} {
		end := header.End([]byte(c.message))
		if want := c.end; end != want && (want >= 0 || end != len(c.message)) {
			t.Errorf("%s: the section ends at %d, want %d", c.name, end, want)
		}
		var got []string
		for _, f := range header.Fields([]byte(c.message[:end])) {
			got = append(got, f.Name+"="+f.Value())
		}
		if s := strings.Join(got, "|"); s != c.fields {
			t.Errorf("%s: got %q, want %q", c.name, s, c.fields)
		}
	}
}

// FuzzFields: the fields put together are the section, byte for byte.
func FuzzFields(f *testing.F) {
	f.Add([]byte("From: a\r\n b\r\nFrom : c\r\n\r\nbody"))
	f.Add([]byte("\n \n:\n"))
	f.Fuzz(func(t *testing.T, message []byte) {
		section := message[:header.End(message)]
		var all []byte
		for _, x := range header.Fields(section) {
			all = append(all, x.Raw...)
			if strings.ContainsAny(x.Name, " \t\r\n:") || strings.ContainsAny(x.Value(), "\r\n") {
				t.Errorf("field %q", x.Raw)
			}
		}
		if !bytes.HasPrefix(section, all) || len(bytes.Trim(section[len(all):], "\r\n")) > 0 {
			t.Errorf("%q became %q", section, all)
		}
	})
}

package compose_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/mail"
	"strings"
	"testing"

	"uniqverse/services/email/compose"
	"uniqverse/services/email/mime"
)

// Files come back byte for byte under their names, whatever those are; a second reader, the standard library, agrees.
func TestFiles(t *testing.T) {
	files := []compose.File{
		{Name: "readings.csv", Type: "text/csv; charset=utf-8", Data: []byte("gate,open\n4,1\n")},
		{Name: "Grüße aus dem All 🚀.pdf", Type: "application/pdf", Data: bytes.Repeat([]byte{0, 255, 13, 10, 61}, 5000)},
		{Name: `a "quoted" back\slash.txt`, Type: "text/plain", Data: nil},
		{Name: strings.Repeat("lang", 80) + ".tar.gz", Type: "application/gzip", Data: []byte("x")},
		{Name: "../../etc/passwd", Type: "multipart/mixed; boundary=x", Data: []byte("--x")},
		{Name: "evil\r\nBcc: x@example.org\r\n.txt", Type: "text/html\r\nX: y", Data: []byte("<script>")},
		{Name: "letter.eml", Type: "message/rfc822", Data: []byte("Subject: inner\r\n\r\nhello\r\n")},
		{Name: "eight.eml", Type: "message/rfc822", Data: []byte("Subject: ü\r\n\r\nhello\r\n")},
	}
	names := []string{"readings.csv", "Grüße aus dem All 🚀.pdf", "slash.txt", "", "passwd", "evilBcc_ x@example.org.txt", "letter.eml", "eight.eml"}
	for _, html := range []string{"", "<p>hello</p>"} {
		m := message()
		m.HTML, m.Files = html, files
		msg, body := read(t, m)
		raw := m.Bytes()
		tree, err := mime.Scan(bytes.NewReader(raw))
		if err != nil || len(tree.Faults) > 0 {
			t.Fatalf("our own reader finds %v, %v", tree.Faults, err)
		}
		var found []*mime.Part
		for i := range tree.Parts {
			if p := &tree.Parts[i]; p.IsAttachment() {
				found = append(found, p)
			}
		}
		if len(found) != len(files) {
			t.Fatalf("%d files, want %d", len(found), len(files))
		}
		for i, p := range found {
			data, err := io.ReadAll(p.Body(bytes.NewReader(raw)))
			if err != nil || !bytes.Equal(data, files[i].Data) {
				t.Errorf("file %d is %d bytes, want %d (%v)", i, len(data), len(files[i].Data), err)
			}
			if names[i] != "" && p.Name != names[i] || len(p.Name) > 220 || p.Name == "" {
				t.Errorf("file %d is called %q, want %q", i, p.Name, names[i])
			}
		}
		if found[4].Type != "application/octet-stream" || found[5].Type != "application/octet-stream" || found[6].Type != "message/rfc822" || found[7].Type != "application/octet-stream" {
			t.Errorf("the types are %s, %s, %s, %s", found[4].Type, found[5].Type, found[6].Type, found[7].Type)
		}
		if msg.Header.Get("Bcc") != "" || bytes.Contains(raw, []byte("\nX: y")) {
			t.Error("a name became a field")
		}
		n, mr := 0, multipart.NewReader(bytes.NewReader(body), "bound")
		for {
			p, err := mr.NextPart()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == 3 && p.FileName() != names[1] {
				t.Errorf("the standard library reads the name %q", p.FileName())
			}
		}
		if n != len(files)+1 {
			t.Errorf("the standard library finds %d parts", n)
		}
	}
}

func TestReferences(t *testing.T) {
	m := message()
	m.InReplyTo = "last@example.org"
	for i := range 40 {
		m.References = append(m.References, string(rune('a'+i%26))+strings.Repeat("x", i)+"@example.org")
	}
	msg, _ := read(t, m)
	ids := mime.MessageIDs(msg.Header.Get("References"))
	if len(ids) != 21 || ids[0] != "a@example.org" || ids[20] != "last@example.org" {
		t.Errorf("References are %d: %v", len(ids), ids)
	}
	if _, err := mail.ParseAddress("<" + ids[20] + ">"); err != nil {
		t.Error(err)
	}
}

package email_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"uniqverse/services/email/archive"
)

// importFile puts a file into a folder and returns the answer.
func (w *world) importFile(token, query, typ, body string, want int) (out archive.Imported) {
	w.t.Helper()
	status, text, _ := w.call("POST", "/api/import?"+query, token, body, "Content-Type", typ)
	if status != want {
		w.t.Fatalf("import %s: %d, want %d: %s", query, status, want, text)
	}
	if want == 200 {
		decode(w.t, text, &out)
	}
	return out
}

// What goes out as mbox or zip comes in again with its text, time, state and labels, once.
func TestExportAndImport(t *testing.T) {
	w := start(t, "")
	pilot := "pilot@" + domain
	w.receive(mail("one", "one@x", "From here on\r\n>From there\r\nend"), pilot)
	w.receive(mail("two", "", "no id"), pilot)
	w.as("pilot", 200, "POST", "/api/messages/1/read", "", nil)
	w.as("pilot", 200, "POST", "/api/messages/1/star", "", nil)
	w.as("pilot", 200, "POST", "/api/messages/1/labels", `{"labels":["ship","to do"]}`, nil)

	status, mbox, h := w.call("GET", "/api/export?user=pilot&folder=inbox", "pilot", "")
	if status != 200 || !strings.HasPrefix(mbox, "From ann@example.org ") || !strings.Contains(mbox, "\n>From here on\n>>From there\n") || strings.Contains(mbox, "\r") ||
		h.Get("Content-Disposition") != "attachment; filename=pilot-inbox.mbox" {
		t.Fatalf("%d %v\n%s", status, h, mbox)
	}
	if got := w.importFile("pilot", "user=pilot", "application/mbox", mbox, 200); got.Imported != 0 || got.Known != 2 {
		t.Errorf("what is there is imported again: %+v", got)
	}
	if got := w.importFile("mallory", "folder=archive", "application/mbox", mbox, 200); got.Imported != 2 || got.Failed != 0 {
		t.Errorf("imported for another: %+v", got)
	}
	l := w.list("mallory", "mallory@"+domain, "mailbox=archive")
	if got := fmt.Sprint(subjects(l)); got != "[two one]" || l.Messages[0].ReceivedAt.Time().Unix() != w.list("pilot", pilot).Messages[0].ReceivedAt.Time().Unix() {
		t.Errorf("the folder lists %s", got)
	}
	if m := l.Messages[1]; m.Unread || !m.Starred || fmt.Sprint(m.Labels) != "[ship to do]" || !l.Messages[0].Unread {
		t.Errorf("state and labels: %+v", l.Messages)
	}
	_, raw, _ := w.call("GET", fmt.Sprintf("/api/messages/%d/raw", l.Messages[1].ID), "mallory", "")
	if !strings.Contains(raw, "\r\nFrom here on\r\n>From there\r\nend\r\n") || strings.Contains(raw, "Status:") {
		t.Errorf("the text came back as\n%s", raw)
	}

	status, packed, _ := w.call("GET", "/api/export?user=pilot&format=zip", "pilot", "")
	z, err := zip.NewReader(bytes.NewReader([]byte(packed)), int64(len(packed)))
	if status != 200 || err != nil || len(z.File) != 2 || z.File[0].Name != "Inbox/1.eml" {
		t.Fatalf("%d, %v", status, err)
	}
	f, err := z.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	if eml, _ := io.ReadAll(f); !bytes.Contains(eml, []byte("Subject: one\r\n")) {
		t.Errorf("%s", eml)
	}
	if got := w.importFile("admin", "folder=inbox", "application/zip", packed, 200); got.Imported != 2 {
		t.Errorf("the zip came in as %+v", got)
	}
	if got := w.importFile("admin", "unread=true", "message/rfc822", "Subject: alone\nDate: Sun, 22 Nov 2020 08:33:42 +0000\n\nLF only\n", 200); got.Imported != 1 {
		t.Errorf("one message came in as %+v", got)
	}
	l = w.list("admin", "admin@"+domain, "mailbox=inbox")
	if got := fmt.Sprint(subjects(l)); got != "[two one alone]" || !l.Messages[2].Unread { // where its time is
		t.Errorf("the inbox lists %s, %+v", got, l.Messages[2])
	}
}

// A file that is none, or not whole, is refused or named; what was good in it is in the folder.
func TestImportRefusals(t *testing.T) {
	w := start(t, "")
	for _, c := range []struct {
		query, typ, body string
		want             int
	}{
		{"folder=nowhere", "application/mbox", "From a Sun Nov 22 08:33:42 2020\n\nx\n", 422},
		{"user=pilot", "application/mbox", "From a Sun Nov 22 08:33:42 2020\n\nx\n", 403},
		{"", "text/plain", "x", 415},
		{"", "application/mbox", "", 422},
		{"", "application/mbox", "hello\n", 422},
		{"", "application/zip", "PK no zip", 400},
		{"", "message/rfc822", "", 400},
	} {
		w.importFile("mallory", c.query, c.typ, c.body, c.want)
	}
	var pack bytes.Buffer
	z := zip.NewWriter(&pack)
	for name, text := range map[string]string{"a.eml": "Subject: a\r\n\r\nx\r\n", "empty.eml": "", "notes.txt": "no mail", "dir/b.EML": "Subject: b\r\n\r\nx\r\n"} {
		f, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(f, text)
	}
	z.Close()
	if got := w.importFile("mallory", "", "application/zip", pack.String(), 200); got.Imported != 2 || got.Failed != 1 || len(got.Failures) != 1 {
		t.Errorf("came in as %+v", got)
	}
}

// Whatever a file says, its messages are read or refused, and reading ends.
func FuzzMbox(f *testing.F) {
	f.Add("From a Sun Nov 22 08:33:42 2020\nStatus: RO\n\nx\n\nFrom b\n>From\n")
	f.Add("\n\nFrom \n")
	f.Fuzz(func(t *testing.T, text string) {
		n := 0
		err := archive.ReadMbox(strings.NewReader(text), func(m archive.Message, err error) {
			n++
			if err == nil && len(m.Raw) > 0 && !bytes.HasSuffix(m.Raw, []byte("\r\n")) { // an empty one is refused where it is put into a folder
				t.Errorf("message %d has no line end: %q", n, m.Raw)
			}
		})
		if err == nil && n > strings.Count(text, "From ") {
			t.Errorf("%d messages of %q", n, text)
		}
	})
}

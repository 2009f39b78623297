package email_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"uniqverse/internal/api"
	"uniqverse/internal/web"
	"uniqverse/services/email"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/queue"
	"uniqverse/store/mailstore"
)

// as makes a call that must be answered with the status, and reads its answer.
func (w *world) as(token string, want int, method, path, body string, out any) {
	w.t.Helper()
	status, text, _ := w.call(method, path, token, body)
	if status != want {
		w.t.Fatalf("%s %s %s: %d, want %d: %s", method, path, body, status, want, text)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(text), out); err != nil {
			w.t.Fatalf("%v in %s", err, text)
		}
	}
}

func subjects(l api.EmailList) (out []string) {
	for _, m := range l.Messages {
		out = append(out, m.Subject)
	}
	return out
}

// A message is where it was put, the counts of each folder follow, and lists show one folder or all of them.
func TestFolders(t *testing.T) {
	w := start(t, "")
	pilot := "pilot@" + domain
	for _, s := range []string{"one", "two", "three"} {
		w.receive(mail(s, s+"@example.org", "text"), pilot)
	}
	var work, inner api.EmailFolder
	w.as("pilot", 200, "POST", "/api/folders", `{"name":" Work "}`, &work)
	w.as("pilot", 200, "POST", "/api/folders", fmt.Sprintf(`{"name":"Ships","parent":%d}`, work.ID), &inner)
	if work.Name != "Work" || inner.Path != "Work/Ships" {
		t.Errorf("made %+v and %+v", work, inner)
	}
	w.as("pilot", 409, "POST", "/api/folders", `{"name":"Work"}`, nil)
	w.as("pilot", 422, "PATCH", fmt.Sprintf("/api/folders/%d", work.ID), fmt.Sprintf(`{"parent":%d}`, inner.ID), nil) // into itself
	w.as("pilot", 409, "DELETE", fmt.Sprintf("/api/folders/%d", work.ID), "", nil)                                    // one within it

	ids := map[string]int64{}
	for _, m := range w.list("pilot", pilot).Messages {
		ids[m.Subject] = m.ID
	}
	w.as("pilot", 200, "POST", fmt.Sprintf("/api/messages/%d/move", ids["two"]), `{"folder":"work/ships"}`, nil)
	w.as("pilot", 200, "POST", fmt.Sprintf("/api/messages/%d/read", ids["three"]), "", nil)
	for folder, want := range map[string]string{"inbox": "[three one]", "Work/Ships": "[two]", fmt.Sprint(inner.ID): "[two]", "trash": "[]", "": "[three two one]"} {
		if got := fmt.Sprint(subjects(w.list("pilot", pilot, "mailbox="+folder))); got != want {
			t.Errorf("folder %q lists %s, want %s", folder, got, want)
		}
	}
	counts := func(want string) {
		t.Helper()
		var all api.EmailFolders
		w.as("pilot", 200, "GET", "/api/folders?user=pilot", "", &all)
		var got []string
		for _, f := range all.Folders {
			if f.Messages > 0 {
				got = append(got, fmt.Sprintf("%s %d/%d", f.Path, f.Unread, f.Messages))
			}
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("the folders have %s, want %s", strings.Join(got, ", "), want)
		}
	}
	counts("Inbox 1/2, Work/Ships 1/1")

	// What lies in a removed folder goes to the trash, and from there for good.
	var gone email.Removed
	w.as("pilot", 200, "DELETE", fmt.Sprintf("/api/folders/%d", inner.ID), "", &gone)
	w.as("pilot", 200, "DELETE", fmt.Sprintf("/api/folders/%d", work.ID), "", nil)
	w.as("pilot", 200, "DELETE", fmt.Sprintf("/api/messages/%d", ids["one"]), "", nil)
	counts("Inbox 0/1, Trash 2/2")
	w.as("pilot", 200, "DELETE", fmt.Sprintf("/api/messages/%d", ids["one"]), "", &gone)
	if gone.Removed != 1 {
		t.Errorf("the second deletion: %+v", gone)
	}
	w.as("pilot", 404, "GET", fmt.Sprintf("/api/messages/%d", ids["one"]), "", nil)
	var all api.EmailFolders
	w.as("pilot", 200, "GET", "/api/folders?user=pilot", "", &all)
	trash := all.Folders[slices.IndexFunc(all.Folders, func(f api.EmailFolder) bool { return f.Role == "trash" })]
	w.as("pilot", 200, "POST", fmt.Sprintf("/api/folders/%d/empty", trash.ID), "", &gone)
	counts("Inbox 0/1")
	if l := w.list("pilot", pilot); l.Total != 1 || l.Unread != 0 {
		t.Errorf("the mailbox counts %d, %d unread", l.Total, l.Unread)
	}
}

// Many messages change together or not at all.
func TestBulk(t *testing.T) {
	w := start(t, "")
	pilot := "pilot@" + domain
	for _, s := range []string{"one", "two", "three"} {
		w.receive(mail(s, "", "text"), pilot)
	}
	for _, step := range []struct{ body, list string }{
		{`{"ids":[1,2,2],"action":"read"}`, "unread=true [three]"},
		{`{"ids":[1,2],"action":"unread"}`, "unread=true [three two one]"},
		{`{"ids":[3],"action":"star"}`, "starred=true [three]"},
		{`{"ids":[1,3],"action":"label","label":"ship"}`, "label=ship [three one]"},
		{`{"ids":[3],"action":"unlabel","label":"ship"}`, "label=ship [one]"},
		{`{"ids":[1,2],"action":"move","folder":"archive"}`, "mailbox=archive [two one]"},
		{`{"ids":[1],"action":"delete"}`, "mailbox=trash [one]"},
	} {
		w.as("pilot", 200, "POST", "/api/messages/bulk", step.body, nil)
		query, want, _ := strings.Cut(step.list, " ")
		if got := fmt.Sprint(subjects(w.list("pilot", pilot, query))); got != want {
			t.Errorf("after %s, %s lists %s, want %s", step.body, query, got, want)
		}
	}
	w.as("pilot", 404, "POST", "/api/messages/bulk", `{"ids":[3,99],"action":"delete"}`, nil)
	if got := fmt.Sprint(subjects(w.list("pilot", pilot, "mailbox=inbox"))); got != "[three]" {
		t.Errorf("a refused change moved something: the inbox has %s", got)
	}
}

// A reply joins the thread of what it answers, whichever came first; another subject begins a new one.
func TestThreads(t *testing.T) {
	w := start(t, "")
	pilot := "pilot@" + domain
	answer := func(subject, id, refs string) string {
		return "References: " + refs + "\r\n" + mail(subject, id, "text")
	}
	w.receive(answer("Re: Launch", "c@x", "<a@x> <b@x>"), pilot) // before what it answers
	w.receive(mail("launch", "a@x", "text"), pilot)
	w.receive(answer("AW: [crew] Launch", "b@x", "<a@x>"), pilot)
	w.receive(answer("Lunch", "d@x", "<a@x>"), pilot)
	w.receive(mail("launch", "e@x", "text"), pilot)
	thread := map[string]int64{}
	for _, m := range w.list("pilot", pilot).Messages {
		thread[m.InternetMessageID] = m.ThreadID
	}
	if thread["a@x"] != thread["b@x"] || thread["a@x"] != thread["c@x"] {
		t.Errorf("one conversation is in several threads: %v", thread)
	}
	if thread["d@x"] == thread["a@x"] || thread["e@x"] == thread["a@x"] {
		t.Errorf("strangers are in one thread: %v", thread)
	}
	var got email.Thread
	w.as("pilot", 200, "GET", "/api/messages/2/thread", "", &got)
	if len(got.Messages) != 3 || got.Messages[0].ID != 1 || got.ThreadID != thread["a@x"] {
		t.Errorf("the thread is %+v", got)
	}
	// A copy to oneself is there once, in the inbox and among what was sent.
	w.as("writer", 202, "POST", "/api/send", `{"to":["writer"],"subject":"note","text":"hi"}`, nil)
	for _, f := range []string{"inbox", "sent"} {
		if l := w.list("writer", "writer@"+domain, "mailbox="+f, "limit=1"); len(l.Messages) != 1 || l.Messages[0].Subject != "note" || len(l.Messages[0].Folders) != 2 {
			t.Errorf("%s has %+v", f, l.Messages)
		}
	}
}

// The bytes of a large message go with the last mailbox that has it.
func TestLastCopyTakesTheFile(t *testing.T) {
	w := start(t, "")
	w.receive(mail("big", "big@x", strings.Repeat("0123456789abcdef\r\n", 20_000)), "pilot@"+domain, "mallory@"+domain)
	files := func() int {
		all, err := filepath.Glob(filepath.Join(w.dir, "mail", "*", "*.eml"))
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	if files() != 1 {
		t.Fatalf("%d files for one message", files())
	}
	w.as("pilot", 200, "DELETE", "/api/messages/1?forever=true", "", nil)
	if files() != 1 {
		t.Error("the file went while somebody still has the message")
	}
	w.as("mallory", 200, "DELETE", "/api/messages/2?forever=true", "", nil)
	if files() != 0 {
		t.Error("the file stayed though nobody has the message")
	}
}

// A message that is put into a mailbox lies there as told, is nobody's news, and can be sent.
func TestAppendAndSubmit(t *testing.T) {
	w := start(t, "")
	ctx := t.Context()
	m, err := w.svc.Append(ctx, email.Appended{User: "pilot", Role: mailbox.RoleDrafts, Keywords: []string{mailbox.KeywordDraft}, Mode: "draft"},
		strings.NewReader("From: pilot@"+domain+"\r\nTo: mallory@"+domain+"\r\nBcc: eve@example.org\r\nSubject: plan\r\nMessage-ID: <p@x>\r\n\r\nhi\r\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	row, err := w.svc.Store.MessageByID(ctx, m.ID)
	if err != nil || fmt.Sprintf("%v %v %v %v", row.Keywords, row.Unread, row.Subject, row.Flags) != "[$draft] false plan []" {
		t.Errorf("the draft is %+v, %v", row, err)
	}
	if _, source, _ := w.call("GET", "/api/messages/1/raw", "pilot", ""); !strings.Contains(source, "Bcc: eve@example.org") {
		t.Errorf("the draft lost its Bcc:\n%s", source)
	}
	called := ""
	id, err := w.svc.SubmitStored(ctx, callerOf(t, "pilot"), email.Submission{Message: row, From: "pilot@" + domain, To: []string{"mallory@" + domain, "eve@example.org"}},
		func(_ mailbox.Tx, queueID string) error { called = queueID; return nil })
	if err != nil || called != id {
		t.Fatalf("submitted as %q (%q), %v", id, called, err)
	}
	if l := w.list("mallory", "mallory@"+domain); len(l.Messages) != 1 || l.Messages[0].Subject != "plan" {
		t.Errorf("the recipient has %+v", l.Messages)
	}
	_, source, _ := w.call("GET", "/api/messages/2/raw", "mallory", "")
	if strings.Contains(source, "eve@example.org") {
		t.Errorf("Bcc is shown to others:\n%s", source)
	}
	if l := w.list("pilot", "pilot@"+domain); len(l.Messages) != 1 {
		t.Errorf("the sender has %d copies", len(l.Messages))
	}
	entries, err := mailstore.New(w.db).Entries(ctx, queue.Filter{}, web.Paging{})
	if err != nil || len(entries) != 1 || entries[0].Recipient != "eve@example.org" || entries[0].MessageID != m.ID {
		t.Errorf("the queue has %+v, %v", entries, err)
	}
	if _, err := w.svc.SubmitStored(ctx, callerOf(t, "pilot"), email.Submission{Message: row, From: "mallory@" + domain, To: []string{"pilot@" + domain}}, nil); err == nil {
		t.Error("somebody else's address was taken as sender")
	}
	if _, err := os.Stat(filepath.Join(w.dir, "mail")); err == nil {
		t.Error("small messages made files")
	}
}

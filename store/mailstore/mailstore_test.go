package mailstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/search"
	"uniqverse/services/email/spam"
	"uniqverse/store"
	"uniqverse/store/mailstore"
	"uniqverse/store/storetest"
)

// sampleRaw is what the edge would have handed over.
func sampleRaw(id string) mailbox.Raw {
	return mailbox.Raw{EnvelopeID: "E", SHA256: []byte("0123456789abcdef0123456789abcdef"), Size: 4, Body: []byte("body"), Mode: "mx", ReversePath: "a@example.org",
		Recipients: []string{"pilot@vezeuniqverse.com"}, Received: time.UnixMilli(1_700_000_000_123).UTC(), MessageID: id, Faults: []string{"nul"},
		Auth: []byte(`{"spf":"pass"}`), SpamReasons: []spam.Reason{{Rule: "no_date", Score: 0.5}}, Prepended: []byte("Received: x\r\n")}
}

// A list stops after its page: the order comes from an index, whatever the filter.
func TestEmailListsAreReadInOrder(t *testing.T) {
	db := storetest.Open(t)
	yes, no := true, false
	for name, f := range map[string]mailbox.Filter{
		"all": {}, "before": {Paging: web.Paging{Before: 9}}, "after": {Paging: web.Paging{After: 9}}, "both": {Paging: web.Paging{After: 3, Before: 9}},
		"unread": {Unread: &yes}, "read": {Unread: &no}, "starred": {Starred: &yes}, "label": {Label: "x"}, "label before": {Label: "x", Paging: web.Paging{Before: 9}}, "label of a folder": {Label: "x", Folder: 1}, "folder": {Folder: 1}, "folder before": {Folder: 1, Paging: web.Paging{Before: 9}}, "folder after": {Folder: 1, Paging: web.Paging{After: 9}},
		"folder unread": {Folder: 1, Unread: &yes}, "unread label": {Label: "x", Unread: &yes, Paging: web.Paging{Before: 9}},
	} {
		text, args := mailstore.ListQuery(1, f)
		rows, err := db.Query(context.Background(), "EXPLAIN QUERY PLAN "+text, args...)
		if err != nil {
			t.Fatal(err)
		}
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, detail)
		}
		rows.Close()
		all := strings.Join(plan, "\n")
		index := "email_messages_list"
		switch {
		case f.Label != "":
			index = "SEARCH email_labels USING COVERING INDEX sqlite_autoindex_email_labels_1 (mailbox_id=? AND label=?"
		case f.Starred != nil:
			index = "email_messages_starred"
		case f.Unread == &yes:
			index = "email_messages_unread"
		case f.Folder != 0:
			index = "SEARCH p USING PRIMARY KEY (folder_id=?"
		}
		sorts := strings.Count(all, "TEMP B-TREE")
		if name == "folder after" { // as below
			all, _, _ = strings.Cut(all, "SCAN (subquery")
			sorts = strings.Count(all, "TEMP B-TREE")
		}
		if name == "after" { // its page of at most 200 rows is turned around
			all, _, _ = strings.Cut(all, "SCAN email_messages")
			sorts--
		}
		if sorts > 0 || !strings.Contains(all, index) || strings.Contains(all, "SCAN email_messages") {
			t.Errorf("%s is read by\n%s\nwant the order of %s", name, all, index)
		}
	}
}

// Every page of a list has what the filter says, in the order of arrival, whichever index it is read by.
func TestPagesOfLists(t *testing.T) {
	s, ctx := mailstore.New(storetest.Open(t)), context.Background()
	var all []mailbox.Message
	var box mailbox.Mailbox
	err := s.Update(ctx, nil, func(tx mailbox.Tx) (err error) {
		if box, _, err = tx.EnsureMailbox("pilot", mailbox.MadeByMail); err != nil {
			return err
		}
		folders, err := tx.Folders(box.ID)
		if err != nil {
			return err
		}
		raw, err := tx.AddRaw(sampleRaw("1@x"))
		for i := range 60 {
			m := mailbox.Message{MailboxID: box.ID, RawID: raw, Received: time.UnixMilli(int64(1000 + i)), Unread: i%7 == 0, Folders: []int64{folders[i%2].ID}}
			if i%3 == 0 {
				m.Labels = []string{"crew"}
			}
			if m, err = tx.AddMessage(m); err != nil {
				return err
			}
			all = append(all, m)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	yes, no := true, false
	for _, f := range []mailbox.Filter{{Label: "crew"}, {Label: "nobody's"}, {Label: "crew", Unread: &yes}, {Label: "crew", Folder: all[0].Folders[0]}, {Folder: all[0].Folders[0], Unread: &yes},
		{Folder: all[0].Folders[0], Unread: &no}, {Folder: 1 << 40, Unread: &yes}, {Unread: &yes}} {
		for _, p := range []web.Paging{{}, {Limit: 3}, {Limit: 3, Offset: 2}, {Offset: 100}, {Before: all[30].ID}, {Limit: 2, Before: all[30].ID}, {Limit: 2, After: all[10].ID}, {After: all[10].ID, Before: all[40].ID}} {
			f.Paging = p
			got, err := s.Messages(ctx, box.ID, f)
			if err != nil {
				t.Fatalf("%+v: %v", f, err)
			}
			if want := page(all, f); fmt.Sprint(ids(got)) != fmt.Sprint(ids(want)) {
				t.Errorf("%+v: %v, want %v", f, ids(got), ids(want))
			}
		}
	}
}

// page is the page of all, the oldest first, that a filter asks for.
func page(all []mailbox.Message, f mailbox.Filter) (out []mailbox.Message) {
	nearest := f.After != 0 && f.Before == 0
	for _, m := range all {
		if (f.Label == "" || slices.Contains(m.Labels, f.Label)) && (f.Unread == nil || m.Unread == *f.Unread) && (f.Folder == 0 || slices.Contains(m.Folders, f.Folder)) &&
			(f.Before == 0 || m.ID < f.Before) && m.ID > f.After {
			out = append(out, m)
		}
	}
	if !nearest {
		slices.Reverse(out)
	}
	out = out[min(f.Offset, len(out)):]
	out = out[:min(f.Size(), len(out))]
	if nearest {
		slices.Reverse(out)
	}
	return out
}

func ids(list []mailbox.Message) (out []int64) {
	for _, m := range list {
		out = append(out, m.ID)
	}
	return out
}

// A search walks the index from its newest message back and stops after the page.
func TestSearchesAreReadInOrder(t *testing.T) {
	db := storetest.Open(t)
	q, err := search.Parse("launch has:attachment is:unread in:inbox -draft", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	text, args := mailstore.ListQuery(1, mailbox.Filter{Query: q, Within: []mailbox.InFolder{{Folder: 1}}, Paging: web.Paging{Before: 9}})
	rows, err := db.Query(context.Background(), "EXPLAIN QUERY PLAN "+text, args...)
	plan, err := store.CollectRows(rows, err, func(r store.RowScanner) (detail string, err error) {
		var id, parent, unused int
		return detail, r.Scan(&id, &parent, &unused, &detail)
	})
	all := strings.Join(plan, "\n")
	if err != nil || strings.Contains(all, "TEMP B-TREE") || strings.Contains(all, "SCAN email_messages") || !strings.HasPrefix(all, "SCAN email_search VIRTUAL TABLE INDEX") {
		t.Errorf("read by\n%s\n%v", all, err)
	}
}

func TestEmailRowsComeBackAsTheyWere(t *testing.T) {
	ctx := context.Background()
	s := mailstore.New(storetest.Open(t))
	var id, rawID int64
	want := mailbox.Message{Recipient: "pilot@x", Subject: "sub", From: "A <a@x>", FromName: "A", FromAddress: "a@x", To: "p@x", Date: time.UnixMilli(5000).UTC(),
		Received: time.UnixMilli(6789).UTC(), Snippet: "snip", MessageID: "m@x", Size: 4, Attachments: 2, Flags: []string{"attachment", "html"}, SpamScore: 1.5,
		SPF: "pass", DKIM: "fail", DMARC: "none", Unread: true, User: "pilot"}
	err := s.Update(ctx, nil, func(tx mailbox.Tx) error {
		box, made, err := tx.EnsureMailbox("pilot", "mail")
		if err != nil || !made {
			return fmt.Errorf("made %v: %w", made, err)
		}
		if rawID, err = tx.AddRaw(sampleRaw("m@x")); err != nil {
			return err
		}
		inbox, err := tx.FolderByRole(box.ID, mailbox.RoleInbox)
		if err != nil {
			return err
		}
		want.MailboxID, want.RawID, want.Folders = box.ID, rawID, []int64{inbox.ID}
		m, err := tx.AddMessage(want)
		want.ThreadID, want.Modseq, want.CreatedModseq = m.ThreadID, m.Modseq, m.CreatedModseq
		id = m.ID
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want.ID, want.Labels, want.Keywords = id, []string{}, []string{}
	got, err := s.MessageByID(ctx, id)
	if err != nil || fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
		t.Errorf("the row is\n%#v, %v; want\n%#v", got, err, want)
	}
	raw, err := s.RawByID(ctx, rawID)
	expect := sampleRaw("m@x")
	expect.ID = rawID
	if err != nil || fmt.Sprintf("%#v", raw) != fmt.Sprintf("%#v", expect) {
		t.Errorf("the message is\n%#v, %v; want\n%#v", raw, err, expect)
	}
	if _, err := s.MessageByID(ctx, 99); !errs.Is(err, errs.NotFound) {
		t.Errorf("no message: %v", err)
	}
	if _, err := s.RawByID(ctx, 99); !errs.Is(err, errs.NotFound) {
		t.Errorf("no bytes: %v", err)
	}
	if _, err := s.MailboxByName(ctx, "nobody"); !errs.Is(err, errs.NotFound) {
		t.Errorf("no mailbox: %v", err)
	}
}

func TestEmailCountsFollowEveryChange(t *testing.T) {
	ctx := context.Background()
	s := mailstore.New(storetest.Open(t))
	counts := func(want string) {
		t.Helper()
		b, err := s.MailboxByName(ctx, "pilot")
		if got := fmt.Sprintf("%d messages, %d unread, %d bytes", b.Messages, b.Unread, b.Bytes); err != nil || got != want {
			t.Errorf("counts are %s, %v; want %s", got, err, want)
		}
	}
	update := func(fn func(tx mailbox.Tx, box mailbox.Mailbox, m mailbox.Message) error) error {
		return s.Update(ctx, nil, func(tx mailbox.Tx) error {
			box, _, err := tx.EnsureMailbox("pilot", "mail")
			if err != nil {
				return err
			}
			m, err := tx.MessageByID(1)
			if err != nil && !errs.Is(err, errs.NotFound) {
				return err
			}
			return fn(tx, box, m)
		})
	}
	add := func(tx mailbox.Tx, box mailbox.Mailbox, _ mailbox.Message) error {
		raw, err := tx.AddRaw(sampleRaw(""))
		if err != nil {
			return err
		}
		_, err = tx.AddMessage(mailbox.Message{MailboxID: box.ID, RawID: raw, Size: 10, Unread: true, Folders: []int64{1}})
		return err
	}
	undone := errors.New("undone")
	for _, step := range []struct {
		fn   func(mailbox.Tx, mailbox.Mailbox, mailbox.Message) error
		want string
	}{
		{add, "1 messages, 1 unread, 10 bytes"},
		{add, "2 messages, 2 unread, 20 bytes"},
		{func(tx mailbox.Tx, b mailbox.Mailbox, m mailbox.Message) error {
			return errors.Join(add(tx, b, m), undone)
		}, "2 messages, 2 unread, 20 bytes"},
		{func(tx mailbox.Tx, _ mailbox.Mailbox, m mailbox.Message) error { return tx.SetUnread(m, false) }, "2 messages, 1 unread, 20 bytes"},
		{func(tx mailbox.Tx, _ mailbox.Mailbox, m mailbox.Message) error { return tx.SetUnread(m, false) }, "2 messages, 1 unread, 20 bytes"},
		{func(tx mailbox.Tx, _ mailbox.Mailbox, m mailbox.Message) error { return tx.SetUnread(m, true) }, "2 messages, 2 unread, 20 bytes"},
	} {
		if err := update(step.fn); err != nil && !errors.Is(err, undone) {
			t.Fatal(err)
		}
		counts(step.want)
		inbox, err := s.FolderByID(ctx, 1)
		if got := fmt.Sprintf("%d messages, %d unread, ", inbox.Messages, inbox.Unread); err != nil || !strings.HasPrefix(step.want, got) {
			t.Errorf("the inbox has %s %v; want %s", got, err, step.want)
		}
	}
	for _, labels := range [][]string{{"a", "b"}, {"b", "c"}, {}} {
		err := update(func(tx mailbox.Tx, _ mailbox.Mailbox, m mailbox.Message) error { return tx.SetLabels(m, labels) })
		if err != nil {
			t.Fatal(err)
		}
		box, err := s.MailboxByName(ctx, "pilot")
		if err != nil {
			t.Fatal(err)
		}
		have, err := s.LabelCounts(ctx, box.ID)
		if err != nil || len(have) != len(labels) || len(labels) > 0 && have[0] != (mailbox.LabelCount{Label: labels[0], Count: 1}) {
			t.Errorf("labels %v are counted as %v, %v", labels, have, err)
		}
	}
}

func TestEmailRepeats(t *testing.T) {
	ctx := context.Background()
	s := mailstore.New(storetest.Open(t))
	first := sampleRaw("once@example.org")
	other := func(change func(*mailbox.Raw)) mailbox.Raw {
		r := sampleRaw("once@example.org")
		change(&r)
		return r
	}
	err := s.Update(ctx, nil, func(tx mailbox.Tx) error {
		box, _, err := tx.EnsureMailbox("pilot", "mail")
		if err != nil {
			return err
		}
		other1, _, err := tx.EnsureMailbox("wing", "mail")
		if err != nil {
			return err
		}
		id, err := tx.AddRaw(first)
		if err != nil {
			return err
		}
		if _, err := tx.AddMessage(mailbox.Message{MailboxID: box.ID, RawID: id, Folders: []int64{1}}); err != nil {
			return err
		}
		for _, c := range []struct {
			what  string
			box   int64
			raw   mailbox.Raw
			since time.Time
			want  bool
		}{
			{"the same", box.ID, first, first.Received, true},
			{"too long ago", box.ID, first, first.Received.Add(time.Millisecond), false},
			{"another mailbox", other1.ID, first, first.Received, false},
			{"other bytes", box.ID, other(func(r *mailbox.Raw) { r.SHA256 = []byte("x") }), first.Received, false},
			{"another sender", box.ID, other(func(r *mailbox.Raw) { r.ReversePath = "b@example.org" }), first.Received, false},
			{"other recipients", box.ID, other(func(r *mailbox.Raw) { r.Recipients = append(r.Recipients, "x") }), first.Received, false},
			{"another id", box.ID, other(func(r *mailbox.Raw) { r.MessageID = "y" }), first.Received, false},
		} {
			got, err := tx.Repeated(c.box, c.raw, c.since)
			if err != nil || got != c.want {
				t.Errorf("%s: %v, %v", c.what, got, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEmailFileRows(t *testing.T) {
	ctx := context.Background()
	s := mailstore.New(storetest.Open(t))
	r := sampleRaw("f")
	r.Body, r.File = nil, "abc.eml"
	empty := sampleRaw("e")
	empty.Body, empty.Size = nil, 0
	var id, emptyID int64
	err := s.Update(ctx, nil, func(tx mailbox.Tx) (err error) {
		if id, err = tx.AddRaw(r); err != nil {
			return err
		}
		emptyID, err = tx.AddRaw(empty)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.RawByID(ctx, id)
	if err != nil || got.File != "abc.eml" || got.Body != nil {
		t.Errorf("the row is %+v, %v", got, err)
	}
	if got, err := s.RawByID(ctx, emptyID); err != nil || got.File != "" || len(got.Body) != 0 {
		t.Errorf("the empty message is %+v, %v", got, err)
	}
	for name, want := range map[string]bool{"abc.eml": true, "abd.eml": false} {
		if known, err := s.FileKnown(ctx, name); err != nil || known != want {
			t.Errorf("%s: %v, %v", name, known, err)
		}
	}
	err = s.Update(ctx, nil, func(tx mailbox.Tx) error { _, err := tx.AddRaw(r); return err })
	if !errs.Is(err, errs.Conflict) {
		t.Errorf("one file for two rows: %v", err)
	}
}

package email_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"uniqverse/hub"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/email"
	"uniqverse/services/email/mailbox"
	"uniqverse/smtpd"
)

func at(local string) string { return local + "@" + domain }

func TestDeliveredMailIsListed(t *testing.T) {
	w := start(t, "")
	w.receive(mail("The gate is online", "1@example.org", "Warp gate online.\r\nCome in."), at("pilot"))
	l := w.list("demo", at("pilot"))
	if l.User != at("pilot") || l.Unread != 1 || l.Total != 1 || len(l.Messages) != 1 {
		t.Fatalf("the list is %+v", l)
	}
	m := l.Messages[0]
	if m.ID < 1 || m.Subject != "The gate is online" || m.From != "Ann Pilot <ann@example.org>" || m.FromUnder != m.From || m.FromName != "Ann Pilot" ||
		m.FromAddress != "ann@example.org" || m.To != at("pilot") || m.Date.String() != "2026-11-22T08:33:42.000Z" || m.Snippet != "Warp gate online. Come in." ||
		!m.Unread || m.Starred || m.InternetMessageID != "1@example.org" || m.Auth.SPF != "pass" || m.Auth.DKIM != "none" || m.Auth.DMARC != "pass" || m.SpamScore != -1 {
		t.Errorf("the message is %+v", m)
	}
	if m.Labels == nil || m.Flags == nil || len(m.Flags) != 0 || m.Size != int64(len(mail("The gate is online", "1@example.org", "Warp gate online.\r\nCome in."))) {
		t.Errorf("labels %v, flags %v, size %d", m.Labels, m.Flags, m.Size)
	}
}

// TestEveryOddMailIsKeptWhole is row 40 of docs/smtp.md.
func TestEveryOddMailIsKeptWhole(t *testing.T) {
	files, err := filepath.Glob("../../testdata/mail/*.eml")
	if err != nil || len(files) < 20 {
		t.Fatalf("found %d mails, %v", len(files), err)
	}
	w := start(t, "")
	bombs := map[string]string{
		"nested":      "Content-Type: multipart/mixed; boundary=b0\r\n\r\n" + nested(4000),
		"many parts":  "Content-Type: multipart/mixed; boundary=x\r\n\r\n" + strings.Repeat("--x\r\n\r\n\r\n", 100_000),
		"huge header": strings.Repeat("X-Filler: "+strings.Repeat("y", 900)+"\r\n", 280) + "Subject: behind it\r\n\r\nbody\r\n",
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		bombs[filepath.Base(f)] = string(raw)
	}
	for name, raw := range bombs {
		w.receive(raw, at("odd"))
		newest := w.list("demo", at("odd"), "limit=1").Messages[0]
		status, got, h := w.call("GET", fmt.Sprintf("/api/messages/%d/raw", newest.ID), "demo", "")
		if want := "Received: from mx.example.org by " + domain + "\r\n" + raw; status != 200 || got != want {
			t.Errorf("%s: raw answers %d with %d bytes, want %d", name, status, len(got), len(want))
		}
		if !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") || !strings.HasPrefix(h.Get("Content-Security-Policy"), "sandbox;") {
			t.Errorf("%s: raw is sent with %v", name, h)
		}
		for _, path := range []string{"", "/headers"} {
			if status, body, _ := w.call("GET", fmt.Sprintf("/api/messages/%d%s", newest.ID, path), "demo", ""); status != 200 {
				t.Errorf("%s: %s answers %d %s", name, path, status, body)
			}
		}
		if status, _, _ := w.call("GET", fmt.Sprintf("/messages/%d", newest.ID), "", "", "Accept", "text/html"); status != 200 {
			t.Errorf("%s: its page answers %d", name, status)
		}
	}
	malformed := 0
	for _, m := range w.list("demo", at("odd"), "limit=200").Messages {
		if slices.Contains(m.Flags, "malformed") {
			malformed++
		}
	}
	if malformed < 10 {
		t.Errorf("only %d of them are flagged malformed", malformed)
	}
}

func nested(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n", i, i+1)
	}
	return b.String()
}

func TestOneTransactionForAllRecipients(t *testing.T) {
	w := start(t, "")
	big := mail("both", "2@example.org", strings.Repeat("a line of text\r\n", 40_000))
	w.receive(big, at("pilot"), at("wing+gate"), at("Pilot"), at("wing"))
	if n := len(w.list("demo", at("pilot")).Messages); n != 1 {
		t.Errorf("pilot has %d copies, want 1", n)
	}
	l := w.list("demo", at("wing+other"))
	if len(l.Messages) != 1 || l.User != at("wing") {
		t.Fatalf("wing has %+v", l)
	}
	if n := len(stored(t, w.dir)); n != 1 {
		t.Errorf("%d files hold the one message", n)
	}
	_, raw, _ := w.call("GET", fmt.Sprintf("/api/messages/%d/raw", l.Messages[0].ID), "demo", "")
	if !strings.HasSuffix(raw, big) {
		t.Error("the large message did not come back as it was")
	}
}

// stored lists the files of large messages.
func stored(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "mail"), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestTheSameMailAgainIsStoredOnce is row 46 of docs/smtp.md.
func TestTheSameMailAgainIsStoredOnce(t *testing.T) {
	w := start(t, "")
	w.now.Store(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).UnixMilli())
	receive := func(raw, from string, to ...string) {
		t.Helper()
		env := envelope(to...)
		env.ReversePath, env.ReceivedAt = from, time.UnixMilli(w.now.Load()).UTC()
		if err := w.svc.Deliver(context.Background(), env, smtpd.NewMessage(nil, []byte(raw))); err != nil {
			t.Fatal(err)
		}
	}
	count := func(want int, what string) {
		t.Helper()
		if n := len(w.list("demo", at("pilot")).Messages); n != want {
			t.Fatalf("%s: %d messages, want %d", what, n, want)
		}
	}
	raw := mail("once", "once@example.org", "body")
	receive(raw, "ann@example.org", at("pilot"))
	receive(raw, "ann@example.org", at("pilot"))
	count(1, "the same again")
	receive(raw+"more\r\n", "ann@example.org", at("pilot"))
	count(2, "another body")
	receive(raw, "bob@example.org", at("pilot"))
	count(3, "another sender")
	receive(raw, "ann@example.org", at("pilot"), at("wing"))
	count(4, "another envelope")
	if n := len(w.list("demo", at("wing")).Messages); n != 1 {
		t.Fatalf("wing has %d", n)
	}
	noID := mail("no id", "", "body")
	receive(noID, "ann@example.org", at("pilot"))
	receive(noID, "ann@example.org", at("pilot"))
	count(6, "without a Message-ID there is nothing to be known by")
	w.now.Add(time.Hour.Milliseconds() + 1)
	receive(raw, "ann@example.org", at("pilot"))
	count(7, "an hour later")
	big := mail("big", "big@example.org", strings.Repeat("x\r\n", 200_000))
	receive(big, "ann@example.org", at("pilot"))
	receive(big, "ann@example.org", at("pilot"))
	if n := len(stored(t, w.dir)); n != 1 {
		t.Errorf("%d files of the one large message", n)
	}
}

func TestMailSurvivesARestart(t *testing.T) {
	w := start(t, "")
	small, big := mail("small", "s@example.org", "body"), mail("big", "b@example.org", strings.Repeat("x\r\n", 200_000))
	w.receive(small, at("pilot"))
	w.receive(big, at("pilot"))
	first := w.list("demo", at("pilot"))
	w.stop()
	w = start(t, w.dir)
	again := w.list("demo", at("pilot"))
	if fmt.Sprint(first) != fmt.Sprint(again) || len(again.Messages) != 2 {
		t.Fatalf("before %+v, after %+v", first, again)
	}
	for i, want := range []string{big, small} {
		if _, raw, _ := w.call("GET", fmt.Sprintf("/api/messages/%d/raw", again.Messages[i].ID), "demo", ""); !strings.HasSuffix(raw, want) {
			t.Errorf("message %d is not what it was", i)
		}
	}
}

func TestOrphansAreSweptAndNothingElse(t *testing.T) {
	w := start(t, "")
	w.receive(mail("big", "b@example.org", strings.Repeat("x\r\n", 200_000)), at("pilot"))
	kept := stored(t, w.dir)
	orphan := filepath.Join(w.dir, "mail", "ab", "abcdefghijklmnopqrstuvwxyz.eml")
	foreign := filepath.Join(w.dir, "mail", "ab", "notes.txt")
	if err := os.MkdirAll(filepath.Dir(orphan), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{orphan, foreign} {
		if err := os.WriteFile(f, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.svc.Run(ctx) }()
	for deadline := time.Now().Add(20 * time.Second); ; {
		if _, err := os.Stat(orphan); errors.Is(err, fs.ErrNotExist) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the orphan is still there")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	left := stored(t, w.dir)
	if want := append([]string{foreign}, kept...); len(left) != len(want) || !slices.Contains(left, foreign) || !slices.Contains(left, kept[0]) {
		t.Errorf("left are %v, want %v", left, want)
	}
}

// A delivery whose transaction fails leaves no file and no row.
func TestAFailedDeliveryLeavesNothing(t *testing.T) {
	broken := errors.New("no")
	w := start(t, "", func(o *email.Options) { o.Store = failing{o.Store, broken} })
	err := w.svc.Deliver(context.Background(), envelope(at("pilot")), smtpd.NewMessage(nil, []byte(mail("big", "b@example.org", strings.Repeat("x\r\n", 200_000)))))
	if !errors.Is(err, broken) {
		t.Fatalf("deliver: %v", err)
	}
	if files := stored(t, w.dir); len(files) != 0 {
		t.Errorf("left are %v", files)
	}
}

// failing is a store whose transactions are undone.
type failing struct {
	email.Store
	err error
}

func (f failing) Update(ctx context.Context, once *web.Once, fn func(mailbox.Tx) error) error {
	return f.Store.Update(ctx, once, func(tx mailbox.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return f.err
	})
}

func TestEventsComeAfterTheCommit(t *testing.T) {
	w := start(t, "")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	all, err := w.hub.Subscribe(ctx, event.StreamMail, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	own, err := w.hub.Subscribe(ctx, event.StreamMailOf("pilot"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	w.receive(mail("hello", "1@example.org", "body"), at("pilot"))
	id := w.list("demo", at("pilot")).Messages[0].ID
	for _, sub := range []hub.Subscription{all, own} {
		m, err := sub.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"type":"mail.received"`, fmt.Sprintf(`"message_id":%d,`, id), `"user":"pilot@` + domain, `"subject":"hello"`, `"from_":"Ann`, `"auth":{"spf":"pass"`,
			`"trace":{"id":"4bf92f3577b34da6a3ce929d0e0e4736"`, `"at":"email"`} {
			if !bytes.Contains(m.Data, []byte(want)) {
				t.Errorf("the event lacks %s: %s", want, m.Data)
			}
		}
		if bytes.Count(m.Data, []byte(`"id":`)) != 2 || m.User != "pilot" { // its own and the trace's
			t.Errorf("the event is %s for %q", m.Data, m.User)
		}
	}
}

func TestRecipients(t *testing.T) {
	user, submitter := session(), session()
	submitter.Mode, submitter.User = smtpd.Submission, at("pilot")
	worlds := map[bool]*world{}
	for _, demo := range []bool{true, false} {
		w := start(t, "", func(o *email.Options) { o.Demo = demo })
		if status, out, _ := w.call("POST", "/api/aliases", "admin", `{"alias":"crew","targets":["pilot","mallory@`+domain+`"]}`); status != 200 {
			t.Fatalf("alias: %d %s", status, out)
		}
		if status, out, _ := w.call("POST", "/api/mailboxes", "portal", `{"user":"testuser"}`); status != 200 {
			t.Fatalf("provision: %d %s", status, out)
		}
		worlds[demo] = w
	}
	for _, c := range []struct {
		name string
		demo bool
		s    smtpd.Session
		to   string
		want string // "" is accepted
	}{
		{"anybody in demo", true, user, at("whoever"), ""},
		{"a quoted one in demo", true, user, at(`"a b"`), ""},
		{"utf-8 in demo", true, user, at("Jürgen"), ""},
		{"domain in capitals", true, user, "pilot@VEZEuniqverse.COM", ""},
		{"another domain", true, user, "x@example.org", "550 5.7.1"},
		{"a subdomain", true, user, "x@mail." + domain, "550 5.7.1"},
		{"bare postmaster", false, user, "Postmaster", ""},
		{"postmaster", false, user, at("postmaster"), ""},
		{"another bare name", true, user, "pilot", "550 5.7.1"},
		{"a user", false, user, at("pilot"), ""},
		{"a user with a tag", false, user, at("Pilot+news"), ""},
		{"nobody", false, user, at("whoever"), "550 5.1.1"},
		{"a disabled user", false, user, at("eve"), "550 5.2.1"},
		{"an alias", false, user, at("crew"), ""},
		{"a provisioned mailbox", false, user, at("testuser"), ""},
		{"outside, submitted", false, submitter, "x@example.org", ""},
		{"a machine, submitted", false, submitter, "x@[192.0.2.1]", "550 5.1.2"},
		{"a name without a dot, submitted", false, submitter, "x@localhost", "550 5.1.2"},
		{"no domain, submitted", false, submitter, "whoever", "550 5.1.2"},
		{"inside, submitted", false, submitter, at("mallory"), ""},
	} {
		w := worlds[c.demo]
		err := w.svc.CheckRecipient(context.Background(), c.s, c.to)
		got := ""
		var r *smtpd.Reply
		if errors.As(err, &r) {
			got = fmt.Sprintf("%d %s", r.Code, r.Enhanced)
		} else if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %s is answered %q, want %q", c.name, c.to, got, c.want)
		}
	}
}

func TestMailboxIsMadeAtItsFirstRecipient(t *testing.T) {
	w := start(t, "")
	if err := w.svc.CheckRecipient(context.Background(), session(), at("newcomer")); err != nil {
		t.Fatal(err)
	}
	if _, body, _ := w.call("GET", "/api/mailboxes", "admin", ""); !strings.Contains(body, `"newcomer@`+domain) {
		t.Errorf("the mailboxes are %s", body)
	}
	// Scanning for names makes no more than the rate allows, and is accepted all the same.
	w.now.Store(time.Now().UnixMilli())
	for i := range 300 {
		if err := w.svc.CheckRecipient(context.Background(), session(), at(fmt.Sprintf("scan%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	_, body, _ := w.call("GET", "/api/mailboxes?limit=200&offset=200", "admin", "")
	if n := strings.Count(body, `"scan`); n > 5 {
		t.Errorf("more than 200 mailboxes were made at once: %d over", n)
	}
}

func TestAliasesAndCatchAll(t *testing.T) {
	w := start(t, "", func(o *email.Options) { o.Demo = false })
	set := func(body string) {
		t.Helper()
		if status, out, _ := w.call("POST", "/api/aliases", "admin", body); status != 200 {
			t.Fatalf("%s: %d %s", body, status, out)
		}
	}
	set(`{"alias":"Crew","targets":["pilot","mallory"]}`)
	w.receive(mail("to the crew", "1@example.org", "x"), at("crew"), at("pilot"))
	for _, user := range []string{"pilot", "mallory"} {
		if n := len(w.list("admin", at(user)).Messages); n != 1 {
			t.Errorf("%s has %d messages", user, n)
		}
	}
	if err := w.tryReceive(mail("x", "2@example.org", "x"), at("stranger")); err == nil {
		t.Error("a stranger's mail was taken without a catch-all")
	}
	set(`{"alias":"*","targets":["mallory"]}`)
	w.receive(mail("caught", "2@example.org", "x"), at("stranger"))
	if m := w.list("admin", at("mallory")).Messages[0]; m.Subject != "caught" {
		t.Errorf("the catch-all got %+v", m)
	}
	set(`{"alias":"*"}`)
	set(`{"alias":"crew","targets":[]}`)
	if _, body, _ := w.call("GET", "/api/aliases", "admin", ""); body != "{\"aliases\":[]}\n" {
		t.Errorf("the aliases are %s", body)
	}
}

func TestQuota(t *testing.T) {
	w := start(t, "", func(o *email.Options) { o.Quota = 1000 })
	body := strings.Repeat("x", 700)
	w.receive(mail("one", "1@example.org", body), at("pilot"))
	w.receive(mail("two", "2@example.org", body), at("pilot")) // may exceed the quota by what is under way
	err := w.tryReceive(mail("three", "3@example.org", body), at("pilot"))
	var r *smtpd.Reply
	if !errors.As(err, &r) || r.Code != 452 || r.Enhanced != "4.2.2" {
		t.Errorf("a full mailbox answers %v", err)
	}
	err = w.tryReceive(mail("huge", "4@example.org", strings.Repeat("x", 1200)), at("wing"))
	if !errors.As(err, &r) || r.Code != 552 || r.Enhanced != "5.2.2" {
		t.Errorf("a message beyond the quota answers %v", err)
	}
	if n := len(w.list("demo", at("pilot")).Messages); n != 2 {
		t.Errorf("pilot has %d messages", n)
	}
}

func TestSubmission(t *testing.T) {
	w := start(t, "", func(o *email.Options) { o.Demo = false })
	ctx := context.Background()
	ses := session()
	id, err := w.svc.Authenticate(ctx, ses, "pilot@"+domain, "app-password")
	if err != nil || id != at("pilot") {
		t.Fatalf("authenticate: %q, %v", id, err)
	}
	for _, c := range [][2]string{{"pilot", "wrong"}, {"nobody", "app-password"}, {"pilot@example.org", "app-password"}} {
		if _, err := w.svc.Authenticate(ctx, ses, c[0], c[1]); !errs.Is(err, errs.Unauthenticated) {
			t.Errorf("%v: %v", c, err)
		}
	}
	ses.User, ses.Mode = id, smtpd.Submission
	for from, ok := range map[string]bool{at("pilot"): true, at("Pilot+x"): true, "": true, at("mallory"): false, "pilot@example.org": false} {
		if err := w.svc.CheckSender(ctx, ses, from); (err == nil) != ok {
			t.Errorf("sending as %q: %v", from, err)
		}
	}
	deliver := func(raw string) error {
		env := envelope(at("mallory"))
		env.User, env.Mode, env.ReversePath = id, smtpd.Submission, id
		return w.svc.Deliver(ctx, env, smtpd.NewMessage([]byte("Received: x\r\n"), []byte(raw)))
	}
	if err := deliver("From: mallory@" + domain + "\r\nSubject: forged\r\n\r\nx\r\n"); err == nil {
		t.Error("a forged author was taken")
	}
	if err := deliver("From: Pilot <pilot@" + domain + ">\r\nBcc: secret@example.org,\r\n more@example.org\r\nSubject: own\r\n\r\nx\r\n"); err != nil {
		t.Fatal(err)
	}
	m := w.list("admin", at("mallory")).Messages[0]
	_, raw, _ := w.call("GET", fmt.Sprintf("/api/messages/%d/raw", m.ID), "admin", "")
	if strings.Contains(raw, "secret@") || strings.Contains(raw, "more@") || !strings.Contains(raw, "\r\nMessage-ID: <ABCDEFGH23456789@"+domain+">\r\n") || !strings.Contains(raw, "\r\nDate: ") {
		t.Errorf("submitted mail is stored as %q", raw)
	}
	if m.SpamScore != 0 || m.Subject != "own" {
		t.Errorf("the message is %+v", m)
	}
}

// TestAFullDiskIsTemporary is row 44 of docs/smtp.md.
func TestAFullDiskIsTemporary(t *testing.T) {
	full := errs.New(errs.Unavailable, "the disk is full")
	w := start(t, "", func(o *email.Options) {
		o.Store = failing{o.Store, full}
		o.DiskFull = func(err error) bool { return errors.Is(err, full) }
	})
	var r *smtpd.Reply
	if err := w.svc.Deliver(context.Background(), envelope(at("pilot")), smtpd.NewMessage(nil, []byte(mail("x", "", "x")))); !errors.As(err, &r) || r.Code != 452 || r.Enhanced != "4.3.1" {
		t.Errorf("deliver: %v", err)
	}
}

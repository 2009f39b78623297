package email_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/web"
	"uniqverse/services/email"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/queue"
	"uniqverse/services/email/rules"
	"uniqverse/smtpd"
	"uniqverse/smtpd/senderauth"
	"uniqverse/store/mailstore"
)

// makeRule adds a rule from its lines.
func (w *world) makeRule(token, name, conditions, actions string, more ...string) rules.Wire {
	w.t.Helper()
	form := "name=" + name + "&conditions=" + escape(conditions) + "&actions=" + escape(actions) + strings.Join(append([]string{""}, more...), "&")
	status, body, _ := w.call("POST", "/api/rules", token, form)
	var r rules.Wire
	if err := json.Unmarshal([]byte(body), &r); status != 200 || err != nil {
		w.t.Fatalf("%s: %d %s", form, status, body)
	}
	return r
}

func escape(s string) string {
	return strings.NewReplacer("%", "%25", "&", "%26", "\n", "%0A", " ", "+", "+", "%2B", "=", "%3D").Replace(s)
}

// queued returns what waits in the queue, the oldest first.
func (w *world) queued() []queue.Entry {
	w.t.Helper()
	list, err := mailstore.New(w.db).Entries(context.Background(), queue.Filter{}, web.Paging{Limit: 200})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Reverse(list)
	return list
}

func TestRulesSortWhatArrives(t *testing.T) {
	w := start(t, "")
	if status, body, _ := w.call("POST", "/api/folders", "pilot", `{"name":"Receipts"}`); status != 200 {
		t.Fatal(status, body)
	}
	first := w.makeRule("pilot", "shop", "subject contains invoice", "move receipts\nlabel paid\nread")
	w.makeRule("pilot", "star", "from is ann@example.org\nbody contains urgent", "star", "match=any")
	id := w.deliver(plainEnvelope(at("pilot"), at("other")), mail("Your invoice", "i1@x", "text"), "pilot")
	d := get[email.Detail](w, fmt.Sprintf("/api/messages/%d", id), "pilot")
	if d.Unread || !d.Starred || strings.Join(d.Labels, " ") != "paid" || len(d.Rules) != 2 || d.Rules[0].Name != "shop" || d.Rules[0].Rule != first.ID || strings.Join(d.Rules[0].Actions, "; ") != "move Receipts; label paid; read" {
		t.Errorf("%+v", d)
	}
	st := mailstore.New(w.db)
	if m, err := st.MessageByID(t.Context(), id); err != nil || len(m.Folders) != 1 {
		t.Error(m, err)
	} else if f, err := st.FolderByID(t.Context(), m.Folders[0]); err != nil || f.Name != "Receipts" || f.Messages != 1 || f.Unread != 0 {
		t.Errorf("it lies in %+v, %v", f, err)
	}
	if o := w.list("demo", "other").Messages[0]; !o.Unread || o.Starred || len(o.Labels) != 0 {
		t.Errorf("another's rules: %+v", o)
	}
	l := get[rules.List](w, "/api/rules?user=pilot", "pilot")
	if len(l.Rules) != 2 || l.Rules[0].Hits != 1 || l.Rules[0].LastHit == nil || l.Rules[0].Match != "all" || l.Rules[1].Match != "any" {
		t.Errorf("%+v", l)
	}
	// A folder that is gone leaves mail where it would be; a rule that is off does nothing.
	folders := get[api.EmailFolders](w, "/api/folders?user=pilot", "pilot")
	last := folders.Folders[len(folders.Folders)-1]
	if status, body, _ := w.call("DELETE", fmt.Sprintf("/api/folders/%d", last.ID), "pilot", ""); status != 200 || last.Name != "Receipts" {
		t.Fatal(status, body, last)
	}
	if got := w.folderOf(w.deliver(plainEnvelope(at("pilot")), mail("Your invoice", "i2@x", "text"), "pilot")); got != "inbox" {
		t.Errorf("without its folder it goes to %s", got)
	}
	if status, body, _ := w.call("PATCH", fmt.Sprintf("/api/rules/%d", l.Rules[1].ID), "pilot", `{"enabled":false}`); status != 200 {
		t.Fatal(status, body)
	}
	w.deliver(plainEnvelope(at("pilot")), mail("Hello", "i3@x", "text"), "pilot")
	if m := w.list("demo", "pilot", "limit=1").Messages[0]; m.Starred {
		t.Error("a rule that is off is asked")
	}
}

func TestRulesAreOrderedAndBounded(t *testing.T) {
	w := start(t, "")
	names := func() string {
		t.Helper()
		var out []string
		for i, r := range get[rules.List](w, "/api/rules?user=pilot", "pilot").Rules {
			if r.Position != i+1 {
				t.Errorf("%s has place %d, want %d", r.Name, r.Position, i+1)
			}
			out = append(out, r.Name)
		}
		return strings.Join(out, " ")
	}
	var last rules.Wire
	for _, n := range []string{"a", "b", "c"} {
		last = w.makeRule("pilot", n, "from is x", "star")
	}
	w.makeRule("pilot", "first", "from is x", "star", "position=1")
	if got := names(); got != "first a b c" {
		t.Error(got)
	}
	if status, body, _ := w.call("PATCH", fmt.Sprintf("/api/rules/%d", last.ID), "pilot", `{"position":2,"name":"C"}`); status != 200 {
		t.Error(status, body)
	}
	if got := names(); got != "first C a b" {
		t.Error(got)
	}
	if status, body, _ := w.call("DELETE", fmt.Sprintf("/api/rules/%d", last.ID), "pilot", ""); status != 200 {
		t.Error(status, body)
	}
	for _, c := range []struct{ method, path, token, body, says string }{
		{"PATCH", "/api/rules/1", "mallory", `{"name":"mine"}`, "404"},
		{"DELETE", "/api/rules/1", "mallory", "", "404"},
		{"GET", "/api/rules?user=pilot", "mallory", "", "403"},
		{"POST", "/api/rules", "mallory", `{"user":"pilot","name":"x","conditions":"from is x","actions":"star"}`, "403"},
		{"POST", "/api/rules", "pilot", `{"conditions":"from is x","actions":"star"}`, "422 name"},
		{"POST", "/api/rules", "pilot", `{"name":"x","actions":"star"}`, "422 conditions"},
		{"POST", "/api/rules", "pilot", `{"name":"x","conditions":"from is x"}`, "422 actions"},
		{"POST", "/api/rules", "pilot", `{"name":"x","conditions":"from regex (","actions":"star"}`, "422 RE2"},
		{"POST", "/api/rules", "pilot", `{"name":"x","conditions":"from is x","actions":"move Nowhere"}`, "422 no folder"},
		{"POST", "/api/rules", "pilot", `{"name":"x","conditions":"from is x","actions":"redirect pilot"}`, "422 not the mailbox itself"},
		{"POST", "/api/rules", "pilot", `{"name":"x","conditions":"from is x","actions":"redirect pilot+x@` + domain + `"}`, "422 not the mailbox itself"},
		{"POST", "/api/rules", "pilot", `{"name":"x","conditions":"from is x","actions":"label a,b"}`, "422 comma"},
		{"POST", "/api/rules", "pilot", `{"name":"x","conditions":[{"field":"from","op":"is","value":"x","colour":"red"}],"actions":"star"}`, "422 colour"},
		{"POST", "/api/rules/try", "mallory", `{"message":1,"user":"mallory"}`, "404"},
		{"POST", "/api/rules/run", "pilot", `{"rule":999}`, "422 rule"},
	} {
		status, body, _ := w.call(c.method, c.path, c.token, c.body)
		code, word, _ := strings.Cut(c.says, " ")
		if fmt.Sprint(status) != code || !strings.Contains(body, word) {
			t.Errorf("%s %s %s: %d %s; want %s", c.method, c.path, c.body, status, body, c.says)
		}
	}
	if got := names(); got != "first a b" {
		t.Errorf("bad input changed something: %s", got)
	}
	w.makeRule("pilot", "patterns", strings.Repeat("from matches *x*\n", 20), "star")
	w.makeRule("pilot", "more", strings.Repeat("from matches *x*\n", 20), "star")
	if status, body, _ := w.call("POST", "/api/rules", "pilot", `{"name":"x","conditions":"from regex x","actions":"star"}`); status != 422 || !strings.Contains(body, "40 times") {
		t.Errorf("%d %s", status, body)
	}
	for i := 5; i < rules.MaxRules; i++ {
		w.makeRule("pilot", fmt.Sprint("r", i), "from is x", "star")
	}
	if status, body, _ := w.call("POST", "/api/rules", "pilot", `{"name":"x","conditions":"from is x","actions":"star"}`); status != 409 {
		t.Errorf("the 101st: %d %s", status, body)
	}
}

func TestRulesAreTried(t *testing.T) {
	w := start(t, "")
	for i := range 3 {
		w.deliver(plainEnvelope(at("pilot")), mail(fmt.Sprintf("invoice %d", i), fmt.Sprintf("t%d@x", i), "text"), "pilot")
	}
	try := func(body string) (out rules.Tried) {
		t.Helper()
		status, text, _ := w.call("POST", "/api/rules/try", "pilot", body)
		if err := json.Unmarshal([]byte(text), &out); status != 200 || err != nil {
			t.Fatalf("%s: %d %s", body, status, text)
		}
		return out
	}
	got := try(`{"conditions":"subject contains invoice 1","actions":"move archive\nlabel x"}`)
	if got.Looked != 3 || len(got.Hits) != 1 || got.Hits[0].Subject != "invoice 1" || got.Hits[0].Folder != "archive" || got.Hits[0].Labels[0] != "x" {
		t.Errorf("%+v", got)
	}
	if got := try(`{"conditions":"subject contains invoice","newest":2}`); got.Looked != 2 || len(got.Hits) != 2 {
		t.Errorf("%+v", got)
	}
	if got := try(fmt.Sprintf(`{"message":%d,"conditions":"subject contains invoice"}`, got.Hits[0].Message)); got.Looked != 1 || len(got.Hits) != 1 {
		t.Errorf("%+v", got)
	}
	r := w.makeRule("pilot", "stored", "subject contains invoice 2", "trash")
	if got := try(fmt.Sprintf(`{"rule":%d}`, r.ID)); len(got.Hits) != 1 || got.Hits[0].Folder != "trash" {
		t.Errorf("%+v", got)
	}
	if l := w.list("demo", "pilot"); len(l.Messages) != 3 || l.Unread != 3 {
		t.Errorf("something was done: %+v", l)
	}
}

// runUntil lets the service work until done says so.
func (w *world) runUntil(done func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	end := make(chan error, 1)
	go func() { end <- w.svc.Run(ctx) }()
	for deadline := time.Now().Add(15 * time.Second); !done() && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	if err := <-end; err != nil {
		w.t.Error(err)
	}
	if !done() {
		w.t.Error("it does not come to an end")
	}
}

func TestRulesWorkThroughOldMail(t *testing.T) {
	w := start(t, "")
	const messages = 120
	for i := range messages {
		subject := "other"
		if i%3 == 0 {
			subject = "invoice"
		}
		if err := w.svc.Deliver(context.Background(), plainEnvelope(at("pilot")), smtpd.NewMessage(nil, []byte(mail(subject, fmt.Sprintf("o%d@x", i), "text")))); err != nil {
			t.Fatal(err)
		}
	}
	w.makeRule("pilot", "old", "subject is invoice", "move archive\nlabel paid\nread\nredirect ann@example.org")
	status, body, _ := w.call("POST", "/api/rules/run", "pilot", "{}")
	if status != 202 {
		t.Fatal(status, body)
	}
	if status, _, _ := w.call("POST", "/api/rules/run", "pilot", "{}"); status != 409 {
		t.Errorf("a second at the same time: %d", status)
	}
	last := func() rules.RunWire { return get[rules.Runs](w, "/api/rules/runs?user=pilot", "pilot").Runs[0] }
	if r := last(); r.State != "running" || r.Total != messages {
		t.Errorf("%+v", r)
	}
	w.stop()
	w = start(t, w.dir) // it goes on after a restart
	w.runUntil(func() bool { return last().State == "done" })
	if r := last(); r.Looked != messages || r.Changed != messages/3 {
		t.Errorf("%+v", r)
	}
	l := w.list("demo", "pilot", "label=paid", "limit=200")
	if len(l.Messages) != messages/3 || l.Unread != messages-messages/3 || l.Messages[0].Unread {
		t.Errorf("%d labelled, %d unread", len(l.Messages), l.Unread)
	}
	if got := w.folderOf(l.Messages[0].ID); got != "archive" {
		t.Errorf("it lies in %s", got)
	}
	if n := len(w.queued()); n != 0 {
		t.Errorf("old mail was sent on %d times", n)
	}
	// Again: nothing is left to do. And one that is stopped stays so.
	w.call("POST", "/api/rules/run", "pilot", "{}")
	r := last()
	if status, _, _ := w.call("DELETE", fmt.Sprintf("/api/rules/runs/%d", r.ID), "mallory", ""); status != 404 {
		t.Errorf("mallory stops it: %d", status)
	}
	if status, body, _ := w.call("DELETE", fmt.Sprintf("/api/rules/runs/%d", r.ID), "pilot", ""); status != 200 || !strings.Contains(body, "stopped") {
		t.Errorf("%d %s", status, body)
	}
	w.call("POST", "/api/rules/run", "pilot", "{}")
	w.runUntil(func() bool { return last().State == "done" })
	if r := last(); r.Changed != 0 {
		t.Errorf("the second time %+v", r)
	}
}

func TestRulesSendOn(t *testing.T) {
	w := start(t, "")
	w.makeRule("pilot", "on", "subject contains news", "redirect ann@other.example\nredirect other\ntrash")
	send := func(id string, change func(*smtpd.Envelope), header string) int {
		t.Helper()
		env := plainEnvelope(at("pilot"))
		if change != nil {
			change(env)
		}
		before := len(w.queued())
		w.deliver(env, header+mail("news", id, "text"), "pilot")
		return len(w.queued()) - before
	}
	if n := send("f1@x", nil, ""); n != 2 {
		t.Fatalf("sent on to %d", n)
	}
	q := w.queued()
	if q[0].Recipient != "ann@other.example" || q[0].State != queue.Held || q[0].ReversePath != at("pilot") || q[0].User != "pilot" || q[1].Domain != domain || q[1].State != queue.Queued {
		t.Errorf("%+v", q)
	}
	if got := w.folderOf(w.list("demo", "pilot").Messages[0].ID); got != "trash" {
		t.Errorf("the own copy lies in %s", got)
	}
	w.runUntil(func() bool { return len(w.list("demo", "other").Messages) == 1 })
	if m := w.list("demo", "other").Messages[0]; m.Subject != "news" || m.FromAddress != "ann@example.org" {
		t.Errorf("%+v", m)
	}
	// What is sent on says where it was, so that it does not go round.
	w.peer.result = queue.Result{Verdict: queue.Delivered, Reply: "250 ok"}
	if status, body, _ := w.call("POST", fmt.Sprintf("/api/queue/%d/release", q[0].ID), "admin", ""); status != 200 {
		t.Fatal(status, body)
	}
	w.runUntil(func() bool { return len(w.peer.attempts()) == 1 })
	if sent := w.peer.message; !strings.HasPrefix(sent, "Delivered-To: "+at("pilot")+"\r\n") || !strings.Contains(sent, "Subject: news\r\n") {
		t.Errorf("sent %q", sent)
	}
	for what, c := range map[string]struct {
		change func(*smtpd.Envelope)
		header string
	}{
		"one that was here before": {nil, "Delivered-To: " + at("pilot") + "\r\n"},
		"a program's answer":       {nil, "Auto-Submitted: auto-replied\r\n"},
		"a bounce":                 {func(e *smtpd.Envelope) { e.ReversePath = "" }, ""},
		"one that went far":        {nil, strings.Repeat("Received: from a by b\r\n", 40)},
		"junk": {func(e *smtpd.Envelope) {
			e.Auth.DMARC, e.Auth.SPF, e.Auth.DKIM = senderauth.Fail, senderauth.Fail, senderauth.Fail
		}, ""},
	} {
		if n := send(fmt.Sprintf("f-%d@x", len(what)), c.change, c.header); n != 0 {
			t.Errorf("%s is sent on to %d", what, n)
		}
	}
	err := mailstore.New(w.db).Update(t.Context(), nil, func(tx mailbox.Tx) error {
		return tx.Suppress(queue.Suppression{Address: "ann@other.example", Reason: "gone", Created: tx.Now()})
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := send("f9@x", nil, ""); n != 1 {
		t.Errorf("with one address suppressed it is sent on to %d", n)
	}
}

func TestSomebodyWhoIsAway(t *testing.T) {
	w := start(t, "")
	now := time.Date(2026, 12, 20, 12, 0, 0, 0, time.UTC)
	w.now.Store(now.UnixMilli())
	put := func(token, body string, want int) rules.VacationWire {
		t.Helper()
		status, text, _ := w.call("PUT", "/api/vacation", token, body)
		var v rules.VacationWire
		if status != want || status == 200 && json.Unmarshal([]byte(text), &v) != nil {
			t.Fatalf("%s: %d %s", body, status, text)
		}
		return v
	}
	put("pilot", `{"enabled":true}`, 422)
	put("pilot", `{"enabled":true,"text":"x","from_date":"tomorrow"}`, 422)
	put("pilot", `{"enabled":true,"text":"x","from_date":"2026-12-24","to_date":"2026-12-24"}`, 422)
	put("mallory", `{"user":"pilot","enabled":true,"text":"x"}`, 403)
	if v := put("pilot", `{"enabled":true,"text":"Away until January.\nYours","from_date":"2026-12-24","to_date":"2027-01-02T08:00:00Z"}`, 200); v.Active || v.FromDate == nil {
		t.Errorf("%+v", v)
	}
	send := func(id string, change func(*smtpd.Envelope), header string) int {
		t.Helper()
		env := plainEnvelope(at("pilot"))
		if change != nil {
			change(env)
		}
		before := len(w.queued())
		w.deliver(env, header+mail("Launch", id, "text"), "pilot")
		return len(w.queued()) - before
	}
	if n := send("v0@x", nil, ""); n != 0 {
		t.Errorf("answered %d before the time has come", n)
	}
	w.now.Store(now.Add(5 * 24 * time.Hour).UnixMilli())
	for what, c := range map[string]struct {
		change func(*smtpd.Envelope)
		header string
	}{
		"a bounce":        {func(e *smtpd.Envelope) { e.ReversePath = "" }, ""},
		"a list":          {nil, "List-Id: <news.example.org>\r\n"},
		"an answer":       {nil, "Auto-Submitted: auto-replied\r\n"},
		"a forged sender": {func(e *smtpd.Envelope) { e.Auth.SPF = senderauth.Fail }, ""},
	} {
		if n := send(fmt.Sprintf("v-%d@x", len(what)), c.change, c.header); n != 0 {
			t.Errorf("%s is answered", what)
		}
	}
	if n := send("v1@x", nil, ""); n != 1 {
		t.Fatalf("answered %d times", n)
	}
	e := w.queued()[0]
	if e.ReversePath != "" || e.Recipient != "ann@example.org" || e.User != "pilot" || e.State != queue.Held {
		t.Errorf("%+v", e)
	}
	raw, err := mailstore.New(w.db).RawByID(t.Context(), e.RawID)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"From: " + at("pilot") + "\r\n", "To: ann@example.org\r\n", "Subject: Re: Launch", "Auto-Submitted: auto-replied", "In-Reply-To: <v1@x>", "Away until January."} {
		if !strings.Contains(string(raw.Body), want) {
			t.Errorf("the answer has no %q:\n%s", want, raw.Body)
		}
	}
	if !strings.Contains(string(raw.Prepended), "DKIM-Signature") {
		t.Error("the answer is not signed")
	}
	if n := send("v2@x", nil, ""); n != 0 {
		t.Error("answered twice")
	}
	w.now.Add((6*24*time.Hour + 23*time.Hour).Milliseconds())
	if n := send("v3@x", nil, ""); n != 0 {
		t.Error("answered twice within a week")
	}
	w.now.Add((2 * time.Hour).Milliseconds())
	if n := send("v4@x", nil, ""); n != 1 {
		t.Error("not answered again after a week")
	}
	put("pilot", `{"enabled":true,"text":"Another text"}`, 200)
	if n := send("v5@x", nil, ""); n != 1 {
		t.Error("another text is not sent")
	}
	// A person here is answered into their mailbox, and that answer by nobody.
	put("mallory", `{"enabled":true,"text":"Away too"}`, 200)
	if status, body, _ := w.call("POST", "/api/send", "demo", `{"from":"mallory","to":["pilot"],"subject":"Hi","text":"x"}`); status != 202 {
		t.Fatal(status, body)
	}
	w.runUntil(func() bool {
		return slices.ContainsFunc(w.list("demo", "mallory").Messages, func(m api.EmailMessage) bool { return m.Subject == "Re: Hi" && slices.Contains(m.Flags, "auto") })
	})
	if l := w.list("demo", "pilot", "limit=1"); l.Messages[0].Subject != "Hi" {
		t.Errorf("the answer is answered: %+v", l.Messages[0])
	}
	put("pilot", `{"enabled":false}`, 200)
	if v := get[rules.VacationWire](w, "/api/vacation?user=pilot", "pilot"); v.Enabled || v.Text != "" {
		t.Errorf("%+v", v)
	}
}

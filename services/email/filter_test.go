package email_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/sorting"
	"uniqverse/services/email/spam"
	"uniqverse/smtpd"
	"uniqverse/smtpd/senderauth"
	"uniqverse/store/mailstore"
)

// plainEnvelope is mail from a host that proves nothing.
func plainEnvelope(to ...string) *smtpd.Envelope {
	env := envelope(to...)
	env.Auth = smtpd.AuthResults{SPF: senderauth.None, DKIM: senderauth.None, DMARC: senderauth.None}
	return env
}

// provenEnvelope is mail whose author is who they say.
func provenEnvelope(domain string, to ...string) *smtpd.Envelope {
	env := plainEnvelope(to...)
	env.Auth.DMARC, env.Auth.Author = senderauth.Pass, senderauth.DMARCResult{Result: senderauth.Pass, From: domain}
	return env
}

// deliver hands raw in and returns the id of the newest message of user.
func (w *world) deliver(env *smtpd.Envelope, raw string, user string) int64 {
	w.t.Helper()
	if err := w.svc.Deliver(context.Background(), env, smtpd.NewMessage(nil, []byte(raw))); err != nil {
		w.t.Fatal(err)
	}
	return w.list("demo", user, "limit=1").Messages[0].ID
}

// post makes a POST that must succeed.
func (w *world) post(path, token string) {
	w.t.Helper()
	if status, body, _ := w.call("POST", path, token, ""); status != 200 {
		w.t.Fatalf("POST %s: %d %s", path, status, body)
	}
}

// get reads an answer of the API.
func get[T any](w *world, path, token string) (out T) {
	w.t.Helper()
	status, body, _ := w.call("GET", path, token, "")
	if err := json.Unmarshal([]byte(body), &out); status != 200 || err != nil {
		w.t.Fatalf("GET %s: %d %s %v", path, status, body, err)
	}
	return out
}

// corpus are the messages of the filter's own test data.
func corpus(t *testing.T, kind string) (out []string) {
	t.Helper()
	files, err := filepath.Glob("spam/testdata/" + kind + "/*.eml")
	if err != nil || len(files) < 12 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(raw))
	}
	return out
}

// folderOf returns the role of the folder that a message lies in.
func (w *world) folderOf(id int64) string {
	w.t.Helper()
	st := mailstore.New(w.db)
	m, err := st.MessageByID(context.Background(), id)
	if err != nil || len(m.Folders) != 1 {
		w.t.Fatal(m.Folders, err)
	}
	f, err := st.FolderByID(context.Background(), m.Folders[0])
	if err != nil {
		w.t.Fatal(err)
	}
	return f.Role
}

// stats are the counts of a user, once nothing waits to be learnt.
func (w *world) stats(user string) spam.Stats {
	w.t.Helper()
	return get[spam.Stats](w, "/api/spam?user="+user, "demo")
}

func counts(s spam.Stats) string {
	return fmt.Sprintf("%d spam, %d ham, %d words", s.Counted.Spam, s.Counted.Ham, s.Counted.Words)
}

func TestMovingToJunkTeaches(t *testing.T) {
	w := start(t, "")
	ham, junk := corpus(t, "ham"), corpus(t, "spam")
	for i := range 8 {
		id := w.deliver(plainEnvelope(at("pilot")), junk[i], "pilot")
		w.post(fmt.Sprintf("/api/messages/%d/spam", id), "pilot")
		if got := w.folderOf(id); got != "junk" {
			t.Errorf("marked spam lies in %s", got)
		}
		id = w.deliver(plainEnvelope(at("pilot")), ham[i], "pilot")
		w.post(fmt.Sprintf("/api/messages/%d/ham", id), "pilot")
		if got := w.folderOf(id); got != "inbox" {
			t.Errorf("marked ham lies in %s", got)
		}
	}
	if s := w.stats("pilot"); s.Counted.Ham != 8 || s.Counted.Spam != 8 || !s.Counted.Used || len(s.SpamWords) == 0 || s.SpamWords[0].Spam < 3 {
		t.Errorf("counted %+v, words %v", s.Counted, s.SpamWords)
	}
	for i := 8; i < len(junk); i++ {
		id := w.deliver(plainEnvelope(at("pilot"), at("other")), junk[i], "pilot")
		if got := w.folderOf(id); got != "junk" {
			t.Errorf("spam %d goes to %s: %+v", i+1, got, get[spam.Explanation](w, fmt.Sprintf("/api/messages/%d/spam", id), "pilot"))
		}
		// Who said nothing is not judged by what somebody else said.
		if other := w.list("demo", "other", "limit=1").Messages[0]; w.folderOf(other.ID) != "inbox" || slices.Contains(other.Flags, "spam") {
			t.Errorf("spam %d of another user: %v, score %v", i+1, other.Flags, other.SpamScore)
		}
	}
	for i := 8; i < len(ham); i++ {
		id := w.deliver(plainEnvelope(at("pilot")), ham[i], "pilot")
		if m := w.list("demo", "pilot", "limit=1").Messages[0]; w.folderOf(id) != "inbox" || m.SpamScore > 0 {
			t.Errorf("ham %d goes to %s with %v", i+1, w.folderOf(id), m.SpamScore)
		}
	}
	last := w.list("demo", "pilot", "limit=1").Messages[0].ID
	x := get[spam.Explanation](w, fmt.Sprintf("/api/messages/%d/spam", last), "pilot")
	if !x.Words.Used || x.Words.P > 0.2 || len(x.Words.Most) == 0 || !slices.ContainsFunc(x.Reasons, func(r spam.Reason) bool { return r.Rule == "words" && r.Score < 0 && r.Detail != "" }) {
		t.Errorf("explained by %+v", x)
	}
	known := map[string]bool{}
	for _, r := range get[spam.Rules](w, "/api/spam/rules", "pilot").Rules {
		known[r.Rule] = true
	}
	for _, r := range x.Reasons {
		if !known[r.Rule] {
			t.Errorf("the reason %s cannot be looked up", r.Rule)
		}
	}
}

// Whatever way a message is moved, and how often, it is counted once and as it was said last.
func TestAMessageIsCountedOnce(t *testing.T) {
	w := start(t, "")
	id := w.deliver(plainEnvelope(at("pilot")), corpus(t, "spam")[0], "pilot")
	path := fmt.Sprintf("/api/messages/%d/", id)
	before := counts(w.stats("pilot"))
	if before != "0 spam, 0 ham, 0 words" {
		t.Fatal(before)
	}
	w.post(path+"spam", "pilot")
	once := counts(w.stats("pilot"))
	if !strings.HasPrefix(once, "1 spam, 0 ham, ") || strings.HasSuffix(once, " 0 words") {
		t.Fatal(once)
	}
	w.post(path+"spam", "pilot")
	if got := counts(w.stats("pilot")); got != once {
		t.Errorf("marked twice: %s, once %s", got, once)
	}
	w.post(path+"ham", "pilot")
	if got := counts(w.stats("pilot")); got != strings.Replace(once, "1 spam, 0 ham", "0 spam, 1 ham", 1) || w.folderOf(id) != "inbox" {
		t.Errorf("corrected: %s in %s", got, w.folderOf(id))
	}
	w.post(path+"unmark", "pilot")
	if got := counts(w.stats("pilot")); got != before || w.folderOf(id) != "inbox" {
		t.Errorf("taken back: %s in %s", got, w.folderOf(id))
	}
	w.post(path+"spam", "pilot")
	w.post(path+"unmark", "pilot")
	if got := counts(w.stats("pilot")); got != before || w.folderOf(id) != "inbox" {
		t.Errorf("marked and taken back: %s in %s", got, w.folderOf(id))
	}
	if x := get[spam.Explanation](w, path+"spam", "pilot"); x.Mark != "" {
		t.Errorf("the mark is %q", x.Mark)
	}
}

// A move by any other way is marked in its transaction and learnt by Run; what was not learnt before a stop is learnt after it.
func TestAMoveIsLearntLater(t *testing.T) {
	w := start(t, "")
	id := w.deliver(plainEnvelope(at("pilot")), corpus(t, "spam")[0], "pilot")
	move := func(folder string) {
		t.Helper()
		if status, body, _ := w.call("POST", fmt.Sprintf("/api/messages/%d/move", id), "pilot", "folder="+folder); status != 200 {
			t.Fatal(status, body)
		}
	}
	move("archive")
	if s := w.stats("pilot"); s.Pending {
		t.Error("a move that says nothing waits to be learnt")
	}
	move("junk")
	if s := w.stats("pilot"); !s.Pending || s.Counted.Spam != 0 {
		t.Errorf("moved: %+v", s)
	}
	w.stop()
	w = start(t, w.dir)
	learnt := func(want string) {
		t.Helper()
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- w.svc.Run(ctx) }()
		for deadline := time.Now().Add(10 * time.Second); w.stats("pilot").Pending && time.Now().Before(deadline); {
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := counts(w.stats("pilot")); !strings.HasPrefix(got, want) {
			t.Errorf("learnt %s, want %s", got, want)
		}
	}
	learnt("1 spam, 0 ham")
	move("trash") // thrown away: still spam
	if w.stats("pilot").Pending {
		t.Error("spam that is thrown away is learnt again")
	}
	move("junk")
	move("inbox")
	learnt("0 spam, 1 ham")
	// What is removed for good leaves no mark behind.
	if status, body, _ := w.call("DELETE", fmt.Sprintf("/api/messages/%d?forever=true", id), "pilot", ""); status != 200 {
		t.Fatal(status, body)
	}
	if _, err := mailstore.New(w.db).SpamMark(t.Context(), id); !errs.Is(err, errs.NotFound) {
		t.Errorf("the mark of a removed message: %v", err)
	}
}

// Nobody marks what is good: for spam that is marked, a message that was read and kept is counted.
func TestWhatIsReadAndKeptCountsAsGood(t *testing.T) {
	w := start(t, "")
	good := w.deliver(plainEnvelope(at("pilot")), corpus(t, "ham")[0], "pilot")
	w.deliver(plainEnvelope(at("pilot")), corpus(t, "ham")[1], "pilot") // never read
	w.post(fmt.Sprintf("/api/messages/%d/read", good), "pilot")
	bad := w.deliver(plainEnvelope(at("pilot")), corpus(t, "spam")[0], "pilot")
	w.post(fmt.Sprintf("/api/messages/%d/spam", bad), "pilot")
	if s := w.stats("pilot"); s.Counted.Spam != 1 || s.Counted.Ham != 1 {
		t.Errorf("%+v", s.Counted)
	}
	x := get[spam.Explanation](w, fmt.Sprintf("/api/messages/%d/spam", good), "pilot")
	if x.Mark != "ham" || !x.Auto || !x.Trained {
		t.Errorf("%+v", x)
	}
	w.post(fmt.Sprintf("/api/messages/%d/spam", good), "pilot") // and can be corrected
	if s := w.stats("pilot"); s.Counted.Spam != 2 || s.Counted.Ham != 0 {
		t.Errorf("corrected: %+v", s.Counted)
	}
}

// One person teaches nobody else; three do.
func TestEverybodyLearnsFromSeveral(t *testing.T) {
	w := start(t, "")
	ham, junk := corpus(t, "ham"), corpus(t, "spam")
	teach := func(user string) {
		t.Helper()
		for i := range 8 {
			w.post(fmt.Sprintf("/api/messages/%d/spam", w.deliver(plainEnvelope(at(user)), junk[i], user)), "demo")
			w.post(fmt.Sprintf("/api/messages/%d/ham", w.deliver(plainEnvelope(at(user)), ham[i], user)), "demo")
		}
	}
	score := func() float64 {
		t.Helper()
		id := w.deliver(plainEnvelope(at("newcomer")), strings.Replace(junk[8], "Message-ID: <", "Message-ID: <x", 1), "newcomer")
		x := get[spam.Explanation](w, fmt.Sprintf("/api/messages/%d/spam", id), "demo")
		if status, body, _ := w.call("DELETE", fmt.Sprintf("/api/messages/%d?forever=true", id), "demo", ""); status != 200 {
			t.Fatal(status, body)
		}
		return x.Score
	}
	clean := score()
	for _, user := range []string{"one", "two"} {
		teach(user)
		if got := score(); got != clean {
			t.Errorf("after %s taught: %v, before %v", user, got, clean)
		}
	}
	teach("three")
	if got := score(); got <= clean+1 {
		t.Errorf("after three taught: %v, before %v", got, clean)
	}
}

func TestReputation(t *testing.T) {
	w := start(t, "")
	raw := func(i int) string { return mail("news", fmt.Sprintf("r%d@example.org", i), "text") }
	first := w.deliver(provenEnvelope("example.org", at("pilot")), raw(1), "pilot")
	w.post(fmt.Sprintf("/api/messages/%d/spam", first), "pilot")
	second := w.deliver(provenEnvelope("example.org", at("pilot")), raw(2), "pilot")
	x := get[spam.Explanation](w, fmt.Sprintf("/api/messages/%d/spam", second), "pilot")
	if !slices.ContainsFunc(x.Reasons, func(r spam.Reason) bool { return r.Rule == "sender_junked_by_you" && r.Score == 2 }) || len(x.Senders) == 0 || x.Senders[0].Source != "from:ann@example.org" {
		t.Errorf("%+v", x)
	}
	// Somebody who only says to be that sender has nothing of their reputation.
	forged := w.deliver(plainEnvelope(at("pilot")), raw(3), "pilot")
	if x := get[spam.Explanation](w, fmt.Sprintf("/api/messages/%d/spam", forged), "pilot"); slices.ContainsFunc(x.Reasons, func(r spam.Reason) bool { return strings.HasPrefix(r.Rule, "sender_") }) {
		t.Errorf("forged: %+v", x.Reasons)
	}
	s := get[spam.Stats](w, "/api/spam?user=pilot&sender=Ann@example.org", "pilot")
	if len(s.Reputed) != 1 || s.Reputed[0].Own == nil || s.Reputed[0].Own.Spam != 1 {
		t.Errorf("%+v", s.Reputed)
	}
	w.post(fmt.Sprintf("/api/messages/%d/unmark", first), "pilot")
	third := w.deliver(provenEnvelope("example.org", at("pilot")), raw(4), "pilot")
	if x := get[spam.Explanation](w, fmt.Sprintf("/api/messages/%d/spam", third), "pilot"); slices.ContainsFunc(x.Reasons, func(r spam.Reason) bool { return strings.HasPrefix(r.Rule, "sender_") }) {
		t.Errorf("taken back: %+v", x.Reasons)
	}
}

func TestAllowAndBlock(t *testing.T) {
	w := start(t, "")
	list := func(token, form string, want int) string {
		t.Helper()
		status, body, _ := w.call("POST", "/api/spam/senders", token, form)
		if status != want {
			t.Fatalf("%s: %d %s", form, status, body)
		}
		return body
	}
	list("pilot", "sender=example.org&action=block&note=news", 200)
	blocked := w.deliver(provenEnvelope("example.org", at("pilot"), at("other")), mail("x", "b1@example.org", "x"), "pilot")
	if w.folderOf(blocked) != "junk" || w.folderOf(w.list("demo", "other").Messages[0].ID) != "inbox" {
		t.Error("a blocked sender is not junk, or is that for everybody")
	}
	list("pilot", "sender=Ann@EXAMPLE.org&action=allow", 200)
	shouting := strings.Replace(mail("BUY THIS NOW!!!", "b2@example.org", "x"), "From: Ann Pilot", `From: "boss@bank.example"`, 1)
	if id := w.deliver(provenEnvelope("example.org", at("pilot")), shouting, "pilot"); w.folderOf(id) != "inbox" {
		t.Error("an allowed sender is junk")
	}
	forged := plainEnvelope(at("pilot"))
	forged.Auth.DMARC, forged.Auth.SPF = senderauth.Fail, senderauth.Fail
	id := w.deliver(forged, strings.Replace(shouting, "b2@", "b3@", 1), "pilot")
	x := get[spam.Explanation](w, fmt.Sprintf("/api/messages/%d/spam", id), "pilot")
	if w.folderOf(id) != "junk" || !slices.ContainsFunc(x.Reasons, func(r spam.Reason) bool { return r.Rule == "allowed_but_unproven" }) {
		t.Errorf("a forged allowed sender: %s, %+v", w.folderOf(id), x.Reasons)
	}
	all := get[spam.Senders](w, "/api/spam/senders?user=pilot", "pilot")
	if len(all.Senders) != 2 || all.Senders[0].Sender != "ann@example.org" || all.Senders[0].Action != "allow" || all.Senders[1].Note != "news" {
		t.Errorf("%+v", all)
	}
	path := fmt.Sprintf("/api/spam/senders/%d", all.Senders[1].ID)
	if status, _, _ := w.call("DELETE", path, "mallory", ""); status != 404 {
		t.Errorf("mallory takes pilot's entry off: %d", status)
	}
	if status, body, _ := w.call("DELETE", path, "pilot", ""); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	if status, _, _ := w.call("DELETE", path, "pilot", ""); status != 404 {
		t.Errorf("once more: %d", status)
	}
	for _, form := range []string{"sender=example.org", "action=allow", "sender=a b&action=allow", "sender=example.org&action=maybe"} {
		list("pilot", form, 422)
	}
	list("mallory", "user=pilot&sender=example.org&action=allow", 403)
	// What lies among the junk is found by its sender.
	for sender, n := range map[string]int{"": 2, "example.org": 2, "ann@example.org": 2, "org": 2, "example.com": 0, "xample.org": 0} {
		j := get[sorting.Junk](w, "/api/junk?user=pilot&sender="+sender, "pilot")
		if len(j.Messages) != n || n > 0 && len(j.Messages[0].Reasons) == 0 {
			t.Errorf("junk of %q: %d, want %d", sender, len(j.Messages), n)
		}
	}
}

func TestThresholds(t *testing.T) {
	w := start(t, "", func(o *email.Options) { o.Enforce, o.SpamRefuse, o.JunkAt = true, 8, 4 })
	env := func(to ...string) *smtpd.Envelope {
		e := plainEnvelope(to...)
		e.Auth.DMARC = senderauth.Fail
		return e
	}
	loud := func(id string) string { return mail("BUY THIS NOW!!!", id, "x") } // 3 + 1.5
	if got := w.folderOf(w.deliver(env(at("pilot")), loud("t1@example.org"), "pilot")); got != "junk" {
		t.Errorf("4.5 of 4 goes to %s", got)
	}
	set := func(at string, want int) {
		t.Helper()
		if status, body, _ := w.call("PATCH", "/api/spam", "pilot", `{"junk_at":`+at+`}`); status != want {
			t.Errorf("threshold %s: %d %s", at, status, body)
		}
	}
	set("7", 200)
	if got := w.folderOf(w.deliver(env(at("pilot")), loud("t2@example.org"), "pilot")); got != "inbox" {
		t.Errorf("4.5 of 7 goes to %s", got)
	}
	set("0", 200)
	if s := w.stats("pilot"); s.JunkAt != 4 || s.OwnJunkAt {
		t.Errorf("%+v", s)
	}
	set("-1", 422)
	set("51", 422)
	set(`"x"`, 422)
	// Mail that is refused is refused for good, with its reasons, and not stored; one mailbox that takes it is enough.
	worse := env(at("pilot"))
	worse.Auth.SPF, worse.Auth.DKIM, worse.Auth.Author.Policy = senderauth.Fail, senderauth.Fail, "reject"
	err := w.svc.Deliver(t.Context(), worse, smtpd.NewMessage(nil, []byte(loud("t3@example.org"))))
	var reply *smtpd.Reply
	if !asReply(err, &reply) || reply.Code != 550 || reply.Enhanced != "5.7.1" || !strings.HasPrefix(reply.Detail, "score 9.0 of 8.0: dmarc_fail +3.0") {
		t.Errorf("refused with %v", err)
	}
	if n := len(w.list("demo", "pilot").Messages); n != 2 {
		t.Errorf("%d messages", n)
	}
	if status, _, _ := w.call("POST", "/api/spam/senders", "demo", "user=other&sender=example.org&action=allow"); status != 200 {
		t.Fatal(status)
	}
	if status, body, _ := w.call("PATCH", "/api/spam", "demo", `{"user":"other","junk_at":50}`); status != 200 {
		t.Fatal(status, body)
	}
	worse.Recipients = []string{at("pilot")}
	worse.Auth.DMARC = senderauth.Pass
	if err := w.svc.Deliver(t.Context(), worse, smtpd.NewMessage(nil, []byte(loud("t4@example.org")))); err != nil {
		t.Errorf("below the threshold: %v", err)
	}
}

// scanner answers as it is told.
type scanner struct {
	reason spam.Reason
	err    error
	asked  int
}

func (s *scanner) Name() string { return "test" }
func (s *scanner) Scan(_ context.Context, _ *smtpd.Envelope, message io.Reader, size int64) (spam.Reason, error) {
	s.asked++
	if b, err := io.ReadAll(message); err != nil || int64(len(b)) != size {
		return spam.Reason{}, fmt.Errorf("%d bytes of %d, %v", len(b), size, err)
	}
	return s.reason, s.err
}

func TestScanners(t *testing.T) {
	sc := &scanner{reason: spam.Reason{Rule: "rspamd", Score: 6, Detail: "add header"}}
	w := start(t, "", func(o *email.Options) { o.Scanners = []spam.Scanner{sc} })
	w.now.Store(time.Now().UnixMilli())
	if got := w.folderOf(w.deliver(plainEnvelope(at("pilot")), mail("a", "s1@x", "b"), "pilot")); got != "junk" {
		t.Errorf("what the scanner calls junk goes to %s", got)
	}
	// One that fails is left out of the sum, and after a while not asked for some time.
	sc.reason, sc.err = spam.Reason{}, fmt.Errorf("down")
	for i := range 5 {
		id := w.deliver(plainEnvelope(at("pilot")), mail("a", fmt.Sprintf("s2-%d@x", i), "b"), "pilot")
		x := get[spam.Explanation](w, fmt.Sprintf("/api/messages/%d/spam", id), "pilot")
		if w.folderOf(id) != "inbox" || len(x.Reasons) != 1 || x.Reasons[0].Rule != "scanner_down" {
			t.Errorf("%d: %s, %+v", i, w.folderOf(id), x.Reasons)
		}
	}
	if sc.asked != 4 {
		t.Errorf("asked %d times", sc.asked)
	}
	w.now.Add(31_000)
	sc.err = nil
	w.deliver(plainEnvelope(at("pilot")), mail("a", "s3@x", "b"), "pilot")
	if sc.asked != 5 {
		t.Errorf("asked %d times after a while", sc.asked)
	}
}

// blind is a store that knows nothing of spam any more.
type blind struct{ email.Store }

func (blind) SpamProfiles(context.Context, []string) (map[string]spam.Profile, error) {
	return nil, errs.New(errs.Unavailable, "the database is busy")
}

func TestAStoreThatCannotAnswerRefusesNothing(t *testing.T) {
	w := start(t, "", func(o *email.Options) { o.Store = blind{o.Store}; o.Enforce, o.SpamRefuse = true, 5 })
	id := w.deliver(plainEnvelope(at("pilot")), mail("a", "u1@x", "b"), "pilot")
	st := mailstore.New(w.db)
	m, err := st.MessageByID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := st.RawByID(t.Context(), m.RawID)
	if err != nil || w.folderOf(id) != "inbox" || len(raw.SpamReasons) != 1 || raw.SpamReasons[0].Rule != "not_looked_up" {
		t.Errorf("%+v, %v", raw.SpamReasons, err)
	}
}

func TestSpamIsOnesOwnBusiness(t *testing.T) {
	w := start(t, "")
	id := w.deliver(plainEnvelope(at("pilot")), mail("a", "o1@x", "b"), "pilot")
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"POST", "/api/messages/%d/spam", 404}, {"POST", "/api/messages/%d/ham", 404}, {"POST", "/api/messages/%d/unmark", 404}, {"GET", "/api/messages/%d/spam", 404},
		{"GET", "/api/spam?user=pilot", 403}, {"GET", "/api/junk?user=pilot", 403}, {"GET", "/api/spam/senders?user=pilot", 403}, {"PATCH", "/api/spam?user=pilot&junk_at=3", 403},
	} {
		path := c.path
		if strings.Contains(path, "%d") {
			path = fmt.Sprintf(path, id)
		}
		if status, body, _ := w.call(c.method, path, "mallory", ""); status != c.status {
			t.Errorf("%s %s: %d %s", c.method, path, status, body)
		}
		if status, body, _ := w.call(c.method, path, "admin", ""); status != 200 {
			t.Errorf("an administrator: %s %s: %d %s", c.method, path, status, body)
		}
	}
}

// asReply finds the reply in an error.
func asReply(err error, r **smtpd.Reply) bool {
	got, ok := err.(*smtpd.Reply)
	*r = got
	return ok
}

var _ web.Transactor[mailbox.Tx] = blind{}

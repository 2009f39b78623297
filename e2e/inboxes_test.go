package e2e_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/smtp"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"uniqverse/smtpd"
)

// testInbox is an inbox for tests, as the call that makes it answers.
type testInbox struct {
	ID       int64
	User     string
	Patterns []string
	Password string
	Ports    struct{ Submission, POP3 int }
	MaxCount int `json:"max_count"`
}

func (s *system) newInbox(body string, headers ...string) (in testInbox) {
	s.t.Helper()
	s.post(201, "email/api/inboxes", body, headers...).JSON(s.t, &in)
	return in
}

// submit sends a mail with an inbox's password, over TLS, as a program under test does; its error is the reply.
func (s *system) submit(in testInbox, from, to, subject, text string) error {
	conn, err := tls.Dial("tcp", s.SMTP(smtpd.Submissions), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return err
	}
	c, err := smtp.NewClient(conn, "localhost")
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Auth(smtp.PlainAuth("", in.User, in.Password, "localhost")); err != nil {
		return err
	}
	if err := c.Mail(from); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "From: %s\r\nTo: %s\r\nSubject: %s\r\n\r\n%s\r\n", from, to, subject, text)
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}

// holds returns the subjects of what an inbox holds, as its own password sees it.
func (s *system) holds(in testInbox) (subjects []string) {
	s.t.Helper()
	var list struct{ Messages []mail }
	s.get(200, "email/api/messages?user="+in.User, signedIn(in)...).JSON(s.t, &list)
	for _, m := range list.Messages {
		subjects = append(subjects, m.Subject)
	}
	return subjects
}

func signedIn(in testInbox) []string {
	r, _ := http.NewRequest("GET", "/", nil)
	r.SetBasicAuth(in.User, in.Password)
	return []string{"Authorization", r.Header.Get("Authorization")}
}

// An inbox for tests has addresses and a password of its own. What is sent with it comes back to it alone, whomever it is
// from and for; its password opens nothing else, and ends when it is rotated or the inbox removed.
func TestInboxesForTests(t *testing.T) {
	s := start(t, "VEZE_JWT_DEMO=0", "VEZE_JWT_SECRET=0123456789abcdef0123456789abcdef", "EMAIL_POP3_110=0")
	bearer := func(user, scopes string) []string {
		return []string{"Authorization", "Bearer " + s.token(user, scopes)}
	}
	ann, bob := bearer("ann", "email.read email.send"), bearer("bob", "email.read")
	s.get(200, "email/api/messages?user=bob", bob...) // bob is somebody
	in := s.newInbox(`{"name":"shop","note":"its form","max_count":3}`, ann...)
	if in.User != "shop@vezeuniqverse.com" || len(in.Patterns) != 3 || in.Patterns[2] != "*@shop.vezeuniqverse.com" || in.Ports.POP3 == 0 || in.Ports.Submission == 0 {
		t.Fatalf("made: %+v", in)
	}
	for _, to := range []string{"shop+a@vezeuniqverse.com", "any.body@shop.vezeuniqverse.com"} {
		s.sendMail("x@example.org", to, "To "+to, "hello")
	}
	if err := s.submit(in, "noreply@shop.example", "bob@vezeuniqverse.com", "Forged", "as anybody"); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(s.holds(in)); got != "[Forged To any.body@shop.vezeuniqverse.com To shop+a@vezeuniqverse.com]" {
		t.Errorf("the inbox holds %s", got)
	}
	if got := s.get(200, "email/api/messages?user=bob", bob...); contains(got.body, "Forged") {
		t.Error("what was submitted with an inbox's password reached somebody")
	}
	if q := s.get(200, "email/api/queue", bearer("root", "email.admin")...); contains(q.body, "shop") {
		t.Errorf("it is in the queue: %s", q.body)
	}
	for _, wrong := range []string{"RCPT TO:<x@other.vezeuniqverse.com>", "RCPT TO:<x@a.shop.vezeuniqverse.com>", "RCPT TO:<nobody@vezeuniqverse.com>"} {
		if got := s.says("EHLO x", "MAIL FROM:<x@example.org>", wrong); !strings.HasPrefix(got, "550") {
			t.Errorf("%s: %s", wrong, got)
		}
	}
	// The oldest goes when there are more than it keeps.
	if err := s.submit(in, "a@b.example", "c@d.example", "Fourth", "x"); err != nil {
		t.Fatal(err)
	}
	s.call("PATCH", fmt.Sprintf("email/api/inboxes/%d", in.ID), `{"max_count":2}`, append(ann, "Content-Type", "application/json")...)
	eventually(t, "two are kept", func() bool { return fmt.Sprint(s.holds(in)) == "[Fourth Forged]" })

	// Whose it is reads it as their own; nobody else does, and its password opens no other mail and no other inbox.
	if got := s.get(200, "email/api/messages?user=shop", ann...); !contains(got.body, "Fourth") {
		t.Errorf("its owner sees %s", got.body)
	}
	one := fmt.Sprintf("email/api/inboxes/%d", in.ID)
	s.get(403, "email/api/messages?user=shop", bob...)
	s.get(404, one, bob...)
	s.get(403, "email/api/messages?user=ann", signedIn(in)...)
	s.get(403, "email/api/inboxes", signedIn(in)...)
	s.post(403, "email/api/inboxes", `{}`, signedIn(in)...)
	s.post(409, "email/api/inboxes", `{"name":"shop"}`, ann...)
	s.post(409, "email/api/inboxes", `{"name":"bob"}`, ann...)
	s.post(403, "email/api/inboxes", `{"outbound":true}`, ann...)
	s.get(401, "email/api/messages?user=shop", "Authorization", "Basic c2hvcDp3cm9uZw==")

	was := in
	s.post(200, one+"/rotate", "", ann...).JSON(t, &in)
	s.get(401, "email/api/messages?user=shop", signedIn(was)...)
	if got := s.holds(in); len(got) != 2 {
		t.Errorf("with the new password: %v", got)
	}
	if r := s.call("DELETE", one, "", ann...); r.StatusCode != 200 {
		t.Fatalf("removed: %d %s", r.StatusCode, r.body)
	}
	s.get(401, "email/api/messages?user=shop", signedIn(in)...)
	s.get(403, "email/api/messages?user=shop", ann...)
	if got := s.says("EHLO x", "MAIL FROM:<x@example.org>", "RCPT TO:<shop@vezeuniqverse.com>"); !strings.HasPrefix(got, "550") {
		t.Errorf("mail to a removed inbox: %s", got)
	}
	s.post(409, "email/api/inboxes", `{"name":"shop"}`, bob...)
	again := s.newInbox(`{"name":"shop"}`, ann...)
	eventually(t, "what it held before is gone", func() bool { return len(s.holds(again)) == 0 })
}

// One inbox may take all mail that would leave, whoever sends it and however it gets into the queue.
func TestAnInboxCatchesAllOutboundMail(t *testing.T) {
	s := start(t)
	demo := []string{"Authorization", "Bearer demo"}
	in := s.newInbox(`{"name":"catcher","outbound":true}`, demo...)
	s.post(409, "email/api/inboxes", `{"outbound":true}`, demo...)
	s.post(202, "email/api/send", `{"to":["a@else.example","catcher@vezeuniqverse.com"],"subject":"Away","text":"x"}`, demo...)
	s.post(202, "email/api/send", `{"to":["b@else.example"],"subject":"Later","text":"x","undo_seconds":1}`, demo...)
	eventually(t, "both are in the inbox", func() bool { return len(s.holds(in)) == 3 })
	if q := s.get(200, "email/api/queue?state=held", "Authorization", "Bearer "+s.token("root", "email.admin")); contains(q.body, "else.example\"") {
		t.Errorf("held: %s", q.body)
	}
}

// The example clients wait for a mail, take a link and a code out of it, and remove it.
func TestExampleClients(t *testing.T) {
	node, python := tool(t, "node"), tool(t, "python3")
	binary := filepath.Join(t.TempDir(), "waitmail")
	if out, err := exec.Command("go", "build", "-o", binary, "../examples/waitmail").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := start(t)
	for name, command := range map[string][]string{"go": {binary}, "node": {node, "../examples/waitmail/waitmail.mjs"}, "python": {python, "../examples/waitmail/waitmail.py"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := s.newInbox(`{"name":"`+name+`-tests"}`, "Authorization", "Bearer demo")
			client := func(to, subject string, seconds int) *exec.Cmd {
				cmd := exec.CommandContext(t.Context(), command[0], append(command[1:len(command):len(command)], to, subject, fmt.Sprint(seconds))...)
				cmd.Env = append(os.Environ(), "MAIL_URL="+s.URL("email"), "MAIL_USER="+in.User, "MAIL_PASSWORD="+in.Password)
				return cmd
			}
			send := func(to, subject, text string) {
				t.Helper()
				if err := s.submit(in, "noreply@shop.example", to, subject, text); err != nil {
					t.Fatal(err)
				}
			}
			send("ann@example.org", "Your code", "It is 271828.")
			send("bob@example.org", "Welcome, Bob", "Not for Ann.")
			var got struct{ Subject, Link, Code string }
			out, err := client("ann@example.org", "^Your", 30).Output() // is there already
			if err != nil || json.Unmarshal(out, &got) != nil || got.Code != "271828" || got.Link != "" {
				t.Errorf("what was there: %v %s", err, out)
			}
			// One that comes while it waits, or just before.
			wait := client("ann@example.org", "^Welcome", 30)
			stdout, err := wait.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := wait.Start(); err != nil {
				t.Fatal(err)
			}
			send("ann@example.org", "Welcome, Ann", "Go to https://shop.example/confirm?token=12345678 with 314159")
			if err := json.NewDecoder(stdout).Decode(&got); err != nil || got.Subject != "Welcome, Ann" || got.Link != "https://shop.example/confirm?token=12345678" || got.Code != "314159" {
				t.Errorf("what came: %v %+v", err, got)
			}
			if err := wait.Wait(); err != nil {
				t.Error(err)
			}
			if left := fmt.Sprint(s.holds(in)); left != "[Welcome, Bob]" {
				t.Errorf("left: %s", left)
			}
			began := time.Now()
			if out, err := client("ann@example.org", "^Never", 1).CombinedOutput(); err == nil || !strings.Contains(string(out), "no mail to ann@example.org") {
				t.Errorf("what never came, after %s: %v %s", time.Since(began), err, out)
			}
		})
	}
}

// The page makes an inbox, shows its password once, and works without JavaScript.
func TestInboxesPage(t *testing.T) {
	s := start(t)
	form := func(path string, pairs ...string) reply {
		q := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			q.Set(pairs[i], pairs[i+1])
		}
		return s.call("POST", path, q.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html", "Origin", s.URL("email"))
	}
	page := form("email/inboxes", "name", "paged", "note", "<b>mine</b>", "max_count", "", "max_age_hours", "24")
	secret := regexp.MustCompile(`<output>([a-z0-9-]{27})</output>`).FindSubmatch(page.body)
	if page.StatusCode != 200 || secret == nil || !contains(page.body, "&lt;b&gt;mine") || !contains(page.body, "for 24 hours") {
		t.Fatalf("%d %s", page.StatusCode, page.body)
	}
	if got := s.holds(testInbox{User: "paged@vezeuniqverse.com", Password: string(secret[1])}); len(got) != 0 {
		t.Errorf("it holds %v", got)
	}
	if again := s.get(200, "email/inboxes", "Accept", "text/html"); contains(again.body, string(secret[1])) {
		t.Error("the password is shown again")
	}
	if refused := form("email/inboxes", "name", "a b", "note", "kept"); refused.StatusCode != 422 || !contains(refused.body, "must be 3 to 40") || !contains(refused.body, `value="kept"`) {
		t.Errorf("%d %s", refused.StatusCode, refused.body)
	}
}

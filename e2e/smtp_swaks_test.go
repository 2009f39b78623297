package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"uniqverse/smtpd"
)

// Mail from programs that other people wrote.

// ran is what an outside program did.
type ran struct {
	status int
	text   string // stdout and stderr
}

// execute runs an outside program to its end.
func execute(t testing.TB, program string, args ...string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*longWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ran{cmd.ProcessState.ExitCode(), string(out)}
}

// swaks sends a mail to a port with swaks; status and words are what it must end with and say.
func (s *system) swaks(mode smtpd.Mode, status int, words string, args ...string) string {
	s.t.Helper()
	host, port, err := net.SplitHostPort(s.SMTP(mode))
	if err != nil {
		s.t.Fatal(err)
	}
	all := append([]string{"--server", host, "--port", port, "--helo", "peer.test", "--from", "alice@peer.test"}, args...)
	r := execute(s.t, tool(s.t, "swaks"), all...)
	if r.status != status || !strings.Contains(r.text, words) {
		s.t.Fatalf("swaks %s ended with %d, want %d and %q\n%s", strings.Join(args, " "), r.status, status, words, r.text)
	}
	return r.text
}

// mail is one message of the list API.
type mail struct {
	ID          int64    `json:"id"`
	Subject     string   `json:"subject"`
	From        string   `json:"from"`
	Attachments int      `json:"attachments"`
	Flags       []string `json:"flags"`
	Auth        struct{ SPF, DKIM, DMARC string }
}

// inbox returns the newest messages of a user.
func (s *system) inbox(user string) []mail {
	s.t.Helper()
	var list struct{ Messages []mail }
	s.get(200, "email/api/messages?access_token=demo&user="+user).JSON(s.t, &list)
	return list.Messages
}

// withSubject returns the one message of a user that has this subject.
func (s *system) withSubject(user, subject string) mail {
	s.t.Helper()
	var found []mail
	for _, m := range s.inbox(user) {
		if m.Subject == subject {
			found = append(found, m)
		}
	}
	if len(found) != 1 {
		s.t.Fatalf("%s has %d messages %q, want one", user, len(found), subject)
	}
	return found[0]
}

// raw returns a message as it is stored.
func (s *system) raw(m mail) string {
	s.t.Helper()
	return string(s.get(200, fmt.Sprintf("email/api/messages/%d/raw?access_token=demo", m.ID)).body)
}

// appPassword makes an account and returns an app password of it.
func (s *system) appPassword(user string) string {
	s.t.Helper()
	browser := signUp(s.t.(*testing.T), s, user)
	res, err := browser.PostForm(s.URL("portal")+"/account/app-passwords", url.Values{"label": {"swaks"}})
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	var made struct{ Password string }
	if err := json.Unmarshal(body, &made); err != nil || made.Password == "" {
		s.t.Fatalf("app password: %s %v\n%.300s", res.Status, err, body)
	}
	return made.Password
}

// The row of the contract: one swaks, and the mail is everywhere. Each place is asked once,
// right after the 250.
func TestSMTPSwaksIsSeenEverywhere(t *testing.T) {
	tool(t, "swaks")
	s := start(t)
	events := s.listen("email/api/events?user=pilot@vezeuniqverse.com&access_token=demo")
	s.swaks(smtpd.MX, 0, "250 2.0.0 queued as ", "--to", "pilot@vezeuniqverse.com", "--header", "Subject: Warp gate 4711", "--body", "The gate is online.")

	m := s.withSubject("pilot", "Warp gate 4711")
	if m.From != "alice@peer.test" {
		t.Errorf("from is %q", m.From)
	}
	if page := s.get(200, "email/inbox?user=pilot@vezeuniqverse.com", "Accept", "text/html"); !contains(page.body, "Warp gate 4711") {
		t.Errorf("the inbox page does not show it:\n%.2000s", page.body)
	}
	if game := s.get(200, "game/email/mail?user=pilot@vezeuniqverse.com&access_token=demo"); !contains(game.body, "Warp gate 4711") {
		t.Errorf("the Game's proxy does not show it: %.500s", game.body)
	}
	if ev := events.until("mail.received"); ev.data["subject"] != "Warp gate 4711" || ev.data["message_id"] != float64(m.ID) {
		t.Errorf("the event is %v", ev.data)
	}
	if raw := s.raw(m); !regexp.MustCompile(`(?m)^Received: from peer\.test \(\[127\.0\.0\.1\]\)\r\n\tby vezeuniqverse\.com with ESMTP id \w{16}\r\n\tfor <pilot@vezeuniqverse\.com>;`).MatchString(raw) ||
		!strings.HasSuffix(raw, "The gate is online.\r\n\r\n\r\n") {
		t.Errorf("the raw message is\n%s", raw)
	}
}

func TestSMTPSwaksVariants(t *testing.T) {
	tool(t, "swaks")
	s := start(t)
	t.Run("attachment", func(t *testing.T) {
		content := []byte("PNG\x00\xff\r\n.\r\n" + strings.Repeat("\x01\x02\x03", 5000))
		file := filepath.Join(t.TempDir(), "gate.png")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s.swaks(smtpd.MX, 0, "250 2.0.0", "--to", "pilot@vezeuniqverse.com", "--header", "Subject: with a picture", "--body", "see below",
			"--attach-type", "image/png", "--attach-name", "gate.png", "--attach", "@"+file)
		m := s.withSubject("pilot", "with a picture")
		if m.Attachments != 1 || strings.Join(m.Flags, " ") != "attachment" {
			t.Errorf("%d attachments, flags %v", m.Attachments, m.Flags)
		}
		if got := s.get(200, fmt.Sprintf("email/api/messages/%d/parts/2?access_token=demo", m.ID)); !bytes.Equal(got.body, content) {
			t.Errorf("the file came as %d bytes, %d were sent", len(got.body), len(content))
		}
	})
	t.Run("pipelined", func(t *testing.T) {
		s.swaks(smtpd.MX, 0, "250 2.0.0", "--pipeline", "--to", "pilot@vezeuniqverse.com", "--header", "Subject: in one go")
		s.withSubject("pilot", "in one go")
	})
	t.Run("STARTTLS on the MX port", func(t *testing.T) {
		s.swaks(smtpd.MX, 0, "250 2.0.0", "--tls", "--to", "pilot@vezeuniqverse.com", "--header", "Subject: sealed")
		if raw := s.raw(s.withSubject("pilot", "sealed")); !strings.Contains(raw, " with ESMTPS id ") {
			t.Errorf("the raw message is\n%s", raw)
		}
	})
	t.Run("two recipients, one copy each", func(t *testing.T) {
		s.swaks(smtpd.MX, 0, "250 2.0.0", "--to", "ann@vezeuniqverse.com,bob@vezeuniqverse.com,ann+games@vezeuniqverse.com", "--header", "Subject: for two")
		s.withSubject("ann", "for two")
		if raw := s.raw(s.withSubject("bob", "for two")); strings.Contains(raw, "for <") {
			t.Errorf("a copy names one of several recipients in Received:\n%s", raw)
		}
	})
	t.Run("relaying is refused", func(t *testing.T) {
		text := s.swaks(smtpd.MX, 24, "550 5.7.1 ", "--to", "someone@example.org")
		if strings.Contains(text, "354") {
			t.Errorf("the message was asked for:\n%s", text)
		}
	})
	t.Run("one recipient of two is refused", func(t *testing.T) {
		text := s.swaks(smtpd.MX, 0, "250 2.0.0", "--to", "carl@vezeuniqverse.com,someone@example.org", "--header", "Subject: half")
		if !strings.Contains(text, "550 5.7.1 ") {
			t.Errorf("nobody was refused:\n%s", text)
		}
		s.withSubject("carl", "half")
	})
	t.Run("no AUTH on the MX port", func(t *testing.T) {
		s.swaks(smtpd.MX, 28, "", "--tls", "--auth", "PLAIN", "--auth-user", "pilot", "--auth-password", "x", "--to", "pilot@vezeuniqverse.com")
	})
}

func TestSMTPSwaksSubmission(t *testing.T) {
	tool(t, "swaks")
	s := start(t)
	password := s.appPassword("sender")
	for _, tc := range []struct {
		name string
		mode smtpd.Mode
		args []string
		with string // protocol in Received
	}{
		{"STARTTLS and PLAIN", smtpd.Submission, []string{"--tls", "--auth", "PLAIN"}, "ESMTPSA"},
		{"STARTTLS and LOGIN", smtpd.Submission, []string{"--tls", "--auth", "LOGIN"}, "ESMTPSA"},
		{"TLS on connect and PLAIN", smtpd.Submissions, []string{"--tls-on-connect", "--auth", "PLAIN"}, "ESMTPSA"},
		{"TLS on connect and LOGIN", smtpd.Submissions, []string{"--tls-on-connect", "--auth", "LOGIN"}, "ESMTPSA"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, user := range []string{"sender", "sender@vezeuniqverse.com"} {
				subject := tc.name + " as " + user
				s.swaks(tc.mode, 0, "250 2.0.0", append(tc.args, "--auth-user", user, "--auth-password", password, "--from", "sender@vezeuniqverse.com",
					"--to", "pilot@vezeuniqverse.com", "--header", "Subject: "+subject)...)
				m := s.withSubject("pilot", subject)
				raw := s.raw(m)
				if !strings.Contains(raw, " with "+tc.with+" id ") || !regexp.MustCompile(`(?m)^Authentication-Results: vezeuniqverse\.com;[^:]*auth=pass`).MatchString(raw) {
					t.Errorf("the raw message is\n%s", raw)
				}
				if m.Auth.SPF != "none" || m.Auth.DKIM != "none" || m.Auth.DMARC != "none" {
					t.Errorf("auth is %+v; a user's password stands for the checks", m.Auth)
				}
			}
		})
	}
	as := func(user, password string) []string {
		return []string{"--tls", "--auth", "PLAIN", "--auth-user", user, "--auth-password", password, "--from", "sender@vezeuniqverse.com", "--to", "pilot@vezeuniqverse.com"}
	}
	for _, tc := range []struct {
		name   string
		status int
		words  string
		args   []string
	}{
		{"wrong password", 28, "535 5.7.8 ", as("sender", "wrong")},
		{"the account's own password", 28, "535 5.7.8 ", as("sender", "a long enough passphrase")},
		{"nobody", 28, "535 5.7.8 ", as("nobody", password)},
		{"user of another domain", 28, "535 5.7.8 ", as("sender@example.org", password)},
		{"no password at all", 23, "530 5.7.0 ", []string{"--tls", "--to", "pilot@vezeuniqverse.com"}},
		{"password in the clear", 28, "", as("sender", password)[1:]},
		{"another's address", 23, "550 5.7.1 ", append(as("sender", password), "--from", "pilot@vezeuniqverse.com")},
		{"another's address in From", 26, "550 5.7.1 ", append(as("sender", password), "--header", "From: pilot@vezeuniqverse.com")},
		{"a machine instead of a domain", 24, "550 5.1.2 ", append(as("sender", password), "--to", "someone@[192.0.2.1]")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := len(s.inbox("pilot"))
			text := s.swaks(smtpd.Submission, tc.status, tc.words, tc.args...)
			if after := len(s.inbox("pilot")); after != before {
				t.Errorf("it was delivered:\n%s", text)
			}
		})
	}
}

// The matrix of what swaks can do on each port: TLS or not, how it signs in, no file, one or several, every other mail
// pipelined; and the cells in which it must not be able to.
func TestSMTPSwaksMatrix(t *testing.T) {
	tool(t, "swaks")
	s := start(t)
	password := s.appPassword("sender")
	files := []struct{ name, media, content string }{
		{"gate.png", "image/png", "\x89PNG\r\n\x1a\n\x00\r\n.\r\n" + strings.Repeat("\x01\x02\xff", 40_000)},
		{"empty.bin", "application/octet-stream", ""},
		{"notes 1.txt", "text/plain", ".\n..\nFrom me\n" + strings.Repeat("long ", 500) + "\n\nno line end"},
	}
	var attach [][]string // what swaks is told for so many files
	attach = append(attach, nil)
	for i, f := range files {
		path := filepath.Join(t.TempDir(), fmt.Sprint(i))
		if err := os.WriteFile(path, []byte(f.content), 0o600); err != nil {
			t.Fatal(err)
		}
		attach = append(attach, append(slices.Clone(attach[i]), "--attach-type", f.media, "--attach-name", f.name, "--attach", "@"+path))
	}
	signIn := func(auth, password string) []string {
		return []string{"--auth", auth, "--auth-user", "sender", "--auth-password", password, "--from", "sender@vezeuniqverse.com"}
	}
	for i, port := range []struct {
		mode smtpd.Mode
		tls  string
		auth string
		with string // protocol in Received
	}{
		{smtpd.MX, "", "", "ESMTP"}, {smtpd.MX, "--tls", "", "ESMTPS"},
		{smtpd.Submission, "--tls", "PLAIN", "ESMTPSA"}, {smtpd.Submission, "--tls", "LOGIN", "ESMTPSA"},
		{smtpd.Submissions, "--tls-on-connect", "PLAIN", "ESMTPSA"}, {smtpd.Submissions, "--tls-on-connect", "LOGIN", "ESMTPSA"},
	} {
		for j, n := range []int{0, 1, len(files)} {
			subject := fmt.Sprintf("matrix %d %d", i, n)
			args := append([]string{"--to", "pilot@vezeuniqverse.com", "--header", "Subject: " + subject, "--body", "see below"}, attach[n]...)
			if port.tls != "" {
				args = append(args, port.tls)
			}
			if port.auth != "" {
				args = append(args, signIn(port.auth, password)...)
			}
			if (i+j)%2 == 1 {
				args = append(args, "--pipeline")
			}
			s.swaks(port.mode, 0, "250 2.0.0", args...)
			m := s.withSubject("pilot", subject)
			if raw := s.raw(m); !strings.Contains(raw, " with "+port.with+" id ") || m.Attachments != n {
				t.Errorf("%v: %d files\n%.900s", args, m.Attachments, raw)
			}
			for k, f := range files[:n] {
				if got := s.get(200, fmt.Sprintf("email/api/messages/%d/parts/%d?access_token=demo", m.ID, k+2)); string(got.body) != f.content {
					t.Errorf("%v: %s came as %d bytes, %d were sent", args, f.name, len(got.body), len(f.content))
				}
			}
		}
	}
	before := len(s.inbox("pilot"))
	for _, cell := range []struct {
		mode   smtpd.Mode
		status int
		words  string
		args   []string
	}{
		{smtpd.MX, 28, "", append(signIn("PLAIN", password), "--tls")}, // this port takes no passwords
		{smtpd.MX, 28, "", signIn("LOGIN", password)},
		{smtpd.Submission, 23, "530 5.7.0 ", nil},
		{smtpd.Submission, 23, "530 5.7.0 ", []string{"--tls"}},
		{smtpd.Submission, 28, "", signIn("PLAIN", password)}, // nor does any in the clear
		{smtpd.Submission, 28, "", signIn("LOGIN", password)},
		{smtpd.Submission, 28, "535 5.7.8 ", append(signIn("LOGIN", "wrong"), "--tls")},
		{smtpd.Submissions, 23, "530 5.7.0 ", []string{"--tls-on-connect"}},
		{smtpd.Submissions, 28, "535 5.7.8 ", append(signIn("PLAIN", "wrong"), "--tls-on-connect")},
		{smtpd.Submissions, 28, "535 5.7.8 ", append(signIn("LOGIN", "wrong"), "--tls-on-connect")},
		{smtpd.MX, 29, "", []string{"--tls-on-connect"}}, // TLS is said where it is not spoken
	} {
		s.swaks(cell.mode, cell.status, cell.words, append(append([]string{"--to", "pilot@vezeuniqverse.com"}, attach[1]...), cell.args...)...)
	}
	if after := len(s.inbox("pilot")); after != before {
		t.Errorf("%d mails came that were refused", after-before)
	}
}

// A mail program that has a token of the portal needs no password.
func TestSMTPSignInByToken(t *testing.T) {
	s := start(t)
	browser := signUp(t, s, "sender")
	token := func(scope string) string {
		res, err := browser.PostForm(s.URL("portal")+"/auth/token", url.Values{"aud": {"veze-email"}, "scope": {scope}})
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var made struct {
			Token string `json:"access_token"`
		}
		body, _ := io.ReadAll(res.Body)
		if err := json.Unmarshal(body, &made); err != nil || made.Token == "" {
			t.Fatalf("token: %s %v\n%.300s", res.Status, err, body)
		}
		return made.Token
	}
	for _, mode := range []smtpd.Mode{smtpd.Submission, smtpd.Submissions} {
		for _, c := range []struct {
			name, user, token string
			ok                bool
		}{
			{"own", "sender@vezeuniqverse.com", token("email.send"), true},
			{"without a name", "", token("email.send email.read"), true},
			{"another's name", "pilot@vezeuniqverse.com", token("email.send"), false},
			{"a token that may not send", "sender@vezeuniqverse.com", token("email.read"), false},
			{"no token", "sender@vezeuniqverse.com", "nonsense", false},
			{"demo", "demo@vezeuniqverse.com", "demo", true},
		} {
			t.Run(mode.String()+" "+c.name, func(t *testing.T) {
				config := &tls.Config{InsecureSkipVerify: true}
				dial := smtp.DialStartTLS
				if mode == smtpd.Submissions {
					dial = smtp.DialTLS
				}
				client, err := dial(s.SMTP(mode), config)
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				err = client.Auth(sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: c.user, Token: c.token}))
				if (err == nil) != c.ok {
					t.Fatalf("signed in: %v", err)
				}
				if !c.ok {
					return
				}
				from := cmp.Or(c.user, "sender@vezeuniqverse.com")
				subject := mode.String() + " " + c.name
				if err := client.SendMail(from, []string{"pilot@vezeuniqverse.com"}, strings.NewReader("From: "+from+"\r\nSubject: "+subject+"\r\n\r\nx\r\n")); err != nil {
					t.Fatal(err)
				}
				s.withSubject("pilot", subject)
			})
		}
	}
}

// Mail for other hosts is taken from users; they keep a copy, which nobody has read yet at the other end: it is held.
func TestSMTPSwaksOutside(t *testing.T) {
	tool(t, "swaks")
	s := start(t)
	password := s.appPassword("sender")
	s.swaks(smtpd.Submission, 0, "250 2.0.0", "--tls", "--auth", "PLAIN", "--auth-user", "sender", "--auth-password", password, "--from", "sender@vezeuniqverse.com",
		"--to", "someone@example.org", "--header", "Subject: far away")
	if raw := s.raw(s.withSubject("sender", "far away")); !strings.HasPrefix(raw, "DKIM-Signature: ") || !strings.Contains(raw, "To: someone@example.org") {
		t.Errorf("the copy is\n%s", raw)
	}
}

// Python's smtplib: several mails in one session, after STARTTLS, with a password.
func TestSMTPPythonClient(t *testing.T) {
	python := "/usr/bin/python3"
	if _, err := os.Stat(python); err != nil {
		python = tool(t, "python3")
	}
	s := start(t)
	password := s.appPassword("sender")
	r := execute(t, python, absolute(t, "testdata/client.py"), s.mx(), s.SMTP(smtpd.Submission), s.SMTP(smtpd.Submissions), "sender", password)
	if r.status != 0 {
		t.Fatalf("status %d\n%s", r.status, r.text)
	}
	n := map[string]int{}
	for _, m := range s.inbox("pilot") {
		n[m.Subject]++
	}
	if len(n) != 30 {
		t.Errorf("%d mails came, want 30: %v", len(n), n)
	}
	if raw := s.raw(s.withSubject("pilot", "mx 3")); !strings.HasSuffix(raw, "\r\n\r\n.a dot first\r\n.\r\nb\xc3\xa4r\r\n") {
		t.Errorf("the raw message is\n%q", raw)
	}
}

// absolute is a path that does not depend on the folder of who reads it.
func absolute(t testing.TB, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"uniqverse/store"
)

// Every row of docs/failures.md names tests, and those that it names exist.
func TestFailuresAreListed(t *testing.T) {
	raw, err := os.ReadFile("../docs/failures.md")
	if err != nil {
		t.Fatal(err)
	}
	exists, rows := testNames(t), 0
	name := regexp.MustCompile("`([A-Za-z0-9/]+\\.Test[A-Za-z0-9]*)`")
	for line := range strings.Lines(string(raw)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| what fails") {
			continue
		}
		rows++
		found := name.FindAllStringSubmatch(cells[3], -1)
		if len(found) == 0 {
			t.Errorf("no test is named for: %s", cells[1])
		}
		for _, m := range found {
			if !exists[m[1]] {
				t.Errorf("there is no test %s, which is named for: %s", m[1], cells[1])
			}
		}
	}
	if rows < 24 {
		t.Errorf("%d rows were found", rows)
	}
}

// A program of JMAP that comes back to a database that was restored is told to fetch everything anew, and so is a listener of events,
// also when as much has happened since as they knew of.
func TestRestoredBackup(t *testing.T) {
	s := prepare(t)
	s.boot()
	s.sendMail("eve@example.org", "pilot@vezeuniqverse.com", "kept", "x")
	s.end()
	file := filepath.Join(s.dir, store.FileName)
	backup, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	state := func() string {
		t.Helper()
		r := s.post(200, "email/jmap/api", `{"using":["urn:ietf:params:jmap:core","urn:ietf:params:jmap:mail"],"methodCalls":[["Email/get",{"accountId":"`+s.account()+`","ids":[]},"0"]]}`, "Authorization", "Bearer demo")
		m := regexp.MustCompile(`"state":"([^"]+)"`).FindSubmatch(r.body)
		if m == nil {
			t.Fatalf("no state: %s", r.body)
		}
		return string(m[1])
	}
	changes := func(since string) string {
		t.Helper()
		return string(s.post(200, "email/jmap/api", `{"using":["urn:ietf:params:jmap:core","urn:ietf:params:jmap:mail"],"methodCalls":[["Email/changes",{"accountId":"`+s.account()+`","sinceState":"`+since+`"},"0"]]}`, "Authorization", "Bearer demo").body)
	}
	s.boot()
	s.sendMail("eve@example.org", "demo@vezeuniqverse.com", "lost", "x")
	known := state()
	s.end()
	s.boot()
	if got := changes(known); strings.Contains(got, "cannotCalculateChanges") {
		t.Errorf("after a restart: %s", got)
	}
	s.end()
	if err := os.WriteFile(file, backup, 0o600); err != nil {
		t.Fatal(err)
	}
	s.boot()
	t.Cleanup(s.end)
	for _, subject := range []string{"one", "two", "three"} {
		s.sendMail("eve@example.org", "demo@vezeuniqverse.com", subject, "x")
	}
	if got := changes(known); !strings.Contains(got, "cannotCalculateChanges") {
		t.Errorf("after the restore: %s", got)
	}
	s.withSubject("pilot", "kept")
}

// account is the JMAP account of demo.
func (s *system) account() string {
	s.t.Helper()
	m := regexp.MustCompile(`"primaryAccounts":\{[^}]*"urn:ietf:params:jmap:mail":"([^"]+)"`).FindSubmatch(s.get(200, "email/jmap/session", "Authorization", "Bearer demo").body)
	if m == nil {
		s.t.Fatal("the session names no account")
	}
	return string(m[1])
}

// Another mail domain at the next start: the mailboxes are there under it with what they held, and the old domain is somebody else's.
func TestDomainIsChanged(t *testing.T) {
	s := prepare(t, "DOMAIN_GATE=old.example")
	s.boot()
	s.sendMail("eve@example.org", "pilot@old.example", "before", "x")
	s.end()
	s.env["DOMAIN_GATE"] = "new.example"
	s.boot()
	t.Cleanup(s.end)
	s.withSubject("pilot@new.example", "before")
	s.get(403, "email/api/messages?user=pilot@old.example&access_token=demo")
	if got := s.rcpt("pilot@old.example"); !strings.HasPrefix(got, "550 5.7.1") {
		t.Errorf("mail for the old domain: %s", got)
	}
	s.sendMail("eve@example.org", "pilot@new.example", "after", "x")
	s.withSubject("pilot", "after")
}

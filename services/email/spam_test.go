package email_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"uniqverse/services/email"
	"uniqverse/services/email/spam"
	"uniqverse/smtpd"
	"uniqverse/smtpd/senderauth"
)

func TestSpamRules(t *testing.T) {
	w := start(t, "")
	now := time.Now().UTC().Format(time.RFC1123Z)
	plain := "From: Ann <ann@example.org>\r\nDate: " + now + "\r\nMessage-ID: <%d@example.org>\r\nSubject: "
	for i, c := range []struct {
		name  string
		raw   string
		env   func(*smtpd.Envelope)
		score float64
		rules string
	}{
		{"nothing to say", plain + "hello\r\n\r\nx", nil, 0, ""},
		{"aligned", plain + "hello\r\n\r\nx", func(e *smtpd.Envelope) { e.Auth.DMARC = senderauth.Pass }, -1, "dmarc_pass"},
		{"forged", plain + "hello\r\n\r\nx", func(e *smtpd.Envelope) {
			e.Auth.SPF, e.Auth.DKIM, e.Auth.DMARC, e.Auth.Author.Policy = senderauth.Fail, senderauth.Fail, senderauth.Fail, "reject"
		}, 7.5, "dmarc_fail dmarc_reject spf_fail dkim_fail"},
		{"not sure", plain + "hello\r\n\r\nx", func(e *smtpd.Envelope) { e.Auth.SPF = senderauth.SoftFail }, 1, "spf_softfail"},
		{"it says it is us", plain + "hello\r\n\r\nx", func(e *smtpd.Envelope) { e.HELO = "VEZEuniqverse.com." }, 2, "helo_is_us"},
		{"on this host", plain + "hello\r\n\r\nx", func(e *smtpd.Envelope) { e.HELO, e.Loopback = "localhost", true }, 0, ""},
		{"bare", "Subject: x\r\n\r\nx", func(e *smtpd.Envelope) { e.HELO = "[192.0.2.7]" }, 3.5, "helo_is_bare no_from no_date no_message_id"},
		{"shouting", plain + "BUY THIS NOW!!!\r\n\r\nx", nil, 1.5, "subject_shouts subject_excited"},
		{"a name that lies", strings.Replace(plain, "Ann", `"boss@bank.example"`, 1) + "hello\r\nReply-To: x@elsewhere.example\r\n\r\nx", nil, 2.5, "name_is_address reply_elsewhere"},
		{"a name that does not", strings.Replace(plain, "Ann", `"ann@example.org"`, 1) + "hello\r\n\r\nx", nil, 0, ""},
		{"HTML alone", plain + "hello\r\nContent-Type: text/html\r\n\r\n<p>x", nil, 0.5, "html_only"},
		{"a program", plain + "hello\r\nContent-Type: application/x; name=\"invoice.PDF.exe\"\r\n\r\nx", nil, 2.5, "program_attached"},
		{"broken", plain + "hello\r\nno field\r\n\r\nx", nil, 0.5, "malformed"},
		{"old", strings.Replace(plain, now, "Mon, 2 Jan 2006 15:04:05 +0000", 1) + "hello\r\n\r\nx", nil, 1, "date_far"},
	} {
		env := envelope(at("pilot"))
		env.Auth = smtpd.AuthResults{SPF: senderauth.None, DKIM: senderauth.None, DMARC: senderauth.None}
		if c.env != nil {
			c.env(env)
		}
		raw := c.raw
		if strings.Contains(raw, "%d") {
			raw = fmt.Sprintf(raw, i)
		}
		if err := w.svc.Deliver(context.Background(), env, smtpd.NewMessage(nil, []byte(raw))); err != nil {
			t.Fatal(err)
		}
		m := w.list("demo", "pilot", "limit=1").Messages[0]
		_, body, _ := w.call("GET", fmt.Sprintf("/api/messages/%d", m.ID), "demo", "")
		var d email.Detail
		if err := json.Unmarshal([]byte(body), &d); err != nil {
			t.Fatal(err)
		}
		var rules []string
		for _, r := range d.Spam {
			rules = append(rules, r.Rule)
		}
		if m.SpamScore != c.score || strings.Join(rules, " ") != c.rules || slices.Contains(m.Flags, "spam") != (c.score >= spam.JunkAt) {
			t.Errorf("%s: score %v by %v, flags %v; want %v by %s", c.name, m.SpamScore, rules, m.Flags, c.score, c.rules)
		}
	}
}

// Many senders at once, while the sweep looks at the same folder: nothing is lost, nothing counted twice.
func TestManyDeliveriesAtOnce(t *testing.T) {
	w := start(t, "")
	ctx, cancel := context.WithCancel(context.Background())
	swept := make(chan error, 1)
	go func() { swept <- w.svc.Run(ctx) }()
	const senders, each = 8, 5
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				body := "small"
				if i%2 == 0 {
					body = strings.Repeat("large\r\n", 50_000)
				}
				raw := mail("m", fmt.Sprintf("%d-%d@example.org", s, i), body)
				for range 2 { // each is sent twice, as after a lost 250
					if err := w.svc.Deliver(ctx, envelope(at("pilot")), smtpd.NewMessage(nil, []byte(raw))); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	cancel()
	if err := <-swept; err != nil {
		t.Error(err)
	}
	l := w.list("demo", "pilot", "limit=200")
	if len(l.Messages) != senders*each || l.Total != senders*each || l.Unread != senders*each {
		t.Errorf("%d messages, %d counted, %d unread; want %d", len(l.Messages), l.Total, l.Unread, senders*each)
	}
	if n := len(stored(t, w.dir)); n != senders*3 {
		t.Errorf("%d files, want %d", n, senders*3)
	}
	for _, m := range l.Messages {
		if status, raw, _ := w.call("GET", fmt.Sprintf("/api/messages/%d/raw", m.ID), "demo", ""); status != 200 || int64(len(raw)) != m.Size {
			t.Errorf("message %d: %d, %d bytes of %d", m.ID, status, len(raw), m.Size)
		}
	}
}

func TestEventStreamsOfOneUserAreBounded(t *testing.T) {
	w := start(t, "")
	for range 32 {
		sse(t, w.srv.URL+"/api/events?user=pilot&access_token=pilot")
	}
	res, err := http.Get(w.srv.URL + "/api/events?user=pilot&access_token=pilot")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 429 || res.Header.Get("Retry-After") == "" {
		t.Errorf("the 33rd stream answers %d", res.StatusCode)
	}
}

package e2e_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// signed reports whether a delivery carries the signature of Standard Webhooks, made with the secret.
func signed(p posted, secret string) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", p.Headers["webhook-id"], p.Headers["webhook-timestamp"], p.Body)
	return p.Headers["webhook-signature"] == "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// A mailbox's webhook hears of its mail alone, in order, signed; what fails is kept, shown, and sent again by hand.
func TestMailWebhooks(t *testing.T) {
	s := start(t, "VEZE_JWT_DEMO=0", "VEZE_JWT_SECRET=0123456789abcdef0123456789abcdef", "CHAT_WEBHOOK_TARGETS=loopback")
	bearer := func(user, scopes string) []string {
		return []string{"Authorization", "Bearer " + s.token(user, scopes)}
	}
	ann, bob, root := bearer("ann", "email.read email.send"), bearer("bob", "email.read"), bearer("root", "email.read email.admin")
	s.get(200, "email/api/messages?user=ann", ann...)
	s.get(200, "email/api/messages?user=bob", bob...)
	to := newReceiver(t, func(n int) int {
		if n == 1 {
			return 500
		}
		return 204
	})
	everything := newReceiver(t, always(200))
	type hook struct {
		ID     int64
		Secret string
	}
	add := func(body string, as []string) (h hook) {
		t.Helper()
		s.post(201, "email/api/webhooks", body, as...).JSON(t, &h)
		return h
	}
	h := add(`{"url":"`+to.URL+`","events":["mail.received","mail.sent"]}`, ann)
	all := add(`{"url":"`+everything.URL+`","all":true}`, root)
	one := fmt.Sprintf("email/api/webhooks/%d", h.ID)
	if r := s.get(200, one, ann...); contains(r.body, h.Secret) {
		t.Errorf("the secret is shown again: %s", r.body)
	}
	s.sendMail("x@example.org", "bob@vezeuniqverse.com", "Not for Ann", "x")
	s.sendMail("x@example.org", "ann@vezeuniqverse.com", "First <light>", "x")
	got := to.wait(t, 1)
	var p struct {
		Type, Timestamp string
		Data            struct {
			Subject, User string
			MessageID     int64 `json:"message_id"`
		}
	}
	if err := json.Unmarshal([]byte(got[0].Body), &p); err != nil || p.Type != "mail.received" || p.Timestamp == "" || p.Data.Subject != "First <light>" || p.Data.User != "ann@vezeuniqverse.com" || p.Data.MessageID == 0 || !signed(got[0], h.Secret) {
		t.Errorf("%v %+v", err, got[0])
	}
	if two := everything.wait(t, 2); !strings.Contains(two[0].Body, "Not for Ann") || !signed(two[1], all.Secret) || signed(two[1], h.Secret) {
		t.Errorf("the webhook of all mailboxes got %+v", two)
	}
	var log struct{ Deliveries []delivery }
	eventually(t, "the failure is written down", func() bool {
		s.get(200, one+"/deliveries", ann...).JSON(t, &log)
		return len(log.Deliveries) == 1 && len(log.Deliveries[0].Attempts) == 1
	})
	if d := log.Deliveries[0]; d.State != "waiting" || d.Attempts[0].Error != "answered 500" || d.MessageID != got[0].Headers["webhook-id"] {
		t.Errorf("the log has %+v", d)
	}
	s.post(200, fmt.Sprintf("%s/deliveries/%d/replay", one, log.Deliveries[0].ID), "", ann...)
	if again := to.wait(t, 2); again[1].Body != got[0].Body || again[1].Headers["webhook-id"] != got[0].Headers["webhook-id"] {
		t.Errorf("sent again it is another: %+v", again[1])
	}
	s.post(202, "email/api/send", `{"to":["bob@vezeuniqverse.com"],"subject":"From Ann","text":"x"}`, ann...)
	if sent := to.wait(t, 3); !strings.Contains(sent[2].Body, `"type":"mail.sent"`) || !strings.Contains(sent[2].Body, `"recipient":"bob@vezeuniqverse.com"`) {
		t.Errorf("of what was sent it heard %+v", sent[2])
	}

	// Whose they are changes them; nobody else sees them, and addresses that are not public are refused where the setting says so.
	s.get(404, one, bob...)
	s.get(404, one+"/deliveries", bob...)
	s.get(200, one, root...)
	s.get(404, fmt.Sprintf("email/api/webhooks/%d", all.ID), ann...)
	s.get(403, "email/api/webhooks?all=true", ann...)
	s.get(403, "email/api/webhooks?user=ann", bob...)
	s.post(403, "email/api/webhooks", `{"url":"`+to.URL+`","all":true}`, ann...)
	s.post(422, "email/api/webhooks", `{"url":"http://10.0.0.1/"}`, ann...)
	s.post(422, "email/api/webhooks", `{"url":"`+to.URL+`","events":["chat.message.created"]}`, ann...)
	if r := s.call("PATCH", one, `{"enabled":false}`, append(ann, "Content-Type", "application/json")...); r.StatusCode != 200 || !contains(r.body, `"enabled":false`) {
		t.Errorf("switched off: %d %s", r.StatusCode, r.body)
	}
	s.post(409, fmt.Sprintf("%s/deliveries/%d/replay", one, log.Deliveries[0].ID), "", ann...)
	if r := s.call("DELETE", one, "", ann...); r.StatusCode != 200 {
		t.Errorf("removed: %d %s", r.StatusCode, r.body)
	}
	s.get(404, one, ann...)
}

// A kill loses no delivery: what was committed with its mail is sent after the next start.
func TestMailWebhooksAfterARestart(t *testing.T) {
	s := start(t)
	up := false
	to := newReceiver(t, func(int) int {
		if up {
			return 200
		}
		return 503
	})
	s.post(201, "email/api/webhooks", `{"url":"`+to.URL+`"}`, "Authorization", "Bearer demo")
	s.sendMail("x@example.org", "demo@vezeuniqverse.com", "Kept", "x")
	first := to.wait(t, 1)
	s.restart()
	to.mu.Lock()
	up = true
	to.mu.Unlock()
	var log struct{ Deliveries []delivery }
	s.get(200, "email/api/webhooks/1/deliveries", "Authorization", "Bearer demo").JSON(t, &log)
	s.post(200, fmt.Sprintf("email/api/webhooks/1/deliveries/%d/replay", log.Deliveries[0].ID), "", "Authorization", "Bearer demo")
	eventually(t, "it is delivered", func() bool {
		s.get(200, "email/api/webhooks/1/deliveries", "Authorization", "Bearer demo").JSON(t, &log)
		return log.Deliveries[0].State == "delivered"
	})
	if all := to.all(); all[len(all)-1].Headers["webhook-id"] != first[0].Headers["webhook-id"] {
		t.Errorf("another was sent: %+v", all)
	}
}

// The page makes a webhook, shows its secret once, and how deliveries were answered.
func TestMailWebhooksPage(t *testing.T) {
	s := start(t)
	to := newReceiver(t, always(204))
	form := func(path string, q url.Values) reply {
		return s.call("POST", path, q.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html", "Origin", s.URL("email"))
	}
	page := form("email/webhooks", url.Values{"url": {to.URL + "/?<b>"}, "events": {"mail.received", "mail.bounced"}})
	secret := regexp.MustCompile(`<output>(whsec_[^<]+)</output>`).FindSubmatch(page.body)
	if page.StatusCode != 200 || secret == nil || !contains(page.body, "mail.received, mail.bounced") || contains(page.body, "/?<b>") {
		t.Fatalf("%d %s", page.StatusCode, page.body)
	}
	s.sendMail("x@example.org", "demo@vezeuniqverse.com", "Hello", "x")
	to.wait(t, 1)
	eventually(t, "the page shows the delivery", func() bool {
		p := s.get(200, "email/webhooks", "Accept", "text/html")
		return contains(p.body, "204") && contains(p.body, "delivered") && !contains(p.body, string(secret[1]))
	})
	if again := form("email/webhooks/1/deliveries/1/replay", url.Values{"of": {""}}); again.StatusCode != 303 {
		t.Errorf("%d %s", again.StatusCode, again.body)
	}
	to.wait(t, 2)
	if refused := form("email/webhooks", url.Values{"url": {"ftp://x"}}); refused.StatusCode != 422 || !contains(refused.body, `value="ftp://x"`) {
		t.Errorf("%d %s", refused.StatusCode, refused.body)
	}
}

package e2e_test

import (
	"strings"
	"testing"

	"uniqverse/internal/api"
)

// Two installations, one the smarthost of the other: a mail goes over by SMTP and is read there, with its signatures; what
// the other one refuses comes back as a report; the events tell of both.
func TestMailBetweenTwoInstallations(t *testing.T) {
	far := start(t, "DOMAIN_GATE=example.org")
	near := start(t, "EMAIL_SMARTHOST="+far.mx())
	events := near.listen("email/api/events?user=demo&access_token=demo")

	send := func(to string) (sent api.EmailSent) {
		t.Helper()
		r := near.post(202, "email/jmap/send", `{"to":"`+to+`","subject":"to `+to+`","text":"hello\n"}`, "Authorization", "Bearer demo", "Content-Type", "application/json", "Idempotency-Key", to)
		r.JSON(t, &sent)
		return sent
	}
	sent := send("bob@example.org")
	if again := send("bob@example.org"); again != sent {
		t.Errorf("asked again, the answer is %+v and was %+v", again, sent)
	}
	events.until("mail.sent")
	var there struct{ Messages []mail }
	far.get(200, "email/api/messages?user=bob&access_token=demo").JSON(t, &there)
	if len(there.Messages) != 1 {
		t.Fatalf("bob has %+v, want one mail", there.Messages)
	}
	if raw := far.raw(there.Messages[0]); strings.Count(raw, "DKIM-Signature: ") != 2 || !strings.Contains(raw, "Message-ID: <"+sent.MessageID+">") || !strings.Contains(raw, " with ESMTPS id ") {
		t.Errorf("it came as\n%s", raw)
	}

	send("carl@elsewhere.example")
	events.until("mail.bounced")
	report := near.raw(near.withSubject("demo", "Your mail to carl@elsewhere.example could not be delivered"))
	if !strings.Contains(report, "Action: failed\r\nStatus: 5.7.1\r\n") {
		t.Errorf("the report is\n%s", report)
	}
}

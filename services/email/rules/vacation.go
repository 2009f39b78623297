package rules

import (
	"strings"
	"time"

	"uniqverse/internal/errs"
)

// AnswerEvery is how long a sender gets no second answer.
const AnswerEvery = 7 * 24 * time.Hour

// AnswersADay is how many answers one mailbox gives a day: forged senders must not make it a source of mail.
const AnswersADay = 200

// The bounds of an answer.
const (
	MaxAnswer        = 64 << 10 // bytes of its text, and of its HTML
	maxAnswerSubject = 300
)

// Vacation is the answer that goes out while somebody is away: the fields of RFC 8621's VacationResponse.
type Vacation struct {
	Mailbox int64
	Enabled bool
	From    time.Time // from when on; zero is always
	To      time.Time // until when, itself not included; zero is for ever
	Subject string    // "" is "Re: " and the subject of the message
	Text    string    // "" with an HTML: made from it
	HTML    string    // "" for none
	Updated time.Time
}

// Active reports whether mail is answered at this time.
func (v Vacation) Active(now time.Time) bool {
	return v.Enabled && !now.Before(v.From) && (v.To.IsZero() || now.Before(v.To))
}

// Check refuses an answer that cannot be sent, with errs.Invalid.
func (v Vacation) Check() error {
	switch {
	case v.Enabled && strings.TrimSpace(v.Text) == "" && strings.TrimSpace(v.HTML) == "":
		return errs.BadField("text", "is required: an answer says something")
	case len(v.Text) > MaxAnswer:
		return errs.BadField("text", "must be at most %d bytes", MaxAnswer)
	case len(v.HTML) > MaxAnswer:
		return errs.BadField("html", "must be at most %d bytes", MaxAnswer)
	case len(v.Subject) > maxAnswerSubject || strings.ContainsAny(v.Subject, "\r\n\x00"):
		return errs.BadField("subject", "must be one line of at most %d bytes", maxAnswerSubject)
	case !v.From.IsZero() && !v.To.IsZero() && !v.From.Before(v.To):
		return errs.BadField("to_date", "must be later than from_date")
	}
	return nil
}

// Letter is what decides whether a message is answered.
type Letter struct {
	Sender    string   // reverse-path
	Own       []string // addresses of the mailbox, lower case: itself and the one that the message was sent to
	Named     []string // addresses in To and Cc, lower case
	Fields    map[string]string
	Junk      bool
	Failed    bool // SPF or DMARC says that the sender is not who they say
	Forwarded bool // a rule throws the message away
}

// Answered reports whether RFC 3834 lets an automatic answer go to a message. Fields has those of the header that matter, by
// lower-case name.
func (l Letter) Answered() bool {
	if l.Sender == "" || l.Junk || l.Failed || l.Forwarded {
		return false
	}
	local, _, _ := strings.Cut(strings.ToLower(l.Sender), "@")
	for _, program := range []string{"mailer-daemon", "postmaster", "noreply", "no-reply", "donotreply", "do-not-reply", "listserv", "majordomo", "bounce", "bounces"} {
		if local == program {
			return false
		}
	}
	if strings.HasPrefix(local, "owner-") || strings.HasSuffix(local, "-request") || strings.HasSuffix(local, "-bounces") || strings.HasPrefix(local, "bounce-") || strings.HasPrefix(local, "bounces+") {
		return false
	}
	for name, value := range l.Fields {
		value = strings.ToLower(strings.TrimSpace(value))
		switch name {
		case "auto-submitted":
			if value != "" && !strings.HasPrefix(value, "no") {
				return false
			}
		case "precedence":
			if value == "bulk" || value == "list" || value == "junk" || value == "auto_reply" {
				return false
			}
		case "list-id", "list-unsubscribe", "list-post", "x-autoreply", "x-auto-response-suppress", "x-autorespond", "feedback-id":
			if value != "" {
				return false
			}
		}
	}
	for _, own := range l.Own {
		if strings.EqualFold(own, l.Sender) {
			return false
		}
	}
	for _, named := range l.Named {
		for _, own := range l.Own {
			if strings.EqualFold(named, own) {
				return true
			}
		}
	}
	return false
}

// AnswerFields are the fields that Letter.Fields needs.
func AnswerFields() []string {
	return []string{"auto-submitted", "precedence", "list-id", "list-unsubscribe", "list-post", "x-autoreply", "x-auto-response-suppress", "x-autorespond", "feedback-id"}
}

package email

import (
	"math"
	"path"
	"strings"
	"time"
	"unicode"

	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/reading"
	"uniqverse/smtpd"
	"uniqverse/smtpd/senderauth"
)

// SpamAt is the score from which a message is flagged spam. It is delivered all the same.
const SpamAt = 5.0

// evidence is what the rules look at.
type evidence struct {
	env         *smtpd.Envelope
	reading     reading.Reading
	domain      string // ours, in ASCII
	now         time.Time
	submitted   bool // by one of our users, who showed a password
	subject     string
	fromName    string
	fromDomain  string
	replyDomain string
	date        time.Time
	hasDate     bool
	hasID       bool
	names       []string // of attachments
}

// The rules. A rule is a name, what it adds, and when: the sum is the score, rounded to 0.1.
// Checks of the sender count most; of mail from our own users only the last group counts.
//
//	dmarc_fail          +3.0  the author's domain says that this is not from it
//	dmarc_reject        +1.5  … and asks to reject or quarantine such mail
//	dmarc_pass          -1.0
//	spf_fail            +2.0  the domain says that this host may not send for it
//	spf_softfail        +1.0
//	spf_permerror       +0.5
//	dkim_fail           +1.0  a signature does not hold
//	helo_is_us          +2.0  another host calls itself by our name
//	helo_is_bare        +0.5  … or by a name without a dot, or an address
//	no_from             +2.0  no author, or none that can be read
//	many_from           +2.0
//	no_date             +0.5
//	date_far            +1.0  more than a day ahead or thirty days back
//	no_message_id       +0.5
//	name_is_address     +2.0  the author's name is an address at another domain
//	reply_elsewhere     +0.5  answers go to another domain
//	subject_shouts      +1.0  ten letters or more, all of them capitals
//	subject_excited     +0.5  "!!!" or "$$$"
//	html_only           +0.5  no plain text
//	malformed           +0.5
//	program_attached    +2.5  a file that a double click runs
func score(e evidence) (sum float64, reasons []mailbox.Reason) {
	add := func(rule string, points float64, when bool) {
		if when {
			sum += points
			reasons = append(reasons, mailbox.Reason{Rule: rule, Score: points})
		}
	}
	a := e.env.Auth
	if !e.submitted {
		add("dmarc_fail", 3, a.DMARC == senderauth.Fail)
		add("dmarc_reject", 1.5, a.DMARC == senderauth.Fail && (a.Author.Policy == "reject" || a.Author.Policy == "quarantine"))
		add("dmarc_pass", -1, a.DMARC == senderauth.Pass)
		add("spf_fail", 2, a.SPF == senderauth.Fail)
		add("spf_softfail", 1, a.SPF == senderauth.SoftFail)
		add("spf_permerror", 0.5, a.SPF == senderauth.PermError)
		add("dkim_fail", 1, a.DKIM == senderauth.Fail)
		helo := strings.ToLower(strings.TrimSuffix(e.env.HELO, "."))
		add("helo_is_us", 2, !e.env.Loopback && helo == e.domain)
		add("helo_is_bare", 0.5, !e.env.Loopback && (!strings.Contains(helo, ".") || strings.HasPrefix(helo, "[")))
		add("no_from", 2, e.fromDomain == "")
		add("many_from", 2, has(e.env.Faults, "many_from"))
		add("no_date", 0.5, !e.hasDate)
		add("date_far", 1, !e.date.IsZero() && (e.date.After(e.now.Add(24*time.Hour)) || e.date.Before(e.now.Add(-30*24*time.Hour))))
		add("no_message_id", 0.5, !e.hasID)
	}
	_, other := mailbox.Split(e.fromName)
	add("name_is_address", 2, e.fromDomain != "" && strings.Contains(other, ".") && !strings.EqualFold(strings.Trim(other, `"'> `), e.fromDomain))
	add("reply_elsewhere", 0.5, e.replyDomain != "" && e.fromDomain != "" && e.replyDomain != e.fromDomain)
	add("subject_shouts", 1, shouts(e.subject))
	add("subject_excited", 0.5, strings.Contains(e.subject, "!!!") || strings.Contains(e.subject, "$$$"))
	add("html_only", 0.5, e.reading.HTML && !e.reading.Plain)
	add("malformed", 0.5, len(e.reading.Faults) > 0)
	add("program_attached", 2.5, anyProgram(e.names))
	return math.Round(sum*10) / 10, reasons
}

// shouts reports whether a text of ten letters or more has capitals alone.
func shouts(s string) bool {
	n := 0
	for _, r := range s {
		switch {
		case unicode.IsLower(r):
			return false
		case unicode.IsUpper(r):
			n++
		}
	}
	return n >= 10
}

// anyProgram reports whether a file's name ends like one that a double click runs.
func anyProgram(names []string) bool {
	for _, n := range names {
		switch strings.ToLower(path.Ext(n)) {
		case ".exe", ".scr", ".com", ".bat", ".cmd", ".pif", ".js", ".jse", ".vbs", ".vbe", ".wsf", ".hta", ".msi", ".ps1", ".lnk", ".jar", ".iso", ".img":
			return true
		}
	}
	return false
}

func has(list []string, word string) bool {
	for _, w := range list {
		if w == word {
			return true
		}
	}
	return false
}

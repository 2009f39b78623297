package spam

import (
	"math"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"

	"uniqverse/smtpd/senderauth"
)

// Reason is one thing that added to a message's score, or took from it.
type Reason struct {
	Rule   string  `json:"rule"` // a name of the Catalogue
	Score  float64 `json:"score"`
	Detail string  `json:"detail,omitempty"` // what met the rule in this message; "" where the rule says it all
}

// Facts are what a message is judged by.
type Facts struct {
	Auth        senderauth.Results
	Submitted   bool // by one of our users, who showed a password
	Loopback    bool // the peer is on this host
	HELO        string
	RemoteIP    netip.Addr
	ReversePath string
	Faults      []string // what is odd about the header, see smtpd.Envelope
	Domain      string   // ours, in ASCII
	Now         time.Time

	Subject     string
	FromName    string
	FromAddress string // of the From field; "" when there is none, or none that can be read
	ReplyDomain string
	Date        time.Time
	HasDate     bool
	HasID       bool
	Files       []string // names of attachments
	Plain, HTML bool     // there is readable text of the kind
	Malformed   bool

	// Sample reads the message for its words. It is called only when somebody's words count, at most once.
	Sample func() Sample
}

// fromDomain is the author's domain, in lower case.
func (f Facts) fromDomain() string {
	return strings.ToLower(domainOf(f.FromAddress))
}

// domainOf is what follows the last @; "" without one.
func domainOf(address string) string {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return ""
	}
	return address[i+1:]
}

// Score runs the fixed rules: those of the checks of the sender first, which count most. Of mail from our own users
// only what is written in it counts.
func Score(f Facts) (reasons []Reason) {
	add := func(rule string, points float64, when bool) {
		if when {
			reasons = append(reasons, Reason{Rule: rule, Score: points})
		}
	}
	from := f.fromDomain()
	if !f.Submitted {
		a := f.Auth
		add("dmarc_fail", 3, a.DMARC == senderauth.Fail)
		add("dmarc_reject", 1.5, a.DMARC == senderauth.Fail && (a.Author.Policy == "reject" || a.Author.Policy == "quarantine"))
		add("dmarc_pass", -1, a.DMARC == senderauth.Pass)
		add("spf_fail", 2, a.SPF == senderauth.Fail)
		add("spf_softfail", 1, a.SPF == senderauth.SoftFail)
		add("spf_permerror", 0.5, a.SPF == senderauth.PermError)
		add("dkim_fail", 1, a.DKIM == senderauth.Fail)
		add("blocklisted", 3, len(a.Listed) > 0)
		add("sender_has_no_domain", 2, a.Sender.Result == senderauth.Fail)
		add("peer_has_no_name", 0.5, !f.Loopback && a.Peer.Result == senderauth.Fail)
		helo := strings.ToLower(strings.TrimSuffix(f.HELO, "."))
		add("helo_is_us", 2, !f.Loopback && helo == f.Domain)
		add("helo_is_bare", 0.5, !f.Loopback && (!strings.Contains(helo, ".") || strings.HasPrefix(helo, "[")))
		add("no_from", 2, from == "")
		add("many_from", 2, slices.Contains(f.Faults, "many_from"))
		add("no_date", 0.5, !f.HasDate)
		add("date_far", 1, !f.Date.IsZero() && (f.Date.After(f.Now.Add(24*time.Hour)) || f.Date.Before(f.Now.Add(-30*24*time.Hour))))
		add("no_message_id", 0.5, !f.HasID)
	}
	other := domainOf(f.FromName)
	add("name_is_address", 2, from != "" && strings.Contains(other, ".") && !strings.EqualFold(strings.Trim(other, `"'> `), from))
	add("reply_elsewhere", 0.5, f.ReplyDomain != "" && from != "" && f.ReplyDomain != from)
	add("subject_shouts", 1, shouts(f.Subject))
	add("subject_excited", 0.5, strings.Contains(f.Subject, "!!!") || strings.Contains(f.Subject, "$$$"))
	add("html_only", 0.5, f.HTML && !f.Plain)
	add("malformed", 0.5, f.Malformed)
	add("program_attached", 2.5, slices.ContainsFunc(f.Files, isProgram))
	return reasons
}

// Sum adds the scores of reasons up, rounded to 0.1.
func Sum(reasons []Reason) float64 {
	sum := 0.0
	for _, r := range reasons {
		sum += r.Score
	}
	return round(sum)
}

func round(x float64) float64 { return math.Round(x*10) / 10 }

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

// isProgram reports whether a file's name ends like one that a double click runs.
func isProgram(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".exe", ".scr", ".com", ".bat", ".cmd", ".pif", ".js", ".jse", ".vbs", ".vbe", ".wsf", ".hta", ".msi", ".ps1", ".lnk", ".jar", ".iso", ".img":
		return true
	}
	return false
}

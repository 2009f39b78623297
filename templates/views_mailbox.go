package templates

import (
	"net/url"
	"strconv"
	"time"
)

// The names of the pages of what a mailbox has besides its mail.
const (
	PageAddresses = "email_addresses" // AddressesView: email /addresses
	PageVacation  = "email_vacation"  // VacationView: email /vacation
	PageJunk      = "email_junk"      // JunkView: email /junk
	PageRules     = "email_rules"     // RulesView: email /rules
	PageRefusals  = "email_refusals"  // RefusalsView: email /refusals
	PageStats     = "email_stats"     // StatsView: email /stats
)

// MailboxLinks are the pages of what a mailbox has besides its mail, one of them the current; user is whom the links name, "" for
// the reader.
func MailboxLinks(user, current string) []Link {
	links := []Link{
		{Label: "Addresses", Href: "/addresses", Icon: "mail"},
		{Label: "Away", Href: "/vacation", Icon: "reply"},
		{Label: "Junk review", Href: "/junk", Icon: "alert"},
		{Label: "Not taken", Href: "/refusals", Icon: "shield"},
		{Label: "Rules", Href: "/rules", Icon: "bolt"},
		{Label: "Webhooks", Href: "/webhooks", Icon: "send"},
		{Label: "Figures", Href: "/stats", Icon: "chart"},
		{Label: "For tests", Href: "/inboxes", Icon: "inbox"},
	}
	for i := range links {
		l := &links[i]
		l.Current = l.Href == current
		if user != "" && l.Href != "/inboxes" { // whose those are is not chosen
			l.Href += "?" + url.Values{"user": {user}}.Encode()
		}
	}
	return links
}

// Tools is what the pages of a mailbox besides its mail have in common.
type Tools struct {
	Mailbox string // whose
	User    string // as MailSide
	Links   []Link // see MailboxLinks
}

// Inbox leads back to the mail, as Link.Href.
func (t Tools) Inbox() string {
	if t.User == "" {
		return "/inbox"
	}
	return "/inbox?" + url.Values{"user": {t.User}}.Encode()
}

// AddressesView is the page of a mailbox's addresses. Its forms, each with user:
//
//	POST /addresses {masked: true, note} or {name, note}
//	POST {Path} {enabled} or {note} · {Path}/delete   of an AddressRow
type AddressesView struct {
	Tools
	Addresses []AddressRow
	Made      string // the address that was made just now; "" is none
	MaxAlias  int
	MaxMasked int
	Name      string // as it was typed
	Note      string
	Errors    FieldErrors
}

// AddressRow is one address.
type AddressRow struct {
	Address, Kind, Note string
	Path                string // as Link.Href: what its forms post to; "" is an address that its user cannot change
	Enabled             bool
	Messages, Spam      int64 // that came through it, and of those: judged junk
	Last                time.Time
}

// SpamShare is how much of what came was junk, in per cent.
func (r AddressRow) SpamShare() int64 {
	if r.Messages == 0 {
		return 0
	}
	return (100*r.Spam + r.Messages/2) / r.Messages
}

// VacationView is the page of the answer while away. Its form:
//
//	POST /vacation {enabled, from_date, to_date, subject, text, html, user}
type VacationView struct {
	Tools
	Enabled bool
	Active  bool   // enabled, and its time has come
	Over    bool   // enabled, and its time has passed
	From    string // "2026-12-24T08:00", UTC; "" is at once
	To      string // the same; "" is for ever
	Subject string
	Text    string
	HTML    string // "" is none
	Days    int    // in which a sender gets one answer
	Errors  FieldErrors
}

// RulesView is the page of a mailbox's rules. Its forms, each with user:
//
//	POST /rules {name, match, conditions, actions}
//	POST /rules/{id} the same, or {enabled}, or {position} · /rules/{id}/delete
//	POST /rules/run {rule, folder} · /rules/runs/{id}/stop
type RulesView struct {
	Tools
	Rules  []RuleRow
	Edit   RuleForm
	Tried  *TriedView // nil: nothing was tried
	TryURL string     // as Link.Href: the page with all rules tried
	NewURL string     // as Link.Href: the page with an empty form
	Runs   []RunRow   // newest first

	Running   bool   // one of them has not ended
	LookURL   string // as Link.Href: where its progress is
	RunRule   int64  // what was chosen; 0 is all
	RunFolder string // as it was typed
	Errors    FieldErrors
}

// RunRow is a run of rules over mail that was there already.
type RunRow struct {
	ID                     int64
	State                  string // running, done, stopped or failed
	Rule                   string
	Looked, Changed, Total int64 // messages; Total is about how many there are to look at
	Error                  string
	At                     time.Time
}

// Running reports whether it has not ended.
func (r RunRow) Running() bool { return r.State == "running" }

// Tone is the colour of its state.
func (r RunRow) Tone() string {
	switch r.State {
	case "running":
		return "info"
	case "done":
		return "ok"
	case "failed":
		return "bad"
	}
	return "warn"
}

// RuleRow is one rule of a mailbox.
type RuleRow struct {
	ID                  int64
	Position            int // from 1
	Last                bool
	Name                string
	Enabled, Any        bool
	Conditions, Actions []string // as the form takes them
	Hits                int64
	LastHit             time.Time
	EditURL, TryURL     string // as Link.Href
}

// Before is the place above.
func (r RuleRow) Before() int { return r.Position - 1 }

// After is the place below.
func (r RuleRow) After() int { return r.Position + 1 }

// RuleForm is what the form of a rule holds.
type RuleForm struct {
	ID                  int64 // 0 is a new one
	Name                string
	Any                 bool
	Conditions, Actions string // a line each
}

// Path is what the form posts to.
func (f RuleForm) Path() string {
	if f.ID == 0 {
		return "/rules"
	}
	return "/rules/" + strconv.FormatInt(f.ID, 10)
}

// TriedView is what rules would do to mail that is there.
type TriedView struct {
	Looked int // messages
	Hits   []TriedRow
}

// TriedRow is what would become of one message.
type TriedRow struct {
	Href, Subject, From string
	Rules, Does         []string
}

// JunkView is the page of a mailbox's junk and of its filter. Its forms:
//
//	POST /messages/{id}/ham {next} · /messages/bulk {ids, do: delete, next}
//	POST /junk/threshold {junk_at, user} · /junk/senders {sender, action, note, user} · /junk/senders/{id}/delete {user}
type JunkView struct {
	Tools
	Here     string // as Link.Href: this very page
	Whose    string // the sender whose junk alone is shown, as it was typed; "" is everybody's
	Wrong    string // why Whose cannot be looked up; "" is nothing
	AllURL   string // as Link.Href: everybody's
	Messages []JunkRow
	Pager    Pager
	JunkAt   float64 // from this score on mail is junk
	Default  float64 // … of everybody without an own one
	Own      bool
	Typed    string // in the field of the threshold; "" is 0: what everybody has
	Spam     int    // messages that were learnt from
	Ham      int
	Needed   int // of each, before words count
	Learnt   bool
	Senders  []ListedSender
	Most     int // Senders are cut off there
	Sender   string
	Note     string
	Allow    bool
	Errors   FieldErrors
}

// RefusalsView is the page of mail that was not taken. Its form, for an administrator:
//
//	POST /greylist/release {network, from, to}   of a WaitingRow
type RefusalsView struct {
	Tools
	Waiting []WaitingRow // whom the greylist put off; for an administrator
	All     bool         // everybody's, for an administrator
	Address string
	Rule    string
	AllURL  string // as Link.Href: without a choice
	Rows    []RefusalRow
	Pager   Pager
}

// WaitingRow is a sender who was put off and has not come again.
type WaitingRow struct {
	Network, From, To string
	At                time.Time // of the last attempt
}

// RefusalRow is one mail that was not taken.
type RefusalRow struct {
	At           time.Time
	From, To     string
	Peer, HELO   string
	SignedIn     string
	Code         int
	Enhanced     string
	Text         string
	Rule, Detail string
}

// Later reports whether the sender was asked to come again.
func (r RefusalRow) Later() bool { return r.Code < 500 }

// JunkRow is one message among the junk.
type JunkRow struct {
	ID                      int64
	Subject, FromName, From string
	At                      time.Time
	Score                   float64
	Marked                  bool // its owner said that it is junk
	Reasons                 []JunkReason
}

// JunkReason is one reason for a score; below 0 it speaks for the message.
type JunkReason struct {
	Score        float64
	Text, Detail string
}

// ListedSender is a sender that is allowed or blocked.
type ListedSender struct {
	ID           int64
	Sender, Note string
	Allow        bool
}

// StatsView is the page of a mailbox's figures, or of the whole installation's.
type StatsView struct {
	Tools
	All       bool // the whole installation
	MayAll    bool // the reader may see that
	Mailboxes int64
	Messages  int64
	Unread    int64
	Bytes     int64
	Quota     int64 // 0 is none
	Folders   []StatsFolder
	Days      []StatsDay // oldest first
	Newest    []StatsDay // the same, newest first
	Queue     []Count    // nil for one mailbox
}

// Sums are what came and went in all days.
func (v StatsView) Sums() StatsDay {
	var sum StatsDay
	for _, d := range v.Days {
		sum.Received += d.Received
		sum.Sent += d.Sent
		sum.Junk += d.Junk
		sum.Refused += max(d.Refused, 0)
	}
	return sum
}

// Most is the most that a folder holds.
func (v StatsView) Most() (most int64) {
	for _, f := range v.Folders {
		most = max(most, f.Messages)
	}
	return most
}

// StatsFolder is what a folder holds.
type StatsFolder struct {
	Name             string
	Messages, Unread int64
}

// StatsDay is what came and went on a day.
type StatsDay struct {
	At                            time.Time
	Received, Sent, Junk, Refused int64 // Refused below 0 is not known any more
}

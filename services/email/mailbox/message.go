package mailbox

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/mime"
	"uniqverse/services/email/search"
	"uniqverse/services/email/spam"
	"uniqverse/smtpd"
)

// The bounds of labels and keywords.
const (
	maxLabels    = 20
	maxLabelSize = 64 // characters
	maxKeywords  = 40
)

// Message is one row of a mailbox. What it shares with the copies in other mailboxes is in Raw.
type Message struct {
	ID        int64
	MailboxID int64
	RawID     int64
	User      string // local part of the mailbox
	Recipient string // the address that it was sent to, as accepted at RCPT

	Subject     string
	From        string
	FromName    string
	FromAddress string
	To          string
	Date        time.Time
	Received    time.Time
	Snippet     string
	MessageID   string // without <>
	Size        int64
	Attachments int
	Flags       []string
	SpamScore   float64
	SPF         string
	DKIM        string
	DMARC       string

	Unread   bool
	Starred  bool
	Labels   []string // sorted, each once
	Keywords []string // $answered, $draft and the like, sorted, each once
	Folders  []int64  // sorted; at least one
	ThreadID int64    // 0, before it is stored, is a thread of its own

	CreatedModseq int64 // with which it came
	Modseq        int64 // of its last change
}

// Raw is a message as it came, with its envelope; the rows of several mailboxes share it.
type Raw struct {
	ID         int64
	EnvelopeID string
	SHA256     []byte // of Body or the file
	Size       int64
	Body       []byte // nil when File is set
	File       string // name of the file that holds the bytes; "" when Body does
	Prepended  []byte // the fields that our edge put before it

	Mode        string // of the listener: mx, submission, submissions
	ReversePath string // "" is the null sender
	Recipients  []string
	HELO        string
	RemoteIP    string
	TLS         string // "TLS 1.3"; "" without
	AuthUser    string // who submitted it; "" for mail from elsewhere
	Received    time.Time
	Marks       []smtpd.Mark // when what happened to it; written, and read by package journey alone
	MessageID   string
	Traceparent string
	Auth        json.RawMessage // senderauth.Results
	Faults      []string        // what is broken in it, sorted
	SpamReasons []spam.Reason   // those that do not depend on the mailbox
}

// Junk is a message among the junk, and why it is there.
type Junk struct {
	Message
	Mark    string // spam when its owner said so; "" when the filter did
	Reasons []spam.Reason
}

// Filter chooses a page of a mailbox, or of one of its folders. Nil, "" and 0 choose nothing.
type Filter struct {
	web.Paging
	Unread  *bool
	Starred *bool
	Label   string
	Folder  int64 // 0 is the whole mailbox
	Threads bool  // of a folder without further choices: only the newest message of each thread
	// Query is what is searched for; with it, Unread, Starred and Label are not looked at.
	Query search.Query
	// Within are the folders that Query.Folders names.
	Within []InFolder
}

// InFolder is a folder that a message must lie in, or must not.
type InFolder struct {
	Folder int64
	Not    bool
}

// Conversation is what a list shows of a thread.
type Conversation struct {
	Messages int
	Unread   int
	Starred  int
	Names    []string // who wrote, the first that wrote first; each once, at most 20
}

// sorted returns a list in order; it is not the caller's any more.
func sorted(list []string) []string {
	slices.Sort(list)
	return list
}

// CleanLabels returns labels as they are stored: trimmed, sorted, each once, none empty. What is too long or has a comma,
// or too many, is errs.Invalid.
func CleanLabels(given []string) ([]string, error) {
	var labels []string
	for _, g := range given {
		l := mime.Line(g, maxLabelSize+1)
		if l == "" {
			continue
		}
		if utf8.RuneCountInString(l) > maxLabelSize || strings.Contains(l, ",") {
			return nil, errs.BadField("labels", "must each have at most %d characters and no comma", maxLabelSize)
		}
		labels = append(labels, l)
	}
	slices.Sort(labels)
	labels = slices.Compact(labels)
	if len(labels) > maxLabels {
		return nil, errs.BadField("labels", "must be at most %d", maxLabels)
	}
	if labels == nil {
		labels = []string{}
	}
	return labels, nil
}

// CleanKeywords returns keywords as they are stored: in lower case, sorted, each once. What is no keyword (RFC 8621
// section 4.1.1: 1 to 255 printable ASCII characters but ( ) { ] % * " \ and space) is errs.Invalid.
func CleanKeywords(given []string) ([]string, error) {
	var out []string
	for _, g := range given {
		k := strings.ToLower(g)
		bad := strings.ContainsFunc(k, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`(){]%*"\`, r) })
		if k == "" || len(k) > 255 || bad {
			return nil, errs.BadField("keywords", "has %q, which is no keyword", mime.Line(g, 50))
		}
		if !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	if len(out) > maxKeywords {
		return nil, errs.BadField("keywords", "must be at most %d", maxKeywords)
	}
	return sorted(out), nil
}

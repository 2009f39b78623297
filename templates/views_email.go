package templates

import "time"

// Auth is the result word of each sender check as RFC 8601 names it ("pass", "fail", "none", …); "" is not checked.
type Auth struct{ SPF, DKIM, DMARC string }

// InboxView is the list of one mailbox. Its forms, each answered with a redirect to the form's next:
//
//	POST /messages/{id}/star {starred: true|false, next}
//	POST /messages/{id}/read {read: true|false, next}
type InboxView struct {
	Mailbox  string // "demo@vezeuniqverse.com"
	Query    string // of the search field, GET /inbox?q=; NoSearch hides the field
	NoSearch bool
	Filters  []Tab // "All", "Unread", "Starred", one per label
	Messages []MessageRow
	Unread   int
	Total    int
	Pager    Pager
	Swaks    string // the command that sends a first mail, shown in the empty state
	// EventsURL is the SSE stream of this mailbox, as Link.Href ("/api/events?user=…"): every mail.* event refreshes
	// the list. "" is a page that is not live.
	EventsURL string
	// Form fields that every form of the page carries along (an access token, a user), by name.
	Hidden map[string]string
}

// MessageRow is one mail in a list.
type MessageRow struct {
	ID          int64
	FromName    string // "" shows From
	From        string // address
	Subject     string // "" shows "(no subject)"
	Snippet     string
	Date        time.Time
	Size        int64 // bytes
	Unread      bool
	Starred     bool
	Attachments int
	Labels      []string
	Auth        Auth
}

// Who returns the name to show for the sender.
func (m MessageRow) Who() string { return firstOf(m.FromName, m.From, "(no sender)") }

// MessageView is one mail. Its forms are those of InboxView and
//
//	POST /messages/{id}/labels {labels, next}   labels is one text field, parted by commas or spaces
type MessageView struct {
	ID             int64
	Mailbox        string
	Subject        string
	FromName, From string
	To, Cc         []string
	Date           time.Time // the header's; zero shows Received alone
	Received       time.Time
	Size           int64
	Unread         bool
	Starred        bool
	Labels         []string
	Auth           Auth
	AuthDetail     map[string]string // "spf", "dkim", "dmarc" → "example.org signed it"; may be nil
	SpamScore      float64
	Text           string // plain text body; shown escaped, with addresses as links
	HTMLURL        string // as Link.Href: the sanitised HTML body, shown in a sandboxed frame; "" is none
	RawURL         string // as Link.Href: the message as it came
	Headers        []Header
	Attachments    []Attachment
	BackURL        string // as Link.Href; "" is /inbox
	NewerURL       string // as Link.Href: the neighbours in the list; "" is none
	OlderURL       string
	EventsURL      string // as InboxView
	Hidden         map[string]string
}

// Who returns the name to show for the sender.
func (m MessageView) Who() string { return firstOf(m.FromName, m.From, "(no sender)") }

// Header is one header field of a mail.
type Header struct{ Name, Value string }

// Attachment is one attached file.
type Attachment struct {
	Name, Type string
	Size       int64
	URL        string // as Link.Href
}

func firstOf(s ...string) string {
	for _, v := range s {
		if v != "" {
			return v
		}
	}
	return ""
}

package templates

import (
	"slices"
	"time"
)

// Auth is the result word of each sender check as RFC 8601 names it ("pass", "fail", "none", …); "" is not checked.
type Auth struct{ SPF, DKIM, DMARC string }

// MailSide is what stands beside the lists of a mailbox.
type MailSide struct {
	User      string // whose mailbox the links name; "" for the reader's own
	Folders   []FolderLink
	Labels    []Tab
	ManageURL string // as Link.Href: the page of folders
	Bytes     int64  // that the mailbox holds, of Quota; 0 is unknown
	Quota     int64
	More      []Link // what else a mailbox has: junk review, rules, addresses
}

// Full is how much of the quota is taken, in per cent.
func (s MailSide) Full() int {
	if s.Quota <= 0 {
		return 0
	}
	return int(min(100, (100*s.Bytes+s.Quota-1)/s.Quota))
}

// FolderLink is a folder beside the lists.
type FolderLink struct {
	ID          int64
	Label, Href string // Href as Link.Href
	Icon, Key   string
	Current     bool
	Unread      int    // shown as a badge; 0 is none
	Count       int    // shown quietly; 0 is none
	Depth       int    // below the top
	Drop        string // what POST /messages/bulk names it by; "" is no place to move to
}

// InboxView is the list of one folder of a mailbox. Its forms, each answered with a redirect to the form's next:
//
//	POST /messages/{id}/star {starred: true|false, next}
//	POST /messages/bulk {ids…, do, from, folder, label, next}
//	POST /folders/{id}/empty {next}
type InboxView struct {
	Mailbox  string // "demo@vezeuniqverse.com"
	User     string // as MailSide
	Title    string // "Inbox"
	Role     string // of the folder; "" for people's own and for all mail
	FolderID int64  // 0 is all mail
	Threads  bool   // a row stands for its conversation
	Here     string // as Link.Href: this very list
	Side     MailSide
	Moves    []Option // folders to move to
	Query    string   // of the search field, GET /search?q=; what was found is shown when it is not ""
	Wrong    string   // why the query cannot be understood; "" is nothing
	Compose  string   // as Link.Href: where a mail is written; "" is nowhere
	TakeBack string   // as Link.Href: what the form posts to that takes back what was sent just now; "" is none
	Filters  []Tab    // "All", "Unread", "Starred"
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

// MessageRow is one mail in a list, or a conversation by its newest mail.
type MessageRow struct {
	ID        int64
	FromName  string // "" shows From; of one's own mail: to whom
	From      string // address
	Names     string // of a conversation with several authors; "" shows FromName
	Own       bool   // written by the reader: FromName is to whom
	Draft     bool   // opens where it is written
	Count     int    // messages of the conversation; below 2 is a single one
	Subject   string // "" shows "(no subject)"
	Snippet   string
	Date      time.Time
	Size      int64 // bytes
	Unread    bool
	Starred   bool
	Answered  bool
	Forwarded bool

	MarkedSubject string // with what a search found between <mark> and </mark>, the rest escaped; "" shows Subject
	MarkedSnippet string // the same of the text
	Folder        string // where it lies, in lists of several folders; "" is not shown

	Attachments int
	Labels      []string
	Auth        Auth
}

// Who returns the name to show for the sender.
func (m MessageRow) Who() string {
	if m.Own {
		return "To: " + firstOf(m.FromName, "nobody yet")
	}
	return firstOf(m.Names, m.FromName, m.From, "(no sender)")
}

// FoldersView is the page of a mailbox's folders. Its forms, each with next:
//
//	POST /folders {name, parent, user, next}
//	POST /folders/{id} {name, parent, next} · /folders/{id}/delete · /folders/{id}/empty
type FoldersView struct {
	Mailbox string
	User    string // as MailSide
	Here    string // as Link.Href: this page
	BackURL string // as Link.Href
	Folders []FolderRow
}

// FolderRow is one folder of a mailbox.
type FolderRow struct {
	ID               int64 // 0: not there yet
	Name, Path, Href string
	Messages, Unread int
	Depth            int
	Own              bool     // made by its owner: may be renamed, moved and removed
	Empty            bool     // may be emptied
	Parents          []Option // folders that it may be moved into
}

// MessageView is one mail, in one of its views. Its forms are those of InboxView, with the one id, and
//
//	POST /messages/{id}/labels {labels, next}   labels is one text field, parted by commas or spaces
//	POST /messages/{id}/spam, /ham {next}
//	POST /messages/{id}/images {do: once|always|never}
type MessageView struct {
	ID             int64
	Mailbox        string
	User           string // as MailSide
	Role, Folder   string // of the folder that it lies in
	Moves          []Option
	CanWrite       bool // it can be answered and passed on
	Views          []Tab
	View           string // text, source, headers, parts, auth, journey or lint; "" is as it is to be read
	Source         string
	Clipped        bool // Source is only the start
	Parts          []PartRow
	Xray           []XrayCheck
	Journey        []Step
	Lint           []LintRow
	Links          []LinkRow
	Thread         []ThreadItem // the conversation with this mail in it, the first that came first; nil for one alone
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
	Text           string    // plain text body; shown escaped, with addresses as links
	HTMLURL        string    // as Link.Href: the sanitised HTML body, shown in a sandboxed frame; "" is none
	Pictures       *Pictures // of the HTML, that lie elsewhere; nil for none
	RawURL         string    // as Link.Href: the message as it came
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
type Header struct {
	Name, Value string
	Ours        bool // put there by this server
}

// PartRow is one part of a mail.
type PartRow struct {
	Number, Depth                     int
	Type, Name, Encoding, Disposition string
	Size                              int64  // as it stands in the mail
	URL                               string // as Link.Href; "" for what holds parts alone
}

// XrayCheck is one check of the sender, explained.
type XrayCheck struct {
	Name, Result string
	Says         []string
	Publish      string // a line of DNS; "" is none
}

// Step is one step of a mail's way.
type Step struct {
	At          time.Time     // zero is not known
	Took        time.Duration // 0 is not known
	Title, Text string
	Result      string // a word, shown as a badge; "" is none
	Items       []string
}

// LintRow is one thing that was looked at; Tone is ok, warn or bad.
type LintRow struct{ Tone, Title, Detail string }

// LinkRow is a link in a mail; it is shown as text, never as a link.
type LinkRow struct{ Text, URL, Odd string }

// ThreadItem is one mail of a conversation.
type ThreadItem struct {
	MessageRow
	Href    string // as Link.Href
	BodyURL string // as Link.Href: what it says, as a document for a sandboxed frame
	Current bool
	Open    bool // it is shown whole at first
}

// Pictures is what a page says of pictures that lie elsewhere.
type Pictures struct {
	Sender string
	Shown  bool
	Proven bool // the sender's address is: it can be chosen for always
	Always bool // they are shown because the sender was chosen
}

// Earlier are the mails of the conversation before this one.
func (m MessageView) Earlier() []ThreadItem { return m.Thread[:m.place()] }

// Later are the mails of the conversation after this one.
func (m MessageView) Later() []ThreadItem { return m.Thread[min(m.place()+1, len(m.Thread)):] }

// place is where this mail stands in its conversation; its end when it is in none.
func (m MessageView) place() int {
	if i := slices.IndexFunc(m.Thread, func(t ThreadItem) bool { return t.Current }); i >= 0 {
		return i
	}
	return len(m.Thread)
}

// ComposeView is the page where a mail is written. Its forms:
//
//	POST /compose, multipart {draft, user, from, to, cc, bcc, subject, text, markdown, answers, forwards, keep…, take…, attachments…, send_at, do: save|send|discard}
//	POST /compose/signature {signature, user, next}
type ComposeView struct {
	User     string // as MailSide
	Mailbox  string // whose
	Draft    int64  // the stored version that it goes on from; 0 is none
	From     []Option
	To       string
	Cc, Bcc  string
	Subject  string
	Text     string
	Markdown bool
	Answers  int64
	Forwards int64
	Files    []Attachment // of the draft
	Take     []Attachment // of the message that is passed on
	SendAt   string       // as it was typed
	Now      string       // "2026-12-24T18:00", UTC: nothing can be sent before
	MaxBytes int64        // of the whole mail
	Undo     int          // seconds for which a sent mail can be taken back

	Signature string
	BackURL   string // as Link.Href
	Errors    FieldErrors
}

// Attachment is one attached file.
type Attachment struct {
	Part       int // its number in the message; -1 is the message itself
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

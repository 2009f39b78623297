package templates

// PageInboxes is the page of the inboxes for tests.
const PageInboxes = "email_inboxes" // InboxesView, email /inboxes

// InboxesView is somebody's inboxes for tests. Its forms; the first and the third are answered with the page itself, which shows
// the password, the others with a redirect to /inboxes:
//
//	POST /inboxes {name, note, max_age_hours, max_count, outbound}
//	POST /inboxes/{id} {max_age_hours, max_count} or {outbound}
//	POST /inboxes/{id}/rotate
//	POST /inboxes/{id}/delete
type InboxesView struct {
	Domain  string
	Max     int
	All     bool       // one may be made to get all outbound mail
	Made    *NewInbox  // nil, or what was made just now
	Inboxes []InboxRow // newest first
	Name    string     // as typed into a form that was refused
	Note    string
	Errors  FieldErrors
}

// NewInbox is the one time that an inbox's password can be read.
type NewInbox struct {
	Address, Password                    string
	Submission, Submissions, POP3, POP3S int // ports, 0 for none
}

// InboxRow is one inbox for tests.
type InboxRow struct {
	ID       int64
	Address  string
	Pattern  string // "*@name.domain"
	Owner    string // "" for the reader
	Note     string
	Outbound bool
	MaxAge   int // hours
	MaxCount int
	Messages int64
	Unread   int64
	Open     string // its mail, as Link.Href
}

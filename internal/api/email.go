package api

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"strconv"
)

// EmailMessage is one mail as a list of the email service shows it.
type EmailMessage struct {
	ID                int64     `json:"id"`
	User              string    `json:"user"`         // address of the mailbox that holds it
	Subject           string    `json:"subject"`      // decoded; "" when the mail has none
	FromUnder         string    `json:"from_"`        // the same as From, under the name that older clients read
	From              string    `json:"from"`         // author as the header says, decoded: "Ann <ann@example.org>"
	FromName          string    `json:"from_name"`    // "Ann"; "" when there is no name
	FromAddress       string    `json:"from_address"` // "ann@example.org"; "" when it cannot be read
	To                string    `json:"to"`           // recipients as the header says, decoded, parted by ", "
	Recipient         string    `json:"recipient"`    // the address that it was sent to: it shows the alias that was used
	Date              Time      `json:"date"`         // of the header; when it has none that can be read, of arrival
	ReceivedAt        Time      `json:"received_at"`  // of arrival
	Snippet           string    `json:"snippet"`      // start of the text, at most 160 characters
	Labels            []string  `json:"labels"`       // set by people, sorted
	Flags             []string  `json:"flags"`        // found by the server: attachment, html, malformed, spam, … (services/email/doc.go)
	Size              int64     `json:"size"`         // bytes, as received
	SpamScore         float64   `json:"spam_score"`   // sum of what the filter found; GET /api/messages/{id}/spam says why
	Unread            bool      `json:"unread"`
	Starred           bool      `json:"starred"`
	Attachments       int       `json:"attachments"`         // how many
	InternetMessageID string    `json:"internet_message_id"` // the Message-ID of the header, without <>; "" when there is none
	Auth              EmailAuth `json:"auth"`
	Keywords          []string  `json:"keywords"`  // set by programs: $answered, $draft, …, sorted
	Folders           []int64   `json:"folders"`   // ids of the folders that it lies in, at least one
	ThreadID          int64     `json:"thread_id"` // the same for a message and its answers

	Highlight *EmailHighlight `json:"highlight,omitempty"` // what a search found in it
}

// EmailHighlight is where the words of a search stand: HTML in which everything is escaped but <mark>.
type EmailHighlight struct {
	Subject string `json:"subject"`
	Snippet string `json:"snippet"` // of the text, around the first place
}

// EmailAuth holds a result word of RFC 8601 for each check of the sender.
type EmailAuth struct {
	SPF   string `json:"spf"`
	DKIM  string `json:"dkim"`
	DMARC string `json:"dmarc"`
}

// EmailList is one page of a mailbox, newest first.
type EmailList struct {
	User     string         `json:"user"` // address of the mailbox
	Unread   int64          `json:"unread"`
	Total    int64          `json:"total"`
	Messages []EmailMessage `json:"messages"`
}

// EmailFolder is a folder of a mailbox.
type EmailFolder struct {
	ID         int64  `json:"id"`
	Name       string `json:"name"`
	Path       string `json:"path"`   // with the names of its parents: "Projects/Game"
	Role       string `json:"role"`   // inbox, drafts, sent, archive, junk, trash; "" for people's own
	Parent     int64  `json:"parent"` // 0 at the top
	Position   int    `json:"position"`
	Subscribed bool   `json:"subscribed"`
	Messages   int64  `json:"messages"`
	Unread     int64  `json:"unread"`
}

// EmailFolders are the folders of a mailbox in the order in which they are shown.
type EmailFolders struct {
	User    string        `json:"user"` // address of the mailbox
	Folders []EmailFolder `json:"folders"`
}

// EmailMailbox is one mailbox and what it holds.
type EmailMailbox struct {
	User      string `json:"user"` // address
	Messages  int64  `json:"messages"`
	Unread    int64  `json:"unread"`
	Bytes     int64  `json:"bytes"`
	Quota     int64  `json:"quota"` // bytes
	CreatedAt Time   `json:"created_at"`
}

// EmailListOptions choose a page of a mailbox. Zero fields are left out.
type EmailListOptions struct {
	Limit   int   // 1 to 200; 0 means 50
	Before  int64 // messages older than the one with this id
	After   int64 // messages newer than the one with this id
	Offset  int
	Unread  *bool
	Starred *bool
	Label   string
}

// Values returns the options as query parameters.
func (o EmailListOptions) Values() url.Values {
	q := url.Values{}
	number := func(name string, n int64) {
		if n != 0 {
			q.Set(name, strconv.FormatInt(n, 10))
		}
	}
	choice := func(name string, b *bool) {
		if b != nil {
			q.Set(name, strconv.FormatBool(*b))
		}
	}
	number("limit", int64(o.Limit))
	number("before", o.Before)
	number("after", o.After)
	number("offset", int64(o.Offset))
	choice("unread", o.Unread)
	choice("starred", o.Starred)
	if o.Label != "" {
		q.Set("label", o.Label)
	}
	return q
}

// Email is a client of the email service.
type Email struct{ call caller }

// NewEmail returns a client over registry.Client("email"). authorize puts a token on each
// request that may read any mailbox; nil sends none.
//
// What the methods return: errs.Unavailable and errs.Timeout when the service cannot be
// reached or is slow; errs.Denied, errs.Invalid, errs.NotFound, errs.Malformed,
// errs.Conflict and errs.Limited, with the service's words, for what the caller's own
// parameters caused (a user outside the domain is Denied); errs.Upstream for any other
// refusal, our token's among them.
func NewEmail(client *http.Client, authorize func(*http.Request) error) *Email {
	return &Email{call: caller{service: "email", client: client, authorize: authorize}}
}

// Messages returns a page of the user's mailbox, newest first; user is an address of the
// domain or its local part.
func (e *Email) Messages(ctx context.Context, user string, opts EmailListOptions) (EmailList, error) {
	q := opts.Values()
	q.Set("user", user)
	var out EmailList
	err := e.call.get(ctx, "/api/messages?"+q.Encode(), &out)
	if out.Messages == nil {
		out.Messages = []EmailMessage{}
	}
	return out, err
}

// Provision makes the user's mailbox unless it is there, and returns it.
func (e *Email) Provision(ctx context.Context, user string) (EmailMailbox, error) {
	var out EmailMailbox
	// With a key the registry may send the call again after a connection failure.
	err := e.call.post(ctx, "/api/mailboxes", map[string]string{"user": user}, rand.Text(), &out)
	return out, err
}

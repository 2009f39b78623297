package email

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/mime"
)

// The bounds of labels.
const (
	maxLabels    = 20
	maxLabelSize = 64 // characters
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

	Unread  bool
	Starred bool
	Labels  []string // sorted, each once
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
	MessageID   string
	Traceparent string
	Auth        json.RawMessage // senderauth.Results
	Faults      []string        // what is broken in it, sorted
	SpamReasons []Reason
}

// Filter chooses a page of a mailbox. Nil and "" choose nothing.
type Filter struct {
	web.Paging
	Unread  *bool
	Starred *bool
	Label   string
}

// wire is the message as lists show it.
func (s *Service) wire(m Message) api.EmailMessage {
	date := m.Date
	if date.IsZero() {
		date = m.Received
	}
	return api.EmailMessage{
		ID: m.ID, User: s.address(m.User), Subject: m.Subject, FromUnder: m.From, From: m.From, FromName: m.FromName, FromAddress: m.FromAddress,
		To: m.To, Date: api.TimeOf(date), ReceivedAt: api.TimeOf(m.Received), Snippet: m.Snippet, Labels: notNil(m.Labels), Flags: notNil(m.Flags),
		Size: m.Size, SpamScore: m.SpamScore, Unread: m.Unread, Starred: m.Starred, Attachments: m.Attachments, InternetMessageID: m.MessageID,
		Auth: api.EmailAuth{SPF: m.SPF, DKIM: m.DKIM, DMARC: m.DMARC},
	}
}

// notNil makes an empty list of none, which JSON would write as null.
func notNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// cleanLabels trims labels, takes out empty and repeated ones and sorts them.
func cleanLabels(given []string) ([]string, error) {
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
	return notNil(labels), nil
}

// content opens the bytes of a stored message; the caller closes it.
func (s *Service) content(ctx context.Context, id int64) (Raw, *content, error) {
	raw, err := s.Store.RawByID(ctx, id)
	if err != nil {
		return raw, nil, err
	}
	if raw.File == "" {
		return raw, &content{ReaderAt: bytes.NewReader(raw.Body), size: int64(len(raw.Body))}, nil
	}
	f, err := s.files.open(raw.File)
	if err != nil {
		return raw, nil, errs.Wrap(errs.Unavailable, err, "the message's file cannot be read; ask an administrator to look at the log")
	}
	return raw, &content{ReaderAt: f, size: raw.Size, file: f}, nil
}

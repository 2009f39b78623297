package email

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/mime"
	"uniqverse/services/email/reading"
	"uniqverse/services/email/rules"
	"uniqverse/services/email/spam"
)

// maxStreams bounds the event streams that one person has open at a time.
const maxStreams = 32

// listParams choose a page of a mailbox.
type listParams struct {
	User    string `json:"user" web:"required" max:"320" doc:"whose mailbox: an address of the domain, or its local part"`
	Unread  *bool  `json:"unread,omitempty" doc:"only unread messages, or only read ones"`
	Starred *bool  `json:"starred,omitempty" doc:"only messages with a star, or only those without"`
	Label   string `json:"label,omitempty" doc:"only messages with this label" max:"64"`
	Mailbox string `json:"mailbox,omitempty" max:"900" doc:"only what lies in this folder: a role (inbox, sent, junk, …), the id of a folder, or its path; left out: all"`
	Q       string `json:"q,omitempty" max:"500" doc:"what to search for, such as from:ann has:attachment \"two words\" -draft; unread, starred and label are then part of it (is:unread, label:x)"`
	web.Paging
}

// Check refuses what would be ignored.
func (p *listParams) Check() error {
	if p.Q != "" && (p.Unread != nil || p.Starred != nil || p.Label != "") {
		return errs.BadField("q", "says itself what unread, starred and label would: is:unread, is:starred, label:x")
	}
	return nil
}

func (p listParams) filter() mailbox.Filter {
	return mailbox.Filter{Paging: p.Paging, Unread: p.Unread, Starred: p.Starred, Label: p.Label}
}

// FolderOf finds the folder that a request names; "" is none.
func (s *Service) FolderOf(c *web.Call, box mailbox.Mailbox, text string) (mailbox.Folder, error) {
	if text == "" {
		return mailbox.Folder{}, nil
	}
	all, err := s.Store.Folders(c.Context(), box.ID)
	if err != nil {
		return mailbox.Folder{}, err
	}
	f, ok := mailbox.FindFolder(all, text)
	if !ok {
		return mailbox.Folder{}, errs.BadField("mailbox", "is no folder of this mailbox; GET /api/folders lists them")
	}
	return f, nil
}

// idParams name a message.
type idParams struct {
	ID int64 `path:"id" min:"1"`
}

// MailboxOf returns the mailbox that a request names, after the domain and owner checks. Somebody who
// never got mail has an empty one without a row.
func (s *Service) MailboxOf(c *web.Call, user string) (mailbox.Mailbox, error) {
	local, err := s.named(user)
	if err != nil {
		return mailbox.Mailbox{}, err
	}
	if err := c.Caller.ActAs(local, "email.admin"); err != nil {
		return mailbox.Mailbox{}, err
	}
	box, err := s.Store.MailboxByName(c.Context(), local)
	if errs.Is(err, errs.NotFound) {
		return mailbox.Mailbox{User: local}, nil
	}
	return box, err
}

func (s *Service) list(c *web.Call, in listParams) (api.EmailList, error) {
	box, err := s.MailboxOf(c, in.User)
	if err != nil {
		return api.EmailList{}, err
	}
	out := api.EmailList{User: s.address(box.User), Unread: box.Unread, Total: box.Messages, Messages: []api.EmailMessage{}}
	if box.ID == 0 {
		return out, nil
	}
	folder, err := s.FolderOf(c, box, in.Mailbox)
	if err != nil {
		return out, err
	}
	filter := in.filter()
	filter.Folder = folder.ID
	if err := s.Searching(c, box, in.Q, &filter); err != nil {
		return out, err
	}
	rows, err := s.Store.Messages(c.Context(), box.ID, filter)
	for _, m := range rows {
		row := s.wire(m)
		row.Highlight = s.Highlight(c.Context(), m, filter.Query)
		out.Messages = append(out.Messages, row)
	}
	return out, err
}

// mine refuses a message in somebody else's mailbox with the same words as one that does not
// exist: whether it does is nobody else's business.
func mine(c *web.Call, m mailbox.Message, err error) (mailbox.Message, error) {
	if err == nil && c.Caller.ActAs(m.User, "email.admin") != nil {
		err = errs.New(errs.NotFound, "there is no such message")
	}
	if err != nil {
		return mailbox.Message{}, err
	}
	return m, nil
}

// message returns a message that the caller may see.
func (s *Service) message(c *web.Call, id int64) (mailbox.Message, error) {
	m, err := s.Store.MessageByID(c.Context(), id)
	return mine(c, m, err)
}

// Detail is one message with everything but its bytes.
type Detail struct {
	api.EmailMessage
	Cc          string          `json:"cc"`
	ReplyTo     string          `json:"reply_to"`
	Text        string          `json:"text"`     // of the body, at most 1 MB; made from the HTML when there is no other
	HasHTML     bool            `json:"has_html"` // GET …/html shows it
	Parts       []PartInfo      `json:"parts"`
	Faults      []string        `json:"faults"` // what is broken in it
	Spam        []spam.Reason   `json:"spam"`   // what made the score; GET …/spam says more
	Rules       []rules.Hit     `json:"rules"`  // what one's rules did to it, in their order
	AuthDetail  json.RawMessage `json:"auth_detail"`
	ReversePath string          `json:"reverse_path"` // MAIL FROM
	HELO        string          `json:"helo"`
	RemoteIP    string          `json:"remote_ip"`
	TLS         string          `json:"tls"`
	SubmittedBy string          `json:"submitted_by"` // "" for mail from elsewhere
	EnvelopeID  string          `json:"envelope_id"`
	Traceparent string          `json:"traceparent"`
}

// PartInfo is one part of a message; GET …/parts/{part} answers its bytes.
type PartInfo struct {
	Part       int    `json:"part"`
	Type       string `json:"type"`
	Name       string `json:"name"`
	Size       int64  `json:"size"` // as it stands in the message, still encoded
	Attachment bool   `json:"attachment"`
}

func (s *Service) get(c *web.Call, in idParams) (Detail, error) {
	m, err := s.message(c, in.ID)
	if err != nil {
		return Detail{}, err
	}
	raw, body, err := s.content(c.Context(), m.RawID)
	if err != nil {
		return Detail{}, err
	}
	defer body.Close()
	v, err := reading.Show(body)
	if err != nil {
		return Detail{}, err
	}
	d := Detail{EmailMessage: s.wire(m), Cc: mime.People(v.Addresses("Cc")), ReplyTo: mime.People(v.Addresses("Reply-To")), Text: v.Text,
		HasHTML: v.HTMLPart != nil, Parts: []PartInfo{}, Faults: notNil(raw.Faults), Spam: raw.SpamReasons, AuthDetail: raw.Auth,
		ReversePath: raw.ReversePath, HELO: raw.HELO, RemoteIP: raw.RemoteIP, TLS: raw.TLS, SubmittedBy: raw.AuthUser, EnvelopeID: raw.EnvelopeID, Traceparent: raw.Traceparent}
	if d.Rules, err = s.Store.RuleHits(c.Context(), m.ID); err != nil {
		return Detail{}, err
	}
	own, err := s.Store.SpamVerdict(c.Context(), m.ID)
	if err != nil {
		return Detail{}, err
	}
	if d.Spam = append(d.Spam, own...); d.Spam == nil {
		d.Spam = []spam.Reason{}
	}
	for i := range v.Tree.Parts {
		if p := &v.Tree.Parts[i]; !p.IsMultipart() {
			d.Parts = append(d.Parts, PartInfo{Part: i, Type: p.Type, Name: p.Name, Size: p.Size(), Attachment: slices.Contains(v.Files, p)})
		}
	}
	return d, nil
}

type readParams struct {
	ID   int64  `path:"id" min:"1"`
	Read *bool  `json:"read,omitempty" doc:"true for read, which it is when left out; false for unread"`
	Next string `json:"next,omitempty" doc:"for forms: the page to go to afterwards" max:"2000"`
}

func (s *Service) markRead(c *web.Call, tx mailbox.Tx, in readParams) (api.EmailMessage, error) {
	m, err := tx.MessageByID(in.ID)
	if m, err = mine(c, m, err); err != nil {
		return api.EmailMessage{}, err
	}
	unread := in.Read != nil && !*in.Read
	_, err = s.setUnread(c, tx, m, unread)
	m.Unread = unread
	return s.wire(m), err
}

// setUnread marks a message, tells of it, and says whether it was otherwise before.
func (s *Service) setUnread(c *web.Call, tx mailbox.Tx, m mailbox.Message, unread bool) (bool, error) {
	if unread == m.Unread {
		return false, nil
	}
	if err := tx.SetUnread(m, unread); err != nil {
		return false, err
	}
	return true, emit(tx, event.MailRead, m.User, c.Trace(), map[string]any{"message_id": m.ID, "user": s.address(m.User), "unread": unread})
}

type starParams struct {
	ID      int64  `path:"id" min:"1"`
	Starred *bool  `json:"starred,omitempty" doc:"left out: the other way round"`
	Next    string `json:"next,omitempty" doc:"for forms: the page to go to afterwards" max:"2000"`
}

func (s *Service) star(c *web.Call, tx mailbox.Tx, in starParams) (api.EmailMessage, error) {
	m, err := tx.MessageByID(in.ID)
	if m, err = mine(c, m, err); err != nil {
		return api.EmailMessage{}, err
	}
	starred := !m.Starred
	if in.Starred != nil {
		starred = *in.Starred
	}
	_, err = s.setStarred(c, tx, m, starred)
	m.Starred = starred
	return s.wire(m), err
}

// setStarred sets or removes the star, tells of it, and says whether it was otherwise before.
func (s *Service) setStarred(c *web.Call, tx mailbox.Tx, m mailbox.Message, starred bool) (bool, error) {
	if starred == m.Starred {
		return false, nil
	}
	if err := tx.SetStarred(m, starred); err != nil {
		return false, err
	}
	return true, emit(tx, event.MailStar, m.User, c.Trace(), map[string]any{"message_id": m.ID, "user": s.address(m.User), "starred": starred})
}

type labelParams struct {
	ID     int64    `path:"id" min:"1"`
	Labels []string `json:"labels,omitempty" doc:"the whole set, [] for none; as text: parted by commas" max:"100"`
	Next   string   `json:"next,omitempty" doc:"for forms: the page to go to afterwards" max:"2000"`
}

func (s *Service) label(c *web.Call, tx mailbox.Tx, in labelParams) (api.EmailMessage, error) {
	m, err := tx.MessageByID(in.ID)
	if m, err = mine(c, m, err); err != nil {
		return api.EmailMessage{}, err
	}
	given := in.Labels
	isJSON := strings.HasPrefix(c.Request.Header.Get("Content-Type"), "application/json")
	switch {
	case isJSON && given == nil:
		return api.EmailMessage{}, errs.BadField("labels", "is required; send [] to remove all labels")
	case !isJSON: // a text field, also an empty one: one label after the other
		given = strings.Split(strings.Join(given, ","), ",")
	}
	labels, err := mailbox.CleanLabels(given)
	if err != nil {
		return api.EmailMessage{}, err
	}
	err = s.setLabels(c, tx, m, labels)
	m.Labels = labels
	return s.wire(m), err
}

// setLabels replaces a message's labels, which are clean, and tells of it.
func (s *Service) setLabels(c *web.Call, tx mailbox.Tx, m mailbox.Message, labels []string) error {
	if err := tx.SetLabels(m, labels); err != nil {
		return err
	}
	return emit(tx, event.MailLabels, m.User, c.Trace(), map[string]any{"message_id": m.ID, "user": s.address(m.User), "labels": labels})
}

// back sends a form's browser to the page that it names, which must be a path of this service.
func back(c *web.Call, _ any) string {
	next := c.Form("next")
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/inbox"
	}
	return next
}

type eventParams struct {
	User string `json:"user" web:"required" max:"320" doc:"whose events: an address of the domain, or its local part"`
	web.Since
}

func (s *Service) events(c *web.Call, w http.ResponseWriter, in eventParams) error {
	local, err := s.named(in.User)
	if err != nil {
		return err
	}
	if err := c.Caller.ActAs(local, "email.admin"); err != nil {
		return err
	}
	pos, err := in.Position(c.Request)
	if err != nil {
		return err
	}
	done, err := s.streams.Take(c.Caller)
	if err != nil {
		return err
	}
	defer done()
	sub, err := s.Hub.Subscribe(c.Context(), event.StreamMailOf(local), pos)
	if err != nil {
		return err
	}
	defer sub.Close()
	return c.ServeEvents(w, sub, pos != nil, nil)
}

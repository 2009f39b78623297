// Package webmail is the pages of the mail service: the inbox and the message, for people with a browser.
//
// It decides nothing: whose mailbox may be seen, and what a form changes, is for package email, whose API the forms post to.
// Its handlers are safe for concurrent use.
package webmail

import (
	"fmt"
	"net/url"
	"strconv"

	"uniqverse/internal/web"
	"uniqverse/services/email"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/mime"
	"uniqverse/services/email/reading"
	"uniqverse/smtpd/senderauth"
	"uniqverse/templates"
)

// Pages are the pages. Make them with New.
type Pages struct{ mail *email.Service }

// New returns the pages of a mail service.
func New(mail *email.Service) *Pages { return &Pages{mail} }

// Endpoints are the routes of the pages; what their forms post to are the mail service's own.
func (w *Pages) Endpoints() []web.Endpoint {
	page := web.Needs("email.read")
	page.Describe = "the user's own mailbox; others' with email.admin"
	return []web.Endpoint{
		web.View("/", page, "Inbox", w.inboxPage),
		web.View("/inbox", page, "Inbox", w.inboxPage),
		web.View("/messages/{id}", page, "One message", w.messagePage),
	}
}

// messageParams name a message.
type messageParams struct {
	ID int64 `path:"id" min:"1"`
}

// inboxParams choose what the inbox shows; user is the caller when left out.
type inboxParams struct {
	User    string `json:"user,omitempty" max:"320" doc:"whose mailbox; the caller's when left out"`
	Unread  bool   `json:"unread,omitempty" doc:"only unread messages"`
	Starred bool   `json:"starred,omitempty" doc:"only messages with a star"`
	Label   string `json:"label,omitempty" doc:"only messages with this label" max:"64"`
	web.Paging
}

// query is the address of the inbox with these parameters, and a place to go on from.
func (p inboxParams) query(before, after int64) string {
	q := url.Values{}
	if p.User != "" {
		q.Set("user", p.User)
	}
	if p.Unread {
		q.Set("unread", "true")
	}
	if p.Starred {
		q.Set("starred", "true")
	}
	if p.Label != "" {
		q.Set("label", p.Label)
	}
	if p.Limit != 0 {
		q.Set("limit", strconv.Itoa(p.Limit))
	}
	if before != 0 {
		q.Set("before", strconv.FormatInt(before, 10))
	}
	if after != 0 {
		q.Set("after", strconv.FormatInt(after, 10))
	}
	if len(q) == 0 {
		return "/inbox"
	}
	return "/inbox?" + q.Encode()
}

func (p inboxParams) filter() mailbox.Filter {
	f := mailbox.Filter{Paging: p.Paging, Label: p.Label}
	yes := true
	if p.Unread {
		f.Unread = &yes
	}
	if p.Starred {
		f.Starred = &yes
	}
	f.Limit = p.Size() + 1 // one more than shown tells whether there is another page
	return f
}

// token adds the demo identity's token to an address of the API, which always wants one, where
// the page was opened without.
func token(c *web.Call, path string, q url.Values) string {
	if c.Caller.Demo && c.Caller.Via == web.NoCredential {
		if q == nil {
			q = url.Values{}
		}
		q.Set("access_token", "demo")
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

func (w *Pages) eventsURL(c *web.Call, user string) string {
	return token(c, "/api/events", url.Values{"user": {w.mail.Address(user)}})
}

func (w *Pages) inboxPage(c *web.Call, in inboxParams) (web.Page, error) {
	user := in.User
	if user == "" {
		user = c.Caller.User
	}
	box, err := w.mail.MailboxOf(c, user)
	if err != nil {
		return web.Page{}, err
	}
	v := templates.InboxView{Mailbox: w.mail.Address(box.User), NoSearch: true, Unread: int(box.Unread), Total: int(box.Messages),
		Filters: w.tabs(in), EventsURL: w.eventsURL(c, box.User)}
	if w.mail.SMTPPort != 0 {
		v.Swaks = fmt.Sprintf("swaks --server 127.0.0.1:%d --to %s", w.mail.SMTPPort, v.Mailbox)
	}
	if box.ID == 0 {
		return web.Page{Template: templates.PageInbox, Title: "Inbox", Data: v}, nil
	}
	rows, err := w.mail.Store.Messages(c.Context(), box.ID, in.filter())
	if err != nil {
		return web.Page{}, err
	}
	v.Pager = pager(in, &rows)
	for _, m := range rows {
		v.Messages = append(v.Messages, rowView(m))
	}
	labels, err := w.mail.Store.LabelCounts(c.Context(), box.ID)
	for _, l := range labels {
		v.Filters = append(v.Filters, templates.Tab{Label: l.Label, Href: inboxParams{User: in.User, Label: l.Label}.query(0, 0), Current: l.Label == in.Label, Count: l.Count})
	}
	return web.Page{Template: templates.PageInbox, Title: "Inbox", Data: v}, err
}

// tabs are the filters that every mailbox has.
func (w *Pages) tabs(in inboxParams) []templates.Tab {
	all := inboxParams{User: in.User}
	unread, starred := all, all
	unread.Unread, starred.Starred = true, true
	return []templates.Tab{
		{Label: "All", Href: all.query(0, 0), Current: !in.Unread && !in.Starred && in.Label == ""},
		{Label: "Unread", Href: unread.query(0, 0), Current: in.Unread},
		{Label: "Starred", Href: starred.query(0, 0), Current: in.Starred},
	}
}

// pager cuts the row off that was read to know whether there is more, and makes the links.
// After asks for rows nearest to it, so the row too many is then the first.
func pager(in inboxParams, rows *[]mailbox.Message) templates.Pager {
	list := *rows
	more := len(list) > in.Size()
	newer := in.Before != 0
	if more && in.After != 0 {
		list, newer = list[1:], true
		more = true
	} else if more {
		list = list[:in.Size()]
	}
	if in.After != 0 {
		more = true // the page that we came from
	}
	*rows = list
	var p templates.Pager
	if len(list) == 0 {
		return p
	}
	if newer {
		p.Prev = in.query(0, list[0].ID)
	}
	if more {
		p.Next = in.query(list[len(list)-1].ID, 0)
	}
	return p
}

func rowView(m mailbox.Message) templates.MessageRow {
	date := m.Date
	if date.IsZero() {
		date = m.Received
	}
	return templates.MessageRow{ID: m.ID, FromName: m.FromName, From: m.FromAddress, Subject: m.Subject, Snippet: m.Snippet, Date: date, Size: m.Size,
		Unread: m.Unread, Starred: m.Starred, Attachments: m.Attachments, Labels: m.Labels, Auth: templates.Auth{SPF: m.SPF, DKIM: m.DKIM, DMARC: m.DMARC}}
}

func (w *Pages) messagePage(c *web.Call, in messageParams) (web.Page, error) {
	m, raw, body, err := w.mail.OpenFor(c, in.ID)
	if err != nil {
		return web.Page{}, err
	}
	defer body.Close()
	show, err := reading.Show(body)
	if err != nil {
		return web.Page{}, err
	}
	base := "/api/messages/" + strconv.FormatInt(m.ID, 10)
	v := templates.MessageView{ID: m.ID, Mailbox: w.mail.Address(m.User), Subject: m.Subject, FromName: m.FromName, From: m.FromAddress,
		To: texts(show.Addresses("To")), Cc: texts(show.Addresses("Cc")), Date: m.Date, Received: m.Received, Size: m.Size, Unread: m.Unread, Starred: m.Starred,
		Labels: m.Labels, Auth: templates.Auth{SPF: m.SPF, DKIM: m.DKIM, DMARC: m.DMARC}, AuthDetail: authDetail(raw), SpamScore: m.SpamScore,
		Text: show.Text, RawURL: token(c, base+"/raw", nil), EventsURL: w.eventsURL(c, m.User), BackURL: "/inbox"}
	if c.Caller.User != m.User {
		v.BackURL = inboxParams{User: w.mail.Address(m.User)}.query(0, 0)
	}
	if show.HTMLPart != nil {
		v.HTMLURL = token(c, base+"/html", nil)
	}
	for _, f := range email.FieldList(raw, show.Tree) {
		v.Headers = append(v.Headers, templates.Header{Name: f.Name, Value: f.Value})
	}
	for _, p := range show.Files {
		v.Attachments = append(v.Attachments, templates.Attachment{Name: p.Name, Type: p.Type, Size: decodedSize(p), URL: token(c, base+"/parts/"+strconv.Itoa(show.Number(p)), nil)})
	}
	newer, older, err := w.mail.Store.Neighbours(c.Context(), m.MailboxID, m.ID)
	if newer != 0 {
		v.NewerURL = "/messages/" + strconv.FormatInt(newer, 10)
	}
	if older != 0 {
		v.OlderURL = "/messages/" + strconv.FormatInt(older, 10)
	}
	title := m.Subject
	if title == "" {
		title = "Message without a subject"
	}
	return web.Page{Template: templates.PageMessage, Title: title, Data: v}, err
}

// authDetail is what each check found, in a line for people.
func authDetail(raw mailbox.Raw) map[string]string {
	r, err := reading.Auth(raw.Auth)
	if err != nil {
		return nil
	}
	first := func(list ...string) string {
		for _, s := range list {
			if s != "" {
				return s
			}
		}
		return ""
	}
	out := map[string]string{"spf": first(r.MailFrom.Reason, r.MailFrom.Domain, r.HELO.Reason, r.HELO.Domain), "dmarc": first(r.Author.Reason, r.Author.Domain, r.Author.From)}
	for _, sig := range r.Signatures {
		if out["dkim"] == "" || sig.Result == senderauth.Pass {
			out["dkim"] = first(sig.Reason, sig.Domain)
		}
	}
	return out
}

func texts(list []mime.Address) []string {
	var out []string
	for _, a := range list {
		out = append(out, a.String())
	}
	return out
}

// decodedSize is about what a part has when it is decoded: the size that people know a file
// by. Base64 in lines of 76 carries 57 bytes in each 78.
func decodedSize(p *mime.Part) int64 {
	if p.Encoding == "base64" {
		return p.Size() * 57 / 78
	}
	return p.Size()
}

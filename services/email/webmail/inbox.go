package webmail

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
	"uniqverse/templates"
)

// allMail is the folder that a page names for the whole mailbox.
const allMail = "all"

// inboxParams choose what a list shows; user is the caller when left out, and folder the inbox.
type inboxParams struct {
	User    string `json:"user,omitempty" max:"320" doc:"whose mailbox; the caller's when left out"`
	Folder  string `json:"folder,omitempty" max:"900" doc:"a role, the id of a folder or its path; all is the whole mailbox; left out: the inbox, or all with a label"`
	Unread  bool   `json:"unread,omitempty" doc:"only unread messages"`
	Starred bool   `json:"starred,omitempty" doc:"only messages with a star"`
	Label   string `json:"label,omitempty" doc:"only messages with this label" max:"64"`
	Q       string `json:"q,omitempty" max:"500" doc:"what to search the whole mailbox for"`
	Sent    string `json:"sent,omitempty" max:"64" doc:"the mail that was sent just now, which can be taken back for a moment"`
	web.Paging
}

// query is the address of the list with these parameters, and a place to go on from.
func (p inboxParams) query(before, after int64) string {
	q := url.Values{}
	for name, value := range map[string]string{"user": p.User, "folder": p.Folder, "label": p.Label} {
		if value != "" {
			q.Set(name, value)
		}
	}
	for name, on := range map[string]bool{"unread": p.Unread, "starred": p.Starred} {
		if on {
			q.Set(name, "true")
		}
	}
	for name, n := range map[string]int64{"limit": int64(p.Limit), "before": before, "after": after} {
		if n != 0 {
			q.Set(name, strconv.FormatInt(n, 10))
		}
	}
	path := "/inbox"
	if p.Q != "" {
		path = "/search"
		q.Set("q", p.Q)
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

func (p inboxParams) filter(f mailbox.Folder) mailbox.Filter {
	out := mailbox.Filter{Paging: p.Paging, Label: p.Label, Folder: f.ID, Threads: threaded(f) && !p.Unread && !p.Starred && p.Label == ""}
	yes := true
	if p.Unread {
		out.Unread = &yes
	}
	if p.Starred {
		out.Starred = &yes
	}
	out.Limit = p.Size() + 1 // one more than shown tells whether there is another page
	return out
}

// threaded says whether a folder is shown with one row for each conversation.
func threaded(f mailbox.Folder) bool {
	return f.ID != 0 && (f.Role == "" || f.Role == mailbox.RoleInbox || f.Role == mailbox.RoleArchive)
}

// open is a mailbox as a page finds it: with its folders and the one that is shown.
type open struct {
	box    mailbox.Mailbox
	all    []mailbox.Folder
	folder mailbox.Folder // zero is the whole mailbox
}

// role returns the mailbox's folder of a role; zero for a mailbox without a row.
func (o open) role(role string) mailbox.Folder {
	i := slices.IndexFunc(o.all, func(f mailbox.Folder) bool { return f.Role == role })
	if i < 0 {
		return mailbox.Folder{}
	}
	return o.all[i]
}

// enter opens the mailbox and the folder that a page names.
func (w *Pages) enter(c *web.Call, user, folder string) (open, error) {
	if user == "" {
		user = c.Caller.User
	}
	box, err := w.mail.MailboxOf(c, user)
	if err != nil {
		return open{}, err
	}
	o := open{box: box, all: mailbox.StandardFolders()}
	if box.ID != 0 {
		if o.all, err = w.mail.Store.Folders(c.Context(), box.ID); err != nil {
			return o, err
		}
	}
	if folder == allMail {
		return o, nil
	}
	f, ok := mailbox.FindFolder(o.all, folder)
	if !ok {
		return o, errs.New(errs.NotFound, "there is no such folder in this mailbox; it may have been renamed or removed")
	}
	o.folder = f
	return o, nil
}

func (w *Pages) inboxPage(c *web.Call, in inboxParams) (web.Page, error) {
	folder := in.Folder
	switch {
	case in.Q != "", folder == "" && (in.Label != "" || in.Starred):
		folder = allMail
	case folder == "":
		folder = mailbox.RoleInbox
	}
	o, err := w.enter(c, in.User, folder)
	if err != nil {
		return web.Page{}, err
	}
	v := templates.InboxView{Mailbox: w.mail.Address(o.box.User), Query: in.Q, Unread: int(o.folder.Unread), Total: int(o.folder.Messages), Title: "All mail",
		Role: o.folder.Role, Filters: w.tabs(in), EventsURL: w.eventsURL(c, o.box.User), User: in.User, Here: in.query(in.Before, in.After)}
	if o.folder.ID == 0 {
		v.Unread, v.Total = int(o.box.Unread), int(o.box.Messages)
	} else {
		v.FolderID = o.folder.ID
	}
	if o.folder.Name != "" {
		v.Title = mailbox.FolderPath(o.all, o.folder)
	}
	if c.Caller.Has("email.send") || c.Caller.Demo {
		v.Compose = inboxParams{User: in.User}.at("/compose")
	}
	if in.Sent != "" {
		v.TakeBack = "/scheduled/" + url.PathEscape(in.Sent) + "/cancel"
	}
	if v.Side, err = w.side(c, o, in); err != nil {
		return web.Page{}, err
	}
	v.Moves = moves(o.all, o.folder.ID)
	if w.mail.SMTPPort != 0 {
		v.Swaks = fmt.Sprintf("swaks --server 127.0.0.1:%d --to %s", w.mail.SMTPPort, v.Mailbox)
	}
	page := web.Page{Template: templates.PageInbox, Title: v.Title, Data: v}
	filter := in.filter(o.folder)
	if in.Q != "" {
		v.Title, page.Title, v.Unread, v.Total = "Search", "Search", 0, 0
		err = w.mail.Searching(c, o.box, in.Q, &filter)
		if e := (*errs.Error)(nil); errors.As(err, &e) && e.Kind == errs.Invalid {
			v.Wrong = "The search " + strings.TrimPrefix(e.Detail, "q ") + "."
			page.Data, page.Status = v, 422
			return page, nil
		}
		if err != nil {
			return web.Page{}, err
		}
		page.Data = v
	}
	if o.box.ID == 0 {
		return page, nil
	}
	rows, err := w.mail.Store.Messages(c.Context(), o.box.ID, filter)
	if err != nil {
		return web.Page{}, err
	}
	v.Pager, v.Threads = pager(in, &rows), filter.Threads
	v.Messages, err = w.rows(c, o, rows, filter.Threads)
	for i, m := range rows {
		if h := w.mail.Highlight(c.Context(), m, filter.Query); h != nil {
			v.Messages[i].MarkedSubject, v.Messages[i].MarkedSnippet = h.Subject, h.Snippet
		}
		if o.folder.ID == 0 && len(m.Folders) > 0 {
			if f, ok := mailbox.FindFolder(o.all, strconv.FormatInt(m.Folders[0], 10)); ok && f.Role != mailbox.RoleInbox {
				v.Messages[i].Folder = f.Name
			}
		}
	}
	page.Data = v
	return page, err
}

// rows makes the rows of a list; with threads each stands for its conversation.
func (w *Pages) rows(c *web.Call, o open, rows []mailbox.Message, threads bool) ([]templates.MessageRow, error) {
	talks := map[int64]mailbox.Conversation{}
	if threads {
		var ids, without []int64
		for _, m := range rows {
			ids = append(ids, m.ThreadID)
		}
		for _, role := range []string{mailbox.RoleTrash, mailbox.RoleJunk, mailbox.RoleDrafts} {
			without = append(without, o.role(role).ID)
		}
		var err error
		if talks, err = w.mail.Store.Conversations(c.Context(), o.box.ID, ids, without); err != nil {
			return nil, err
		}
	}
	drafts, sent := o.role(mailbox.RoleDrafts).ID, o.role(mailbox.RoleSent).ID
	var out []templates.MessageRow
	for _, m := range rows {
		r := rowView(m)
		if t := talks[m.ThreadID]; t.Messages > 1 {
			r.Count, r.Unread, r.Starred = t.Messages, t.Unread > 0, m.Starred || t.Starred > 0
			r.Names = shortNames(t.Names)
		}
		if own := []int64{drafts, sent}; len(m.Folders) == 1 && slices.Contains(own, m.Folders[0]) {
			r.Draft = m.Folders[0] == drafts
			r.FromName, r.Own = m.To, true
		}
		out = append(out, r)
	}
	return out, nil
}

// shortNames puts the names of a conversation on one line: the first three of them, by their first word when there are more.
func shortNames(names []string) string {
	if len(names) < 2 {
		return ""
	}
	var short []string
	for _, n := range names {
		if word, _, ok := strings.Cut(n, " "); ok && word != "" {
			n = word
		}
		if local, _, ok := strings.Cut(n, "@"); ok && local != "" {
			n = local
		}
		short = append(short, n)
	}
	if len(short) > 3 {
		return short[0] + " … " + strings.Join(short[len(short)-2:], ", ")
	}
	return strings.Join(short, ", ")
}

// tabs are the filters that every list has.
func (w *Pages) tabs(in inboxParams) []templates.Tab {
	all := inboxParams{User: in.User, Folder: in.Folder, Label: in.Label}
	if in.Starred && in.Folder == "" && in.Label == "" {
		all.Folder = allMail
	}
	unread, starred := all, all
	unread.Unread, starred.Starred = true, true
	return []templates.Tab{
		{Label: "All", Href: all.query(0, 0), Current: !in.Unread && !in.Starred},
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
		Unread: m.Unread, Starred: m.Starred, Attachments: m.Attachments, Labels: shownLabels(m.Labels), Auth: templates.Auth{SPF: m.SPF, DKIM: m.DKIM, DMARC: m.DMARC},
		Answered: slices.Contains(m.Keywords, mailbox.KeywordAnswered), Forwarded: slices.Contains(m.Keywords, mailbox.KeywordForwarded)}
}

// shownLabels are the labels that tell something: that a message was sent is told by its folder.
func shownLabels(labels []string) []string {
	return slices.DeleteFunc(slices.Clone(labels), func(l string) bool { return l == "sent" })
}

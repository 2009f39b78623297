package webmail

import (
	"net/url"
	"slices"
	"strconv"

	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/mime"
	"uniqverse/services/email/reading"
	"uniqverse/smtpd/senderauth"
	"uniqverse/templates"
)

// messageParams name a message.
type messageParams struct {
	ID     int64  `path:"id" min:"1"`
	Images string `json:"images,omitempty" max:"100" doc:"that the pictures from elsewhere are to be shown, as the page's form gives it"`
	View   string `json:"view,omitempty" max:"20" doc:"what is shown of it: text, source, headers, parts, auth, journey or lint; left out: as it is to be read"`
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
	user := ""
	if c.Caller.User != m.User {
		user = w.mail.Address(m.User)
	}
	o, err := w.enter(c, m.User, allMail)
	if err != nil {
		return web.Page{}, err
	}
	for _, f := range o.all {
		if slices.Contains(m.Folders, f.ID) {
			o.folder = f
			break
		}
	}
	base := "/api/messages/" + strconv.FormatInt(m.ID, 10)
	v := templates.MessageView{ID: m.ID, Mailbox: w.mail.Address(m.User), User: user, Subject: m.Subject, FromName: m.FromName, From: m.FromAddress,
		To: texts(show.Addresses("To")), Cc: texts(show.Addresses("Cc")), Date: m.Date, Received: m.Received, Size: m.Size, Unread: m.Unread, Starred: m.Starred,
		Labels: shownLabels(m.Labels), Auth: templates.Auth{SPF: m.SPF, DKIM: m.DKIM, DMARC: m.DMARC}, AuthDetail: authDetail(raw), SpamScore: m.SpamScore,
		Text: show.Text, RawURL: token(c, base+"/raw", nil), EventsURL: w.eventsURL(c, m.User), Role: o.folder.Role, Folder: o.folder.Name, Moves: moves(o.all, o.folder.ID),
		CanWrite: c.Caller.Has("email.send") || c.Caller.Demo}
	back := inboxParams{User: user, Folder: name(o.folder)}
	if o.folder.Role == mailbox.RoleInbox {
		back.Folder = ""
	}
	v.BackURL = back.query(0, 0)
	if show.HTMLPart != nil {
		v.HTMLURL = token(c, base+"/html", nil)
		if in.View == "" {
			if err := w.pictures(c, &v, m, in.Images, show, body); err != nil {
				return web.Page{}, err
			}
		}
	}
	for _, p := range show.Files {
		v.Attachments = append(v.Attachments, templates.Attachment{Name: p.Name, Type: p.Type, Size: decodedSize(p), URL: token(c, base+"/parts/"+strconv.Itoa(show.Number(p)), nil)})
	}
	if err := w.look(c, in.View, &v, m, raw, show, body); err != nil {
		return web.Page{}, err
	}
	if v.Thread, err = w.conversation(c, m, o); err != nil {
		return web.Page{}, err
	}
	if v.NewerURL, v.OlderURL, err = w.neighbours(c, m, o); err != nil {
		return web.Page{}, err
	}
	title := m.Subject
	if title == "" {
		title = "Message without a subject"
	}
	return web.Page{Template: templates.PageMessage, Title: title, Data: v}, nil
}

// neighbours are the messages next to one in its folder.
func (w *Pages) neighbours(c *web.Call, m mailbox.Message, o open) (newer, older string, err error) {
	for _, n := range []struct {
		p  web.Paging
		to *string
	}{{web.Paging{After: m.ID, Limit: 1}, &newer}, {web.Paging{Before: m.ID, Limit: 1}, &older}} {
		list, err := w.mail.Store.Messages(c.Context(), m.MailboxID, mailbox.Filter{Paging: n.p, Folder: o.folder.ID, Threads: threaded(o.folder)})
		if err != nil {
			return "", "", err
		}
		if len(list) > 0 {
			*n.to = "/messages/" + strconv.FormatInt(list[0].ID, 10)
		}
	}
	return newer, older, nil
}

// maxThread bounds how many messages of a conversation are listed beside one, the newest of them.
const maxThread = 50

// conversation lists the messages of the thread, the first that came first; one alone is none.
func (w *Pages) conversation(c *web.Call, m mailbox.Message, o open) ([]templates.ThreadItem, error) {
	list, err := w.mail.Store.Thread(c.Context(), m.MailboxID, m.ThreadID)
	if err != nil || len(list) < 2 {
		return nil, err
	}
	hidden := []int64{o.role(mailbox.RoleTrash).ID, o.role(mailbox.RoleJunk).ID, o.role(mailbox.RoleDrafts).ID}
	var out []templates.ThreadItem
	for _, t := range list[max(0, len(list)-maxThread):] {
		if t.ID != m.ID && len(t.Folders) == 1 && slices.Contains(hidden, t.Folders[0]) {
			continue
		}
		id := strconv.FormatInt(t.ID, 10)
		out = append(out, templates.ThreadItem{MessageRow: rowView(t), Href: "/messages/" + id, Current: t.ID == m.ID,
			BodyURL: token(c, "/api/messages/"+id+"/html", url.Values{"any": {"true"}})})
	}
	if len(out) < 2 {
		return nil, nil
	}
	out[len(out)-1].Open = true
	return out, nil
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

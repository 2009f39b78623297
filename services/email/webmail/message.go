package webmail

import (
	"strconv"

	"uniqverse/internal/web"
	"uniqverse/services/email"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/mime"
	"uniqverse/services/email/reading"
	"uniqverse/smtpd/senderauth"
	"uniqverse/templates"
)

// messageParams name a message.
type messageParams struct {
	ID int64 `path:"id" min:"1"`
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

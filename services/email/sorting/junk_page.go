package sorting

import (
	"net/url"
	"strconv"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/internal/web/form"
	"uniqverse/services/email/spam"
	"uniqverse/templates"
)

type junkPageParams struct {
	User   string `json:"user,omitempty" max:"320" doc:"whose: an address of the domain, or its local part; the caller when left out"`
	Whose  string `json:"whose,omitempty" max:"320" doc:"only what came from this sender: an address or a domain"`
	Before int64  `json:"before,omitempty" min:"1" doc:"what came before the message with this id"`
}

// junkURL is the page, from before a message on; 0 is the newest.
func junkURL(user, whose string, before int64) string {
	q := url.Values{}
	if user != "" {
		q.Set("user", user)
	}
	if whose != "" {
		q.Set("whose", whose)
	}
	if before != 0 {
		q.Set("before", strconv.FormatInt(before, 10))
	}
	if len(q) == 0 {
		return "/junk"
	}
	return "/junk?" + q.Encode()
}

// junkPage shows what is among the junk and why, and what the user told the filter.
func (s *Sorter) junkPage(c *web.Call, in junkPageParams) (web.Page, error) {
	settings, err := s.filter.Settings(c, in.User)
	if err != nil {
		return web.Page{}, err
	}
	p := web.Paging{Before: in.Before}
	wrong := ""
	list, err := s.junk(c, junkParams{User: in.User, Sender: in.Whose, Paging: p})
	if errs.Is(err, errs.Invalid) { // no sender can be called that
		wrong, err = "must be an address such as ann@example.org, or a domain", nil
	}
	if err != nil {
		return web.Page{}, err
	}
	v := templates.JunkView{Tools: templates.Tools{Mailbox: list.User + "@" + s.Domain, User: in.User, Links: templates.MailboxLinks(in.User, "/junk")}, Here: junkURL(in.User, in.Whose, in.Before), Whose: in.Whose, Wrong: wrong, AllURL: junkURL(in.User, "", 0),
		JunkAt: settings.JunkAt, Default: settings.Default, Own: settings.OwnJunkAt, Spam: settings.Counted.Spam, Ham: settings.Counted.Ham, Needed: settings.Counted.Needed, Learnt: settings.Counted.Used, Most: spam.MostShown}
	if v.Own {
		v.Typed = strconv.FormatFloat(v.JunkAt, 'f', -1, 64)
	}
	says := map[string]string{}
	for _, r := range spam.Catalogue() {
		says[r.Rule] = r.Text
	}
	for _, m := range list.Messages {
		row := templates.JunkRow{ID: m.ID, Subject: m.Subject, FromName: m.FromName, From: m.FromAddress, At: m.ReceivedAt.Time(), Score: m.SpamScore, Marked: m.Mark == "spam"}
		for _, r := range m.Reasons {
			text := says[r.Rule]
			if text == "" { // stored by a version that had other rules
				text = r.Rule
			}
			row.Reasons = append(row.Reasons, templates.JunkReason{Score: r.Score, Text: text, Detail: r.Detail})
		}
		v.Messages = append(v.Messages, row)
	}
	if n := len(list.Messages); n == p.Size() {
		v.Pager.Next = junkURL(in.User, in.Whose, list.Messages[n-1].ID)
	}
	if in.Before != 0 {
		v.Pager.Prev = junkURL(in.User, in.Whose, 0)
	}
	for _, l := range settings.Listed {
		v.Senders = append(v.Senders, templates.ListedSender{ID: l.ID, Sender: l.Sender, Allow: l.Action == "allow", Note: l.Note})
	}
	return web.Page{Template: templates.PageJunk, Title: "Junk review", Data: v}, nil
}

// junkAgain shows the page with what was typed and why it was refused.
func (s *Sorter) junkAgain(c *web.Call, err error) (web.Page, bool) {
	wrong := form.Errors(err)
	page, showErr := s.junkPage(c, junkPageParams{User: c.Form("user")})
	if wrong == nil || showErr != nil {
		return web.Page{}, false
	}
	v := page.Data.(templates.JunkView)
	v.Sender, v.Note, v.Allow, v.Errors = c.Form("sender"), c.Form("note"), c.Form("action") == "allow", wrong
	if typed := c.Form("junk_at"); typed != "" {
		v.Typed = typed
	}
	page.Data = v
	return page, true
}

package inboxes

import (
	"net/url"

	"uniqverse/internal/web"
	"uniqverse/internal/web/form"
	"uniqverse/templates"
)

func (s *Service) page(c *web.Call, in listIn) (web.Page, error) {
	list, err := s.list(c, in)
	if err != nil {
		return web.Page{}, err
	}
	v := templates.InboxesView{Domain: s.Domain, Max: list.Max, All: c.Caller.Demo || admin(c.Caller)}
	for _, w := range list.Inboxes {
		row := templates.InboxRow{ID: w.ID, Address: w.User, Pattern: w.Patterns[2], Owner: w.Owner, Note: w.Note, Outbound: w.Outbound, MaxAge: w.MaxAgeHours, MaxCount: w.MaxCount,
			Messages: w.Messages, Unread: w.Unread, Open: "/inbox?" + url.Values{"user": {w.User}}.Encode()}
		if w.Owner == c.Caller.User {
			row.Owner = ""
		}
		v.Inboxes = append(v.Inboxes, row)
	}
	return web.Page{Template: templates.PageInboxes, Title: "Inboxes for tests", Data: v}, nil
}

// withPassword is the page with the one showing of a password.
func (s *Service) withPassword(c *web.Call, m Made) (any, error) {
	if !c.WantsPage() {
		return m, nil
	}
	p, err := s.page(c, listIn{})
	if err != nil {
		return nil, err
	}
	v := p.Data.(templates.InboxesView)
	v.Made = &templates.NewInbox{Address: m.User, Password: m.Password, Submission: m.Ports.Submission, Submissions: m.Ports.Submissions, POP3: m.Ports.POP3, POP3S: m.Ports.POP3S}
	p.Data = v
	return p, nil
}

func (s *Service) addForm(c *web.Call, in addIn) (any, error) {
	m, err := s.add(c, in)
	if err != nil {
		return nil, err
	}
	return s.withPassword(c, m)
}

func (s *Service) rotateForm(c *web.Call, in idIn) (any, error) {
	m, err := s.rotate(c, in)
	if err != nil {
		return nil, err
	}
	return s.withPassword(c, m)
}

// again shows the page with what was typed and why it was refused.
func (s *Service) again(c *web.Call, err error) (web.Page, bool) {
	wrong := form.Errors(err)
	p, showErr := s.page(c, listIn{})
	if wrong == nil || showErr != nil {
		return web.Page{}, false
	}
	v := p.Data.(templates.InboxesView)
	v.Name, v.Note, v.Errors = c.Form("name"), c.Form("note"), wrong
	p.Data = v
	return p, true
}

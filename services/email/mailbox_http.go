package email

import (
	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
)

// Mailboxes is the answer to GET /api/mailboxes.
type Mailboxes struct {
	Mailboxes []api.EmailMailbox `json:"mailboxes"`
}

type mailboxesParams struct{ web.Paging }

func (s *Service) mailboxes(c *web.Call, in mailboxesParams) (Mailboxes, error) {
	out := Mailboxes{Mailboxes: []api.EmailMailbox{}}
	user := ""
	if !c.Caller.Demo && !c.Caller.Has("email.admin") {
		if user = c.Caller.User; user == "" {
			return out, nil // a server without the scope has no mailbox of its own
		}
	}
	boxes, err := s.Store.Mailboxes(c.Context(), user, in.Paging)
	for _, b := range boxes {
		out.Mailboxes = append(out.Mailboxes, s.wireMailbox(b))
	}
	return out, err
}

type provisionParams struct {
	User string `json:"user" web:"required" max:"320" doc:"an address of the domain, or its local part"`
}

// Provisioned is the answer to POST /api/mailboxes.
type Provisioned struct {
	api.EmailMailbox
	Made bool `json:"made"` // false: it was there
}

func (s *Service) provision(c *web.Call, tx mailbox.Tx, in provisionParams) (Provisioned, error) {
	local, err := s.named(in.User)
	if err != nil {
		return Provisioned{}, err
	}
	if !c.Caller.Has("portal.provision") {
		if err := c.Caller.ActAs(local, "email.admin"); err != nil {
			return Provisioned{}, err
		}
		if !c.Caller.Has("email.read") && !c.Caller.Has("email.admin") {
			return Provisioned{}, errs.New(errs.Denied, "this address needs the scope email.read, portal.provision or email.admin, and the token carries none of them")
		}
	}
	box, made, err := tx.EnsureMailbox(local, mailbox.MadeByProvision)
	if made {
		s.made.Inc()
	}
	return Provisioned{s.wireMailbox(box), made}, err
}

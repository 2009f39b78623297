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

// AliasList is the answer to GET /api/aliases.
type AliasList struct {
	Aliases []mailbox.Alias `json:"aliases"`
}

func (s *Service) aliases(c *web.Call, _ web.None) (AliasList, error) {
	list, err := s.Store.Aliases(c.Context())
	if list == nil {
		list = []mailbox.Alias{}
	}
	return AliasList{list}, err
}

type aliasParams struct {
	Alias   string   `json:"alias" web:"required" max:"64" doc:"a local part, or * for whatever nobody else gets"`
	Targets []string `json:"targets,omitempty" max:"50" doc:"local parts or addresses of the domain; none removes the alias"`
}

func (s *Service) setAlias(_ *web.Call, tx mailbox.Tx, in aliasParams) (mailbox.Alias, error) {
	alias := in.Alias
	if alias != catchAll {
		var err error
		if alias, err = mailbox.Canonical(alias); err != nil {
			return mailbox.Alias{}, errs.BadField("alias", "%s", err)
		}
	}
	targets := []string{}
	for _, t := range in.Targets {
		local, err := s.named(t)
		if err != nil {
			return mailbox.Alias{}, errs.BadField("targets", "must be local parts or addresses at %s", s.Domain)
		}
		if !has(targets, local) {
			targets = append(targets, local)
		}
	}
	return mailbox.Alias{Alias: alias, Targets: targets}, tx.SetAlias(alias, targets)
}

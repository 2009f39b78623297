package game

import (
	"context"
	"strings"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// mailPatience is how long the email service may take: whoever asks us gets an answer within
// three seconds, whatever it is.
const mailPatience = 2500 * time.Millisecond

type mailIn struct {
	User string `json:"user" web:"required" max:"254" doc:"an address of the domain, or its local part"`
	web.Paging
}

// mail passes a page of a mailbox on. Who may read is decided here; the email service decides
// what an address is.
func (s *Service) mail(c *web.Call, in mailIn) (api.GameMail, error) {
	user := strings.TrimSpace(in.User)
	local, domain, full := strings.Cut(user, "@")
	if full && !strings.EqualFold(domain, s.opts.Domain) {
		return api.GameMail{}, errs.New(errs.Denied, "mail is read here for addresses of %s alone", s.opts.Domain)
	}
	if local == "" {
		return api.GameMail{}, errs.BadField("user", "must be an address of %s", s.opts.Domain)
	}
	if err := c.Caller.ActAs(local, "game.server"); err != nil {
		return api.GameMail{}, err
	}
	ctx, cancel := context.WithTimeout(c.Context(), mailPatience)
	defer cancel()
	user = local + "@" + s.opts.Domain
	list, err := s.opts.Mail.Messages(ctx, c.Caller, user, api.EmailListOptions{Limit: in.Limit, Before: in.Before, After: in.After, Offset: in.Offset})
	if err != nil {
		return api.GameMail{}, err
	}
	if list.User == "" {
		list.User = user
	}
	if list.Messages == nil {
		list.Messages = []api.EmailMessage{}
	}
	return api.GameMail{User: list.User, Messages: list.Messages}, nil
}

package portal

import (
	"strings"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

type provisionParams struct {
	User string `path:"user" doc:"the x-user-id: the local part of the address"`
}

// provisioned is what provisioning answers, the first time and every time after.
type provisioned struct {
	User        string `json:"user"`
	Provisioned bool   `json:"provisioned"`
	Messages    any    `json:"messages"`
}

// provision derives <x-user-id>@<domain> and has mail make the box. Nothing is kept here, so a
// repeat finds the same box and answers the same.
func (s *Service) provision(c *web.Call, in provisionParams) (any, error) {
	local := strings.ToLower(in.User)
	if !s.opts.ValidUser(local) {
		return nil, errs.New(errs.Malformed, "%q cannot name a user: use letters, digits, dot, dash and underscore, beginning with a letter or digit, 64 at most", clip(in.User))
	}
	if err := c.Caller.ActAs(local, "portal.admin"); err != nil {
		return nil, err
	}
	user := local + "@" + s.opts.Domain
	messages, err := s.opts.Mail.Provision(c.Context(), c.Caller, user)
	if err != nil {
		return nil, err
	}
	return web.Update(c, in, s.opts.Store, func(Tx) (provisioned, error) {
		return provisioned{User: user, Provisioned: true, Messages: messages}, nil
	})
}

func clip(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}

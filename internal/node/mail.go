package node

import (
	"context"
	"net/http"

	"uniqverse/internal/api"
	"uniqverse/internal/web"
)

// mailboxes asks mail on behalf of the portal's callers.
type mailboxes struct{ n *Node }

// Provision implements portal.Mailboxes.
func (m mailboxes) Provision(ctx context.Context, caller web.Caller, user string) (any, error) {
	mail := m.n.mailClient("portal", caller)
	if _, err := mail.Provision(ctx, user); err != nil {
		return nil, err
	}
	list, err := mail.Messages(ctx, user, api.EmailListOptions{})
	return list.Messages, err
}

// mailClient is a client of the email service that acts for the caller, near or far.
func (n *Node) mailClient(as string, caller web.Caller) *api.Email {
	return api.NewEmail(n.registry.Client("email"), func(r *http.Request) error {
		return n.auth.Internal.Authorize(r, as, "email", n.registry.BaseURL("email") != "", caller, "email.read", "email.admin")
	})
}

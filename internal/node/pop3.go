package node

import (
	"context"
	"crypto/tls"

	"uniqverse/services/email"
	"uniqverse/services/email/pop3"
	"uniqverse/store/mailstore"
)

// servePOP3 adds the POP3 server, where a port is set for it, to what runs.
func (n *Node) servePOP3(mail *email.Service, keys *tls.Config) error {
	if len(n.listeners.pop3) == 0 {
		return nil
	}
	s, err := pop3.New(pop3.Options{Listeners: n.listeners.pop3, Mail: maildrops{mail, mailstore.New(n.db)}, TLS: keys, Name: n.cfg.Domain,
		Log: n.opts.Log.With("svc", "pop3"), Metrics: n.metrics})
	if err != nil {
		return err
	}
	n.services = append(n.services, running{"pop3", s.Serve})
	return nil
}

// maildrops is the mail service as POP3 needs it.
type maildrops struct {
	*email.Service
	store mailstore.Store
}

// Maildrop implements pop3.Mail.
func (m maildrops) Maildrop(ctx context.Context, user string) ([]pop3.Item, error) {
	return m.store.Maildrop(ctx, user, pop3.MaxItems)
}

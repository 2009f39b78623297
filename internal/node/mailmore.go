package node

import (
	"uniqverse/internal/reach"
	"uniqverse/internal/web"
	"uniqverse/services/email"
	"uniqverse/services/email/inboxes"
	"uniqverse/services/email/webhooks"
	"uniqverse/smtpd"
	"uniqverse/store/hookstore"
	"uniqverse/store/inboxstore"
)

// inboxes adds the inboxes for tests to what runs, and returns their routes.
func (n *Node) inboxes(tests inboxstore.Store, mail *email.Service) ([]web.Endpoint, error) {
	s, err := inboxes.New(inboxes.Options{Store: tests, Accounts: n.auth, Domain: n.cfg.Domain, Removed: mail.Removed, Log: n.opts.Log.With("svc", "email"), Now: n.opts.Now,
		SubmissionPort: n.listeners.smtpPort(smtpd.Submission), SubmissionsPort: n.listeners.smtpPort(smtpd.Submissions), POP3Port: n.listeners.pop3Port(false), POP3SPort: n.listeners.pop3Port(true)})
	if err != nil {
		return nil, err
	}
	n.services = append(n.services, running{name: "inboxes", run: s.Run})
	return s.Endpoints(), nil
}

// mailWebhooks adds the outgoing webhooks of mail to what runs, and returns their routes.
func (n *Node) mailWebhooks(mail *email.Service) ([]web.Endpoint, error) {
	s, err := webhooks.New(webhooks.Options{Store: hookstore.New(n.db), Hub: n.hub, Targets: reach.Targets(n.cfg.WebhookMode()), Named: mail.Named, Log: n.opts.Log.With("svc", "email"), Now: n.opts.Now})
	if err != nil {
		return nil, err
	}
	n.services = append(n.services, running{name: "mail webhooks", run: s.Run})
	return s.Endpoints(), nil
}

// byAppPassword lets an app password open, over the mail API, what it opens over JMAP.
func byAppPassword(all []web.Endpoint) []web.Endpoint {
	for i := range all {
		if a := &all[i].Access; a.Token && (a.Scope == "email.read" || a.Scope == "email.send") {
			a.Quiet, a.Basic = !a.Basic, true
		}
	}
	return all
}

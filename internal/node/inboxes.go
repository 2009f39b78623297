package node

import (
	"uniqverse/internal/web"
	"uniqverse/services/email"
	"uniqverse/services/email/inboxes"
	"uniqverse/smtpd"
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

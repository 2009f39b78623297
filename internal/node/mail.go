package node

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"github.com/VictoriaMetrics/metrics"

	"uniqverse/internal/api"
	"uniqverse/internal/event"
	"uniqverse/internal/reach"
	"uniqverse/internal/web"
	"uniqverse/services/email"
	"uniqverse/services/email/archive"
	"uniqverse/services/email/body"
	"uniqverse/services/email/chaos"
	"uniqverse/services/email/courier"
	"uniqverse/services/email/dmarcreport"
	"uniqverse/services/email/images"
	"uniqverse/services/email/jmap"
	"uniqverse/services/email/journey"
	"uniqverse/services/email/mtasts"
	"uniqverse/services/email/refusals"
	"uniqverse/services/email/signer"
	"uniqverse/services/email/spam"
	"uniqverse/services/email/spam/milter"
	"uniqverse/services/email/spam/rspamd"
	"uniqverse/services/email/stats"
	"uniqverse/services/email/webhooks"
	"uniqverse/services/email/webmail"
	"uniqverse/services/email/zone"
	"uniqverse/smtpd"
	"uniqverse/smtpd/cert"
	"uniqverse/smtpd/dnsclient"
	"uniqverse/smtpd/policy"
	"uniqverse/smtpd/senderauth"
	"uniqverse/store"
	"uniqverse/store/chaosstore"
	"uniqverse/store/hookstore"
	"uniqverse/store/inboxstore"
	"uniqverse/store/jmapstore"
	"uniqverse/store/journeystore"
	"uniqverse/store/mailstore"
	"uniqverse/store/refusalstore"
	"uniqverse/store/reportstore"
	"uniqverse/store/statstore"
)

// email makes the mail service and, before it, the SMTP listeners that hand it what arrives.
func (n *Node) email(_ context.Context, _ *web.Site) (part, error) {
	log := n.opts.Log.With("svc", "email")
	dns, err := dnsclient.New(n.cfg.DNS)
	if err != nil {
		return part{}, fmt.Errorf("EMAIL_DNS (--dns) is %q: %w", n.cfg.DNS, err)
	}
	out, keys, records, err := n.outgoing(dns)
	if err != nil {
		return part{}, err
	}
	scanners, err := n.scanners()
	if err != nil {
		return part{}, err
	}
	rules := chaos.New(chaos.Options{Store: chaosstore.New(n.db), Log: log, Now: n.opts.Now})
	n.services = append(n.services, running{name: "chaos", run: rules.Run})
	tests := inboxstore.New(n.db, strings.ToLower(n.cfg.Domain))
	s, err := email.New(email.Options{Chaos: rules, Sandbox: tests, Deliverer: out, Signer: keys, HoldAll: n.cfg.OutboundMode() == "hold", SpamRefuse: n.cfg.SpamRefuse, Enforce: n.cfg.EnforcesPolicy(), JunkAt: n.cfg.SpamJunkAt, Scanners: scanners,
		Store: mailstore.New(n.db), Hub: n.hub, Users: n.auth, Domain: n.cfg.Domain, Demo: n.cfg.DemoIdentity(),
		Dir: filepath.Join(n.cfg.DataDir, "mail"), SMTPPort: n.listeners.smtpPort(smtpd.MX), Log: log, Now: n.opts.Now, Metrics: n.metrics, DiskFull: store.IsFull, Closed: store.IsClosed})
	if err != nil {
		return part{}, err
	}
	n.services = append(n.services, running{name: "email", run: s.Run})
	journal, err := refusals.New(refusals.Options{Store: refusalstore.New(n.db), Owners: s.Owners, Named: s.Named, Domain: n.cfg.Domain, Log: log, Now: n.opts.Now, Metrics: n.metrics})
	if err != nil {
		return part{}, err
	}
	n.services = append(n.services, running{name: "refusals", run: journal.Run})
	reports, err := dmarcreport.New(dmarcreport.Options{Store: reportstore.New(n.db), Domain: n.cfg.Domain, Send: n.cfg.DMARCReports == "on", Mailboxes: !n.cfg.DemoIdentity(), Resolver: dns, Deliver: s.Deliver,
		Log: log, Now: n.opts.Now})
	if err != nil {
		return part{}, err
	}
	n.services = append(n.services, running{name: "dmarc reports", run: reports.Run})
	programs, err := jmap.New(jmap.Options{Mail: s, Store: jmapstore.New(n.db), Push: jmapstore.New(n.db), Hub: n.hub, Dir: filepath.Join(n.cfg.DataDir, "uploads"), Targets: reach.Targets(n.cfg.WebhookMode()), Log: log, Now: n.opts.Now})
	if err != nil {
		return part{}, err
	}
	n.services = append(n.services, running{name: "jmap", run: programs.Run})
	boxes, err := n.inboxes(tests, s)
	if err != nil {
		return part{}, err
	}
	told, err := n.mailWebhooks(s)
	if err != nil {
		return part{}, err
	}
	figures, err := stats.New(stats.Options{Store: statstore.New(n.db), Named: s.Named, Address: s.Address, Quota: s.Quota})
	if err != nil {
		return part{}, err
	}
	pages := n.mailPages(s)
	p := part{"email", "Mail", byAppPassword(slices.Concat(s.Endpoints(), pages, journal.Endpoints(), figures.Endpoints(), records.Endpoints(), programs.Endpoints(), reports.Endpoints(),
		archive.New(s, mailstore.New(n.db), log).Endpoints(), rules.Endpoints(), boxes, told)), s.Discovery()}
	if len(n.listeners.smtp)+len(n.listeners.pop3) == 0 {
		return p, nil
	}
	pair, mend, err := n.certificate()
	if err != nil {
		return part{}, err
	}
	n.services = append(n.services, running{name: "certificate", run: func(ctx context.Context) error {
		return cert.Watch(ctx, pair, mend, log, n.opts.Now)
	}})
	pair = rules.TLS(pair)
	if len(n.listeners.smtp) > 0 {
		if err := n.edge(rules.Before(reports.Before(n.gate(s, dns))), dns, journal, pair); err != nil {
			return part{}, err
		}
	}
	return p, n.servePOP3(s, pair)
}

// mailPages are the pages of mail, and what answers with parts of messages.
func (n *Node) mailPages(s *email.Service) []web.Endpoint {
	pictures := images.New(images.Options{Targets: reach.Targets(n.cfg.ImageTargets), Now: n.opts.Now})
	ways := journey.New(s, journeystore.New(n.db))
	return slices.Concat(webmail.New(s, ways, pictures).Endpoints(), ways.Endpoints(), pictures.Endpoints(), body.New(s, pictures).Endpoints())
}

// outgoing makes what takes mail to other hosts, the keys that sign it, and the guide to the records in the DNS.
func (n *Node) outgoing(dns *dnsclient.Client) (out *courier.Courier, keys *signer.Signer, records *zone.Zone, err error) {
	log := n.opts.Log.With("svc", "email")
	promises, err := mtasts.New(mtasts.Options{Resolver: dns, Cache: mailstore.New(n.db), Log: log, Now: n.opts.Now})
	if err != nil {
		return nil, nil, nil, err
	}
	out, err = courier.New(courier.Options{Name: n.cfg.Domain, Resolver: dns, Policies: promises,
		Count: func(policy, result string) {
			mailMetrics{n.metrics}.Add("mail_tls_total", 1, "policy", policy, "result", result)
		},
		Smarthost: courier.Smarthost{Addr: n.cfg.Smarthost, User: n.cfg.SmarthostUser, Password: n.cfg.SmarthostPassword.Reveal()}})
	if err != nil {
		return nil, nil, nil, err
	}
	keys = signer.New(filepath.Join(n.cfg.DataDir, "dkim"), n.cfg.Domain, n.opts.Now)
	records, err = zone.New(zone.Options{Domain: n.cfg.Domain, Keys: keys, Resolver: dns, Policy: mtasts.Mode(n.cfg.MTASTS), Log: log, Now: n.opts.Now})
	if err != nil {
		return nil, nil, nil, err
	}
	n.services = append(n.services, running{name: "dns records", run: records.Run})
	return out, keys, records, nil
}

// edge makes the SMTP listeners.
func (n *Node) edge(backend smtpd.Backend, dns *dnsclient.Client, journal smtpd.Journal, keys *tls.Config) (err error) {
	if n.traces != nil {
		backend = tracedMail{backend, n}
	}
	n.smtp, err = smtpd.New(smtpd.Options{Listeners: n.listeners.smtp, Domain: n.cfg.Domain, TLS: keys, DSN: true, RequireTLS: true, Backend: backend, Resolver: dns, Journal: journal, Blocklists: n.cfg.DNSBL,
		SpoolDir: filepath.Join(n.cfg.DataDir, "spool"), Log: n.opts.Log.With("svc", "smtp"), Metrics: mailMetrics{n.metrics}, Now: n.opts.Now})
	return err
}

// gate puts the policy of arriving mail before the mail service.
func (n *Node) gate(s *email.Service, dns *dnsclient.Client) *policy.Gate {
	o := policy.Options{Enforce: n.cfg.EnforcesPolicy(), Checker: senderauth.New(senderauth.Options{Resolver: dns, Blocklists: n.cfg.DNSBL}), Log: n.opts.Log.With("svc", "smtp")}
	if n.cfg.Greylist == "on" {
		o.Greylist = &policy.Greylist{Store: mailstore.New(n.db), Now: n.opts.Now, Log: o.Log}
		n.services = append(n.services, running{name: "greylist", run: o.Greylist.Run})
	}
	return policy.New(s, o)
}

// scanners are the programs beside this one that look at arriving mail.
func (n *Node) scanners() (out []spam.Scanner, err error) {
	if n.cfg.Rspamd != "" {
		s, err := rspamd.New(n.cfg.Rspamd)
		if err != nil {
			return nil, fmt.Errorf("EMAIL_RSPAMD is %q: %w", n.cfg.Rspamd, err)
		}
		out = append(out, s)
	}
	if n.cfg.Milter != "" {
		out = append(out, milter.New(n.cfg.Milter, n.cfg.Domain))
	}
	return out, nil
}

// certificate returns the operator's pair, or the self-signed one of the data folder, and what to do when it ends.
func (n *Node) certificate() (keys *tls.Config, mend string, err error) {
	if n.cfg.TLSCert == "" {
		dir := filepath.Join(n.cfg.DataDir, "tls")
		keys, err = cert.Load(dir, n.cfg.Domain, n.opts.Now)
		return keys, "remove both files in " + dir + " and start again to get a new self-signed pair", err
	}
	c, err := cert.LoadFiles(n.cfg.TLSCert, n.cfg.TLSKey)
	if err != nil {
		return nil, "", fmt.Errorf("EMAIL_TLS_CERT is %q and EMAIL_TLS_KEY %q: %w; name a certificate and the key that belongs to it, both PEM", n.cfg.TLSCert, n.cfg.TLSKey, err)
	}
	return c, "put the renewed pair into " + n.cfg.TLSCert + " and " + n.cfg.TLSKey + "; it counts without a restart", nil
}

// mailMetrics counts what the SMTP edge tells, under the names of /metrics.
type mailMetrics struct{ set *metrics.Set }

// Add implements smtpd.Metrics.
func (m mailMetrics) Add(name string, delta int, labels ...string) {
	m.set.GetOrCreateCounter("uniqverse_" + name + labelled(labels)).Add(delta)
}

// Observe implements smtpd.Metrics.
func (m mailMetrics) Observe(name string, seconds float64, labels ...string) {
	m.set.GetOrCreateSummary("uniqverse_" + name + labelled(labels)).Update(seconds)
}

// labelled writes name, value, name, value … as Prometheus does.
func labelled(pairs []string) string {
	if len(pairs) < 2 {
		return ""
	}
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		fmt.Fprintf(&b, ",%s=%q", pairs[i], pairs[i+1])
	}
	return "{" + b.String()[1:] + "}"
}

// tracedMail gives the delivery of each message a span.
type tracedMail struct {
	smtpd.Backend
	n *Node
}

// Deliver implements smtpd.Backend.
func (t tracedMail) Deliver(ctx context.Context, env *smtpd.Envelope, msg *smtpd.Message) error {
	trace, ok := event.ParseTraceparent(env.Traceparent)
	if !ok {
		return t.Backend.Deliver(ctx, env, msg)
	}
	span, end := t.n.traces.Start(ctx, trace, false, "SMTP "+env.Mode.String())
	env.Traceparent = span.Traceparent()
	err := t.Backend.Deliver(event.WithTrace(ctx, span), env, msg)
	status := http.StatusOK
	if err != nil {
		status = http.StatusInternalServerError
	}
	end(status)
	return err
}

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

// gameMail reads mail on behalf of the game's callers.
type gameMail struct{ n *Node }

// Messages implements game.Mailboxes.
func (m gameMail) Messages(ctx context.Context, caller web.Caller, user string, opts api.EmailListOptions) (api.EmailList, error) {
	return m.n.mailClient("game", caller).Messages(ctx, user, opts)
}

// mailClient is a client of the email service that acts for the caller, near or far.
func (n *Node) mailClient(as string, caller web.Caller) *api.Email {
	return api.NewEmail(n.registry.Client("email"), func(r *http.Request) error {
		return n.auth.Internal.Authorize(r, as, "email", n.registry.BaseURL("email") != "", caller, "email.read", "email.admin")
	})
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

// Package policy decides what the findings about a sender lead to: it stands before the Backend of package
// smtpd and refuses what a server of its kind should not take, or only notes that it would.
//
// The rules, in their order, with the answer of a server that enforces them:
//
//	sender_domain  550 5.7.27  the sender's domain takes no mail (null MX, RFC 7505)
//	               550 5.1.8   the sender's domain does not exist
//	dnsbl          550 5.7.1   a blocklist has the peer's address
//	dmarc          550 5.7.26  the author's domain asks to reject what is not from it (RFC 9989)
//	spf            550 5.7.23  the sender's domain says that this host may not send for it, and the
//	                           author's domain has published nothing that would say more (RFC 7208)
//	greylist       451 4.7.1   nobody with this sender has written to this recipient from there before
//
// The first two are asked at RCPT, so that who did not get the mail can find out, the others after
// the message. They are for mail that comes from other hosts alone. A peer on this host has no
// address that a list or the greylist could know, but forges no better than others. A message for
// postmaster alone is held back by none of the first two and the greylist: it is how the owner of a refused
// host complains (RFC 5321 section 4.5.1).
//
// What the DNS cannot say breaks no rule, and a store that fails does not either: without network
// all mail comes in. Spam is scored by who stores the message; see package email.
//
// A Gate is safe for concurrent use.
package policy

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"uniqverse/smtpd"
	"uniqverse/smtpd/senderauth"
)

// Options is all that a Gate needs. Checker and Log are required.
type Options struct {
	Enforce  bool                // refuse; otherwise the verdicts are only noted in the message's results
	Checker  *senderauth.Checker // looks the sender's domain and the peer up
	Greylist *Greylist           // nil: off
	Log      *slog.Logger
}

// Gate is a Backend that applies the policy before the one behind it is asked to deliver.
type Gate struct {
	smtpd.Backend
	opt Options
}

// New returns a gate before next.
func New(next smtpd.Backend, o Options) *Gate { return &Gate{next, o} }

// CheckRecipient asks the Backend, and then refuses what no recipient would get.
func (g *Gate) CheckRecipient(ctx context.Context, s smtpd.Session, to string) error {
	if err := g.Backend.CheckRecipient(ctx, s, to); err != nil || !g.opt.Enforce || s.Mode != smtpd.MX || postmaster(to) {
		return err
	}
	var r senderauth.Results
	r.Sender = g.opt.Checker.Sender(ctx, s.ReversePath)
	if v := hostVerdicts(r); len(v) > 0 {
		return reply(v[0])
	}
	r.Listed = g.opt.Checker.Listed(ctx, s.RemoteIP)
	if v := hostVerdicts(r); len(v) > 0 {
		return reply(v[0])
	}
	return nil
}

// Deliver judges a message, and hands it on with the verdicts noted, or refuses it.
func (g *Gate) Deliver(ctx context.Context, env *smtpd.Envelope, msg *smtpd.Message) error {
	if env.Mode != smtpd.MX {
		return g.Backend.Deliver(ctx, env, msg)
	}
	env.Auth.Policy = g.judge(ctx, env)
	if g.opt.Enforce && len(env.Auth.Policy) > 0 {
		return reply(env.Auth.Policy[0])
	}
	err := g.Backend.Deliver(ctx, env, msg)
	if err == nil && g.opt.Greylist != nil && len(env.Auth.Policy) == 0 {
		if err := g.opt.Greylist.passed(ctx, env); err != nil {
			g.opt.Log.Warn("a sender that passed could not be remembered", "err", err.Error())
		}
	}
	return err
}

func (g *Gate) judge(ctx context.Context, env *smtpd.Envelope) []senderauth.Verdict {
	var all []senderauth.Verdict
	unconditional := slices.ContainsFunc(env.Recipients, func(to string) bool { return !postmaster(to) })
	if unconditional {
		all = hostVerdicts(env.Auth)
	}
	all = append(all, authorVerdicts(env.Auth)...)
	if len(all) > 0 || g.opt.Greylist == nil || !unconditional {
		return all
	}
	wait, err := g.opt.Greylist.wait(ctx, env)
	if err != nil { // mail must not wait for a table that cannot be written
		g.opt.Log.Warn("the greylist could not be asked; the message is let in", "err", err.Error())
		return nil
	}
	if wait > 0 {
		all = append(all, senderauth.Verdict{Rule: "greylist", Code: 451, Enhanced: "4.7.1",
			Text:   fmt.Sprintf("You are new here: try again in %d seconds", int(wait.Seconds())+1),
			Detail: "the first attempt of this sender from this network to this recipient"})
	}
	return all
}

// hostVerdicts judges the envelope and the peer.
func hostVerdicts(r senderauth.Results) []senderauth.Verdict {
	var all []senderauth.Verdict
	switch s := r.Sender; {
	case s.Result == senderauth.Fail && s.NullMX:
		all = append(all, senderauth.Verdict{Rule: "sender_domain", Code: 550, Enhanced: "5.7.27", Text: "The sender's domain " + s.Domain + " takes no mail, so it sends none", Detail: s.Reason})
	case s.Result == senderauth.Fail:
		all = append(all, senderauth.Verdict{Rule: "sender_domain", Code: 550, Enhanced: "5.1.8", Text: "The sender's domain " + s.Domain + " does not exist", Detail: s.Reason})
	}
	if len(r.Listed) > 0 {
		l := r.Listed[0]
		all = append(all, senderauth.Verdict{Rule: "dnsbl", Code: 550, Enhanced: "5.7.1", Text: strings.TrimSpace("Your address is listed by " + l.Zone + " " + l.Reason), Detail: l.Zone + " answers " + l.Answer})
	}
	return all
}

// authorVerdicts judges who the message claims to be from. Where the author's domain has a DMARC record, that
// record decides, and SPF is one of the ways to meet it; only without one does SPF speak alone.
func authorVerdicts(r senderauth.Results) []senderauth.Verdict {
	a := r.Author
	switch {
	case a.Result == senderauth.Fail && a.Policy == "reject":
		return []senderauth.Verdict{{Rule: "dmarc", Code: 550, Enhanced: "5.7.26", Text: "The policy of " + a.From + " is to reject mail that it did not send (DMARC)",
			Detail: fmt.Sprintf("SPF %s for %q, DKIM %s, record at _dmarc.%s: %s", r.MailFrom.Result, r.MailFrom.Domain, r.DKIM, a.Domain, a.Record)}}
	case r.SPF == senderauth.Fail && (a.Result == senderauth.None || a.Result == senderauth.PermError):
		domain, reason := r.MailFrom.Domain, r.MailFrom.Reason
		if domain == "" {
			domain, reason = r.HELO.Domain, r.HELO.Reason
		}
		return []senderauth.Verdict{{Rule: "spf", Code: 550, Enhanced: "5.7.23", Text: "The policy of " + domain + " is that your host sends no mail for it (SPF)", Detail: reason}}
	}
	return nil
}

func reply(v senderauth.Verdict) error {
	return &smtpd.Reply{Code: v.Code, Enhanced: v.Enhanced, Text: v.Text, Rule: v.Rule, Detail: v.Detail}
}

func postmaster(to string) bool {
	local, _, _ := strings.Cut(to, "@")
	return strings.EqualFold(local, "postmaster")
}

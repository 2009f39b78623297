package zone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"blitiri.com.ar/go/spf"

	"uniqverse/services/email/signer"
)

// The bounds of a check.
const (
	lookupTime = 5 * time.Second
	checkTime  = 10 * time.Second
	maxShown   = 10  // records of one name
	maxText    = 600 // bytes of each
)

// Verdict is what a check says of a record.
type Verdict string

// The verdicts.
const (
	Good    Verdict = "ok"
	Missing Verdict = "missing"
	Wrong   Verdict = "wrong"   // it is there, and does not do what it should
	Unknown Verdict = "unknown" // the DNS does not answer
	Advice  Verdict = "advice"  // it can be left as it is
)

// Check is one record: what it should be, and what it is.
type Check struct {
	Purpose string   `json:"purpose"` // MX, SPF, DKIM, DMARC, MTA-STS, TLSRPT, PTR
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	Value   string   `json:"value"` // what to publish; "" where only the owner knows
	Found   []string `json:"found"` // what is there
	Verdict Verdict  `json:"verdict"`
	Says    string   `json:"says"` // the verdict in a sentence
	Mend    string   `json:"mend"` // what to do; "" is nothing
}

// set gives a check its verdict.
func (c *Check) set(v Verdict, says, mend string) { c.Verdict, c.Says, c.Mend = v, says, mend }

// check looks at every record of a domain. own says that it is ours, so that what to publish is known.
func (z *Zone) check(ctx context.Context, domain string, own bool) ([]Check, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	var keys []signer.Record
	if own {
		var err error
		if keys, err = z.Keys.Records(); err != nil {
			return nil, err
		}
	}
	l := look{z: z, domain: domain, own: own}
	jobs := []func(context.Context) Check{l.mx, l.spf}
	for _, k := range keys {
		jobs = append(jobs, func(ctx context.Context) Check { return l.dkim(ctx, k) })
	}
	jobs = append(jobs, l.dmarc, l.policy, l.policyHost, l.tlsrpt, l.ptr)
	out := make([]Check, len(jobs))
	var all sync.WaitGroup
	for i, job := range jobs {
		all.Go(func() { out[i] = job(ctx) })
	}
	all.Wait()
	for i := range out {
		if out[i].Found == nil {
			out[i].Found = []string{}
		}
	}
	return out, nil
}

// look is the look at one domain.
type look struct {
	z      *Zone
	domain string
	own    bool
}

// txt reads TXT records into a check; false means that the check is done.
func (l look) txt(ctx context.Context, c *Check, prefix string) (matching []string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	found, err := l.z.Resolver.LookupTXT(ctx, c.Name)
	if err != nil && !notFound(err) {
		c.set(Unknown, "The DNS does not answer.", "Try again, or look at EMAIL_DNS.")
		return nil, false
	}
	for _, r := range found {
		if prefix == "" || hasTag(r, prefix) {
			matching = append(matching, r)
		}
	}
	c.Found = shown(matching)
	return matching, true
}

// hasTag reports whether a record begins with a version tag.
func hasTag(record, tag string) bool {
	first, _, _ := strings.Cut(record, ";")
	if tag == "v=spf1" {
		first, _, _ = strings.Cut(record, " ")
	}
	return strings.EqualFold(strings.ReplaceAll(strings.TrimSpace(first), " ", ""), tag)
}

func shown(records []string) (out []string) {
	for _, r := range records[:min(len(records), maxShown)] {
		if len(r) > maxText {
			r = r[:maxText] + "…"
		}
		out = append(out, strings.ToValidUTF8(r, "\uFFFD"))
	}
	return out
}

func notFound(err error) bool {
	var d *net.DNSError
	return errors.As(err, &d) && d.IsNotFound
}

// exchangers returns the hosts that take the domain's mail.
func (l look) exchangers(ctx context.Context) ([]*net.MX, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	mx, err := l.z.Resolver.LookupMX(ctx, l.domain)
	if notFound(err) {
		return nil, nil
	}
	return mx, err
}

func (l look) addresses(ctx context.Context, host string) ([]net.IPAddr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	ips, err := l.z.Resolver.LookupIPAddr(ctx, host)
	if notFound(err) {
		return nil, nil
	}
	return ips, err
}

func (l look) mx(ctx context.Context) Check {
	c := Check{Purpose: "MX", Name: l.domain, Type: "MX"}
	if l.own {
		c.Value = "10 " + l.domain + "."
	}
	found, err := l.exchangers(ctx)
	if err != nil {
		c.set(Unknown, "The DNS does not answer.", "Try again, or look at EMAIL_DNS.")
		return c
	}
	for _, m := range found[:min(len(found), maxShown)] {
		c.Found = append(c.Found, fmt.Sprintf("%d %s", m.Pref, m.Host))
	}
	switch {
	case len(found) == 0:
		c.set(Missing, "No host is named that takes mail for the domain.", "Publish the record, and an A record (AAAA for IPv6) with this server's address for the name in it.")
		return c
	case len(found) == 1 && strings.TrimSuffix(found[0].Host, ".") == "":
		c.set(Wrong, "The domain says that it takes no mail (null MX).", "Publish the record in place of this one.")
		return c
	}
	for _, m := range found {
		if ips, err := l.addresses(ctx, strings.TrimSuffix(m.Host, ".")); err == nil && len(ips) > 0 {
			c.set(Good, "Mail for the domain finds its host.", "")
			return c
		}
	}
	c.set(Wrong, "None of the hosts has an address.", "Publish an A record (AAAA for IPv6) for the name of the host.")
	return c
}

func (l look) spf(ctx context.Context) Check {
	c := Check{Purpose: "SPF", Name: l.domain, Type: "TXT"}
	if l.own {
		c.Value = "v=spf1 mx ~all"
	}
	found, ok := l.txt(ctx, &c, "v=spf1")
	switch {
	case !ok:
	case len(found) == 0:
		c.set(Missing, "Nothing says which hosts send mail for the domain.", "Publish the record. Whoever sends through a smarthost adds what that one asks for (include:…).")
	case len(found) > 1:
		c.set(Wrong, "There are several records, which counts as an error.", "Make one of them.")
	default:
		l.evaluate(ctx, &c)
	}
	return c
}

// evaluate asks whether the domain's own hosts may send: what a receiver will do.
func (l look) evaluate(ctx context.Context, c *Check) {
	hosts, err := l.exchangers(ctx)
	if err != nil {
		c.set(Unknown, "The DNS does not answer for the hosts of the domain.", "Try again.")
		return
	}
	for _, m := range hosts[:min(len(hosts), 3)] {
		ips, _ := l.addresses(ctx, strings.TrimSuffix(m.Host, "."))
		for _, ip := range ips[:min(len(ips), 2)] {
			result, err := spf.CheckHostWithSender(ip.IP, l.domain, "postmaster@"+l.domain, spf.WithContext(ctx), spf.WithResolver(l.z.Resolver))
			switch result {
			case spf.Pass:
				c.set(Good, "The domain's own hosts may send for it.", "")
				return
			case spf.PermError:
				c.set(Wrong, "The record cannot be evaluated: "+err.Error()+".", "Correct it; the value beside is a good beginning.")
				return
			case spf.TempError:
				c.set(Unknown, "The DNS does not answer for all that the record refers to.", "Try again.")
				return
			}
		}
	}
	c.set(Advice, "The record is there, and the hosts that take the domain's mail are not among those that may send it.", "That is right where mail leaves through a smarthost alone; else add mx to the record.")
}

// sameKey reports whether a published record has the key of another.
func sameKey(found, want string) bool {
	a, b := tags(found), tags(want)
	return a["p"] == b["p"] && a["p"] != "" && (a["k"] == b["k"] || a["k"] == "" && b["k"] == "rsa")
}

// tags reads a list of tags, without the blanks in it.
func tags(record string) map[string]string {
	out := map[string]string{}
	for t := range strings.SplitSeq(record, ";") {
		if name, value, ok := strings.Cut(t, "="); ok {
			out[strings.ToLower(strings.TrimSpace(name))] = strings.Join(strings.Fields(value), "")
		}
	}
	return out
}

func (l look) dkim(ctx context.Context, k signer.Record) Check {
	c := Check{Purpose: "DKIM", Name: k.Name, Type: "TXT", Value: k.Value}
	found, ok := l.txt(ctx, &c, "")
	what := map[signer.State]string{signer.Active: "signs all mail", signer.Next: "will sign, once its record is there for an hour", signer.Former: "signed until lately"}[k.State]
	switch {
	case !ok:
	case k.State == signer.Former && len(found) == 0:
		c.set(Advice, "The key "+what+", and its record is gone: mail under way cannot be verified any more.", "Leave such a record for two weeks next time.")
	case len(found) == 0:
		c.set(Missing, "The key "+what+", and others cannot verify that.", "Publish the record.")
	case len(found) > 1 || !sameKey(found[0], k.Value):
		c.set(Wrong, "The record is not that of the key that "+what+".", "Publish the record in place of what is there.")
	default:
		c.set(Good, "The key "+what+".", "")
	}
	return c
}

func (l look) dmarc(ctx context.Context) Check {
	c := Check{Purpose: "DMARC", Name: "_dmarc." + l.domain, Type: "TXT"}
	if l.own {
		c.Value = "v=DMARC1; p=none; rua=mailto:" + ReportUser + "@" + l.domain
	}
	found, ok := l.txt(ctx, &c, "v=DMARC1")
	switch {
	case !ok:
		return c
	case len(found) == 0:
		c.set(Missing, "Nothing says what becomes of mail that forges the domain.", "Publish the record; after some weeks of clean reports, p=quarantine and then p=reject.")
		return c
	case len(found) > 1:
		c.set(Wrong, "There are several records, and then none counts.", "Make one of them.")
		return c
	}
	t := tags(found[0])
	switch t["p"] {
	case "quarantine", "reject":
		c.set(Good, "Mail that forges the domain is to be treated as "+t["p"]+".", "")
	case "none":
		c.set(Advice, "Forged mail is only watched (p=none).", "When the reports are clean, change it to p=quarantine, later to p=reject.")
	default:
		c.set(Wrong, "The record has no policy that is known (p=).", "Publish the record in place of what is there.")
	}
	if l.own && c.Verdict != Wrong && t["rua"] == "" {
		c.Mend = strings.TrimSpace(c.Mend + " Add rua=mailto:" + ReportUser + "@" + l.domain + " to hear who sends as the domain.")
	}
	return c
}

func (l look) policy(ctx context.Context) Check {
	c := Check{Purpose: "MTA-STS", Name: "_mta-sts." + l.domain, Type: "TXT"}
	ours, on := l.z.policy()
	if l.own && on {
		c.Value = "v=STSv1; id=" + ours.ID
	}
	found, ok := l.txt(ctx, &c, "v=STSv1")
	switch {
	case !ok:
	case l.own && !on && len(found) == 0:
		c.set(Advice, "The domain promises no TLS, so mail for it can be read and turned aside on the way.", "EMAIL_MTA_STS=testing publishes a policy; this page then says which records it needs.")
	case l.own && !on:
		c.set(Wrong, "There is a record, and this server publishes no policy (EMAIL_MTA_STS).", "Set EMAIL_MTA_STS, or make sure that the policy is served elsewhere.")
	case len(found) == 0 && l.own:
		c.set(Missing, "The policy is served, and nobody looks for it without this record.", "Publish the record.")
	case len(found) == 0:
		c.set(Advice, "The domain promises no TLS.", "")
	case len(found) > 1:
		c.set(Wrong, "There are several records, and then none counts.", "Make one of them.")
	case l.own && tags(found[0])["id"] != ours.ID:
		c.set(Wrong, "The record has another id than the policy that is served: others keep the one they know.", "Publish the record in place of what is there.")
	default:
		c.set(Good, "The domain promises TLS.", "")
	}
	return c
}

func (l look) policyHost(ctx context.Context) Check {
	c := Check{Purpose: "MTA-STS", Name: "mta-sts." + l.domain, Type: "A"}
	ips, err := l.addresses(ctx, c.Name)
	for _, ip := range ips[:min(len(ips), maxShown)] {
		c.Found = append(c.Found, ip.String())
	}
	_, on := l.z.policy()
	switch {
	case err != nil:
		c.set(Unknown, "The DNS does not answer.", "Try again.")
	case len(ips) > 0:
		c.set(Good, "The host of the policy has an address.", "")
	case l.own && on:
		c.set(Missing, "The host of the policy has no address.", "Publish an A record (AAAA for IPv6) or a CNAME that leads to a web server with a certificate for this name, and let that pass /.well-known/mta-sts.txt on to this one.")
	default:
		c.set(Advice, "There is none, and without a policy none is needed.", "")
	}
	return c
}

func (l look) tlsrpt(ctx context.Context) Check {
	c := Check{Purpose: "TLSRPT", Name: "_smtp._tls." + l.domain, Type: "TXT"}
	if l.own {
		c.Value = "v=TLSRPTv1; rua=mailto:" + tlsUser + "@" + l.domain
	}
	found, ok := l.txt(ctx, &c, "v=TLSRPTv1")
	switch {
	case !ok:
	case len(found) == 0:
		c.set(Advice, "Nobody reports when TLS with the domain's hosts fails.", "Publish the record to hear of it.")
	case len(found) > 1 || tags(found[0])["rua"] == "":
		c.set(Wrong, "There are several records, or one without rua=.", "Publish the record in place of what is there.")
	default:
		c.set(Good, "Others report when TLS with the domain's hosts fails.", "")
	}
	return c
}

// ptr asks whether the address of the first host leads back to its name, as many receivers want.
func (l look) ptr(ctx context.Context) Check {
	c := Check{Purpose: "PTR", Name: l.domain, Type: "PTR"}
	host := l.domain
	if mx, err := l.exchangers(ctx); err == nil && len(mx) > 0 && strings.TrimSuffix(mx[0].Host, ".") != "" {
		host = strings.TrimSuffix(mx[0].Host, ".")
	}
	ips, err := l.addresses(ctx, host)
	if err != nil || len(ips) == 0 {
		c.set(Unknown, "The host "+host+" has no address that could be asked about.", "Mend the MX record first.")
		return c
	}
	c.Name, c.Value = ips[0].String(), host+"."
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	names, err := l.z.Resolver.LookupAddr(ctx, ips[0].String())
	c.Found = shown(names)
	switch {
	case err != nil && !notFound(err):
		c.set(Unknown, "The DNS does not answer.", "Try again.")
	case len(names) == 0:
		c.set(Missing, "The address has no name, and many hosts take no mail from such a one.", "Ask whoever gave you the address to set its reverse name.")
	default:
		for _, n := range names {
			if strings.EqualFold(strings.TrimSuffix(n, "."), host) {
				c.set(Good, "The address and the name lead to one another.", "")
				return c
			}
		}
		c.set(Advice, "The address has another name than the host.", "It is enough when that name leads back to the address; better is the host's own.")
	}
	return c
}

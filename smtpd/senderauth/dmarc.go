package senderauth

import (
	"context"
	"errors"
	"net"
	"strings"
)

// maxWalk is how many names one tree walk asks for (RFC 9989 section 4.10).
const maxWalk = 8

// walker looks for DMARC records on behalf of one message. What it found it remembers, as the walks of the
// From domain and of what is compared with it meet higher up. It is used by one goroutine at a time.
type walker struct {
	c     *Checker
	found map[string]recordAt
}

// recordAt is what is published at one name.
type recordAt struct {
	name   string
	result Result // Pass: there is a record; None, TempError, PermError
	text   string
	rec    DMARCRecord
}

// discovery is the policy that applies to a From domain.
type discovery struct {
	recordAt
	org    string // organisational domain of From; "" while it was not needed
	policy string
}

// at asks for the record at one name. Several are as good as none.
func (w *walker) at(ctx context.Context, name string) recordAt {
	if r, ok := w.found[name]; ok {
		return r
	}
	out := recordAt{name: name, result: None}
	txts, err := w.c.dns.LookupTXT(ctx, "_dmarc."+name)
	if err != nil && !notFound(err) {
		out.result = TempError
	}
	n := 0
	for _, txt := range txts {
		rec, is, ok := ParseDMARC(txt)
		if !is {
			continue
		}
		if n++; n > 1 {
			out = recordAt{name: name, result: None}
			break
		}
		out.result, out.text, out.rec = Pass, txt, rec
		if !ok {
			out.result = PermError
		}
	}
	w.found[name] = out
	return out
}

// walk asks from a domain upwards (RFC 9989 section 4.10) until a record says where the organisation
// begins, and returns what it found, the longest name first. failed says that a name could not be asked for.
func (w *walker) walk(ctx context.Context, domain string) (records []recordAt, failed bool) {
	for name := domain; name != ""; name = above(name) {
		r := w.at(ctx, name)
		failed = failed || r.result == TempError
		if r.result != Pass {
			continue
		}
		records = append(records, r)
		if r.rec.PublicSuffix == 'n' || r.rec.PublicSuffix == 'y' && name != domain {
			break
		}
	}
	return records, failed
}

// above returns the next name of a walk: one label less, and never more than seven.
func above(name string) string {
	labels := strings.Split(name, ".")
	return strings.Join(labels[max(1, len(labels)-maxWalk+1):], ".")
}

// organisation returns the organisational domain of a domain (section 4.10.2) from what the walk found.
func organisation(domain string, records []recordAt) string {
	for _, r := range records {
		switch {
		case r.rec.PublicSuffix == 'n':
			return r.name
		case r.rec.PublicSuffix == 'y' && r.name != domain:
			labels, suffix := strings.Split(domain, "."), strings.Count(r.name, ".")+1
			return strings.Join(labels[len(labels)-suffix-1:], ".")
		}
	}
	if len(records) > 0 {
		return records[len(records)-1].name
	}
	return domain
}

// discover finds the policy of a From domain (section 4.10.1): its own record, that of its organisation, or
// that of the public suffix above it.
func (w *walker) discover(ctx context.Context, from string) discovery {
	own := w.at(ctx, from)
	if own.result == Pass {
		return discovery{recordAt: own, policy: own.rec.policyFor(true, true)}
	}
	if own.result != None {
		return discovery{recordAt: own}
	}
	records, failed := w.walk(ctx, from)
	d := discovery{org: organisation(from, records)}
	for _, r := range records {
		if r.name == d.org || r.rec.PublicSuffix == 'y' {
			d.recordAt = r
			break
		}
	}
	switch {
	case d.result == Pass:
		exists := true
		if d.rec.NonExistent != "" {
			exists = w.c.exists(ctx, from)
		}
		d.policy = d.rec.policyFor(false, exists)
	case failed:
		d.recordAt = recordAt{result: TempError}
	default:
		d.recordAt = recordAt{result: None}
	}
	return d
}

// exists reports whether a domain has an address or a mail server. One that cannot be asked about does: the
// policy for domains that do not exist is the harder one.
func (c *Checker) exists(ctx context.Context, domain string) bool {
	if _, err := c.dns.LookupMX(ctx, domain); !notFound(err) {
		return true
	}
	_, err := c.dns.LookupIPAddr(ctx, domain)
	return !notFound(err)
}

// aligned reports whether an authenticated domain stands for the From domain, both canonical (section
// 4.10.2). failed says that the DNS could not tell.
func (w *walker) aligned(ctx context.Context, strict bool, authenticated, from string) (yes, failed bool) {
	switch {
	case authenticated == "" || from == "":
		return false, false
	case authenticated == from:
		return true, false
	case strict || !related(authenticated, from):
		return false, false
	}
	a, failedA := w.walk(ctx, authenticated)
	f, failedF := w.walk(ctx, from)
	if organisation(authenticated, a) == organisation(from, f) {
		return true, false
	}
	return false, failedA || failedF
}

// related reports whether two domains end in the same label: without that no organisation has both.
func related(a, b string) bool {
	return a[strings.LastIndexByte(a, '.')+1:] == b[strings.LastIndexByte(b, '.')+1:]
}

func notFound(err error) bool {
	var d *net.DNSError
	return errors.As(err, &d) && d.IsNotFound
}

// noAuthor is the verdict on a message without exactly one From domain.
func noAuthor(fault string) DMARCResult {
	out := DMARCResult{Result: PermError}
	switch fault {
	case "no_from":
		out.Reason = "no From field"
	case "many_from":
		out.Reason = "more than one From domain"
	default:
		out.Reason = "the From field cannot be read"
	}
	return out
}

// evaluate joins the verdicts (RFC 9989 section 5.3): one identifier that is authenticated
// and aligned is enough. It marks the aligned signatures on the way.
func (w *walker) evaluate(ctx context.Context, from author, d discovery, in Input, r *Results) DMARCResult {
	if from.domain == "" {
		return noAuthor(from.fault)
	}
	out := DMARCResult{From: from.domain, Domain: d.name, Organization: d.org, Record: d.text, Policy: d.policy, Testing: d.rec.Testing}
	if d.result != Pass {
		out.Domain, out.Record = "", ""
		out.Result = d.result
		out.Reason = map[Result]string{None: "no DMARC record", TempError: "DNS did not answer", PermError: "the DMARC record cannot be read"}[d.result]
		for i := range r.Signatures {
			r.Signatures[i].Aligned = canonical(r.Signatures[i].Domain) == from.domain
		}
		return out
	}
	if out.Testing {
		out.Policy = "none" // section 4.7, t: published, and not to be applied yet
	}
	envelope := r.MailFrom
	if in.MailFrom == "" {
		envelope = r.HELO
	}
	undecided := false
	counts := func(strict bool, result Result, domain string) bool {
		if result != Pass && result != TempError {
			return domain == from.domain // shown, and worth no look-up
		}
		yes, failed := w.aligned(ctx, strict, domain, from.domain)
		undecided = undecided || failed || yes && result == TempError
		return yes
	}
	out.SPFAligned = counts(d.rec.StrictSPF, envelope.Result, envelope.Domain) && envelope.Result == Pass
	for i := range r.Signatures {
		s := &r.Signatures[i]
		s.Aligned = counts(d.rec.StrictDKIM, s.Result, canonical(s.Domain))
		out.DKIMAligned = out.DKIMAligned || s.Aligned && s.Result == Pass
	}
	switch {
	case out.SPFAligned || out.DKIMAligned:
		out.Result = Pass
	case undecided:
		out.Result, out.Reason = TempError, "DNS did not answer"
	default:
		out.Result, out.Reason = Fail, "neither SPF nor a DKIM signature is aligned with the From domain"
	}
	return out
}

package senderauth

import (
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/mail"
	"strings"

	"github.com/emersion/go-msgauth/dmarc"

	"uniqverse/smtpd/header"
)

// author is whom the From field names.
type author struct {
	domain string // canonical; "" when there is not exactly one
	fault  string // why not: no_from, many_from, bad_from
}

// AuthorFault says in one word what keeps a header from having exactly one author domain:
// no_from, many_from or bad_from; "" when nothing does.
func AuthorFault(fields []header.Field) string { return authorOf(fields).fault }

// authorOf finds the From domain. A message with two From fields, or with one that different
// programs read differently, has none: whoever shows it may show the other one.
func authorOf(fields []header.Field) author {
	var from *header.Field
	for i := range fields {
		if !fields[i].Is("From") {
			continue
		}
		if from != nil {
			return author{fault: "many_from"}
		}
		from = &fields[i]
	}
	if from == nil {
		return author{fault: "no_from"}
	}
	value := from.Value()
	if strings.ContainsFunc(value, func(r rune) bool { return (r < ' ' && r != '\t') || r == 0x7f }) {
		return author{fault: "bad_from"}
	}
	parser := mail.AddressParser{WordDecoder: &mime.WordDecoder{
		// The name is not looked at, so its charset must not matter.
		CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil },
	}}
	list, err := parser.ParseList(value)
	if err != nil || len(list) == 0 {
		return author{fault: "bad_from"}
	}
	var domain string
	for _, a := range list {
		_, d := splitAddress(a.Address)
		d = canonical(d)
		if d == "" {
			return author{fault: "bad_from"}
		}
		if domain != "" && d != domain {
			return author{fault: "many_from"}
		}
		domain = d
	}
	return author{domain: domain}
}

// dmarcRecord is what is published for a From domain.
type dmarcRecord struct {
	result Result // Pass: found; None, TempError, PermError
	domain string // where
	record *dmarc.Record
	policy string // that applies to the From domain
}

// dmarcRecord looks for the policy of from, then of its organisational domain (RFC 7489
// section 6.6.3).
func (c *Checker) dmarcRecord(ctx context.Context, from string) dmarcRecord {
	rec := c.dmarcAt(ctx, from)
	if rec.result != None {
		if rec.record != nil {
			rec.policy = string(rec.record.Policy)
		}
		return rec
	}
	org := organisational(from)
	if org == from {
		return rec
	}
	rec = c.dmarcAt(ctx, org)
	if rec.record != nil {
		rec.policy = string(rec.record.Policy)
		if rec.record.SubdomainPolicy != "" {
			rec.policy = string(rec.record.SubdomainPolicy)
		}
	}
	return rec
}

func (c *Checker) dmarcAt(ctx context.Context, domain string) dmarcRecord {
	txts, err := c.dns.LookupTXT(ctx, "_dmarc."+domain)
	var d *net.DNSError
	if errors.As(err, &d) && d.IsNotFound {
		return dmarcRecord{result: None}
	} else if err != nil {
		return dmarcRecord{result: TempError, domain: domain}
	}
	var found []string
	for _, txt := range txts {
		if t, ok := dmarcTags(txt); ok {
			found = append(found, t)
		}
	}
	if len(found) != 1 {
		// Several records are as good as none (section 6.6.3, step 5).
		return dmarcRecord{result: None}
	}
	r, err := dmarc.Parse(found[0])
	if err != nil {
		return dmarcRecord{result: PermError, domain: domain}
	}
	return dmarcRecord{result: Pass, domain: domain, record: r}
}

// dmarcTags reduces a record to the tags that decide, in lower case, without alignment modes
// that nobody knows: those count as absent (section 6.6.3), and the library would refuse the
// record for them. ok is false when it is no DMARC record.
func dmarcTags(txt string) (tags string, ok bool) {
	parts := strings.Split(txt, ";")
	name, value, _ := strings.Cut(parts[0], "=")
	if strings.TrimSpace(name) != "v" || strings.TrimSpace(value) != "DMARC1" {
		return "", false
	}
	tags = "v=DMARC1"
	for _, part := range parts[1:] {
		name, value, _ := strings.Cut(part, "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.ToLower(strings.TrimSpace(value))
		switch name {
		case "adkim", "aspf":
			if value != "r" && value != "s" {
				continue
			}
		case "sp":
			if value != "none" && value != "quarantine" && value != "reject" {
				continue
			}
		case "p":
		default:
			continue
		}
		tags += "; " + name + "=" + value
	}
	return tags, true
}

// evaluate joins the verdicts (RFC 7489 section 3.1): one identifier that is authenticated
// and aligned is enough. It marks the aligned signatures on the way.
func evaluate(from author, rec dmarcRecord, in Input, r *Results) DMARCResult {
	out := DMARCResult{From: from.domain, Domain: rec.domain, Policy: rec.policy}
	if from.domain == "" {
		out.Result = PermError
		out.Reason = map[string]string{
			"no_from":   "no From field",
			"many_from": "more than one From domain",
		}[from.fault]
		if out.Reason == "" {
			out.Reason = "the From field cannot be read"
		}
		return out
	}
	strictSPF := rec.record != nil && rec.record.SPFAlignment == dmarc.AlignmentStrict
	strictDKIM := rec.record != nil && rec.record.DKIMAlignment == dmarc.AlignmentStrict

	envelope := r.MailFrom
	if in.MailFrom == "" {
		envelope = r.HELO
	}
	spfCounts := aligned(strictSPF, envelope.Domain, from.domain)
	out.SPFAligned = spfCounts && envelope.Result == Pass
	undecided := spfCounts && envelope.Result == TempError
	for i := range r.Signatures {
		s := &r.Signatures[i]
		s.Aligned = aligned(strictDKIM, canonical(s.Domain), from.domain)
		if s.Aligned && s.Result == Pass {
			out.DKIMAligned = true
		}
		if s.Aligned && s.Result == TempError {
			undecided = true
		}
	}
	switch {
	case rec.result != Pass:
		out.Result = rec.result
		out.Reason = map[Result]string{None: "no DMARC record", TempError: "DNS did not answer", PermError: "the DMARC record cannot be read"}[rec.result]
	case out.SPFAligned || out.DKIMAligned:
		out.Result = Pass
	case undecided:
		out.Result, out.Reason = TempError, "DNS did not answer"
	default:
		out.Result, out.Reason = Fail, "neither SPF nor a DKIM signature is aligned with the From domain"
	}
	return out
}

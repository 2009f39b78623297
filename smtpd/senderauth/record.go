package senderauth

import (
	"net/url"
	"strings"
)

// DMARCRecord is a DMARC policy record as RFC 9989 section 4.7 reads it: tags that are not known, and
// those of earlier versions (pct, rf, ri), are read over.
type DMARCRecord struct {
	Policy       string   // p: none, quarantine or reject
	Subdomain    string   // sp; "" when absent
	NonExistent  string   // np; "" when absent
	StrictSPF    bool     // aspf=s
	StrictDKIM   bool     // adkim=s
	Testing      bool     // t=y: the owner does not want the policy applied yet
	PublicSuffix byte     // psd: 'y', 'n', or 'u' when absent
	Reports      []string // rua: the mailto addresses that want aggregate reports
}

// maxReports bounds how many addresses of one record are taken.
const maxReports = 10

// ParseDMARC reads the text of a TXT record. is is false when it is no DMARC record at all; ok
// is false when it is one whose policy cannot be told, which then applies to nothing.
func ParseDMARC(txt string) (rec DMARCRecord, is, ok bool) {
	parts := strings.Split(txt, ";")
	name, value, has := strings.Cut(parts[0], "=")
	if !has || strings.Trim(name, " \t") != "v" || strings.Trim(value, " \t") != "DMARC1" {
		return rec, false, false
	}
	rec = DMARCRecord{Policy: "none", PublicSuffix: 'u'}
	broken := false
	request := func(to *string, value string) {
		if value != "none" && value != "quarantine" && value != "reject" {
			broken = true
			return
		}
		*to = value
	}
	for _, part := range parts[1:] {
		name, value, _ := strings.Cut(part, "=")
		name, value = strings.ToLower(strings.Trim(name, " \t")), strings.Trim(value, " \t")
		lower := strings.ToLower(value)
		switch name {
		case "p":
			request(&rec.Policy, lower)
		case "sp":
			request(&rec.Subdomain, lower)
		case "np":
			request(&rec.NonExistent, lower)
		case "aspf":
			rec.StrictSPF = lower == "s"
		case "adkim":
			rec.StrictDKIM = lower == "s"
		case "t":
			rec.Testing = lower == "y"
		case "psd":
			if lower == "y" || lower == "n" {
				rec.PublicSuffix = lower[0]
			}
		case "rua":
			rec.Reports = reportAddresses(value)
		}
	}
	if broken {
		// Section 4.10.1: who asks for reports is told by them what is wrong with the record, and
		// until then has the policy none.
		rec.Policy, rec.Subdomain, rec.NonExistent = "none", "", ""
		return rec, true, len(rec.Reports) > 0
	}
	return rec, true, true
}

// reportAddresses reads the mailto addresses of a list of URIs; a size after ! is read over.
func reportAddresses(list string) []string {
	var out []string
	for item := range strings.SplitSeq(list, ",") {
		if len(out) == maxReports {
			break
		}
		item, _, _ = strings.Cut(strings.Trim(item, " \t"), "!")
		u, err := url.Parse(item)
		if err != nil || !strings.EqualFold(u.Scheme, "mailto") {
			continue
		}
		addr, err := url.PathUnescape(u.Opaque)
		local, domain := splitAddress(addr)
		if err == nil && local != "" && canonical(domain) != "" && !strings.ContainsAny(addr, " \t\r\n<>\",;\x00") {
			out = append(out, addr)
		}
	}
	return out
}

// policyFor returns the policy for a From domain: its own record says it by p, one above by np when the
// domain does not exist, by sp otherwise, and by p when those are not there.
func (r DMARCRecord) policyFor(own, exists bool) string {
	switch {
	case own:
		return r.Policy
	case !exists && r.NonExistent != "":
		return r.NonExistent
	case r.Subdomain != "":
		return r.Subdomain
	}
	return r.Policy
}

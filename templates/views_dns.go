package templates

import "time"

// PageDNS is the name of the page of DNS records: DNSView, email /dns.
const PageDNS = "email_dns"

// DNSView is the DNS records of a mail domain, and whether they are right. Its forms:
//
//	GET  /dns {domain}
//	POST /dns/rotate {activate}
type DNSView struct {
	Domain   string
	Own      bool   // it is the mail domain
	Reminder string // what should be done about the keys; "" is nothing
	NewKeys  bool   // a pair of keys waits for its records
	Records  []DNSRecord
}

// DNSRecord is one record: what it should be, and what it is.
type DNSRecord struct {
	Purpose, Name, Type, Value string
	Found                      []string
	Verdict                    string // ok, missing, wrong, unknown, advice
	Says, Mend                 string
}

// Tone returns how its verdict is coloured.
func (r DNSRecord) Tone() string {
	switch r.Verdict {
	case "ok":
		return "ok"
	case "missing", "wrong":
		return "bad"
	case "unknown":
		return "warn"
	}
	return "info"
}

// PageDMARC is the name of the page of DMARC reports: DMARCView, email /dmarc.
const PageDMARC = "email_dmarc"

// DMARCView is what others report of mail that says it is from the mail domain.
type DMARCView struct {
	Domain  string
	Address string // that reports go to
	Days    []DMARCDay
	Senders []DMARCSender // of the reports that are shown, the busiest first
	Reports []DMARCReport // newest first
}

// DMARCDay is one day of all reports.
type DMARCDay struct {
	Day              time.Time
	Messages, Passed int64
}

// Part returns which part of its mail passed, from 0 to 1.
func (d DMARCDay) Part() float64 { return float64(d.Passed) / float64(max(d.Messages, 1)) }

// DMARCSender is an address that mail came from.
type DMARCSender struct {
	IP                  string
	Messages, DKIM, SPF int64 // in all, and for how many of them each vouched
}

// Tone returns how it is coloured.
func (s DMARCSender) Tone() string {
	switch best := max(s.DKIM, s.SPF); {
	case best == s.Messages:
		return "ok"
	case best == 0:
		return "bad"
	}
	return "warn"
}

// DMARCReport is one report.
type DMARCReport struct {
	Org              string
	Begin            time.Time
	Messages, Passed int64
}

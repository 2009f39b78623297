package templates

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

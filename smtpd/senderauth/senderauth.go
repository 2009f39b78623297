// Package senderauth says who really sent a message: SPF (RFC 7208) for the envelope, DKIM
// (RFC 6376, RFC 8463) for the signatures, and DMARC (RFC 9989) for the author that the
// reader sees; and about the host that brought it whether its address has a name (iprev), whether
// blocklists know it (RFC 5782), and whether the sender's domain takes mail at all (RFC 7505).
// The words that it answers with are those of RFC 8601.
//
// Where an organisation begins is found by the DNS tree walk of RFC 9989 alone, not by the list of public
// suffixes: that list is a copy that ages, and what a domain's owner publishes is the owner's own word.
//
// It judges; it does not refuse: what a verdict leads to is decided elsewhere. It never
// returns an error: a look-up that fails or takes too long makes the verdict temperror, and
// the message goes on.
//
// A Checker is immutable and safe for concurrent use when its Resolver is.
package senderauth

import (
	"context"
	"net"
	"time"
)

// Resolver is the DNS that the checks ask. *net.Resolver satisfies it. A name that does not
// exist is a *net.DNSError with IsNotFound; every other error counts as temporary. The
// methods return when their context ends.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

// Result is a result word of RFC 8601.
type Result string

// The words. SPF uses all but Policy; DKIM uses all but SoftFail; DMARC uses None, Pass,
// Fail, TempError and PermError; iprev all but SoftFail, Neutral and Policy.
const (
	None      Result = "none"      // nothing published or nothing to check
	Pass      Result = "pass"      // it holds
	Fail      Result = "fail"      // it does not hold
	SoftFail  Result = "softfail"  // SPF ~all
	Neutral   Result = "neutral"   // SPF ?all, or a signature that says nothing
	Policy    Result = "policy"    // a signature that we do not accept: too weak, or over a part of the body only
	TempError Result = "temperror" // DNS did not answer: try again later
	PermError Result = "permerror" // what is published, or the message, cannot be read
)

// Results is everything that was found about one message.
type Results struct {
	SPF   Result `json:"spf"`   // of MAIL FROM, of HELO when the sender is null
	DKIM  Result `json:"dkim"`  // the best of the signatures; an aligned pass first
	DMARC Result `json:"dmarc"` // of the From domain

	Peer       HostResult      `json:"peer"`             // iprev
	Sender     SenderResult    `json:"sender"`           // whether the reverse-path can be answered
	Listed     []Listing       `json:"listed,omitempty"` // blocklists that have the peer
	Policy     []Verdict       `json:"policy,omitempty"` // what this server makes of it all; filled in by who applies a policy
	MailFrom   SPFResult       `json:"mail_from"`
	HELO       SPFResult       `json:"helo"`
	Signatures []DKIMSignature `json:"signatures"` // in the order of the header, the first MaxSignatures
	Author     DMARCResult     `json:"author"`
	Took       Took            `json:"took,omitzero"`
}

// Took is how long the checks took, in milliseconds; they run side by side. DMARC is the search for the policy.
type Took struct {
	SPF   float64 `json:"spf"`
	DKIM  float64 `json:"dkim"`
	DMARC float64 `json:"dmarc"`
}

// since is the time since then in milliseconds, to the microsecond.
func since(at time.Time) float64 { return float64(time.Since(at).Microseconds()) / 1000 }

// HostResult is the verdict on the peer's address.
type HostResult struct {
	Result Result `json:"result"`
	Name   string `json:"name,omitempty"`   // that has the address; "" unless it passed
	Reason string `json:"reason,omitempty"` // for people; "" when it passed
}

// SenderResult says whether the domain of the reverse-path takes mail: Pass, Fail, TempError, or None when
// there is no domain.
type SenderResult struct {
	Result Result `json:"result"`
	Domain string `json:"domain,omitempty"`
	NullMX bool   `json:"null_mx,omitempty"` // it fails because the domain says so; otherwise because it does not exist
	Reason string `json:"reason,omitempty"`  // for people; "" when it passed
}

// Listing is an entry in a blocklist.
type Listing struct {
	Zone   string `json:"zone"`
	Answer string `json:"answer"`           // an address in 127/8 whose meaning the list defines
	Reason string `json:"reason,omitempty"` // as the list gives it, printable ASCII
}

// Verdict is a rule of this server that a message breaks, and what a server that enforces its
// policy answers for it.
type Verdict struct {
	Rule     string `json:"rule"`     // sender_domain, dnsbl, dmarc, spf, greylist
	Code     int    `json:"code"`     // 450 to 599
	Enhanced string `json:"enhanced"` // RFC 3463
	Text     string `json:"text"`     // of the reply
	Detail   string `json:"detail"`   // the finding behind it, for who looks it up; may be ""
}

// SPFResult is the verdict on one identity of the envelope.
type SPFResult struct {
	Result Result `json:"result"`
	Domain string `json:"domain"` // the domain that was asked, lower case, ASCII; "" when there was none
	Reason string `json:"reason"` // for people: what matched, or what went wrong
}

// DKIMSignature is the verdict on one signature.
type DKIMSignature struct {
	Result    Result `json:"result"`
	Domain    string `json:"domain"`    // d=, lower case
	Selector  string `json:"selector"`  // s=
	Algorithm string `json:"algorithm"` // a=
	Tag       string `json:"tag"`       // the first 8 letters of b=, to tell signatures apart
	Aligned   bool   `json:"aligned"`   // d= is aligned with the From domain
	Reason    string `json:"reason"`    // for people; "" when it passed
}

// DMARCResult is the verdict on the From domain.
type DMARCResult struct {
	Result       Result `json:"result"`
	From         string `json:"from"`                   // the From domain, lower case, ASCII; "" when there is not exactly one
	Domain       string `json:"domain"`                 // where the record was found: From or a domain above it; "" without a record
	Policy       string `json:"policy"`                 // none, quarantine or reject, as it is to be applied to From; "" without a record
	Testing      bool   `json:"testing,omitempty"`      // t=y: the owner has published more than Policy, for reports alone
	Organization string `json:"organization,omitempty"` // organisational domain of From, when it was looked for
	Record       string `json:"record,omitempty"`       // the TXT record as it is published
	SPFAligned   bool   `json:"spf_aligned"`            // SPF passed for an aligned domain
	DKIMAligned  bool   `json:"dkim_aligned"`           // a signature passed for an aligned domain
	Reason       string `json:"reason"`                 // for people; "" when it passed
}

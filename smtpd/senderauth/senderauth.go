// Package senderauth says who really sent a message: SPF (RFC 7208) for the envelope, DKIM
// (RFC 6376, RFC 8463) for the signatures, and DMARC (RFC 7489) for the author that the
// reader sees. The words that it answers with are those of RFC 8601.
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
// Fail, TempError and PermError.
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

	MailFrom   SPFResult       `json:"mail_from"`
	HELO       SPFResult       `json:"helo"`
	Signatures []DKIMSignature `json:"signatures"` // in the order of the header, the first MaxSignatures
	Author     DMARCResult     `json:"author"`
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
	Result      Result `json:"result"`
	From        string `json:"from"`         // the From domain, lower case, ASCII; "" when there is not exactly one
	Domain      string `json:"domain"`       // where the record was found: From or its organisational domain; "" without a record
	Policy      string `json:"policy"`       // none, quarantine or reject, as it applies to From; "" without a record
	SPFAligned  bool   `json:"spf_aligned"`  // SPF passed for an aligned domain
	DKIMAligned bool   `json:"dkim_aligned"` // a signature passed for an aligned domain
	Reason      string `json:"reason"`       // for people; "" when it passed
}

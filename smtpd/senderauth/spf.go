package senderauth

import (
	"context"
	"errors"
	"strings"

	"blitiri.com.ar/go/spf"
)

// spfMailFrom checks the reverse-path (RFC 7208 section 2.4). The null sender has no domain;
// its identity is that of HELO, which is checked on its own.
func (c *Checker) spfMailFrom(ctx context.Context, in Input) SPFResult {
	if in.MailFrom == "" {
		return SPFResult{Result: None, Reason: "null sender"}
	}
	local, domain := splitAddress(in.MailFrom)
	return c.spf(ctx, in, local, domain)
}

// spfHELO checks the name of the peer (RFC 7208 section 2.3).
func (c *Checker) spfHELO(ctx context.Context, in Input) SPFResult {
	return c.spf(ctx, in, "postmaster", in.HELO)
}

func (c *Checker) spf(ctx context.Context, in Input, local, domain string) SPFResult {
	d := canonical(domain)
	if !strings.Contains(d, ".") {
		// RFC 7208 section 4.3: no domain of several labels, no result.
		return SPFResult{Result: None, Reason: "not a domain name"}
	}
	if !in.IP.IsValid() {
		return SPFResult{Result: None, Domain: d, Reason: "the peer has no address"}
	}
	// The library cuts the sender at its first @; a quoted one would lead it to a domain
	// that is not the sender's.
	if local == "" || strings.ContainsAny(local, "@\"\\ ") {
		local = "postmaster"
	}
	res, err := spf.CheckHostWithSender(in.IP.Unmap().AsSlice(), in.HELO, local+"@"+d, spf.WithContext(ctx), spf.WithResolver(spfRecords{c.dns, in.IP, d}))
	return SPFResult{Result: Result(res), Domain: d, Reason: spfReason(res, err)}
}

func spfReason(res spf.Result, err error) string {
	switch {
	case res == spf.TempError:
		return "DNS did not answer"
	case errors.Is(err, spf.ErrNoResult):
		return "no SPF record"
	case err == nil:
		return ""
	}
	return err.Error()
}

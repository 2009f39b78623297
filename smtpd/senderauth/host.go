package senderauth

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"sync"
)

// maxNames is how many names of an address are looked up the other way.
const maxNames = 5

// iprev asks whether the peer's address has a name that has the address (RFC 8601 section 3).
func (c *Checker) iprev(ctx context.Context, ip netip.Addr) HostResult {
	if !global(ip) {
		return HostResult{Result: None, Reason: "not an address of the Internet"}
	}
	names, err := c.dns.LookupAddr(ctx, ip.String())
	switch {
	case notFound(err) || err == nil && len(names) == 0:
		return HostResult{Result: PermError, Reason: "the address has no name"}
	case err != nil:
		return HostResult{Result: TempError, Reason: "DNS did not answer"}
	}
	failed := false
	for _, name := range names[:min(len(names), maxNames)] {
		name = canonical(name)
		if name == "" {
			continue
		}
		addrs, err := c.dns.LookupIPAddr(ctx, name)
		failed = failed || err != nil && !notFound(err)
		for _, a := range addrs {
			if got, ok := netip.AddrFromSlice(a.IP); ok && got.Unmap() == ip {
				return HostResult{Result: Pass, Name: name}
			}
		}
	}
	if failed {
		return HostResult{Result: TempError, Reason: "DNS did not answer"}
	}
	return HostResult{Result: Fail, Reason: "no name of the address has the address"}
}

// global reports whether an address is one of the Internet, which somebody gave a name and which
// a blocklist may know.
func global(ip netip.Addr) bool {
	return ip.IsValid() && !ip.IsLoopback() && !ip.IsPrivate() && !ip.IsLinkLocalUnicast() && !ip.IsUnspecified() && !ip.IsMulticast()
}

// Sender says whether the domain of a reverse-path can get mail: whoever sends from one that cannot
// will never hear of an error. The null sender and an address literal have no such domain.
func (c *Checker) Sender(ctx context.Context, mailFrom string) SenderResult {
	_, domain := splitAddress(mailFrom)
	d := canonical(domain)
	if mailFrom == "" || d == "" {
		return SenderResult{Result: None}
	}
	out := SenderResult{Domain: d}
	mx, err := c.dns.LookupMX(ctx, d)
	switch {
	case err == nil && len(mx) == 1 && strings.Trim(mx[0].Host, ".") == "":
		out.Result, out.NullMX, out.Reason = Fail, true, "the domain says that it takes no mail (null MX)"
		return out
	case err == nil && len(mx) > 0:
		out.Result = Pass
		return out
	case err != nil && !notFound(err):
		out.Result, out.Reason = TempError, "DNS did not answer"
		return out
	}
	_, err = c.dns.LookupIPAddr(ctx, d)
	switch {
	case err == nil:
		out.Result = Pass
	case notFound(err):
		out.Result, out.Reason = Fail, "the domain has neither a mail server nor an address"
	default:
		out.Result, out.Reason = TempError, "DNS did not answer"
	}
	return out
}

// Listed asks the blocklists about the peer (RFC 5782), all at the same time. A list that does not answer
// lists nobody.
func (c *Checker) Listed(ctx context.Context, ip netip.Addr) []Listing {
	if len(c.lists) == 0 || !global(ip) {
		return nil
	}
	var (
		wg    sync.WaitGroup
		all   = make([]Listing, len(c.lists))
		query = reversed(ip)
	)
	for i, zone := range c.lists {
		wg.Go(func() { all[i] = c.listedIn(ctx, query+zone, zone) })
	}
	wg.Wait()
	var out []Listing
	for _, l := range all {
		if l.Zone != "" {
			out = append(out, l)
		}
	}
	return out
}

func (c *Checker) listedIn(ctx context.Context, name, zone string) Listing {
	addrs, err := c.dns.LookupIPAddr(ctx, name)
	if err != nil {
		return Listing{}
	}
	for _, a := range addrs {
		ip := a.IP.To4()
		// Lists answer from 127/8, and from 127.255.255/24 when they refuse to (too many queries, or through a
		// public resolver). Anything else comes from a list that was given up, or from a resolver that lies.
		if ip == nil || ip[0] != 127 || ip[1] == 255 && ip[2] == 255 {
			continue
		}
		l := Listing{Zone: zone, Answer: ip.String()}
		if txt, err := c.dns.LookupTXT(ctx, name); err == nil && len(txt) > 0 {
			l.Reason = printable(txt[0], 200)
		}
		return l
	}
	return Listing{}
}

// reversed writes an address as the names of blocklists begin: 1.2.0.192. or nibbles.
func reversed(ip netip.Addr) string {
	var b strings.Builder
	if ip.Is4() {
		a := ip.As4()
		for i := len(a) - 1; i >= 0; i-- {
			b.WriteString(strconv.Itoa(int(a[i])) + ".")
		}
		return b.String()
	}
	const hex = "0123456789abcdef"
	a := ip.As16()
	for i := len(a) - 1; i >= 0; i-- {
		b.Write([]byte{hex[a[i]&15], '.', hex[a[i]>>4], '.'})
	}
	return b.String()
}

// printable is text from outside as a reply may carry it.
func printable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), most)]
}

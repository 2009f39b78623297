// Package dnsclient is the DNS of the mail checks: the system's servers, one of the
// operator's choice, or none at all.
//
// It is a stub resolver with a cache, not a recursive and not a validating one: it
// believes the server that it is told to ask (RFC 1034 section 5.3.1). Answers are kept as long as they say, an hour at
// most, and "no such record" as long as its zone says, five minutes at most (RFC 2308); a failure is kept for five
// seconds, so that mail about a name whose servers are broken waits for it once. A server that answers nothing at
// all, not even who the root servers are, is left alone for five seconds, during which every look-up fails at once:
// a DNS that is down slows mail down once, and not once for each message. What others ask for at
// the same time is asked once. A query over UDP that is not answered within 800 ms is sent once more, to the
// next server where there are several.
//
// At most 4096 answers are kept. Every error is a *net.DNSError, either IsNotFound (there is no such name, or it
// has no such record) or temporary. A Client is safe for concurrent use.
package dnsclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Client answers look-ups. It satisfies senderauth.Resolver.
type Client struct {
	servers *servers      // nil: off, or a system whose servers are not known
	system  *net.Resolver // asked where the system does not say who its servers are; nil: never
	cache   *cache
}

// New returns a client for a setting: "" or "system" for the system's servers, "off" for a
// client whose every look-up fails at once as temporary, or "host:port" of a DNS server that
// is asked over UDP, and over TCP when an answer is cut.
func New(setting string) (*Client, error) {
	c := &Client{cache: newCache(time.Now)}
	switch setting {
	case "", "system":
		c.servers, c.system = systemServers(), &net.Resolver{}
		return c, nil
	case "off":
		return c, nil
	}
	host, port, err := net.SplitHostPort(setting)
	if err != nil || host == "" {
		return nil, fmt.Errorf("DNS server %q: write host:port, off, or leave it empty for the system's", setting)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return nil, fmt.Errorf("DNS server %q: the port must be 1 to 65535", setting)
	}
	c.servers = &servers{fixed: []string{setting}, now: time.Now}
	return c, nil
}

// LookupTXT returns the TXT records of name, each with its strings joined.
func (c *Client) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if c.servers == nil && c.system != nil {
		return viaSystem(c, ctx, "TXT", name, c.system.LookupTXT)
	}
	return lookup(c, ctx, dns.TypeTXT, name, func(rr dns.RR) (string, bool) {
		t, ok := rr.(*dns.TXT)
		if !ok {
			return "", false
		}
		return text(t.Txt), true
	})
}

// text joins the strings of a record. The library writes octets that are not printable as \DDD.
func text(parts []string) string {
	s := strings.Join(parts, "")
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		if i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 10, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		i++
		b.WriteByte(s[i])
	}
	return b.String()
}

// LookupMX returns the MX records of name by preference; the host of a null MX is ".".
func (c *Client) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	if c.servers == nil && c.system != nil {
		return viaSystem(c, ctx, "MX", name, c.system.LookupMX)
	}
	list, err := lookup(c, ctx, dns.TypeMX, name, func(rr dns.RR) (*net.MX, bool) {
		mx, ok := rr.(*dns.MX)
		if !ok {
			return nil, false
		}
		return &net.MX{Host: mx.Mx, Pref: mx.Preference}, true
	})
	slices.SortStableFunc(list, func(a, b *net.MX) int { return int(a.Pref) - int(b.Pref) })
	return list, err
}

// LookupIPAddr returns the addresses of host, first of all from the system's hosts file, unless look-ups are off.
func (c *Client) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []net.IPAddr{{IP: ip.AsSlice(), Zone: ip.Zone()}}, nil
	}
	if c.servers == nil && c.system != nil {
		return viaSystem(c, ctx, "IP", host, c.system.LookupIPAddr)
	}
	if c.servers != nil {
		if v := c.fromHosts(ctx, host); len(v) > 0 {
			return v, nil
		}
	}
	var (
		wg       sync.WaitGroup
		v4, v6   []net.IPAddr
		e4, e6   error
		address4 = func(rr dns.RR) (net.IPAddr, bool) {
			if a, ok := rr.(*dns.A); ok {
				return net.IPAddr{IP: a.A}, true
			}
			return net.IPAddr{}, false
		}
		address6 = func(rr dns.RR) (net.IPAddr, bool) {
			if a, ok := rr.(*dns.AAAA); ok {
				return net.IPAddr{IP: a.AAAA}, true
			}
			return net.IPAddr{}, false
		}
	)
	if c.cache.has(key(dns.TypeA, host)) && c.cache.has(key(dns.TypeAAAA, host)) { // the usual case costs no goroutine
		v4, e4 = lookup(c, ctx, dns.TypeA, host, address4)
	} else {
		wg.Go(func() { v4, e4 = lookup(c, ctx, dns.TypeA, host, address4) })
	}
	v6, e6 = lookup(c, ctx, dns.TypeAAAA, host, address6)
	wg.Wait()
	switch all := append(v4, v6...); {
	case len(all) > 0:
		return all, nil
	case isNotFound(e4):
		return nil, e6 // not found either, or what keeps us from saying so
	default:
		return nil, e4
	}
}

// fromHosts returns what the system's hosts file says of a name, which goes before any server's word, as
// everywhere on the system.
func (c *Client) fromHosts(ctx context.Context, host string) []net.IPAddr {
	a := c.cache.get(ctx, "hosts "+strings.ToLower(strings.TrimSuffix(host, ".")), func() answer {
		file := net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.ErrUnsupported }}
		v, _ := file.LookupIPAddr(ctx, strings.TrimSuffix(host, "."))
		return answer{value: v, keep: systemPositive}
	})
	v, _ := a.value.([]net.IPAddr)
	return v
}

// LookupAddr returns the names of an IP address.
func (c *Client) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	if c.servers == nil && c.system != nil {
		return viaSystem(c, ctx, "PTR", addr, c.system.LookupAddr)
	}
	name, err := dns.ReverseAddr(strings.TrimSuffix(addr, "."))
	if err != nil {
		return nil, &net.DNSError{Err: "not an address", Name: addr, IsNotFound: true}
	}
	return lookup(c, ctx, dns.TypePTR, name, func(rr dns.RR) (string, bool) {
		if p, ok := rr.(*dns.PTR); ok {
			return p.Ptr, true
		}
		return "", false
	})
}

func key(kind uint16, name string) string {
	return strconv.Itoa(int(kind)) + " " + strings.ToLower(strings.TrimSuffix(name, "."))
}

// lookup returns the records of a name that pick takes, from the cache or from a server.
func lookup[T any](c *Client, ctx context.Context, kind uint16, name string, pick func(dns.RR) (T, bool)) ([]T, error) {
	if c.servers == nil {
		return nil, temporary(name, errors.New("look-ups are switched off"))
	}
	a := c.cache.get(ctx, key(kind, name), func() answer {
		fqdn := dns.Fqdn(strings.ToLower(name))
		if _, ok := dns.IsDomainName(fqdn); !ok {
			return answer{err: &net.DNSError{Err: "not a domain name", Name: name, IsNotFound: true}, keep: maxNegative}
		}
		m, err := c.servers.ask(ctx, fqdn, kind)
		if err != nil {
			return answer{err: temporary(name, err), keep: failureTime(ctx)}
		}
		return answerOf(name, m, pick)
	})
	v, _ := a.value.([]T)
	return append([]T(nil), v...), a.err
}

// answerOf reads a server's answer. Records are taken by their kind alone: between them and the name may be
// CNAMEs, which a recursive server has followed.
func answerOf[T any](name string, m *dns.Msg, pick func(dns.RR) (T, bool)) answer {
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return answer{err: temporary(name, errors.New("the server says "+dns.RcodeToString[m.Rcode])), keep: keepFailure}
	}
	var all []T
	ttl := uint32(maxPositive / time.Second)
	for _, rr := range m.Answer {
		if v, ok := pick(rr); ok {
			all = append(all, v)
		}
		ttl = min(ttl, rr.Header().Ttl)
	}
	if len(all) > 0 {
		return answer{value: all, keep: time.Duration(max(ttl, 1)) * time.Second}
	}
	ttl = uint32(defaultNegative / time.Second)
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			ttl = min(soa.Hdr.Ttl, soa.Minttl)
		}
	}
	e := &net.DNSError{Err: "no such record", Name: name, IsNotFound: true}
	if m.Rcode == dns.RcodeNameError {
		e.Err = "no such name"
	}
	return answer{err: e, keep: min(time.Duration(max(ttl, 1))*time.Second, maxNegative)}
}

// viaSystem asks the system's resolver, which does not say how long an answer holds.
func viaSystem[T any](c *Client, ctx context.Context, kind, name string, ask func(context.Context, string) ([]T, error)) ([]T, error) {
	a := c.cache.get(ctx, kind+" "+strings.ToLower(strings.TrimSuffix(name, ".")), func() answer {
		asked := name
		if _, err := netip.ParseAddr(name); err != nil {
			// The final dot keeps the system's search list out: example.org must not be looked for
			// as example.org.our-own-domain.
			asked = strings.TrimSuffix(name, ".") + "."
		}
		v, err := ask(ctx, asked)
		switch {
		case err == nil && len(v) > 0:
			return answer{value: v, keep: systemPositive}
		case err == nil || isNotFound(err):
			return answer{err: &net.DNSError{Err: "no such record", Name: name, IsNotFound: true}, keep: defaultNegative}
		}
		return answer{err: temporary(name, err), keep: failureTime(ctx)}
	})
	v, _ := a.value.([]T)
	return append([]T(nil), v...), a.err
}

// failureTime is how long a failure is kept: not at all when it is the caller who gave up early.
func failureTime(ctx context.Context) time.Duration {
	if errors.Is(ctx.Err(), context.Canceled) {
		return 0
	}
	return keepFailure
}

func temporary(name string, err error) error {
	return &net.DNSError{Err: err.Error(), Name: name, IsTemporary: true, UnwrapErr: err}
}

func isNotFound(err error) bool {
	var d *net.DNSError
	return errors.As(err, &d) && d.IsNotFound
}

package mtasts

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// The bounds of a fetch.
const (
	maxPolicy   = 64 << 10
	fetchTime   = 30 * time.Second
	failedFor   = 5 * time.Minute
	maxFailures = 4096 // domains whose failure is remembered
)

// Resolver answers the look-ups; *dnsclient.Client is one.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
}

// Cache keeps policies.
type Cache interface {
	// STSPolicy returns the policy of a domain that was saved; a zero one when there is none.
	STSPolicy(ctx context.Context, domain string) (Policy, error)
	// SaveSTSPolicy keeps a policy until it expires.
	SaveSTSPolicy(ctx context.Context, domain string, p Policy) error
}

// Options is all that a Client needs. Resolver, Cache, Log and Now are required.
type Options struct {
	Resolver Resolver
	Cache    Cache
	Log      *slog.Logger
	Now      func() time.Time
	// Dial opens connections to an address; nil is a net.Dialer.
	Dial  func(ctx context.Context, network, addr string) (net.Conn, error)
	Roots *x509.CertPool // who may sign certificates; nil is the system's
}

// Client finds policies. Make one with New.
type Client struct {
	o Options

	mu     sync.Mutex
	failed map[string]time.Time // domains whose last fetch failed, until when they are not asked again
}

// New returns a client; it asks nobody yet.
func New(o Options) (*Client, error) {
	if o.Resolver == nil || o.Cache == nil || o.Log == nil || o.Now == nil {
		return nil, errors.New("mtasts: Resolver, Cache, Log and Now are required")
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	}
	return &Client{o: o, failed: map[string]time.Time{}}, nil
}

// Policy returns what a domain (in ASCII) asks of senders now. An error means that what was saved cannot be read: then
// nobody knows whether TLS was promised, and mail has to wait.
func (c *Client) Policy(ctx context.Context, domain string) (Policy, error) {
	saved, err := c.o.Cache.STSPolicy(ctx, domain)
	if err != nil {
		return Policy{}, err
	}
	now := c.o.Now()
	if !saved.Expires.After(now) {
		saved = Policy{}
	}
	records, err := c.o.Resolver.LookupTXT(ctx, "_mta-sts."+domain)
	if err != nil {
		return saved, nil // no record, or no answer: what was promised holds
	}
	id := recordID(records)
	if id == "" || id == saved.ID || c.failedLately(domain, now) {
		return saved, nil
	}
	p, err := c.fetch(ctx, domain)
	if err != nil {
		c.fail(domain, now)
		c.o.Log.Warn("the MTA-STS policy of a domain could not be fetched", "domain", domain, "err", err.Error(), "saved", string(saved.Mode))
		return saved, nil
	}
	p.ID, p.Expires = id, now.Add(p.MaxAge)
	if err := c.o.Cache.SaveSTSPolicy(ctx, domain, p); err != nil {
		c.o.Log.Warn("the MTA-STS policy of a domain could not be saved", "domain", domain, "err", err.Error())
	}
	return p, nil
}

func (c *Client) failedLately(domain string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed[domain].After(now)
}

func (c *Client) fail(domain string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.failed) >= maxFailures {
		clear(c.failed)
	}
	c.failed[domain] = now.Add(failedFor)
}

// fetch gets the policy of a domain from its web server.
func (c *Client) fetch(ctx context.Context, domain string) (Policy, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://mta-sts."+domain+"/.well-known/mta-sts.txt", nil)
	if err != nil {
		return Policy{}, err
	}
	transport := &http.Transport{DialContext: c.dial, TLSClientConfig: &tls.Config{RootCAs: c.o.Roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
		MaxResponseHeaderBytes: maxPolicy, ResponseHeaderTimeout: fetchTime}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return Policy{}, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return Policy{}, fmt.Errorf("the web server answers %d", res.StatusCode)
	}
	if kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); err != nil || kind != "text/plain" {
		return Policy{}, fmt.Errorf("the policy is %q, not text/plain", res.Header.Get("Content-Type"))
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxPolicy+1))
	if err != nil {
		return Policy{}, err
	}
	if len(text) > maxPolicy {
		return Policy{}, errors.New("the policy is larger than 64 KB")
	}
	return Parse(text)
}

// dial connects to a public address of a host.
func (c *Client) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	ips, err := c.o.Resolver.LookupIPAddr(ctx, host)
	if err != nil {
		return nil, err
	}
	err = fmt.Errorf("%s has no public address", host)
	for _, ip := range ips {
		a, _ := netip.AddrFromSlice(ip.IP)
		if a = a.Unmap(); !Public(a) {
			continue
		}
		var conn net.Conn
		if conn, err = c.o.Dial(ctx, network, net.JoinHostPort(a.String(), port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// Public reports whether an address is one of the internet at large: no address of this host, of a private or shared
// network, of documentation or tests, and no way around by an IPv6 form of such a one.
func Public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsValid() || !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	for _, p := range notPublic() {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// notPublic are the networks that IsPrivate does not know.
func notPublic() []netip.Prefix {
	var out []netip.Prefix
	for _, s := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10"} {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

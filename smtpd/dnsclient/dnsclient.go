// Package dnsclient is the DNS of the mail checks: the system's resolver, one server of the
// operator's choice, or none at all.
//
// It is a stub resolver with a small cache, not a recursive and not a validating one: it
// believes the server that it is told to ask. Answers are kept for half a minute and "no such
// name" for ten seconds, at most 4096 of them; failures are never kept. A query over UDP that is
// not answered within 800 ms is sent once more. Every error is a
// *net.DNSError, either IsNotFound or temporary.
//
// A Client is safe for concurrent use.
package dnsclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	keepFound    = 30 * time.Second
	keepNotFound = 10 * time.Second
	maxKept      = 4096
)

// Client answers look-ups. It satisfies senderauth.Resolver.
type Client struct {
	resolver *net.Resolver // nil: off
	now      func() time.Time

	mu   sync.Mutex // guards kept
	kept map[string]answer
}

type answer struct {
	value any
	err   error
	until time.Time
}

// New returns a client for a setting: "" or "system" for the system's resolver, "off" for a
// client whose every look-up fails at once as temporary, or "host:port" of a DNS server that
// is asked over UDP, and over TCP when an answer is cut.
func New(setting string) (*Client, error) {
	c := &Client{now: time.Now, kept: make(map[string]answer)}
	switch setting {
	case "", "system":
		c.resolver = &net.Resolver{Dial: dial} // which only the resolver written in Go asks for
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
	c.resolver = &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dial(ctx, network, setting)
		},
	}
	return c, nil
}

// LookupTXT returns the TXT records of name, each with its strings joined.
func (c *Client) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return lookup(c, ctx, "TXT", name, func(r *net.Resolver, name string) ([]string, error) {
		return r.LookupTXT(ctx, name)
	})
}

// LookupMX returns the MX records of name by preference.
func (c *Client) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	return lookup(c, ctx, "MX", name, func(r *net.Resolver, name string) ([]*net.MX, error) {
		return r.LookupMX(ctx, name)
	})
}

// LookupIPAddr returns the addresses of host.
func (c *Client) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	return lookup(c, ctx, "IP", host, func(r *net.Resolver, name string) ([]net.IPAddr, error) {
		return r.LookupIPAddr(ctx, name)
	})
}

// LookupAddr returns the names of an IP address.
func (c *Client) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	return lookup(c, ctx, "PTR", addr, func(r *net.Resolver, addr string) ([]string, error) {
		return r.LookupAddr(ctx, strings.TrimSuffix(addr, "."))
	})
}

func lookup[T any](c *Client, ctx context.Context, kind, name string, ask func(*net.Resolver, string) ([]T, error)) ([]T, error) {
	if c.resolver == nil {
		return nil, &net.DNSError{Err: "look-ups are switched off", Name: name, IsTemporary: true}
	}
	// The final dot keeps the system's search list out: example.org must not be looked for
	// as example.org.our-own-domain.
	name = strings.ToLower(strings.TrimSuffix(name, ".")) + "."
	key := kind + " " + name
	if a, ok := c.recall(key); ok {
		v, _ := a.value.([]T)
		return append([]T(nil), v...), a.err
	}
	v, err := ask(c.resolver, name)
	err = normalise(name, err)
	if err == nil {
		c.keep(key, answer{value: v, until: c.now().Add(keepFound)})
		return append([]T(nil), v...), nil
	}
	var d *net.DNSError
	if errors.As(err, &d) && d.IsNotFound {
		c.keep(key, answer{err: err, until: c.now().Add(keepNotFound)})
	}
	return nil, err
}

// normalise makes every error a *net.DNSError that is either "not found" or temporary, which
// is the distinction that the checks live by.
func normalise(name string, err error) error {
	if err == nil {
		return nil
	}
	var d *net.DNSError
	if !errors.As(err, &d) {
		return &net.DNSError{Err: err.Error(), Name: name, IsTemporary: true, UnwrapErr: err}
	}
	if d.IsNotFound {
		return d
	}
	t := *d
	t.IsTemporary = true
	return &t
}

func (c *Client) recall(key string) (answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.kept[key]
	if !ok || c.now().After(a.until) {
		return answer{}, false
	}
	return a, true
}

func (c *Client) keep(key string, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.kept) >= maxKept {
		// Whichever entries the map yields first make room: a peer that floods us with names
		// gains nothing from a cleverer order.
		room := maxKept / 8
		for k := range c.kept {
			if delete(c.kept, k); room == 0 {
				break
			}
			room--
		}
	}
	c.kept[key] = a
}

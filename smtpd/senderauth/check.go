package senderauth

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"uniqverse/smtpd/header"
)

// Options sets up a Checker. Zero fields mean the defaults.
type Options struct {
	Resolver      Resolver      // nil: every look-up fails as temporary
	LookupTime    time.Duration // one look-up; default 2 s
	TotalTime     time.Duration // all checks of one message; default 5 s
	MaxSignatures int           // DKIM signatures checked; default 5
	Blocklists    []string      // zones of DNS blocklists that the peer is looked up in; nil: none
}

// Checker checks messages.
type Checker struct {
	dns   Resolver
	total time.Duration
	sigs  int
	lists []string
}

// New returns a Checker.
func New(o Options) *Checker {
	if o.LookupTime <= 0 {
		o.LookupTime = 2 * time.Second
	}
	if o.TotalTime <= 0 {
		o.TotalTime = 5 * time.Second
	}
	if o.MaxSignatures <= 0 {
		o.MaxSignatures = 5
	}
	return &Checker{dns: &bounded{o.Resolver, o.LookupTime}, total: o.TotalTime, sigs: o.MaxSignatures, lists: o.Blocklists}
}

// Input is one message with its envelope.
type Input struct {
	IP       netip.Addr       // of the peer
	HELO     string           // as sent
	MailFrom string           // reverse-path; "" is the null sender
	Fields   []header.Field   // the header section
	Message  func() io.Reader // the message as it came; called once, and only when it is signed
}

// Check returns the verdicts. It takes at most Options.TotalTime of look-ups, plus the time
// that hashing the message takes.
func (c *Checker) Check(ctx context.Context, in Input) Results {
	ctx, cancel := context.WithTimeout(ctx, c.total)
	defer cancel()
	var (
		r      Results
		wg     sync.WaitGroup
		from   = authorOf(in.Fields)
		walk   = &walker{c: c, found: make(map[string]recordAt)}
		policy discovery
		begun  = time.Now()
		took   [3]float64 // each written by one goroutine
	)
	wg.Go(func() { r.MailFrom = c.spfMailFrom(ctx, in); took[0] = since(begun) })
	wg.Go(func() { r.HELO = c.spfHELO(ctx, in) })
	wg.Go(func() { r.Peer = c.iprev(ctx, in.IP) })
	wg.Go(func() { r.Sender = c.Sender(ctx, in.MailFrom) })
	if len(c.lists) > 0 {
		wg.Go(func() { r.Listed = c.Listed(ctx, in.IP) })
	}
	if from.domain != "" {
		wg.Go(func() { policy = walk.discover(ctx, from.domain); took[2] = since(begun) })
	}
	r.Signatures = c.dkim(ctx, in)
	took[1] = since(begun)
	wg.Wait()
	r.Took = Took{SPF: took[0], DKIM: took[1], DMARC: took[2]}

	r.SPF = r.MailFrom.Result
	if in.MailFrom == "" {
		r.SPF = r.HELO.Result
	}
	r.Author = walk.evaluate(ctx, from, policy, in, &r)
	r.DMARC = r.Author.Result
	r.DKIM = overall(r.Signatures)
	return r
}

// Unchecked returns the results of a message that is not checked, such as one of a signed-in
// user: none, three times.
func Unchecked() Results {
	none := SPFResult{Result: None}
	return Results{SPF: None, DKIM: None, DMARC: None, Peer: HostResult{Result: None}, Sender: SenderResult{Result: None}, MailFrom: none, HELO: none, Author: DMARCResult{Result: None}}
}

// bounded gives every look-up its own time and makes every failure one of two kinds, "not
// found" or temporary, as the libraries beneath tell them apart by type alone.
type bounded struct {
	dns Resolver
	max time.Duration
}

func ask[T any](ctx context.Context, b *bounded, name string, f func(context.Context, Resolver) ([]T, error)) ([]T, error) {
	if b.dns == nil {
		return nil, temporary(name, "no resolver")
	}
	if err := ctx.Err(); err != nil {
		return nil, temporary(name, "out of time")
	}
	ctx, cancel := context.WithTimeout(ctx, b.max)
	defer cancel()
	v, err := f(ctx, b.dns)
	if err == nil {
		return v, nil
	}
	var d *net.DNSError
	if errors.As(err, &d) && d.IsNotFound {
		return nil, &net.DNSError{Err: "no such record", Name: name, IsNotFound: true}
	}
	return nil, temporary(name, err.Error())
}

func temporary(name, why string) error {
	return &net.DNSError{Err: why, Name: name, IsTemporary: true}
}

func (b *bounded) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return ask(ctx, b, name, func(ctx context.Context, r Resolver) ([]string, error) { return r.LookupTXT(ctx, name) })
}

func (b *bounded) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	return ask(ctx, b, name, func(ctx context.Context, r Resolver) ([]*net.MX, error) { return r.LookupMX(ctx, name) })
}

func (b *bounded) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	return ask(ctx, b, host, func(ctx context.Context, r Resolver) ([]net.IPAddr, error) { return r.LookupIPAddr(ctx, host) })
}

func (b *bounded) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	return ask(ctx, b, addr, func(ctx context.Context, r Resolver) ([]string, error) { return r.LookupAddr(ctx, addr) })
}

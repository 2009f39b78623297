// Package courier takes one message to the next host: through a smarthost, or to the hosts that the
// recipient's domain names (MX).
//
// It keeps nothing, tries nothing twice and decides nothing about later: that is package queue's. It follows
// RFC 5321 section 5 (choice of host), RFC 7505 (null MX), RFC 3207 (STARTTLS), RFC 4954 (AUTH to a
// smarthost), RFC 6531 (SMTPUTF8), RFC 3461 (DSN), RFC 8461 (MTA-STS) and RFC 8689 (REQUIRETLS). TLS to an MX is
// opportunistic: it is used where it is offered, with any certificate, and where it fails the message goes without, as it
// would have anyway. Where the domain enforces a policy, only hosts that it names get the message, over TLS with a
// certificate for their name, or it waits. A smarthost's certificate is verified.
//
// A message that requires TLS goes only to a smarthost or to a host of an enforced policy, verified, and only when that
// host promises the same; else it comes back.
//
// Mail never goes to this host itself or to a loopback or link-local address: a domain whose MX points here and that
// is not ours would come back for ever, and whoever writes a DNS record must not choose which of our inner
// services we talk to. A smarthost is the operator's word and may be anywhere.
//
// A Courier is safe for concurrent use.
package courier

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"uniqverse/services/email/mtasts"
	"uniqverse/services/email/queue"
)

// Resolver answers the look-ups; *dnsclient.Client is one. Errors are *net.DNSError: IsNotFound, or temporary.
type Resolver interface {
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
}

// Policies says what a domain promises about TLS; *mtasts.Client is one.
type Policies interface {
	// Policy returns what holds now; the zero Policy asks for nothing. With an error nobody knows.
	Policy(ctx context.Context, domain string) (mtasts.Policy, error)
}

// Smarthost is a server that takes all our mail.
type Smarthost struct {
	Addr           string      // host:port; port 465 is TLS from the first byte. "" is none
	User, Password string      // for AUTH, which needs TLS unless the host is a loopback address; "" for none
	TLS            *tls.Config // nil verifies by the system's roots; without it, a loopback address is not verified
}

// Options is all that a Courier needs. Name and Resolver are required.
type Options struct {
	Name      string // ours, in EHLO
	Smarthost Smarthost
	Resolver  Resolver
	Policies  Policies       // nil: no domain promises TLS
	Roots     *x509.CertPool // who may sign the certificates of hosts under a policy; nil is the system's
	// Count is told how TLS with a host went: policy is sts or no-policy-found, result a word of RFC 8460 section 4.3, or
	// success. nil counts nothing.
	Count func(policy, result string)
	// Dial opens connections; nil is a net.Dialer with 30 s.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// OwnAddresses returns the addresses of this host; nil asks the system.
	OwnAddresses func() ([]netip.Addr, error)
	// CommandTime is how long a host may take to answer; 0 means 2 minutes, and five times as long after the data.
	CommandTime time.Duration
}

// Courier makes deliveries. Make one with New.
type Courier struct{ o Options }

var _ queue.Deliverer = (*Courier)(nil)

// maxHosts bounds how many addresses are tried in one attempt.
const maxHosts = 5

// New returns a courier; it opens nothing.
func New(o Options) (*Courier, error) {
	if o.Name == "" || o.Resolver == nil {
		return nil, errors.New("courier: Name and Resolver are required")
	}
	if o.Dial == nil {
		d := net.Dialer{Timeout: 30 * time.Second}
		o.Dial = d.DialContext
	}
	if o.OwnAddresses == nil {
		o.OwnAddresses = ownAddresses
	}
	if o.Count == nil {
		o.Count = func(string, string) {}
	}
	if o.CommandTime == 0 {
		o.CommandTime = 2 * time.Minute
	}
	return &Courier{o}, nil
}

// target is a host to talk to.
type target struct {
	name  string      // for TLS and for people
	addr  string      // host:port
	mx    bool        // found by DNS: TLS is opportunistic
	sts   mtasts.Mode // what its domain's policy asks; "" for no policy
	named bool        // the policy names it
}

// verified reports whether the host must show a certificate for its name.
func (t target) verified() bool { return t.sts == mtasts.Enforce }

// policy is the word under which TLS with the host is counted.
func (t target) policy() string {
	if t.sts == "" || t.sts == mtasts.None {
		return "no-policy-found"
	}
	return "sts"
}

func (t target) String() string {
	host, _, err := net.SplitHostPort(t.addr)
	if err != nil || host == t.name {
		return t.name
	}
	return t.name + " [" + host + "]"
}

// Deliver makes one attempt. It tries one host after the other until one takes the message, refuses the recipient, or has
// the whole message and does not answer.
func (c *Courier) Deliver(ctx context.Context, job queue.Job) queue.Result {
	body := &once{r: job.Body}
	job.Body = body
	targets, result := c.targets(ctx, job.Entry)
	reached := len(targets) == 0
	for _, t := range targets {
		did, err := c.hand(ctx, t, job)
		reached = reached || did.reached
		result = c.result(ctx, t, did, err)
		var r *replied
		final := errors.As(err, &r) && r.final
		unfit := r != nil && r.unfit
		if err == nil || body.begun || ctx.Err() != nil || final || result.Verdict == queue.Permanent && !unfit {
			break
		}
	}
	if !reached && ctx.Err() == nil && result.Verdict == queue.Temporary {
		result.NoAnswer = true
	}
	result.Everything = result.NoAnswer && c.o.Smarthost.Addr != ""
	return result
}

// targets returns the hosts to try; none, and a result that says why.
func (c *Courier) targets(ctx context.Context, e queue.Entry) ([]target, queue.Result) {
	domain := e.Domain
	if s := c.o.Smarthost.Addr; s != "" {
		host, _, err := net.SplitHostPort(s)
		if err != nil {
			return nil, queue.Result{Reply: "the smarthost's address is not host:port"}
		}
		return []target{{name: host, addr: s}}, queue.Result{}
	}
	hosts, result := c.exchangers(ctx, domain)
	if len(hosts) == 0 {
		return nil, result
	}
	var policy mtasts.Policy
	if c.o.Policies != nil {
		var err error
		if policy, err = c.o.Policies.Policy(ctx, domain); err != nil {
			return nil, queue.Result{Reply: "451 4.7.5 what " + domain + " promises about TLS (MTA-STS) cannot be read now"}
		}
	}
	if policy.Mode == mtasts.Enforce {
		all := hosts
		if hosts = slices.DeleteFunc(slices.Clone(hosts), func(h string) bool { return !policy.Matches(h) }); len(hosts) == 0 {
			c.o.Count("sts", "validation-failure")
			return nil, queue.Result{Reply: "451 4.7.5 no host of " + domain + " is one that its policy (MTA-STS) names: " + strings.Join(all, ", ")}
		}
	}
	if e.RequireTLS && policy.Mode != mtasts.Enforce {
		return nil, queue.Result{Verdict: queue.Permanent, Reply: "550 5.7.30 the sender requires TLS on the whole way, and " + domain + " does not promise it (MTA-STS)"}
	}
	own, err := c.o.OwnAddresses()
	if err != nil {
		return nil, queue.Result{Reply: "the addresses of this host are not known"}
	}
	var all []target
	result = queue.Result{Reply: "no host that takes mail for " + domain + " has an address now"}
	missing := 0
	for _, h := range hosts {
		ips, err := c.o.Resolver.LookupIPAddr(ctx, h)
		if notFound(err) {
			missing++
			continue
		}
		if err != nil {
			result.Reply = "the DNS does not answer for " + h
			continue
		}
		for _, a := range inTurn(ips, own) {
			if slices.Contains(own, a) || forbidden(a) {
				// RFC 5321 section 5.1: hosts of our own rank or below would bring it back.
				if len(all) == 0 {
					result = queue.Result{Verdict: queue.Permanent, Reply: fmt.Sprintf("554 5.4.6 %s names a host that is this one or is not to be reached from here", domain), Host: h}
				}
				return all, result
			}
			if len(all) < maxHosts {
				all = append(all, target{name: h, addr: net.JoinHostPort(a.String(), "25"), mx: true, sts: policy.Mode, named: policy.Matches(h)})
			}
		}
	}
	if len(all) == 0 && missing < len(hosts) {
		result.NoAnswer = true // of the DNS
	}
	if missing == len(hosts) {
		result = queue.Result{Verdict: queue.Permanent, Reply: "550 5.1.2 no host takes mail for " + domain}
	}
	return all, result
}

// inTurn returns a host's addresses, of the two families in turn, so that a family that leads nowhere costs one attempt to
// connect. IPv6 comes first where this host has a public address of that kind.
func inTurn(ips []net.IPAddr, own []netip.Addr) (out []netip.Addr) {
	var first, second []netip.Addr
	six := slices.ContainsFunc(own, func(a netip.Addr) bool { return a.Is6() && a.IsGlobalUnicast() && !a.IsPrivate() })
	for _, ip := range ips {
		a, _ := netip.AddrFromSlice(ip.IP)
		if a = a.Unmap(); a.Is6() == six {
			first = append(first, a)
		} else {
			second = append(second, a)
		}
	}
	for i := range max(len(first), len(second)) {
		if i < len(first) {
			out = append(out, first[i])
		}
		if i < len(second) {
			out = append(out, second[i])
		}
	}
	return out
}

// exchangers returns the hosts that take mail for a domain, the best first (RFC 5321 section 5.1).
func (c *Courier) exchangers(ctx context.Context, domain string) ([]string, queue.Result) {
	mx, err := c.o.Resolver.LookupMX(ctx, domain)
	switch {
	case notFound(err) || err == nil && len(mx) == 0:
		return []string{domain}, queue.Result{} // the domain itself
	case err != nil:
		return nil, queue.Result{Reply: "the DNS does not answer for " + domain, NoAnswer: true}
	}
	if len(mx) == 1 && strings.TrimSuffix(mx[0].Host, ".") == "" {
		return nil, queue.Result{Verdict: queue.Permanent, Reply: "556 5.1.10 " + domain + " says that it takes no mail (null MX)"}
	}
	mx = slices.Clone(mx)
	rand.Shuffle(len(mx), func(i, j int) { mx[i], mx[j] = mx[j], mx[i] })
	slices.SortStableFunc(mx, func(a, b *net.MX) int { return int(a.Pref) - int(b.Pref) })
	var hosts []string
	for _, m := range mx {
		if h := strings.TrimSuffix(strings.ToLower(m.Host), "."); h != "" {
			hosts = append(hosts, h)
		}
	}
	return hosts, queue.Result{Reply: "no host of " + domain + " has a name"}
}

func notFound(err error) bool {
	var d *net.DNSError
	return errors.As(err, &d) && d.IsNotFound
}

// forbidden reports whether an address is none that mail from elsewhere may be sent to.
func forbidden(a netip.Addr) bool {
	return !a.IsValid() || a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast()
}

// ownAddresses asks the system for the addresses of this host.
func ownAddresses() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Addr().Unmap())
		}
	}
	return out, nil
}

// result says what an error of an attempt means.
func (c *Courier) result(ctx context.Context, t target, did handed, err error) queue.Result {
	r := queue.Result{Host: t.String(), TLS: did.tls}
	var answer *replied
	switch {
	case err == nil:
		r.Verdict, r.Reply, r.Relayed = queue.Delivered, did.said, did.silent
	case errors.As(err, &answer):
		r.Reply = answer.text
		if answer.code/100 == 5 && (!answer.ours || answer.unfit) {
			r.Verdict = queue.Permanent
			r.BadMailbox = answer.atRcpt && slices.Contains([]string{"5.1.1", "5.1.6", "5.2.1"}, queue.Status(answer.text, true))
		}
	case errors.Is(ctx.Err(), context.Canceled):
		r.Verdict, r.Reply = queue.Interrupted, "this server was stopped in the middle of the attempt"
	case ctx.Err() != nil:
		r.Reply = "the attempt took too long"
	default:
		r.Reply = failure(err)
	}
	return r
}

// failure says in one line what went wrong with a connection.
func failure(err error) string {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "the host did not answer in time"
	}
	return oneLine("the connection failed: " + err.Error())
}

// oneLine makes a text of another host fit to be kept and shown: one line of printable text, 500 bytes.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 500 {
		s = s[:500]
	}
	return s
}

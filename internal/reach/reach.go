// Package reach bounds which hosts this server lets itself be made to ask by what strangers write: the webhook of a room,
// an image in a mail.
//
// It decides about addresses before they are asked, and again about what a name resolved to, while it is dialled: a name that
// changes its mind in between gets nowhere. It sends nothing by itself, knows no proxy of the environment, and
// follows no redirect unless its user does. Everything here is safe for concurrent use.
package reach

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"uniqverse/internal/errs"
)

// Targets says which hosts may be asked.
type Targets string

// The targets that may be allowed.
const (
	Public   Targets = "public"   // hosts of the internet
	Loopback Targets = "loopback" // those, and programs on this machine
	Any      Targets = "any"      // those, and private networks; never link-local addresses, where clouds keep secrets
)

// AllowsHost decides about a host as it is written; what a name resolves to is for the dialling to decide.
func (t Targets) AllowsHost(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return t == Loopback || t == Any
	}
	ip, err := netip.ParseAddr(host)
	return host != "" && (err != nil || t.Allows(ip))
}

// nowhere are networks that no host of the internet is in, beyond what netip knows.
func nowhere() []netip.Prefix {
	var all []netip.Prefix
	for _, p := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "fec0::/10"} {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

// Allows decides about an address that is about to be dialled.
func (t Targets) Allows(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	switch {
	case !ip.IsValid() || ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast():
		return false
	case ip.IsLoopback():
		return t == Loopback || t == Any
	case ip.IsPrivate():
		return t == Any
	}
	for _, p := range nowhere() {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

// Client dials allowed addresses only, has so much time for an answer with all of it, and follows nobody.
func (t Targets) Client(within time.Duration) *http.Client {
	dialer := &net.Dialer{Timeout: within, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil || !t.Allows(at.Addr()) {
			return errs.New(errs.Denied, "the address is not one that may be asked from here")
		}
		return nil
	}}
	return &http.Client{
		Timeout:       within,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DialContext: dialer.DialContext, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 1, MaxIdleConns: 64,
			IdleConnTimeout: 30 * time.Second, TLSHandshakeTimeout: within, MaxResponseHeaderBytes: 32 << 10},
	}
}

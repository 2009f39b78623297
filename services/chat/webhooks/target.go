package webhooks

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"uniqverse/internal/errs"
)

// Targets says which hosts webhooks may go to.
type Targets string

// The targets that may be allowed.
const (
	Public   Targets = "public"   // hosts of the internet, over https
	Loopback Targets = "loopback" // those, and programs on this machine
	Any      Targets = "any"      // those, and private networks; never link-local addresses, where clouds keep secrets
)

const attemptTime = 10 * time.Second // for an answer

// check refuses an address to which nothing could be sent. What its name resolves to is checked when it is dialled.
func (t Targets) check(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "" || u.Scheme != "https" && u.Scheme != "http":
		return errs.BadField("url", "must be an address such as https://example.org/hook")
	case u.User != nil || u.Fragment != "":
		return errs.BadField("url", "must have no password and no fragment; deliveries are signed")
	case u.Scheme == "http" && t == Public:
		return errs.BadField("url", "must begin with https://")
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	ip, err := netip.ParseAddr(host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		ip, err = netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
	}
	if err == nil && !t.allows(ip) {
		return errs.BadField("url", "is not a public address; an administrator decides what else is allowed")
	}
	return nil
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

// allows decides about an address that is about to be dialled.
func (t Targets) allows(ip netip.Addr) bool {
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

// client dials allowed addresses only, and follows nobody.
func (t Targets) client() *http.Client {
	dialer := &net.Dialer{Timeout: attemptTime, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil || !t.allows(at.Addr()) {
			return errs.New(errs.Denied, "the address is not one that webhooks may go to")
		}
		return nil
	}}
	return &http.Client{
		Timeout:       attemptTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DialContext: dialer.DialContext, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 1, MaxIdleConns: 64,
			IdleConnTimeout: 30 * time.Second, TLSHandshakeTimeout: attemptTime, MaxResponseHeaderBytes: 32 << 10},
	}
}

const secretPrefix = "whsec_"

// newSecret is a key of 24 random bytes in the form of Standard Webhooks.
func newSecret() string {
	key := make([]byte, 24)
	rand.Read(key) // never fails, as documented
	return secretPrefix + base64.StdEncoding.EncodeToString(key)
}

// sign is the header webhook-signature for a message.
func sign(secret, id string, at time.Time, body string) (string, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, secretPrefix))
	if err != nil {
		return "", fmt.Errorf("read the secret of a webhook: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", id, at.Unix(), body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}

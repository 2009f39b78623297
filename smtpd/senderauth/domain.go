package senderauth

import (
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// canonical returns a domain in lower-case ASCII without a final dot, or "" when it is none:
// a literal, or a name with characters that no host has. Everything is
// compared and looked up in this form alone: the public suffix list, asked in upper case,
// takes a registry's domain for an organisation's.
func canonical(domain string) string {
	domain = strings.TrimSuffix(domain, ".")
	ascii := true
	for i := 0; i < len(domain); i++ {
		if domain[i] >= 0x80 {
			ascii = false
			break
		}
	}
	if !ascii {
		d, err := idna.Lookup.ToASCII(domain)
		if err != nil {
			return ""
		}
		domain = strings.TrimSuffix(d, ".")
	}
	domain = strings.ToLower(domain)
	if len(domain) > 253 {
		return ""
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 {
			return ""
		}
		for i := 0; i < len(label); i++ {
			c := label[i]
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return ""
			}
		}
	}
	return domain
}

// organisational returns the organisational domain of a canonical one (RFC 7489 section 3.2);
// a public suffix is its own.
func organisational(domain string) string {
	if d, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return d
	}
	return domain
}

// aligned reports whether an authenticated domain stands for the From domain, both canonical
// (RFC 7489 section 3.1).
func aligned(strict bool, authenticated, from string) bool {
	if authenticated == "" || from == "" {
		return false
	}
	if authenticated == from {
		return true
	}
	return !strict && organisational(authenticated) == organisational(from)
}

// splitAddress cuts an address at its last @: a quoted local part may hold others.
func splitAddress(addr string) (local, domain string) {
	i := strings.LastIndexByte(addr, '@')
	if i < 0 {
		return addr, ""
	}
	return addr[:i], addr[i+1:]
}

package senderauth

import (
	"strings"

	"golang.org/x/net/idna"
)

// canonical returns a domain in lower-case ASCII without a final dot, or "" when it is none:
// a literal, or a name with characters that no host has. Everything is
// compared and looked up in this form alone: another server was once talked past its
// policy by a From domain in capitals.
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

// splitAddress cuts an address at its last @: a quoted local part may hold others.
func splitAddress(addr string) (local, domain string) {
	i := strings.LastIndexByte(addr, '@')
	if i < 0 {
		return addr, ""
	}
	return addr[:i], addr[i+1:]
}

package queue

import (
	"strings"
	"time"

	"golang.org/x/net/idna"

	"uniqverse/internal/errs"
)

// Suppression is an address that no mail is sent to: its host said that there is no such mailbox, or a person
// put it on the list.
type Suppression struct {
	ID      int64
	Address string // as Address returns it
	Reason  string
	Created time.Time
}

// Address returns an address as the suppression list knows it: in lower case, the domain in ASCII.
func Address(a string) string {
	local, domain, err := Split(a)
	if err != nil {
		return strings.ToLower(a)
	}
	return strings.ToLower(local) + "@" + domain
}

// Split parts an outside address and returns its domain in lower case and ASCII; errs.Invalid when mail
// cannot be sent to it.
func Split(a string) (local, domain string, err error) {
	i := strings.LastIndexByte(a, '@')
	if i <= 0 || i > 256 || strings.ContainsAny(a, "\r\n\x00<> \t") && a[0] != '"' || strings.ContainsAny(a, "\r\n\x00") {
		return "", "", errs.New(errs.Invalid, "%q is not a mail address", a)
	}
	local = a[:i]
	domain, err = idna.Lookup.ToASCII(strings.ToLower(strings.TrimSuffix(a[i+1:], ".")))
	if err != nil || !hostName(domain) {
		return "", "", errs.New(errs.Invalid, "%q is not a domain that mail can be sent to", a[i+1:])
	}
	return local, domain, nil
}

// hostName reports whether s is a name with at least two labels. Address literals are none: mail for them would
// be aimed at a machine, not at a domain that asked for mail.
func hostName(s string) bool {
	if len(s) > 253 {
		return false
	}
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
		for _, c := range []byte(l) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return len(labels) > 1 && !digits(labels[len(labels)-1])
}

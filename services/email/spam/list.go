package spam

import (
	"strings"
	"time"

	"golang.org/x/net/idna"

	"uniqverse/internal/errs"
)

// MaxListed is how many senders one mailbox may list.
const MaxListed = 1000

// Listed is a sender that a mailbox allows or blocks.
type Listed struct {
	ID      int64
	Sender  string // an address, or a domain with those below it; lower case, the domain in ASCII
	Allow   bool   // else: block
	Note    string
	Created time.Time
}

// CleanSender returns an address or a domain as lists have it, or errs.Invalid.
func CleanSender(text string) (string, error) {
	local, domain := "", strings.TrimSpace(text)
	if i := strings.LastIndexByte(domain, '@'); i >= 0 {
		local, domain = strings.ToLower(domain[:i]), domain[i+1:]
	}
	domain, err := idna.Lookup.ToASCII(strings.ToLower(strings.TrimSuffix(domain, ".")))
	if err != nil || domain == "" || strings.ContainsAny(local, " \t\r\n<>") || len(local) > 64 || len(domain) > 253 {
		return "", errs.BadField("sender", "must be an address such as ann@example.org, or a domain such as example.org")
	}
	if local == "" {
		return domain, nil
	}
	return local + "@" + domain, nil
}

// names returns what a list may have a message's sender under: author and reverse-path, and the domains above them.
func names(f Facts) []string {
	var out []string
	for _, addr := range []string{f.FromAddress, f.ReversePath} {
		a, err := CleanSender(addr)
		if err != nil || !strings.Contains(a, "@") {
			continue
		}
		out = append(out, a)
		domain := a[strings.LastIndexByte(a, '@')+1:]
		for n := 0; n < 6 && strings.Contains(domain, "."); n++ {
			out = append(out, domain)
			_, domain, _ = strings.Cut(domain, ".")
		}
	}
	return out
}

// listed decides by a mailbox's list. The narrower entry wins, an address before its domain; allow only counts for the
// author, and only when it is proven. found is false when the list says nothing.
func listed(f Facts, entries []Listed) (r Reason, found bool) {
	author, err := CleanSender(f.FromAddress)
	if err != nil {
		author = ""
	}
	var best *Listed
	for _, name := range names(f) {
		for i := range entries {
			e := &entries[i]
			if e.Sender != name || e.Allow && !under(author, e.Sender) {
				continue
			}
			if best == nil || len(e.Sender) > len(best.Sender) || len(e.Sender) == len(best.Sender) && !e.Allow {
				best = e
			}
		}
	}
	switch {
	case best == nil:
		return Reason{}, false
	case !best.Allow:
		return Reason{ruleBlocked, 20, best.Sender}, true
	case f.Proven():
		return Reason{ruleAllowed, -20, best.Sender}, true
	}
	return Reason{ruleNotAllowed, 0, best.Sender}, true
}

// under reports whether an address is the listed one or at the listed domain.
func under(address, sender string) bool {
	if address == sender {
		return true
	}
	domain := address[strings.LastIndexByte(address, '@')+1:]
	return !strings.Contains(sender, "@") && (domain == sender || strings.HasSuffix(domain, "."+sender))
}

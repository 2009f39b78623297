// Package xray explains what the checks of a message's sender found, in sentences: which domain was asked, whether it is that of
// the author, what its policy wants, and what its owner would publish to do better.
//
// It checks nothing itself (package senderauth did, when the message came) and asks no DNS. All functions are pure.
package xray

import (
	"fmt"
	"strings"

	"uniqverse/smtpd/senderauth"
)

// Check is one check, explained.
type Check struct {
	Name    string   // "SPF"
	Result  string   // a word of RFC 8601
	Says    []string // sentences
	Publish string   // what the domain's owner could publish, as a line of DNS; "" is nothing
}

// Explain explains the checks of a message that came from an address and called itself helo.
func Explain(r senderauth.Results, ip, helo string) []Check {
	return []Check{spf(r, ip), dkim(r), dmarc(r), peer(r, ip, helo)}
}

func spf(r senderauth.Results, ip string) Check {
	c := Check{Name: "SPF", Result: word(r.SPF)}
	of, whose := r.MailFrom, "the envelope's sender"
	if of.Domain == "" {
		of, whose = r.HELO, "the name in HELO, since the envelope names no sender"
	}
	if of.Domain == "" {
		c.Says = append(c.Says, "There was no domain to ask.")
		return c
	}
	c.Says = append(c.Says, fmt.Sprintf("%s was asked, the domain of %s.", of.Domain, whose))
	switch r.SPF {
	case senderauth.Pass:
		c.Says = append(c.Says, fmt.Sprintf("It names %s among the hosts that send for it.", ip))
	case senderauth.Fail:
		c.Says = append(c.Says, fmt.Sprintf("It says that %s must not send for it.", ip))
	case senderauth.SoftFail:
		c.Says = append(c.Says, fmt.Sprintf("It does not name %s, and asks not to refuse for that alone (~all).", ip))
	case senderauth.Neutral:
		c.Says = append(c.Says, "It says neither yes nor no (?all).")
	case senderauth.TempError:
		c.Says = append(c.Says, "The DNS did not answer in time; that says nothing about the sender.")
	case senderauth.PermError:
		c.Says = append(c.Says, "What it publishes cannot be read.")
	default:
		c.Says = append(c.Says, "It publishes no SPF record.")
		c.Publish = of.Domain + `. TXT "v=spf1 mx ip4:` + ip + ` -all"`
		if strings.Contains(ip, ":") {
			c.Publish = strings.Replace(c.Publish, "ip4:", "ip6:", 1)
		}
	}
	if of.Reason != "" {
		c.Says = append(c.Says, "Found: "+of.Reason+".")
	}
	if r.SPF == senderauth.Pass && r.Author.From != "" {
		c.Says = append(c.Says, alignment(r.Author.SPFAligned, of.Domain, r.Author.From))
	}
	return c
}

func dkim(r senderauth.Results) Check {
	c := Check{Name: "DKIM", Result: word(r.DKIM)}
	if len(r.Signatures) == 0 {
		c.Says = []string{"The message carries no signature."}
		if r.Author.From != "" {
			c.Publish = "selector._domainkey." + r.Author.From + `. TXT "v=DKIM1; k=rsa; p=…"`
		}
		return c
	}
	for _, s := range r.Signatures {
		text := fmt.Sprintf("%s signed it (selector %s, %s): ", s.Domain, s.Selector, s.Algorithm)
		switch s.Result {
		case senderauth.Pass:
			text += "the signature holds, so nobody changed what it covers. "
			if r.Author.From != "" {
				text += alignment(s.Aligned, s.Domain, r.Author.From)
			}
		case senderauth.TempError:
			text += "the key could not be looked up in time."
		default:
			text += "the signature does not hold."
		}
		if s.Reason != "" {
			text += " Found: " + s.Reason + "."
		}
		c.Says = append(c.Says, strings.TrimSpace(text))
	}
	return c
}

func dmarc(r senderauth.Results) Check {
	c, a := Check{Name: "DMARC", Result: word(r.DMARC)}, r.Author
	if a.From == "" {
		c.Says = []string{"The header does not name exactly one author whose domain could be asked."}
		return c
	}
	c.Says = append(c.Says, fmt.Sprintf("The author's domain is %s.", a.From))
	if a.Organization != "" && a.Organization != a.From {
		c.Says = append(c.Says, fmt.Sprintf("It belongs to %s.", a.Organization))
	}
	switch {
	case r.DMARC == senderauth.TempError:
		c.Says = append(c.Says, "The DNS did not answer in time; that says nothing about the sender.")
	case a.Record == "":
		c.Says = append(c.Says, "Neither it nor a domain above it publishes a policy, so anybody may use it as an author.")
		c.Publish = "_dmarc." + a.From + `. TXT "v=DMARC1; p=reject; rua=mailto:dmarc@` + a.From + `"`
	default:
		c.Says = append(c.Says, fmt.Sprintf("The policy stands at %s and wants: %s.", a.Domain, map[string]string{
			"none": "do nothing, only report", "quarantine": "put what fails among the junk", "reject": "refuse what fails"}[a.Policy]))
	}
	if a.Testing {
		c.Says = append(c.Says, "Its owner is testing: the stricter policy that it publishes is for reports only.")
	}
	if r.DMARC == senderauth.Pass {
		how := "a signature"
		if a.SPFAligned {
			how = "SPF"
			if a.DKIMAligned {
				how = "SPF and a signature"
			}
		}
		c.Says = append(c.Says, "It passes by "+how+" of the author's own domain.")
	}
	if r.DMARC == senderauth.Fail {
		c.Says = append(c.Says, "Neither SPF nor a signature vouches for the author's domain: the author may be forged, or the message went through a list or a forwarder.")
	}
	if a.Reason != "" {
		c.Says = append(c.Says, "Found: "+a.Reason+".")
	}
	return c
}

func peer(r senderauth.Results, ip, helo string) Check {
	c := Check{Name: "Peer", Result: word(r.Peer.Result), Says: []string{fmt.Sprintf("The host %s called itself %s.", orElse(ip, "(not known)"), orElse(helo, "nothing"))}}
	if r.Peer.Name != "" {
		c.Says = append(c.Says, fmt.Sprintf("The DNS knows it as %s, and that name leads back to it.", r.Peer.Name))
	} else if r.Peer.Reason != "" {
		c.Says = append(c.Says, "Its name in the DNS: "+r.Peer.Reason+".")
	}
	for _, l := range r.Listed {
		c.Says = append(c.Says, fmt.Sprintf("%s lists it (%s). %s", l.Zone, l.Answer, l.Reason))
	}
	for _, v := range r.Policy {
		c.Says = append(c.Says, fmt.Sprintf("A server that refuses would have answered %d %s %s (rule %s).", v.Code, v.Enhanced, v.Text, v.Rule))
	}
	return c
}

func alignment(aligned bool, domain, from string) string {
	if aligned {
		return fmt.Sprintf("%s is aligned with the author's domain %s.", domain, from)
	}
	return fmt.Sprintf("%s is not aligned with the author's domain %s, so it does not vouch for the author.", domain, from)
}

func word(r senderauth.Result) string { return orElse(string(r), "none") }

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

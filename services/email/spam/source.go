package spam

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"uniqverse/smtpd/senderauth"
)

// Standing is what was seen of one sender: by one mailbox, or by everybody together.
type Standing struct {
	Ham    int       `json:"kept"`   // messages that were moved out of Junk or kept; of everybody's: mailboxes that mostly keep its mail
	Spam   int       `json:"junked"` // messages that were moved to Junk; of everybody's: mailboxes that mostly junk its mail
	Seen   int       `json:"seen"`   // messages that were delivered
	Junk   int       `json:"judged"` // of those: the ones that were judged junk
	First  time.Time `json:"-"`      // when the first was delivered; zero when none was
	Source string    `json:"-"`
}

// Vote says which kind of mail a mailbox has mostly of a sender: 1 spam, -1 ham, 0 neither.
func (s Standing) Vote() int {
	switch {
	case s.Spam > s.Ham:
		return 1
	case s.Ham > s.Spam:
		return -1
	}
	return 0
}

// Sources names the sender by what was verified, the narrowest first: the author's address and domain when DMARC, or a
// signature or SPF in line with the author, holds; else the domain that SPF confirms; else the network of the peer.
// A peer on this host without any proof has none: everything on a laptop comes from there.
func Sources(f Facts) []string {
	address := strings.ToLower(f.FromAddress)
	switch {
	case f.Submitted && address != "":
		return []string{"from:" + address}
	case f.Auth.Author.From != "" && address != "" && (f.Auth.DMARC == senderauth.Pass || f.Auth.Author.DKIMAligned || f.Auth.Author.SPFAligned):
		return []string{"from:" + clip(address, 320), "domain:" + f.Auth.Author.From}
	case f.Auth.MailFrom.Result == senderauth.Pass && f.Auth.MailFrom.Domain != "":
		return []string{"spf:" + f.Auth.MailFrom.Domain}
	case f.ReversePath == "" && f.Auth.HELO.Result == senderauth.Pass && f.Auth.HELO.Domain != "":
		return []string{"spf:" + f.Auth.HELO.Domain}
	case f.Loopback || !f.RemoteIP.IsValid():
		return nil
	}
	return []string{"ip:" + network(f.RemoteIP)}
}

// Proven reports whether it is certain that the message is from its author.
func (f Facts) Proven() bool { return f.Submitted || f.Auth.DMARC == senderauth.Pass }

// network is the neighbourhood of a peer: /24, or /48 of IPv6.
func network(ip netip.Addr) string {
	bits := 24
	if ip = ip.Unmap(); ip.Is6() {
		bits = 48
	}
	p, err := ip.WithZone("").Prefix(bits)
	if err != nil {
		return ip.String()
	}
	return p.String()
}

// weight is how much of the points a source is worth: a domain is shared by many, an address of a network says little.
func weight(source string) float64 {
	kind, _, _ := strings.Cut(source, ":")
	switch kind {
	case "from":
		return 1
	case "domain":
		return 0.6
	case "spf":
		return 0.5
	}
	return 0.4
}

// standing turns what was seen of the sources of a message into reasons. own and all are in the order of the sources.
func standing(now time.Time, sources []string, own, all map[string]Standing) (out []Reason) {
	for _, s := range sources {
		if st := own[s]; st.Ham != st.Spam {
			net := st.Spam - st.Ham
			rule, points := ruleOwnSpam, min(4, 1+float64(net))
			if net < 0 {
				rule, points = ruleOwnHam, max(-4, float64(net)-1)
			}
			out = append(out, Reason{rule, round(points * weight(s)), fmt.Sprintf("%s: %d moved to Junk, %d kept", s, st.Spam, st.Ham)})
			break // the narrowest that is known decides
		}
	}
	for _, s := range sources {
		if st := all[s]; st.Spam+st.Ham >= MinUsers && st.Spam != st.Ham {
			rule, points := ruleAllSpam, 2*float64(st.Spam-st.Ham)/float64(st.Spam+st.Ham)
			if points < 0 {
				rule = ruleAllHam
			}
			out = append(out, Reason{rule, round(points * weight(s)), fmt.Sprintf("%s: junk to %d people, good to %d", s, st.Spam, st.Ham)})
			break
		}
	}
	for _, s := range sources {
		st := own[s]
		if st.Seen < 5 || strings.HasPrefix(s, "ip:") {
			continue
		}
		switch {
		case st.Junk*2 > st.Seen:
			out = append(out, Reason{ruleOften, 1, fmt.Sprintf("%s: %d of %d", s, st.Junk, st.Seen)})
		case st.Junk == 0 && st.Spam == 0 && now.Sub(st.First) > 7*24*time.Hour:
			out = append(out, Reason{ruleKnown, -0.5, fmt.Sprintf("%s: %d messages", s, st.Seen)})
		default:
			continue
		}
		break
	}
	return out
}

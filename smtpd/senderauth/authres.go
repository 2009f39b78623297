package senderauth

import (
	"net/netip"
	"strings"
)

// Header returns the Authentication-Results field (RFC 8601) that tells these results under
// our name id, folded, with its CRLF. user is the signed-in identity of a submission, or ""; peer the
// address that the message came from.
func (r Results) Header(id, user string, peer netip.Addr) string {
	var methods []string
	add := func(words ...string) {
		methods = append(methods, strings.Join(words, " "))
	}
	if user != "" {
		add("auth=pass", "smtp.auth="+pvalue(user))
	} else {
		if r.Peer.Result != None && r.Peer.Result != "" {
			add(r.Peer.words(peer)...)
		}
		if r.MailFrom.Domain != "" {
			add("spf="+string(r.MailFrom.Result), "smtp.mailfrom="+pvalue(r.MailFrom.Domain))
		}
		if r.HELO.Domain != "" {
			add("spf="+string(r.HELO.Result), "smtp.helo="+pvalue(r.HELO.Domain))
		}
		if r.MailFrom.Domain == "" && r.HELO.Domain == "" {
			add("spf=" + string(r.SPF))
		}
		for _, s := range r.Signatures {
			add(s.words()...)
		}
		if len(r.Signatures) == 0 {
			add("dkim=" + string(r.DKIM))
		}
		add(r.Author.words()...)
	}
	return "Authentication-Results: " + id + ";\r\n\t" + strings.Join(methods, ";\r\n\t") + "\r\n"
}

func (h HostResult) words(peer netip.Addr) []string {
	w := []string{"iprev=" + string(h.Result)}
	if h.Reason != "" {
		w = append(w, `reason=`+quoted(h.Reason))
	}
	return append(w, "policy.iprev="+pvalue(peer.String()))
}

func (s DKIMSignature) words() []string {
	w := []string{"dkim=" + string(s.Result)}
	if s.Reason != "" {
		w = append(w, `reason=`+quoted(s.Reason))
	}
	for _, p := range [][2]string{{"header.d=", s.Domain}, {"header.s=", s.Selector}, {"header.a=", s.Algorithm}, {"header.b=", s.Tag}} {
		if p[1] != "" {
			w = append(w, p[0]+pvalue(p[1]))
		}
	}
	return w
}

func (a DMARCResult) words() []string {
	w := []string{"dmarc=" + string(a.Result)}
	if a.Reason != "" {
		w = append(w, `reason=`+quoted(a.Reason))
	}
	if a.From != "" {
		w = append(w, "header.from="+pvalue(a.From))
	}
	if a.Policy != "" {
		w = append(w, "policy.dmarc="+a.Policy)
	}
	return w
}

// pvalue writes a value that a peer may have chosen: as it is when it holds nothing that
// could end it, quoted otherwise.
func pvalue(s string) string {
	plain := s != "" && len(s) <= 320
	for i := 0; plain && i < len(s); i++ {
		c := s[i]
		plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strings.IndexByte("@.-_+/", c) >= 0
	}
	if plain {
		return s
	}
	return quoted(s)
}

func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s) && i < 200; i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			b.WriteByte('?')
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// ClaimsToBe reports whether the value of an Authentication-Results field speaks in the name
// of id: whatever comes from outside and does is forged (RFC 8601 section 5). A value whose
// name cannot be read counts as ours too, as some reader might take it for that.
func ClaimsToBe(value, id string) bool {
	name := authservID(value)
	return name == "" || strings.EqualFold(strings.TrimSuffix(name, "."), strings.TrimSuffix(id, "."))
}

// authservID reads the first word of the value, past comments, quoted or not.
func authservID(v string) string {
	for depth := 0; v != ""; v = v[1:] {
		c := v[0]
		switch {
		case c == '\\' && depth > 0 && len(v) > 1:
			v = v[1:]
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth > 0 || c == ' ' || c == '\t' || c == '\r' || c == '\n':
		case c == '"':
			return unquote(v[1:])
		default:
			if i := strings.IndexAny(v, " \t\r\n;(\""); i >= 0 {
				return v[:i]
			}
			return v
		}
	}
	return ""
}

func unquote(v string) string {
	var b strings.Builder
	for i := 0; i < len(v) && v[i] != '"'; i++ {
		if v[i] == '\\' && i+1 < len(v) {
			i++
		}
		b.WriteByte(v[i])
	}
	return strings.TrimSpace(b.String())
}

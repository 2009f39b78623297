package smtpd

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"uniqverse/smtpd/header"
	"uniqverse/smtpd/senderauth"
	"uniqverse/smtpd/spool"
)

// messageOf returns the message for the Backend. Fields that only the last host may write are
// taken out: a Return-Path, and Authentication-Results in our name. From other hosts so are a Bcc, which would show
// to one what was hidden from others, and X-Spam fields, which our own readers' filters might believe; unless a signature
// covers them, which would be broken without.
func messageOf(s *spool.Spool, fields []header.Field, mode Mode, domain string) (*Message, error) {
	m := &Message{head: s.Head(), SHA256: s.Sum()}
	m.file, m.more = s.File()
	var kept []byte
	signed := ""
	if mode == MX {
		signed = signedNames(fields)
	}
	for i, f := range fields {
		forged := f.Is("Return-Path") || (f.Is("Authentication-Results") && senderauth.ClaimsToBe(f.Value(), domain)) ||
			mode == MX && foreign(f.Name) && !strings.Contains(signed, ":"+strings.ToLower(f.Name)+":")
		if forged && m.Stripped == 0 {
			kept = make([]byte, 0, len(m.head))
			for _, before := range fields[:i] {
				kept = append(kept, before.Raw...)
			}
		}
		if forged {
			m.Stripped++
		} else if m.Stripped > 0 {
			kept = append(kept, f.Raw...)
		}
	}
	if m.Stripped > 0 {
		end := 0
		for _, f := range fields {
			end += len(f.Raw)
		}
		m.head = append(kept, m.head[end:]...)
		sum := sha256.New()
		if _, err := io.Copy(sum, m.Raw()); err != nil {
			return nil, fmt.Errorf("read spooled message: %w", err)
		}
		sum.Sum(m.SHA256[:0])
	}
	m.Size = int64(len(m.head)) + m.more
	return m, nil
}

// foreign reports whether a field has no business in a message from another host.
func foreign(name string) bool {
	const spam = "x-spam-"
	return strings.EqualFold(name, "Bcc") || len(name) >= len(spam) && strings.EqualFold(name[:len(spam)], spam)
}

// signedNames returns the names of the fields that DKIM signatures cover, as ":from:to:". It decides nothing about
// the signatures.
func signedNames(fields []header.Field) string {
	all := ":"
	for _, f := range fields {
		if !f.Is("DKIM-Signature") {
			continue
		}
		for tag := range strings.SplitSeq(f.Value(), ";") {
			if name, value, _ := strings.Cut(tag, "="); strings.TrimSpace(name) == "h" {
				all += strings.ToLower(strings.Join(strings.Fields(value), "")) + ":"
			}
		}
	}
	return all
}

// prepended returns the fields that we put above the message: what we found out, and how it
// came (RFC 8601 section 5, RFC 5321 section 4.4).
func prepended(env *Envelope, domain string) []byte {
	return []byte(env.Auth.Header(domain, env.User, env.RemoteIP) + received(env, domain))
}

func received(env *Envelope, domain string) string {
	with := "SMTP"
	if env.ESMTP {
		with = "ESMTP"
		if env.SMTPUTF8 {
			with = "UTF8SMTP"
		}
		if env.TLS != nil {
			with += "S"
		}
		if env.User != "" {
			with += "A"
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Received: from %s (%s)\r\n\tby %s with %s id %s", heloText(env.HELO), literal(env.RemoteIP), domain, with, env.ID)
	if env.TLS != nil {
		fmt.Fprintf(&b, "\r\n\t(%s %s)", strings.ReplaceAll(env.TLS.Version, " ", ""), env.TLS.CipherSuite)
	}
	if len(env.Recipients) == 1 && isASCII(env.Recipients[0]) {
		// With several, naming them would show blind copies to each other.
		fmt.Fprintf(&b, "\r\n\tfor <%s>", env.Recipients[0])
	}
	b.WriteString(";\r\n\t" + env.ReceivedAt.UTC().Format(time.RFC1123Z) + "\r\n")
	return b.String()
}

// heloText writes the peer's name for itself so that it cannot end the clause it stands in.
func heloText(s string) string {
	s = strings.Map(func(r rune) rune {
		if (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9') || strings.ContainsRune(".-_:[]", r) {
			return r
		}
		return '?'
	}, s)
	if s == "" {
		return "unknown"
	}
	return s
}

func literal(ip netip.Addr) string {
	switch {
	case !ip.IsValid():
		return "unknown"
	case ip.Is6():
		return "[IPv6:" + ip.String() + "]"
	}
	return "[" + ip.String() + "]"
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}

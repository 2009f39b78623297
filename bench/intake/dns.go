package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"net"
	"strings"

	"github.com/miekg/dns"
)

// zone is the DNS of the sender's domain, answered on this machine.
type zone struct {
	server *dns.Server
	key    *rsa.PrivateKey // of the selector s1
	txt    map[string]string
}

// serveZone answers questions about the sender's domain, until it is closed.
func serveZone() (*zone, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	z := &zone{key: key, txt: map[string]string{
		domain + ".":                    "v=spf1 ip4:127.0.0.0/8 -all",
		"mx." + domain + ".":            "v=spf1 ip4:127.0.0.0/8 -all",
		"_dmarc." + domain + ".":        "v=DMARC1; p=reject",
		"s1._domainkey." + domain + ".": "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public),
	}}
	z.server = &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(z.answer)}
	go z.server.ActivateAndServe()
	return z, nil
}

// Addr is where it answers.
func (z *zone) Addr() string { return z.server.PacketConn.LocalAddr().String() }

// Close ends it.
func (z *zone) Close() { z.server.Shutdown() }

func (z *zone) answer(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	name := strings.ToLower(q.Question[0].Name)
	head := dns.RR_Header{Name: q.Question[0].Name, Rrtype: q.Question[0].Qtype, Class: dns.ClassINET, Ttl: 3600}
	switch q.Question[0].Qtype {
	case dns.TypeTXT:
		if text := z.txt[name]; text != "" {
			var parts []string
			for ; len(text) > 255; text = text[255:] {
				parts = append(parts, text[:255])
			}
			m.Answer = append(m.Answer, &dns.TXT{Hdr: head, Txt: append(parts, text)})
		}
	case dns.TypeMX:
		if name == domain+"." {
			m.Answer = append(m.Answer, &dns.MX{Hdr: head, Preference: 10, Mx: "mx." + domain + "."})
		}
	case dns.TypeA:
		if name == domain+"." || name == "mx."+domain+"." {
			m.Answer = append(m.Answer, &dns.A{Hdr: head, A: net.IPv4(127, 0, 0, 1)})
		}
	case dns.TypePTR:
		m.Answer = append(m.Answer, &dns.PTR{Hdr: head, Ptr: "mx." + domain + "."})
	}
	if len(m.Answer) == 0 && !strings.HasSuffix(name, "."+domain+".") && name != domain+"." {
		m.Rcode = dns.RcodeNameError
	}
	w.WriteMsg(m)
}

package xray_test

import (
	"strings"
	"testing"

	"uniqverse/services/email/xray"
	"uniqverse/smtpd/senderauth"
)

func TestExplain(t *testing.T) {
	for name, c := range map[string]struct {
		r    senderauth.Results
		want []string
	}{
		"forged": {senderauth.Results{SPF: senderauth.Pass, DKIM: senderauth.None, DMARC: senderauth.Fail, MailFrom: senderauth.SPFResult{Result: senderauth.Pass, Domain: "spam.example"},
			Author: senderauth.DMARCResult{Result: senderauth.Fail, From: "bank.example", Domain: "bank.example", Policy: "reject", Record: "v=DMARC1; p=reject"}},
			[]string{"spam.example was asked", "spam.example is not aligned with the author's domain bank.example", "refuse what fails", "may be forged", "carries no signature"}},
		"good": {senderauth.Results{SPF: senderauth.Pass, DKIM: senderauth.Pass, DMARC: senderauth.Pass, MailFrom: senderauth.SPFResult{Domain: "crew.example"},
			Signatures: []senderauth.DKIMSignature{{Result: senderauth.Pass, Domain: "crew.example", Selector: "s1", Algorithm: "ed25519-sha256", Aligned: true}},
			Author:     senderauth.DMARCResult{From: "crew.example", Domain: "crew.example", Policy: "none", Record: "v=DMARC1; p=none", SPFAligned: true, DKIMAligned: true}},
			[]string{"crew.example signed it (selector s1, ed25519-sha256): the signature holds", "passes by SPF and a signature"}},
		"nothing": {senderauth.Results{MailFrom: senderauth.SPFResult{Domain: "new.example"}, Author: senderauth.DMARCResult{From: "new.example"}},
			[]string{`new.example. TXT "v=spf1 mx ip4:192.0.2.7 -all"`, `_dmarc.new.example. TXT "v=DMARC1; p=reject; rua=mailto:dmarc@new.example"`, "selector._domainkey.new.example."}},
		"empty": {senderauth.Results{}, []string{"no domain to ask", "exactly one author"}},
	} {
		var all strings.Builder
		for _, k := range xray.Explain(c.r, "192.0.2.7", "mx.example") {
			all.WriteString(strings.Join(k.Says, " ") + " " + k.Publish + "\n")
		}
		for _, w := range c.want {
			if !strings.Contains(all.String(), w) {
				t.Errorf("%s lacks %q:\n%s", name, w, all.String())
			}
		}
	}
}

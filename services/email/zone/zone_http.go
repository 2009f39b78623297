package zone

import (
	"net/http"
	"strings"

	"golang.org/x/net/idna"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/signer"
	"uniqverse/templates"
)

// Endpoints returns the routes.
func (z *Zone) Endpoints() []web.Endpoint {
	admin, page := web.NeedsToken("email.admin"), web.Needs("email.admin")
	return []web.Endpoint{
		web.Query("GET", "/api/dkim", admin, "The DNS records to publish, so that others can verify our signatures", z.dkim),
		web.Query("POST", "/api/dkim/rotate", admin, "Make a new pair of keys, which signs once its records are in the DNS; with activate: at once", z.rotate),
		web.Query("GET", "/api/dns", admin, "The records of the mail domain: what to publish, what is there, what to mend", z.dns),
		web.View("/dns", page, "The records of the mail domain, and whether they are right", z.page),
		web.Query("POST", "/dns/rotate", page, "The page's form: make a new pair of keys, or sign with it", z.rotate).Redirect(func(*web.Call, any) string { return "/dns" }),
		web.Stream("GET", "/.well-known/mta-sts.txt", web.Anyone(), "The domain's MTA-STS policy, when EMAIL_MTA_STS publishes one", z.serve),
	}
}

// DKIM is the answer to GET /api/dkim.
type DKIM struct {
	Domain   string          `json:"domain"`
	Records  []signer.Record `json:"records"`
	Reminder string          `json:"reminder"` // what should be done about the keys; "" is nothing
}

func (z *Zone) dkim(_ *web.Call, _ web.None) (DKIM, error) {
	out := DKIM{Domain: z.Domain}
	var err error
	if out.Records, err = z.Keys.Records(); err == nil {
		out.Reminder, err = z.Keys.Reminder()
	}
	if err != nil {
		return out, errs.Wrap(errs.Unavailable, err, "the keys cannot be read; ask an administrator to look at the log")
	}
	return out, nil
}

type rotateParams struct {
	Activate bool   `json:"activate,omitempty" doc:"sign with the pair that waits, whether its records are seen or not"`
	Next     string `json:"next,omitempty" doc:"for forms: not used, the answer leads to the page" max:"2000"`
}

func (z *Zone) rotate(c *web.Call, in rotateParams) (DKIM, error) {
	act := z.Keys.Rotate
	if in.Activate {
		act = z.Keys.Activate
	}
	if err := act(); err != nil {
		if errs.Is(err, errs.Conflict) {
			return DKIM{}, err
		}
		return DKIM{}, errs.Wrap(errs.Unavailable, err, "the keys cannot be written; ask an administrator to look at the log")
	}
	return z.dkim(c, web.None{})
}

type dnsParams struct {
	Domain string `json:"domain,omitempty" doc:"the mail domain when left out; of another one, what is there" max:"255"`
}

// DNS is the answer to GET /api/dns.
type DNS struct {
	Domain  string  `json:"domain"`
	Own     bool    `json:"own"`     // it is the mail domain, so what to publish is known
	Verdict Verdict `json:"verdict"` // the worst of all
	Records []Check `json:"records"`
}

func (z *Zone) dns(c *web.Call, in dnsParams) (DNS, error) {
	domain, err := z.named(in.Domain)
	if err != nil {
		return DNS{}, err
	}
	out := DNS{Domain: domain, Own: domain == z.Domain, Verdict: Good}
	if out.Records, err = z.check(c.Context(), domain, out.Own); err != nil {
		return out, errs.Wrap(errs.Unavailable, err, "the keys cannot be read; ask an administrator to look at the log")
	}
	order := []Verdict{Good, Advice, Unknown, Missing, Wrong}
	rank := func(v Verdict) int {
		for i, o := range order {
			if o == v {
				return i
			}
		}
		return 0
	}
	for _, r := range out.Records {
		if rank(r.Verdict) > rank(out.Verdict) {
			out.Verdict = r.Verdict
		}
	}
	return out, nil
}

// named reads the domain that a request names.
func (z *Zone) named(domain string) (string, error) {
	if domain == "" {
		return z.Domain, nil
	}
	ascii, err := idna.Lookup.ToASCII(strings.ToLower(strings.TrimSuffix(strings.TrimSpace(domain), ".")))
	if err != nil || !strings.Contains(ascii, ".") || strings.ContainsAny(ascii, " /:@") || len(ascii) > 253 {
		return "", errs.BadField("domain", "must be a domain such as example.org")
	}
	return ascii, nil
}

// serve answers whoever looks for our policy.
func (z *Zone) serve(c *web.Call, w http.ResponseWriter, _ web.None) error {
	p, on := z.policy()
	if !on {
		return errs.New(errs.NotFound, "this server publishes no MTA-STS policy (EMAIL_MTA_STS)")
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "max-age=300")
	_, err := w.Write([]byte(p.Text()))
	return err
}

// page shows the records.
func (z *Zone) page(c *web.Call, in dnsParams) (web.Page, error) {
	d, err := z.dns(c, in)
	if err != nil {
		return web.Page{}, err
	}
	v := templates.DNSView{Domain: d.Domain, Own: d.Own}
	if d.Own {
		keys, err := z.dkim(c, web.None{})
		if err != nil {
			return web.Page{}, err
		}
		v.Reminder = keys.Reminder
		for _, r := range keys.Records {
			v.NewKeys = v.NewKeys || r.State == signer.Next
		}
	}
	for _, r := range d.Records {
		v.Records = append(v.Records, templates.DNSRecord{Purpose: r.Purpose, Name: r.Name, Type: r.Type, Value: r.Value, Found: r.Found, Verdict: string(r.Verdict), Says: r.Says, Mend: r.Mend})
	}
	return web.Page{Template: templates.PageDNS, Title: "DNS", Data: v}, nil
}

package zone_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"uniqverse/internal/web"
	"uniqverse/services/email/mtasts"
	"uniqverse/services/email/signer"
	"uniqverse/services/email/zone"
	"uniqverse/templates"
)

const domain = "us.example"

// name is what a name has.
type name struct {
	TXT, A, PTR []string
	MX          []net.MX
	Err         error
}

// resolver answers by name, with a final dot.
type resolver map[string]name

// ask returns what a name has, or why not.
func ask[T any](r resolver, of string, field func(name) []T) ([]T, error) {
	of = strings.TrimSuffix(of, ".") + "."
	n, ok := r[of]
	if n.Err != nil {
		return nil, n.Err
	}
	if list := field(n); ok && len(list) > 0 {
		return list, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: of, IsNotFound: true}
}

func (r resolver) LookupTXT(_ context.Context, of string) ([]string, error) {
	return ask(r, of, func(n name) []string { return n.TXT })
}

func (r resolver) LookupMX(_ context.Context, of string) ([]*net.MX, error) {
	return ask(r, of, func(n name) (out []*net.MX) {
		for _, m := range n.MX {
			out = append(out, &m)
		}
		return out
	})
}

func (r resolver) LookupIPAddr(_ context.Context, of string) ([]net.IPAddr, error) {
	return ask(r, of, func(n name) (out []net.IPAddr) {
		for _, a := range n.A {
			out = append(out, net.IPAddr{IP: net.ParseIP(a)})
		}
		return out
	})
}

func (r resolver) LookupAddr(_ context.Context, addr string) ([]string, error) {
	return ask(r, addr, func(n name) []string { return n.PTR })
}

// who lets everybody be an administrator of mail.
type who struct{}

func (who) Authenticate(*http.Request, bool) (web.Caller, error) {
	return web.Caller{User: "admin", Scopes: []string{"email.admin"}, Via: web.BearerToken}, nil
}

// start serves the guide over a DNS.
func start(t *testing.T, zones resolver, policy mtasts.Mode) (get func(method, path string) (int, string), keys *signer.Signer) {
	t.Helper()
	keys = signer.New(t.TempDir(), domain, time.Now)
	z, err := zone.New(zone.Options{Domain: domain, Keys: keys, Resolver: zones, Policy: policy, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	set, err := templates.New(templates.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	h, err := web.New(web.Options{Service: "email", Title: "Mail", Version: "test", Endpoints: z.Endpoints(), Auth: who{}, Templates: set, Site: &web.Site{}, Metrics: metrics.NewSet(),
		Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return func(method, path string) (int, string) {
		t.Helper()
		req, err := http.NewRequest(method, srv.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(path, "/api") {
			req.Header.Set("Accept", "text/html")
		}
		res, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}, keys
}

// verdicts asks for the records, and returns the verdict of each purpose: the worst first where there are several.
func verdicts(t *testing.T, get func(method, path string) (int, string), query string) (map[string]string, zone.DNS) {
	t.Helper()
	status, text := get("GET", "/api/dns"+query)
	var d zone.DNS
	if err := json.Unmarshal([]byte(text), &d); status != 200 || err != nil {
		t.Fatalf("%d %v %s", status, err, text)
	}
	out := map[string]string{}
	for _, r := range d.Records {
		out[r.Purpose] = strings.TrimSpace(out[r.Purpose] + " " + string(r.Verdict))
		if r.Says == "" || (r.Verdict == zone.Missing || r.Verdict == zone.Wrong) && r.Mend == "" {
			t.Errorf("%s says %q and mends by %q", r.Purpose, r.Says, r.Mend)
		}
	}
	return out, d
}

// What was told to be published is right once it is, and what is there is judged as receivers judge it.
func TestRecords(t *testing.T) {
	zones := resolver{}
	get, keys := start(t, zones, mtasts.Testing)
	want := func(what string, all map[string]string) {
		t.Helper()
		got, _ := verdicts(t, get, "")
		for purpose, v := range all {
			if got[purpose] != v {
				t.Errorf("%s: %s is %q, want %q", what, purpose, got[purpose], v)
			}
		}
	}
	want("with nothing published", map[string]string{"MX": "missing", "SPF": "missing", "DKIM": "missing missing", "DMARC": "missing", "MTA-STS": "missing missing", "TLSRPT": "advice", "PTR": "unknown"})

	// Publish what the answer says, to the letter.
	_, d := verdicts(t, get, "")
	for _, r := range d.Records {
		z := zones[r.Name+"."]
		switch r.Type {
		case "TXT":
			z.TXT = append(z.TXT, r.Value)
		case "MX":
			z.MX = []net.MX{{Host: strings.Fields(r.Value)[1], Pref: 10}}
		}
		zones[r.Name+"."] = z
	}
	own := zones[domain+"."]
	own.A = []string{"192.0.2.1"}
	zones[domain+"."] = own
	zones["mta-sts."+domain+"."] = name{A: []string{"192.0.2.2"}}
	zones["192.0.2.1."] = name{PTR: []string{domain + "."}}
	want("published", map[string]string{"MX": "ok", "SPF": "ok", "DKIM": "ok ok", "DMARC": "advice", "MTA-STS": "ok ok", "TLSRPT": "ok", "PTR": "ok"})

	if err := keys.Rotate(); err != nil {
		t.Fatal(err)
	}
	want("with new keys", map[string]string{"DKIM": "ok ok missing missing"})
	set := func(name string, txt ...string) {
		z := zones[name+"."]
		z.TXT = txt
		zones[name+"."] = z
	}
	set(domain, "v=spf1 -all", "v=spf1 mx -all", "other")
	set("_dmarc."+domain, "v=DMARC1; p=reject", "v=DMARC1; p=none")
	set("_mta-sts."+domain, "v=STSv1; id=old")
	set("_smtp._tls."+domain, "v=TLSRPTv1")
	set(keysName(t, keys), "v=DKIM1; k=rsa; p=AAAA")
	want("spoilt", map[string]string{"SPF": "wrong", "DKIM": "wrong ok missing missing", "DMARC": "wrong", "MTA-STS": "wrong ok", "TLSRPT": "wrong"})
	set(domain, "v=spf1 include:other.example -all")
	set("_dmarc."+domain, "v=DMARC1; p=reject; rua=mailto:x@us.example")
	want("an include of nothing", map[string]string{"SPF": "wrong", "DMARC": "ok"})
	set(domain, "v=spf1 ip4:198.51.100.7 -all")
	want("another host", map[string]string{"SPF": "advice"})
	zones[domain+"."] = name{MX: []net.MX{{Host: "."}}}
	want("null MX", map[string]string{"MX": "wrong"})
	zones[domain+"."] = name{Err: &net.DNSError{Err: "no answer", IsTemporary: true}}
	want("no answer", map[string]string{"MX": "unknown", "SPF": "unknown"})
}

// keysName is the name of the first key's record.
func keysName(t *testing.T, keys *signer.Signer) string {
	t.Helper()
	records, err := keys.Records()
	if err != nil {
		t.Fatal(err)
	}
	return records[0].Name
}

// Another domain is looked at too, and told nothing about.
func TestOtherDomain(t *testing.T) {
	get, _ := start(t, resolver{"b\u00fccher.example.": {}, "xn--bcher-kva.example.": {TXT: []string{"v=spf1 -all"}}}, "")
	got, d := verdicts(t, get, "?domain=B%C3%BCcher.example")
	if d.Domain != "xn--bcher-kva.example" || d.Own || got["DKIM"] != "" || got["SPF"] != "advice" {
		t.Errorf("%+v", d)
	}
	for _, r := range d.Records {
		if r.Value != "" {
			t.Errorf("%s is to be %q", r.Purpose, r.Value)
		}
	}
}

// The policy that is served is one that others can read, and the record has the id of it.
func TestPolicyIsServed(t *testing.T) {
	for _, mode := range []mtasts.Mode{mtasts.Testing, mtasts.Enforce} {
		get, _ := start(t, resolver{}, mode)
		status, text := get("GET", "/.well-known/mta-sts.txt")
		p, err := mtasts.Parse([]byte(text))
		if status != 200 || err != nil || p.Mode != mode || !p.Matches(domain) || !p.Matches("mx1."+domain) || p.Matches("a.b."+domain) {
			t.Errorf("%d %q is %+v (%v)", status, text, p, err)
		}
	}
	get, _ := start(t, resolver{}, "off")
	if status, _ := get("GET", "/.well-known/mta-sts.txt"); status != 404 {
		t.Errorf("switched off: %d", status)
	}
	if got, _ := verdicts(t, get, ""); got["MTA-STS"] != "advice advice" {
		t.Errorf("switched off: %v", got)
	}
}

func TestPage(t *testing.T) {
	get, keys := start(t, resolver{"_dmarc." + domain + ".": {TXT: []string{"v=DMARC1; p=<b>evil"}}}, "")
	status, page := get("GET", "/dns")
	for _, want := range []string{"v=spf1 mx ~all", "Make new DKIM keys", "&lt;b&gt;evil", "Publish the record"} {
		if status != 200 || !strings.Contains(page, want) {
			t.Errorf("the page (%d) lacks %q", status, want)
		}
	}
	if status, _ := get("POST", "/dns/rotate"); status != 303 {
		t.Errorf("the form: %d", status)
	}
	if _, page := get("GET", "/dns"); !strings.Contains(page, "Sign with the new keys now") {
		t.Error("the page does not know of the new keys")
	}
	if status, text := get("POST", "/api/dkim/rotate?activate=true"); status != 200 || !strings.Contains(text, `"state":"old"`) {
		t.Errorf("%d %s", status, text)
	}
	if what, err := keys.Reminder(); what != "" || err != nil {
		t.Errorf("%q, %v", what, err)
	}
	if status, _ := get("GET", "/dns?domain=x%20y"); status != 422 {
		t.Errorf("no domain: %d", status)
	}
}

package dmarcreport_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/dmarcreport"
	"uniqverse/services/email/mailbox"
	"uniqverse/smtpd"
	"uniqverse/smtpd/senderauth"
)

const sample = `<?xml version="1.0" encoding="UTF-8"?>
<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0"><version>1.0</version>
 <report_metadata><org_name>yards.example</org_name><email>dmarc@yards.example</email><report_id>r1</report_id><date_range><begin>1795305600</begin><end>1795391999</end></date_range></report_metadata>
 <policy_published><domain>US.example</domain><p>none</p></policy_published>
 <record><row><source_ip>192.0.2.7</source_ip><count>12</count><policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>us.example</header_from></identifiers></record>
 <record><row><source_ip>2001:db8::1</source_ip><count>3</count><policy_evaluated><disposition>reject</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>us.example</header_from></identifiers></record>
</feedback>`

func gzipped(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.WriteString(z, text)
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipped(t testing.TB, files int, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for n := range files {
		w, err := z.Create(fmt.Sprintf("r%d.xml", n))
		if err == nil {
			_, err = io.WriteString(w, text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A report is read however it is packed; a bomb, an entity and nonsense are refused.
func TestRead(t *testing.T) {
	for name, file := range map[string][]byte{"plain": []byte(sample), "gzip": gzipped(t, sample), "zip": zipped(t, 1, sample), "in the older form": []byte(strings.Replace(sample, ` xmlns="urn:ietf:params:xml:ns:dmarc-2.0"`, "", 1))} {
		text, err := dmarcreport.Unpack(file)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r, err := dmarcreport.Parse(text)
		if err != nil || r.Org != "yards.example" || r.ReportID != "r1" || r.Domain != "us.example" || r.Messages != 15 || r.Passed != 12 || len(r.Rows) != 2 || r.Rows[1].IP != "2001:db8::1" || r.Rows[1].Disposition != "reject" || r.Begin.Unix() != 1795305600 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	for name, file := range map[string][]byte{"a bomb": gzipped(t, strings.Repeat(" ", 11<<20)), "a zip of two": zipped(t, 2, sample), "a zip bomb": zipped(t, 1, strings.Repeat("x", 11<<20)), "half a gzip": gzipped(t, sample)[:60]} {
		if text, err := dmarcreport.Unpack(file); err == nil {
			t.Errorf("%s: %d bytes", name, len(text))
		}
	}
	for name, text := range map[string]string{
		"an entity":       `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + strings.Replace(sample[strings.Index(sample, "<feedback"):], "yards.example", "&e;", 1),
		"no range":        strings.Replace(sample, "1795305600", "0", 1),
		"no domain":       strings.Replace(sample, "US.example", "", 1),
		"no address":      strings.Replace(sample, "192.0.2.7", "localhost", 1),
		"less than none":  strings.Replace(sample, "<count>12", "<count>-12", 1),
		"another charset": strings.Replace(sample, "UTF-8", "utf-16", 1),
		"nothing":         "", "a page": "<html></html>", "half": sample[:400],
		"too many rows": strings.Replace(sample, "</feedback>", strings.Repeat(`<record><row><source_ip>192.0.2.7</source_ip><count>1</count></row></record>`, 5000)+"</feedback>", 1),
	} {
		if r, err := dmarcreport.Parse([]byte(text)); err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Fuzz(func(t *testing.T, file []byte) {
		text, err := dmarcreport.Unpack(file)
		if err != nil {
			return
		}
		if r, err := dmarcreport.Parse(text); err == nil && (r.Passed > r.Messages || r.Org == "") {
			t.Errorf("%+v", r)
		}
	})
}

// memory is a Store.
type memory struct {
	mu      sync.Mutex // guards counts
	reports []dmarcreport.Report
	counts  map[dmarcreport.Key]int64
}

func (m *memory) Update(context.Context, *web.Once, func(mailbox.Tx) error) error {
	return errs.New(errs.Unavailable, "not here")
}

func (m *memory) AddReport(_ context.Context, r dmarcreport.Report) (bool, error) {
	m.reports = append(m.reports, r)
	return true, nil
}

func (m *memory) DMARCReports(context.Context, web.Paging) ([]dmarcreport.Report, error) {
	return m.reports, nil
}

func (m *memory) DMARCDays(context.Context, time.Time) ([]dmarcreport.Day, error) { return nil, nil }

func (m *memory) CountDMARC(_ context.Context, seen map[dmarcreport.Key]int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, n := range seen {
		m.counts[k] += n
	}
	return nil
}

func (m *memory) DMARCDue(_ context.Context, today int64) (string, int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.counts {
		if k.Day < today {
			return k.Domain, k.Day, nil
		}
	}
	return "", 0, nil
}

func (m *memory) DMARCCounts(_ context.Context, domain string, day int64, _ int) (map[dmarcreport.Key]int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[dmarcreport.Key]int64{}
	for k, n := range m.counts {
		if k.Domain == domain && k.Day == day {
			out[k] = n
		}
	}
	return out, nil
}

func (m *memory) DropDMARC(_ context.Context, domain string, day int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.counts {
		if k.Domain == domain && k.Day == day {
			delete(m.counts, k)
		}
	}
	return nil
}

// zone answers TXT look-ups.
type zone map[string]string

func (z zone) LookupTXT(_ context.Context, name string) ([]string, error) {
	if v, ok := z[name]; ok {
		return []string{v}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// post takes every message.
type post struct{ smtpd.Backend }

func (post) Deliver(context.Context, *smtpd.Envelope, *smtpd.Message) error { return nil }

// world is a desk in a bubble, and what it sent.
type world struct {
	store *memory
	mu    sync.Mutex // guards sent and texts
	sent  []*smtpd.Envelope
	texts []string
	mx    smtpd.Backend
	stop  func()
}

func start(t *testing.T, z zone) *world {
	t.Helper()
	w := &world{store: &memory{counts: map[dmarcreport.Key]int64{}}}
	d, err := dmarcreport.New(dmarcreport.Options{Store: w.store, Domain: "us.example", Send: true, Resolver: z, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Deliver: func(_ context.Context, env *smtpd.Envelope, msg *smtpd.Message) error {
			text, err := msg.Bytes()
			w.mu.Lock()
			defer w.mu.Unlock()
			w.sent, w.texts = append(w.sent, env), append(w.texts, string(text))
			return err
		}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	w.mx, w.stop = d.Before(post{}), func() { cancel(); <-done }
	return w
}

// mailed is a message that carries a file.
func mailed(file []byte) []byte {
	return []byte("From: a@yards.example\r\nSubject: Report\r\nMIME-Version: 1.0\r\nContent-Type: application/gzip; name=r.xml.gz\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString(file) + "\r\n")
}

// A report about us that somebody vouches for is kept; any other is mail.
func TestReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, nil)
		for _, c := range []struct {
			to   string
			auth senderauth.Result
			text string
		}{{"dmarc-reports@us.example", senderauth.Pass, sample}, {"DMARC-Reports@US.example", senderauth.Fail, sample}, {"ann@us.example", senderauth.Pass, sample},
			{"dmarc-reports@us.example", senderauth.Pass, strings.Replace(sample, "US.example", "other.example", 1)}, {"dmarc-reports@us.example", senderauth.Pass, "hello"}} {
			env := &smtpd.Envelope{ReversePath: "a@yards.example", Recipients: []string{c.to}, Auth: smtpd.AuthResults{DMARC: c.auth}}
			if err := w.mx.Deliver(t.Context(), env, smtpd.NewMessage(nil, mailed(gzipped(t, c.text)))); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		w.stop()
		if len(w.store.reports) != 1 || w.store.reports[0].Messages != 15 {
			t.Errorf("%+v", w.store.reports)
		}
	})
}

// What arrived in a day is reported on the next, to whoever asked for it and agrees; what we write, we can read.
func TestSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const record = "v=DMARC1; p=reject; rua=mailto:d@theirs.example!10m, mailto:x@watch.example,mailto:y@silent.example,https://theirs.example/,mailto:tiny@theirs.example!10, mailto:a%0d%0ab@theirs.example"
		w := start(t, zone{"theirs.example._report._dmarc.watch.example": "v=DMARC1;"})
		day := time.Now().UTC().Truncate(24 * time.Hour)
		env := func(ip string, user string, pass bool) *smtpd.Envelope {
			a := smtpd.AuthResults{DMARC: senderauth.Pass, MailFrom: senderauth.SPFResult{Result: senderauth.Pass, Domain: "theirs.example"},
				Signatures: []senderauth.DKIMSignature{{Result: senderauth.Pass, Domain: "theirs.example", Selector: "s1", Aligned: true}},
				Author:     senderauth.DMARCResult{Result: senderauth.Pass, From: "theirs.example", Domain: "theirs.example", Policy: "reject", Record: record, SPFAligned: true, DKIMAligned: true}}
			if !pass {
				a.DMARC, a.Author.Result, a.Author.SPFAligned, a.Author.DKIMAligned = senderauth.Fail, senderauth.Fail, false, false
			}
			return &smtpd.Envelope{RemoteIP: netip.MustParseAddr(ip), Recipients: []string{"ann@us.example"}, User: user, Auth: a}
		}
		for _, e := range []*smtpd.Envelope{env("192.0.2.7", "", true), env("192.0.2.7", "", true), env("192.0.2.9", "", false), env("192.0.2.8", "ann@us.example", true)} {
			if err := w.mx.Deliver(t.Context(), e, smtpd.NewMessage(nil, []byte("x"))); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Minute)
		w.mu.Lock()
		w.store.mu.Lock()
		if len(w.sent) != 0 || len(w.store.counts) != 2 {
			t.Errorf("on the same day: %d reports, %v", len(w.sent), w.store.counts)
		}
		w.store.mu.Unlock()
		w.mu.Unlock()
		time.Sleep(24 * time.Hour)
		w.stop()
		var to []string
		for _, e := range w.sent {
			to = append(to, e.Recipients...)
			if e.User != "dmarc-reports@us.example" || e.ReversePath != e.User {
				t.Errorf("%+v", e)
			}
		}
		if strings.Join(to, " ") != "d@theirs.example x@watch.example" || len(w.store.counts) != 0 {
			t.Fatalf("sent to %v, left %v", to, w.store.counts)
		}
		head, body, _ := strings.Cut(w.texts[0], "base64\r\n\r\n")
		packed, _, _ := strings.Cut(body, "\r\n--")
		file, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(packed, "\r\n", ""))
		if err != nil || !strings.Contains(head, "Subject: Report Domain: theirs.example Submitter: us.example Report-ID: <") || !strings.Contains(head, fmt.Sprintf("us.example!theirs.example!%d!%d.xml.gz", day.Unix(), day.Unix()+86399)) {
			t.Fatalf("%v\n%s", err, head)
		}
		text, err := dmarcreport.Unpack(file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := dmarcreport.Parse(text)
		if err != nil || r.Domain != "theirs.example" || r.Org != "us.example" || r.Messages != 3 || r.Passed != 2 || len(r.Rows) != 2 || !r.Begin.Equal(day) {
			t.Errorf("%+v, %v\n%s", r, err, text)
		}
		for _, want := range []string{"<p>reject</p>", "local_policy", "<selector>s1</selector>", "<scope>mfrom</scope>"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("the report lacks %s:\n%s", want, text)
			}
		}
	})
}

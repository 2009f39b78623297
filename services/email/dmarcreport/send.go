package dmarcreport

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"uniqverse/services/email/mailbox"
	"uniqverse/smtpd"
	"uniqverse/smtpd/senderauth"
)

// The bounds of what is counted and reported.
const (
	maxKeys      = 5000 // of one minute; what comes beyond is not counted
	maxReceivers = 5    // of one report
	maxFile      = 10 << 20
)

// Key is what mail has in common that is counted together. All of it is what the sender's checks found.
type Key struct {
	Day    int64  // its beginning, unix seconds, UTC
	Domain string // where the record was found
	Record string // the record
	IP     string
	From   string // domain of the From field
	// EnvelopeFrom is the domain that SPF was asked about.
	EnvelopeFrom, SPF             string
	DKIM                          string // domain and selector and result of each signature, parted by blanks and commas
	SPFAligned, DKIMAligned, Kept bool   // Kept: the policy asked for more than was done
}

// Counts are what arrived, by day.
type Counts interface {
	// CountDMARC adds to the counts.
	CountDMARC(ctx context.Context, seen map[Key]int64) error
	// DMARCDue returns a domain with counts of a day before this one, and that day; "" when there is none.
	DMARCDue(ctx context.Context, today int64) (domain string, day int64, err error)
	// DMARCCounts returns the counts of a domain and a day, at most most of them.
	DMARCCounts(ctx context.Context, domain string, day int64, most int) (map[Key]int64, error)
	// DropDMARC forgets the counts of a domain and a day.
	DropDMARC(ctx context.Context, domain string, day int64) error
}

// Resolver answers whether somebody agrees to get reports; *dnsclient.Client is one.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// counter is what was seen since the last flush.
type counter struct {
	mu   sync.Mutex
	seen map[Key]int64
}

// add counts a message that was accepted.
func (c *counter) add(now time.Time, env *smtpd.Envelope) {
	a := env.Auth
	if a.Author.Domain == "" || a.Author.Record == "" || len(a.Author.Record) > 1000 {
		return
	}
	var dkim []string
	for _, s := range a.Signatures {
		dkim = append(dkim, clip(s.Domain)+" "+clip(s.Selector)+" "+string(s.Result))
	}
	k := Key{Day: now.UTC().Truncate(24 * time.Hour).Unix(), Domain: a.Author.Domain, Record: a.Author.Record, IP: env.RemoteIP.String(), From: a.Author.From, EnvelopeFrom: a.MailFrom.Domain,
		SPF: string(a.MailFrom.Result), DKIM: strings.Join(dkim, ","), SPFAligned: a.Author.SPFAligned, DKIMAligned: a.Author.DKIMAligned,
		Kept: a.Author.Result == senderauth.Fail && a.Author.Policy != "none"}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.seen[k]; known || len(c.seen) < maxKeys {
		c.seen[k]++
	}
}

// flush writes what was counted.
func (d *Desk) flush(ctx context.Context) {
	d.counter.mu.Lock()
	seen := d.counter.seen
	d.counter.seen = map[Key]int64{}
	d.counter.mu.Unlock()
	if len(seen) == 0 {
		return
	}
	if err := d.Store.CountDMARC(ctx, seen); err != nil {
		d.Log.Error("the counts for DMARC reports could not be written", "err", err.Error())
	}
}

// report sends what is due, one report for each domain and day.
func (d *Desk) report(ctx context.Context) {
	today := d.Now().UTC().Truncate(24 * time.Hour).Unix()
	for ctx.Err() == nil {
		domain, day, err := d.Store.DMARCDue(ctx, today)
		if err != nil || domain == "" {
			if err != nil && ctx.Err() == nil {
				d.Log.Error("the counts for DMARC reports cannot be read", "err", err.Error())
			}
			return
		}
		if err := d.reportOn(ctx, domain, day); err != nil {
			d.Log.Warn("a DMARC report could not be sent", "domain", domain, "err", err.Error())
		}
		// Reported or not: a report that cannot be sent today is of no use tomorrow.
		if err := d.Store.DropDMARC(ctx, domain, day); err != nil {
			d.Log.Error("the counts for DMARC reports cannot be removed", "err", err.Error())
			return
		}
	}
}

// reportOn sends the report of a day to whoever the domain names.
func (d *Desk) reportOn(ctx context.Context, domain string, day int64) error {
	counts, err := d.Store.DMARCCounts(ctx, domain, day, maxRows)
	if err != nil {
		return err
	}
	text := ""
	for k := range counts {
		text = k.Record
	}
	receivers := d.receivers(ctx, domain, tags(text)["rua"])
	if len(receivers) == 0 {
		return nil
	}
	id := strconv.FormatInt(day, 10) + "." + strings.ToLower(rand.Text()[:8])
	file, err := Write(d.Domain, domain, id, day, counts)
	if err != nil {
		return err
	}
	for _, to := range receivers {
		if to.max > 0 && int64(len(file)) > to.max {
			continue
		}
		from := Users()[0] + "@" + d.Domain
		env := &smtpd.Envelope{ID: rand.Text()[:16], Mode: smtpd.Submission, ReversePath: from, Recipients: []string{to.address}, User: from, Loopback: true, ReceivedAt: d.Now().UTC()}
		if err := d.Deliver(ctx, env, smtpd.NewMessage(nil, letter(from, to.address, d.Domain, domain, id, day, file, d.Now()))); err != nil {
			return err
		}
	}
	return nil
}

// receiver is an address that reports go to.
type receiver struct {
	address string
	max     int64 // bytes; 0 is no bound
}

// receivers reads a rua tag and leaves out whoever does not agree.
func (d *Desk) receivers(ctx context.Context, domain, rua string) (out []receiver) {
	for text := range strings.SplitSeq(rua, ",") {
		if len(out) == maxReceivers {
			break
		}
		text, limit, _ := strings.Cut(strings.TrimSpace(text), "!")
		u, err := url.Parse(text)
		if err != nil || !strings.EqualFold(u.Scheme, "mailto") {
			continue
		}
		address, err := url.PathUnescape(u.Opaque)
		_, host := mailbox.Split(address)
		host = strings.ToLower(host)
		if err != nil || host == "" || strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`<>"(),;:\`, r) }) {
			continue
		}
		if host != domain && !strings.HasSuffix(host, "."+domain) && !strings.HasSuffix(domain, "."+host) && !d.agrees(ctx, domain, host) {
			continue
		}
		out = append(out, receiver{address, size(limit)})
	}
	return out
}

// agrees reports whether a host takes reports about a domain that is not its own (RFC 9990 section 4).
func (d *Desk) agrees(ctx context.Context, domain, host string) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	found, err := d.Resolver.LookupTXT(ctx, domain+"._report._dmarc."+host)
	if err != nil {
		return false
	}
	for _, r := range found {
		if first, _, _ := strings.Cut(r, ";"); strings.ReplaceAll(first, " ", "") == "v=DMARC1" {
			return true
		}
	}
	return false
}

// size reads a bound such as 10m.
func size(s string) int64 {
	if s == "" {
		return 0
	}
	unit := map[byte]int64{'k': 1 << 10, 'm': 1 << 20, 'g': 1 << 30, 't': 1 << 40}[s[len(s)-1]|0x20]
	if unit != 0 {
		s = s[:len(s)-1]
	} else {
		unit = 1
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n <= 0 {
		return 0
	}
	return n * unit
}

func tags(record string) map[string]string {
	out := map[string]string{}
	for t := range strings.SplitSeq(record, ";") {
		if name, value, ok := strings.Cut(t, "="); ok {
			out[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
		}
	}
	return out
}

// Write returns a report as it is mailed: XML, packed by gzip.
func Write(us, domain, id string, day int64, counts map[Key]int64) ([]byte, error) {
	var f feedback
	f.Xmlns, f.Version = "urn:ietf:params:xml:ns:dmarc-2.0", "1.0"
	f.Metadata.Org, f.Metadata.Email, f.Metadata.ReportID = us, Users()[0]+"@"+us, id
	f.Metadata.Range.Begin, f.Metadata.Range.End = day, day+24*60*60-1
	f.Policy.Domain = domain
	for k, n := range counts {
		t := tags(k.Record)
		f.Policy.P, f.Policy.SP, f.Policy.NP, f.Policy.ADKIM, f.Policy.ASPF, f.Policy.Testing = t["p"], t["sp"], t["np"], t["adkim"], t["aspf"], t["t"]
		var r record
		r.Row.IP, r.Row.Count = k.IP, n
		e := &r.Row.Evaluated
		e.Disposition, e.DKIM, e.SPF = "none", passed(k.DKIMAligned), passed(k.SPFAligned)
		if k.Kept {
			e.Reasons = []reason{{Type: "local_policy", Comment: "accepted all the same"}}
		}
		r.Identifiers.HeaderFrom, r.Identifiers.EnvelopeFrom = k.From, k.EnvelopeFrom
		for s := range strings.SplitSeq(k.DKIM, ",") {
			if p := strings.Split(s, " "); len(p) == 3 {
				r.Auth.DKIM = append(r.Auth.DKIM, authResult{Domain: p[0], Selector: p[1], Result: p[2]})
			}
		}
		if k.EnvelopeFrom != "" {
			r.Auth.SPF = append(r.Auth.SPF, authResult{Domain: k.EnvelopeFrom, Scope: "mfrom", Result: k.SPF})
		}
		f.Records = append(f.Records, r)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(xml.Header)); err != nil {
		return nil, err
	}
	x := xml.NewEncoder(z)
	x.Indent("", " ")
	if err := x.Encode(f); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	if b.Len() > maxFile {
		return nil, fmt.Errorf("the report has %d bytes", b.Len())
	}
	return b.Bytes(), nil
}

func passed(b bool) string {
	if b {
		return "pass"
	}
	return "fail"
}

// letter is the mail that carries a report (RFC 9990 section 2.6).
func letter(from, to, us, domain, id string, day int64, file []byte, now time.Time) []byte {
	var b bytes.Buffer
	name := fmt.Sprintf("%s!%s!%d!%d.xml.gz", us, domain, day, day+24*60*60-1)
	boundary := "report-" + rand.Text()
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("From: DMARC reports <%s>", from)
	line("To: %s", to)
	line("Subject: Report Domain: %s Submitter: %s Report-ID: <%s>", domain, us, id)
	line("Date: %s", now.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	line("Message-ID: <%s@%s>", id, us)
	line("Auto-Submitted: auto-generated")
	line("MIME-Version: 1.0")
	line("Content-Type: multipart/mixed; boundary=%q", boundary)
	line("")
	line("--%s", boundary)
	line("Content-Type: text/plain; charset=us-ascii")
	line("")
	line("This is a DMARC aggregate report of %s about %s, for the %s.", us, domain, time.Unix(day, 0).UTC().Format("2 January 2006"))
	line("--%s", boundary)
	line("Content-Type: application/gzip; name=%q", name)
	line("Content-Disposition: attachment; filename=%q", name)
	line("Content-Transfer-Encoding: base64")
	line("")
	for text := base64.StdEncoding.EncodeToString(file); text != ""; {
		n := min(len(text), 76)
		line("%s", text[:n])
		text = text[n:]
	}
	line("--%s--", boundary)
	return b.Bytes()
}

package dmarcreport

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"
)

// The bounds of a report that is read.
const (
	maxXML  = 10 << 20
	maxRows = 5000
	maxText = 255
)

// Report is what somebody saw of mail that says it is from a domain.
type Report struct {
	ID         int64
	Org        string // who saw it
	ReportID   string // of theirs
	Domain     string // whose policy was applied
	Begin, End time.Time
	Received   time.Time
	Messages   int64
	Passed     int64 // of Messages: DKIM or SPF vouched for the domain
	Rows       []Row
}

// Row is mail of one sender.
type Row struct {
	IP          string `json:"ip"`
	Count       int64  `json:"count"`
	Disposition string `json:"disposition"` // none, quarantine, reject
	DKIM        string `json:"dkim"`        // pass or fail: of an aligned domain
	SPF         string `json:"spf"`
	From        string `json:"from"` // domain
}

// feedback is the XML (RFC 9990 appendix A; RFC 7489's has the same names).
type feedback struct {
	XMLName  xml.Name `xml:"feedback"`
	Xmlns    string   `xml:"xmlns,attr,omitempty"`
	Version  string   `xml:"version,omitempty"`
	Metadata struct {
		Org      string `xml:"org_name"`
		Email    string `xml:"email"`
		ReportID string `xml:"report_id"`
		Range    struct {
			Begin int64 `xml:"begin"`
			End   int64 `xml:"end"`
		} `xml:"date_range"`
	} `xml:"report_metadata"`
	Policy struct {
		Domain  string `xml:"domain"`
		ADKIM   string `xml:"adkim,omitempty"`
		ASPF    string `xml:"aspf,omitempty"`
		P       string `xml:"p"`
		SP      string `xml:"sp,omitempty"`
		NP      string `xml:"np,omitempty"`
		Testing string `xml:"testing,omitempty"`
	} `xml:"policy_published"`
	Records []record `xml:"record"`
}

type record struct {
	Row struct {
		IP        string `xml:"source_ip"`
		Count     int64  `xml:"count"`
		Evaluated struct {
			Disposition string   `xml:"disposition"`
			DKIM        string   `xml:"dkim"`
			SPF         string   `xml:"spf"`
			Reasons     []reason `xml:"reason"`
		} `xml:"policy_evaluated"`
	} `xml:"row"`
	Identifiers struct {
		HeaderFrom   string `xml:"header_from"`
		EnvelopeFrom string `xml:"envelope_from,omitempty"`
	} `xml:"identifiers"`
	Auth struct {
		DKIM []authResult `xml:"dkim"`
		SPF  []authResult `xml:"spf"`
	} `xml:"auth_results"`
}

type reason struct {
	Type    string `xml:"type"`
	Comment string `xml:"comment,omitempty"`
}

type authResult struct {
	Domain   string `xml:"domain"`
	Selector string `xml:"selector,omitempty"`
	Scope    string `xml:"scope,omitempty"`
	Result   string `xml:"result"`
}

// Unpack returns the XML in a file as it is mailed: gzip, a zip with one file, or plain.
func Unpack(file []byte) ([]byte, error) {
	var src io.Reader = bytes.NewReader(file)
	switch {
	case bytes.HasPrefix(file, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(src)
		if err != nil {
			return nil, err
		}
		defer z.Close()
		src = z
	case bytes.HasPrefix(file, []byte("PK")):
		z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return nil, err
		}
		if len(z.File) != 1 {
			return nil, fmt.Errorf("the zip holds %d files, not one", len(z.File))
		}
		f, err := z.File[0].Open()
		if err != nil {
			return nil, err
		}
		defer f.Close()
		src = f
	}
	out, err := io.ReadAll(io.LimitReader(src, maxXML+1))
	if err != nil {
		return nil, err
	}
	if len(out) > maxXML {
		return nil, errors.New("the report is larger than 10 MB")
	}
	return out, nil
}

// Parse reads a report.
func Parse(text []byte) (Report, error) {
	var f feedback
	d := xml.NewDecoder(bytes.NewReader(text))
	d.CharsetReader = func(name string, in io.Reader) (io.Reader, error) {
		if strings.EqualFold(name, "us-ascii") || strings.EqualFold(name, "utf8") {
			return in, nil
		}
		return nil, fmt.Errorf("the charset %q is not UTF-8", name)
	}
	if err := d.Decode(&f); err != nil {
		return Report{}, err
	}
	r := Report{Org: clip(f.Metadata.Org), ReportID: clip(f.Metadata.ReportID), Domain: strings.ToLower(clip(f.Policy.Domain)), Begin: time.Unix(f.Metadata.Range.Begin, 0).UTC(), End: time.Unix(f.Metadata.Range.End, 0).UTC()}
	const latest = 1 << 40 // seconds: beyond, a time has no form
	switch {
	case r.Org == "" || r.ReportID == "" || r.Domain == "":
		return Report{}, errors.New("org_name, report_id or domain is missing")
	case f.Metadata.Range.Begin <= 0 || f.Metadata.Range.End < f.Metadata.Range.Begin || f.Metadata.Range.End > latest:
		return Report{}, errors.New("the date_range is none")
	case len(f.Records) > maxRows:
		return Report{}, fmt.Errorf("there are %d rows, more than %d", len(f.Records), maxRows)
	}
	for _, rec := range f.Records {
		e := rec.Row.Evaluated
		ip, err := netip.ParseAddr(strings.TrimSpace(rec.Row.IP))
		if err != nil || rec.Row.Count < 0 || rec.Row.Count > 1<<40 {
			return Report{}, fmt.Errorf("a row of %q has %d messages", clip(rec.Row.IP), rec.Row.Count)
		}
		row := Row{IP: ip.Unmap().WithZone("").String(), Count: rec.Row.Count, Disposition: word(e.Disposition, "none", "quarantine", "reject"), DKIM: word(e.DKIM, "fail", "pass"), SPF: word(e.SPF, "fail", "pass"),
			From: strings.ToLower(clip(rec.Identifiers.HeaderFrom))}
		r.Messages += row.Count
		if row.DKIM == "pass" || row.SPF == "pass" {
			r.Passed += row.Count
		}
		r.Rows = append(r.Rows, row)
	}
	return r, nil
}

// word is one of the words that may stand, the first where it is another one.
func word(s string, allowed ...string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	for _, a := range allowed {
		if s == a {
			return s
		}
	}
	return allowed[0]
}

// clip makes a stranger's text fit to be kept and shown.
func clip(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}

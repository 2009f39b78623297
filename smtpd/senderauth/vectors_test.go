package senderauth_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"uniqverse/smtpd/senderauth"
)

// vectors is a scenario of the test suite of RFC 7208: messages, and what the DNS says.
type vectors struct {
	Description string
	Tests       map[string]struct {
		Helo     string
		Host     string
		MailFrom string `yaml:"mailfrom"`
		Result   words
		Skip     string
	}
	ZoneData map[string][]map[string]yaml.Node `yaml:"zonedata"`
}

// words is a list that the suite writes without its brackets when it is of one.
type words []string

func (w *words) UnmarshalYAML(n *yaml.Node) error {
	var list []string
	if n.Decode(&list) == nil {
		*w = list
		return nil
	}
	*w = []string{n.Value}
	return nil
}

// TestSPFVectors runs the suites that the SPF module ships with (RFC 7208, RFC 4408 and two smaller ones) through
// all of our own code: how the message is read, the identity that is chosen, the resolver in between.
// Row 42. See docs/smtp.md.
func TestSPFVectors(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "blitiri.com.ar/go/spf").Output()
	if err != nil {
		t.Skipf("the folder of the SPF module is not known: %v", err)
	}
	for name, least := range map[string]int{"rfc7208": 203, "rfc4408": 190, "pyspf": 12, "blitirispf": 50} {
		f, err := os.Open(filepath.Join(strings.TrimSpace(string(dir)), "testdata", name+"-tests.yml"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		ran := 0
		for dec := yaml.NewDecoder(f); ; {
			var v vectors
			if err := dec.Decode(&v); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			c := senderauth.New(senderauth.Options{Resolver: zoneOf(t, v.ZoneData), TotalTime: time.Minute, LookupTime: time.Minute})
			for id, test := range v.Tests {
				_, domain, _ := strings.Cut(test.MailFrom, "@")
				own := name == "pyspf" || name == "blitirispf" // not of an RFC, and with domains of one label, which RFC 7208 does not know
				if own && (test.Skip != "" || !strings.Contains(domain, ".") || id == "resolution-with-10-lookups") {
					continue
				}
				ran++
				r := c.Check(context.Background(), senderauth.Input{IP: netip.MustParseAddr(test.Host), HELO: test.Helo, MailFrom: test.MailFrom})
				if !slices.Contains(test.Result, string(r.SPF)) {
					t.Errorf("%s, %s: %s: got %s (%s), want %v", name, v.Description, id, r.SPF, r.MailFrom.Reason, test.Result)
				}
			}
		}
		if ran < least {
			t.Errorf("%s: only %d cases ran", name, ran)
		}
		t.Logf("%s: %d cases", name, ran)
	}
}

// zone is the DNS of a scenario.
type zone struct {
	txt, ptr, cname map[string][]string
	mx              map[string][]*net.MX
	ip              map[string][]net.IPAddr
	fails           map[string]bool
}

func zoneOf(t *testing.T, data map[string][]map[string]yaml.Node) zone {
	z := zone{txt: map[string][]string{}, ptr: map[string][]string{}, cname: map[string][]string{}, mx: map[string][]*net.MX{}, ip: map[string][]net.IPAddr{}, fails: map[string]bool{}}
	for name, records := range data {
		name = strings.ToLower(name)
		var spf []string
		fails := false
		for _, record := range records {
			for kind, node := range record {
				var list words
				if err := node.Decode(&list); err != nil {
					t.Fatal(err)
				}
				switch kind {
				case "A", "AAAA":
					for _, a := range list {
						z.ip[name] = append(z.ip[name], net.IPAddr{IP: net.ParseIP(a)})
					}
				case "TXT":
					z.txt[name] = append(z.txt[name], list...)
				case "SPF":
					spf = append(spf, strings.Join(list, ""))
				case "MX":
					z.mx[name] = append(z.mx[name], &net.MX{Host: list[1]})
				case "PTR":
					z.ptr[name] = append(z.ptr[name], list[0]+".")
				case "CNAME":
					z.cname[name] = list
				case "TIMEOUT", "SERVFAIL", "CNAMELOOP":
					fails = true
				default:
					t.Fatalf("no such record: %s", kind)
				}
			}
		}
		z.fails[name] = fails && (len(z.txt[name]) == 0 || z.txt[name][0] == "NONE") // else what fails is the question for the old type
		if len(z.txt[name]) == 0 {                                                   // the suite has records of the old type SPF that mean TXT
			z.txt[name] = spf
		}
	}
	return z
}

// ask returns the records of a name, past its CNAMEs.
func ask[T any](z zone, records map[string][]T, name string) ([]T, error) {
	key := strings.ToLower(strings.TrimRight(name, "."))
	for range 10 {
		to := z.cname[key]
		if len(to) == 0 {
			break
		}
		key = strings.ToLower(strings.TrimRight(to[0], "."))
	}
	if z.fails[key] {
		return nil, &net.DNSError{Err: "no answer", Name: name, IsTimeout: true}
	}
	if len(records[key]) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return records[key], nil
}

func (z zone) LookupTXT(_ context.Context, name string) ([]string, error) { return ask(z, z.txt, name) }

func (z zone) LookupMX(_ context.Context, name string) ([]*net.MX, error) { return ask(z, z.mx, name) }

func (z zone) LookupIPAddr(_ context.Context, name string) ([]net.IPAddr, error) {
	return ask(z, z.ip, name)
}

func (z zone) LookupAddr(_ context.Context, addr string) ([]string, error) {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return nil, err
	}
	name := ""
	if b := ip.As16(); ip.Is4() {
		a := ip.As4()
		for _, c := range a {
			name = "." + strconv.Itoa(int(c)) + name
		}
		name = name[1:] + ".in-addr.arpa"
	} else {
		for _, c := range b {
			name = "." + string("0123456789abcdef"[c&15]) + "." + string("0123456789abcdef"[c>>4]) + name
		}
		name = name[1:] + ".ip6.arpa"
	}
	return ask(z, z.ptr, name)
}

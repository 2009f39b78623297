// Package mtasts finds out whether a domain promises TLS for its mail (MTA-STS, RFC 8461): the record in the DNS, the policy
// at https://mta-sts.<domain>, and the cache of policies that outlives a restart.
//
// It delivers nothing: package courier asks it before it connects, and obeys. A policy that was seen holds until its
// max_age is over, whatever the DNS or the web say in the meantime, so that nobody who can silence them can take TLS away.
//
// What is fetched is at a place that a stranger names, so the fetch is guarded: https with a verified certificate, no
// redirect, 64 KB, 30 seconds in all, and never an address of this host or of a private network. A fetch that failed is not
// repeated for five minutes.
//
// A Client is safe for concurrent use.
package mtasts

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Mode is what a policy asks of senders.
type Mode string

// The modes of a policy.
const (
	None    Mode = "none"    // nothing
	Testing Mode = "testing" // deliver all the same, and say in reports what would have failed
	Enforce Mode = "enforce" // deliver only to hosts that the policy names, over TLS with a certificate for their name
)

// maxAge is how many seconds a policy may hold at most; RFC 8461 has the same bound.
const maxAge = 31557600

// Policy is what a domain says. The zero Policy asks for nothing.
type Policy struct {
	ID      string // of the record in the DNS that it was fetched for
	Mode    Mode
	MX      []string // host names, in lower case; "*." stands for one label
	MaxAge  time.Duration
	Expires time.Time
}

// Matches reports whether the policy names a host.
func (p Policy) Matches(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return slices.ContainsFunc(p.MX, func(m string) bool {
		below, star := strings.CutPrefix(m, "*.")
		if !star {
			return m == host
		}
		_, rest, ok := strings.Cut(host, ".")
		return ok && rest == below
	})
}

// Text returns the policy as it is published.
func (p Policy) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "version: STSv1\r\nmode: %s\r\n", p.Mode)
	for _, m := range p.MX {
		fmt.Fprintf(&b, "mx: %s\r\n", m)
	}
	fmt.Fprintf(&b, "max_age: %d\r\n", int(p.MaxAge.Seconds()))
	return b.String()
}

// Parse reads a policy as it is published (RFC 8461 section 3.2).
func Parse(text []byte) (Policy, error) {
	var p Policy
	fields := map[string]int{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 0; lines.Scan(); n++ {
		line := strings.TrimRight(lines.Text(), " \t\r")
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		if !ok || name == "" {
			return Policy{}, fmt.Errorf("line %d is not name: value", n+1)
		}
		if fields[name]++; fields[name] > 1 && name != "mx" {
			continue // the first one counts
		}
		switch name {
		case "version":
			if value != "STSv1" {
				return Policy{}, fmt.Errorf("the version is %q, not STSv1", value)
			}
		case "mode":
			p.Mode = Mode(value)
		case "mx":
			if len(p.MX) >= 100 {
				return Policy{}, errors.New("there are more than 100 hosts")
			}
			p.MX = append(p.MX, strings.ToLower(strings.TrimSuffix(value, ".")))
		case "max_age":
			s, err := strconv.ParseInt(value, 10, 64)
			if err != nil || s < 0 || len(value) > 10 {
				return Policy{}, fmt.Errorf("max_age is %q, not a number of seconds", value)
			}
			p.MaxAge = time.Duration(min(s, maxAge)) * time.Second
		}
	}
	switch {
	case lines.Err() != nil:
		return Policy{}, lines.Err()
	case fields["version"] == 0 || fields["max_age"] == 0:
		return Policy{}, errors.New("version or max_age is missing")
	case p.Mode != None && p.Mode != Testing && p.Mode != Enforce:
		return Policy{}, fmt.Errorf("the mode is %q", p.Mode)
	case p.Mode != None && len(p.MX) == 0:
		return Policy{}, errors.New("no host is named")
	}
	return p, nil
}

// recordID returns the id of the record among a name's TXT records: "" when there is none, or more than one.
func recordID(records []string) string {
	id, found := "", 0
	for _, r := range records {
		tags := strings.Split(r, ";")
		if strings.TrimSpace(tags[0]) != "v=STSv1" {
			continue
		}
		found++
		for _, t := range tags[1:] {
			if v, ok := strings.CutPrefix(strings.TrimSpace(t), "id="); ok {
				id = strings.TrimSpace(v)
			}
		}
	}
	if found != 1 || len(id) > 32 || strings.ContainsFunc(id, func(r rune) bool { return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') }) {
		return ""
	}
	return id
}

package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// safeSecret is the length in bytes below which a secret gets a warning: 128 bits, below which
// an HS256 key can be found by trying. It is not refused: the programs that a community
// already runs share the secret that they have.
const safeSecret = 16

// Log is how the process logs: the format, "text" or "json", and the lowest level shown.
type Log struct {
	Format string
	Level  slog.Level
}

// String returns both as they are written in the settings, such as "text,info".
func (l Log) String() string { return l.Format + "," + strings.ToLower(l.Level.String()) }

// Logger returns a logger that writes to w as l says.
func (l Log) Logger(w io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: l.Level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// parse reads the text of a setting of that kind. The error completes the sentence "X is
// VALUE, …": what is wrong and the mend, in one line and without the value.
func parse(kind, text string) (any, error) {
	if choices, ok := strings.CutPrefix(kind, "one-of:"); ok {
		return parseOneOf(strings.Split(choices, ","), text)
	}
	switch kind {
	case "dir", "text":
		return parseText(text)
	case "host":
		return parseHost(text)
	case "port":
		return parsePort(text)
	case "services":
		return parseServices(text)
	case "secret":
		return parseSecret(text)
	case "services-file":
		return parseServicesFile(text)
	case "services-json":
		return text, checkServicesJSON([]byte(text))
	case "domain":
		return parseDomain(text)
	case "dns":
		return parseDNS(text)
	case "host-port":
		return parseHostPort(text, "a server such as mail.example.org:587")
	case "milter":
		return parseHostPort(text, "a filter such as 127.0.0.1:11332")
	case "junk-score":
		return parseJunkScore(text)
	case "file":
		return parseFile(text)
	case "url":
		u, err := parseURL(text)
		if err != nil {
			return nil, err
		}
		return u.String(), nil
	case "jwks":
		return parseJWKS(text)
	case "switch":
		return parseSwitch(text)
	case "database":
		return nil, refuseDatabase(text)
	case "redis":
		return nil, errors.New("which is not in this version; unset it to use the hub in this process")
	case "log":
		return parseLog(text)
	case "pairs":
		return parsePairs(text)
	case "domains":
		return parseDomains(text)
	case "score":
		return parseScore(text)
	case "ratio":
		return parseRatio(text)
	case "bool":
		return parseBool(text)
	}
	return nil, fmt.Errorf("whose kind %q nobody reads; this is a mistake in the program", kind)
}

func parseOneOf(choices []string, text string) (string, error) {
	if !slices.Contains(choices, text) {
		return "", fmt.Errorf("which is not known; set it to %s", orList(choices))
	}
	return text, nil
}

func parseText(text string) (string, error) {
	for _, r := range text {
		if r < ' ' || r == 0x7f {
			return "", errors.New("which holds a control character; write it on one line of plain text")
		}
	}
	return text, nil
}

func parseHost(text string) (string, error) {
	mend := errors.New("which is not an IP address or host name; set it to 127.0.0.1 for this machine only or 0.0.0.0 for every network")
	if ip, err := netip.ParseAddr(text); err == nil {
		return ip.String(), nil
	}
	if !isHostName(text) {
		return "", mend
	}
	return text, nil
}

// isHostName reports whether text is a host name of RFC 1123: letters, digits and hyphens
// between dots. A last label of digits alone would be an IP address that is none.
func isHostName(text string) bool {
	if text == "" || len(text) > 253 {
		return false
	}
	labels := strings.Split(strings.TrimSuffix(text, "."), ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
		for _, r := range l {
			if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-') {
				return false
			}
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

func parsePort(text string) (Port, error) {
	if text == "off" {
		return Off, nil
	}
	n, err := parseUint(text, 65535)
	if err != nil {
		return 0, errors.New("which is not a port; set it to a number from 0 (any free port) to 65535, or to off")
	}
	return Port(n), nil
}

// parseUint reads plain decimal digits only, so that "+80", "0x50" and "8_0" are not ports.
func parseUint(text string, most uint64) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n > most {
		return 0, errors.New("out of range")
	}
	return n, nil
}

func allServices() []string { return []string{"portal", "game", "email", "chat"} }

func parseServices(text string) (Services, error) {
	wanted := make(map[string]bool)
	for name := range strings.SplitSeq(text, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(allServices(), name) {
			return nil, fmt.Errorf("where %q is not a service; list some of %s, separated by commas", name, strings.Join(allServices(), ","))
		}
		wanted[name] = true
	}
	var s Services
	for _, name := range allServices() {
		if wanted[name] {
			s = append(s, name)
		}
	}
	return s, nil
}

func parseSecret(text string) (Secret, error) {
	return Secret(text), nil
}

func parseServicesFile(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("which cannot be read (%s); name a readable JSON file or unset it", reason(err))
	}
	return path, checkServicesJSON(raw)
}

// checkServicesJSON sees that raw is a list of objects with a name each. What else an entry
// may hold is the portal's to say.
func checkServicesJSON(raw []byte) error {
	var entries []struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal(raw, &entries); err != nil {
		why := err.Error()
		if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
			why = fmt.Sprintf("%s at byte %d", wrong.Value, wrong.Offset)
		}
		return fmt.Errorf(`which is not a JSON list of services (%s); write it as [{"name":"wiki","url":"https://wiki.example.org"}]`, why)
	}
	for i, e := range entries {
		if strings.TrimSpace(e.Name) == "" {
			return fmt.Errorf(`whose entry %d has no name; give each entry a "name"`, i+1)
		}
	}
	return nil
}

func parseDomain(text string) (string, error) {
	mend := errors.New("which is not a domain name; set it to one such as example.org")
	profile := idna.New(idna.MapForLookup(), idna.BidiRule(), idna.VerifyDNSLength(true), idna.StrictDomainName(true))
	ascii, err := profile.ToASCII(strings.TrimSuffix(text, "."))
	if err != nil || !isHostName(ascii) {
		return "", mend
	}
	return strings.ToLower(ascii), nil
}

func parseDNS(text string) (string, error) {
	if text == "off" {
		return text, nil
	}
	return parseHostPort(text, "an address such as 127.0.0.1:53, or to off")
}

func parseHostPort(text, mend string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", fmt.Errorf("which is not host:port; set it to %s", mend)
	}
	if _, err := parseHost(host); err != nil {
		return "", fmt.Errorf("whose host is not an IP address or host name; set it to %s", mend)
	}
	if n, err := parseUint(port, 65535); err != nil || n == 0 {
		return "", fmt.Errorf("whose port is not a number from 1 to 65535; set it to %s", mend)
	}
	return text, nil
}

func parseFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("which cannot be read (%s); name a readable file or unset it", reason(err))
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.IsDir() {
		return "", errors.New("which is a folder; name a readable file or unset it")
	}
	return path, nil
}

// parseURL reads the base URL of a service: http or https, a host, no query, no fragment.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "":
		return nil, errors.New("which is not a URL; set it to one such as http://127.0.0.1:8004")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("which is not an http or https URL; set it to one such as http://127.0.0.1:8004")
	case u.Hostname() == "":
		return nil, errors.New("which has no host; set it to a URL such as http://127.0.0.1:8004")
	case u.User != nil:
		return nil, errNoUser()
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("which has a query or fragment; leave out everything from ? or # on")
	}
	if p := u.Port(); p != "" {
		if n, err := parseUint(p, 65535); err != nil || n == 0 {
			return nil, errors.New("whose port is not a number from 1 to 65535; set it to a URL such as http://127.0.0.1:8004")
		}
	}
	return u, nil
}

// errNoUser keeps passwords out of URLs, which end up in logs of every sort.
func errNoUser() error {
	return errors.New("which carries a user name or password; leave out everything before the @")
}

func parseJWKS(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return "", errors.New("which is not a URL; set it to one such as https://id.example.org/.well-known/jwks.json")
	}
	if u.User != nil {
		return "", errNoUser()
	}
	if u.Scheme == "http" && !isLoopbackHost(u.Hostname()) {
		return "", errors.New("over which anyone on the way could slip in keys; set an https URL (http is for this machine only)")
	}
	return u.String(), nil
}

func parseSwitch(text string) (Switch, error) {
	switch text {
	case "1":
		return ForcedOn, nil
	case "0":
		return ForcedOff, nil
	}
	return Unset, errors.New("which is neither 1 nor 0; set it to 1 (on always), to 0 (off always) or unset it")
}

func refuseDatabase(text string) error {
	if strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://") {
		return errors.New("but PostgreSQL is not in this version; unset it to use the SQLite file in the data folder")
	}
	return errors.New("which is no database that this version knows; unset it to use the SQLite file in the data folder (VEZE_DATA_DIR says where)")
}

func parseLog(text string) (Log, error) {
	l := Log{Format: "text", Level: slog.LevelInfo}
	var format, level bool
	for part := range strings.SplitSeq(text, ",") {
		switch part = strings.TrimSpace(part); part {
		case "text", "json":
			if format {
				return l, errors.New("which names two formats; set it as in text,info or json,debug")
			}
			l.Format, format = part, true
		case "debug", "info", "warn", "error":
			if level {
				return l, errors.New("which names two levels; set it as in text,info or json,debug")
			}
			// The four names are the ones that slog reads, so this cannot fail.
			_ = l.Level.UnmarshalText([]byte(part))
			level = true
		default:
			return l, errors.New("which is not text or json, then debug, info, warn or error; set it as in text,info or json,debug")
		}
	}
	return l, nil
}

func parsePairs(text string) (string, error) {
	for pair := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(pair, "=")
		_, err := url.PathUnescape(value)
		if !ok || strings.TrimSpace(name) == "" || err != nil {
			return "", errors.New("which is not a list of name=value; write it as name=value,name=value with values percent-encoded")
		}
	}
	return parseText(text)
}

// Pairs splits a setting of the form name=value,name=value into a map, with the values
// percent-decoded, as OpenTelemetry writes its headers and resource attributes. The text
// must have passed Load.
func Pairs(text string) map[string]string {
	if text == "" {
		return nil
	}
	pairs := make(map[string]string)
	for pair := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(pair, "=")
		if v, err := url.PathUnescape(strings.TrimSpace(value)); err == nil {
			pairs[strings.TrimSpace(name)] = v
		}
	}
	return pairs
}

// maxDomains bounds a list of host names: each one may be a look-up for every mail.
const maxDomains = 10

func parseDomains(text string) (Domains, error) {
	var all Domains
	for name := range strings.SplitSeq(text, ",") {
		name = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(name), "."))
		if !isHostName(name) || !strings.Contains(name, ".") {
			return nil, errors.New("which is not a list of host names; write it as bl.example.org,other.example.net")
		}
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	if len(all) > maxDomains {
		return nil, fmt.Errorf("which names %d hosts; name %d at most", len(all), maxDomains)
	}
	return all, nil
}

func parseScore(text string) (float64, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || f < 0 || f > 1000 || f > 0 && f < 5 {
		return 0, errors.New("which is not a score that mail can be refused for; set it to a number from 5 to 1000, or to 0 for none")
	}
	return f, nil
}

func parseRatio(text string) (float64, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || f < 0 || f > 1 {
		return 0, errors.New("which is not a part of the whole; set it to a number from 0 to 1")
	}
	return f, nil
}

func parseJunkScore(text string) (float64, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || f < 1 || f > 100 {
		return 0, errors.New("which is no score; set it to a number from 1 to 100")
	}
	return f, nil
}

func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, errors.New("which is neither true nor false; set it to one of them or unset it")
}

func orList(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// reason returns the last part of a file error, without the path that the line names anyway.
func reason(err error) string {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

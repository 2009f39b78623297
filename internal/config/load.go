package config

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// setting is one field of a Config with its tags.
type setting struct {
	env  []string // in the order in which they are asked
	flag string   // without dashes, "" when there is none
	def  string   // the default's text, "" when there is none
	// unset says in words what happens without a value, "" when there is a default.
	unset string
	kind  string
	dst   reflect.Value
}

// settings returns every setting of c that is one variable, in the order of the fields;
// ServiceURLs, whose variables are a family, is read by loadServiceURLs.
func (c *Config) settings() []setting {
	v := reflect.ValueOf(c).Elem()
	var all []setting
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		if tag.Get("env") == "" || tag.Get("kind") == "urls" {
			continue
		}
		all = append(all, setting{
			env:   strings.Split(tag.Get("env"), ","),
			flag:  tag.Get("flag"),
			def:   tag.Get("default"),
			unset: tag.Get("unset"),
			kind:  tag.Get("kind"),
			dst:   v.Field(i),
		})
	}
	return all
}

// set reads text into the field.
func (s setting) set(text string) error {
	v, err := parse(s.kind, text)
	if err != nil {
		return err
	}
	s.dst.Set(reflect.ValueOf(v).Convert(s.dst.Type()))
	return nil
}

// name returns how messages name the setting: the variable, and the flag where there is one.
func (s setting) name() string {
	if s.flag == "" {
		return s.env[0]
	}
	return s.env[0] + " (--" + s.flag + ")"
}

// refuse returns the one line about a value that is not taken. The variable that held it is
// named first, then the flag.
func (s setting) refuse(variable, text string, err error) error {
	s.env = []string{variable}
	return fmt.Errorf("%s is %s, %w", s.name(), shown(s.kind, text), err)
}

// shown returns a value as an error may show it: quoted, on one line, shortened, without the
// password of a URL, and nothing at all of a secret.
func shown(kind, text string) string {
	switch kind {
	case "secret":
		return "(hidden)"
	case "url", "urls", "jwks", "database", "redis":
		text = withoutPassword(text)
	case "pairs":
		// Headers carry keys; resource attributes share the kind and lose little by it.
		return "(hidden)"
	}
	if len(text) > 120 {
		text = strings.ToValidUTF8(text[:120], "") + "…"
	}
	return fmt.Sprintf("%q", text)
}

// withoutPassword hides what stands before the @ of a URL, also of one that does not parse.
func withoutPassword(text string) string {
	if u, err := url.Parse(text); err == nil && u.Opaque == "" {
		if u.User == nil {
			return text
		}
		return u.Redacted()
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if at := strings.LastIndex(rest, "@"); ok && at >= 0 {
		return scheme + "://xxxxx" + rest[at:]
	}
	return text
}

// Default returns the settings of a start with no flags and an empty environment.
func Default() Config {
	c, _, err := Load(nil, func(string) string { return "" }, nil)
	if err != nil {
		// The defaults are constants of this package and every test loads them.
		return Config{}
	}
	return c
}

// Load reads every setting: args are the command line after the subcommand, getenv looks a
// variable up ("" when it is not set), environ lists the environment as os.Environ does, so
// that families of variables and misspelt ones are found. The warnings are a line each, for
// the operator. The error is one line that names the setting, the value and the mend.
func Load(args []string, getenv func(string) string, environ []string) (Config, []string, error) {
	c := Config{sources: make(map[string]Source)}
	all := c.settings()
	given, err := parseArgs(all, args)
	if err != nil {
		return Config{}, nil, err
	}
	for _, s := range all {
		if err := c.load(s, given, getenv); err != nil {
			return Config{}, nil, err
		}
	}
	if err := c.loadServiceURLs(getenv, environ); err != nil {
		return Config{}, nil, err
	}
	if err := c.check(); err != nil {
		return Config{}, nil, err
	}
	return c, c.warnings(all, environ), nil
}

// load sets one setting from the flag, else the first variable that is set, else the default.
func (c *Config) load(s setting, given map[string]string, getenv func(string) string) error {
	if text, ok := given[s.flag]; ok && s.flag != "" {
		if err := s.set(text); err != nil {
			return s.refuse(s.env[0], text, err)
		}
		c.sources[s.env[0]] = Source("--" + s.flag)
		return nil
	}
	for _, name := range s.env {
		text := getenv(name)
		if text == "" {
			continue
		}
		if err := s.set(text); err != nil {
			return s.refuse(name, text, err)
		}
		c.sources[s.env[0]] = Source(name)
		return nil
	}
	if s.def == "" {
		return nil
	}
	return s.set(s.def)
}

// parseArgs reads --name=value and --name value into a map by flag name. --demo may stand
// alone and then means 1. It knows nothing else, so that a slip is never taken for a value.
func parseArgs(all []setting, args []string) (map[string]string, error) {
	known := make([]string, 0, len(all))
	for _, s := range all {
		if s.flag != "" {
			known = append(known, s.flag)
		}
	}
	given := make(map[string]string)
	for i := 0; i < len(args); i++ {
		name, isFlag := strings.CutPrefix(args[i], "-")
		if !isFlag {
			return nil, fmt.Errorf("unexpected argument %q; settings are written as --name=value (uniqverse help lists them)", args[i])
		}
		name, value, hasValue := strings.Cut(strings.TrimPrefix(name, "-"), "=")
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("unknown flag --%s%s; uniqverse help lists the flags", name, didYouMean("--", name, known))
		}
		if !hasValue {
			switch next := i + 1; {
			case next < len(args) && !(strings.HasPrefix(args[next], "--") || name == "demo" && !isSwitch(args[next])):
				i, value = next, args[next]
			case name == "demo":
				value = "1"
			default:
				return nil, fmt.Errorf("--%s has no value; write it as --%s=VALUE", name, name)
			}
		}
		if _, twice := given[name]; twice {
			return nil, fmt.Errorf("--%s is given twice; leave one out", name)
		}
		if value == "" {
			return nil, fmt.Errorf("--%s is empty; give it a value or leave it out", name)
		}
		given[name] = value
	}
	return given, nil
}

func isSwitch(text string) bool {
	_, err := parseSwitch(text)
	return err == nil
}

// serviceVariable is the family of VEZE_SERVICE_<NAME>; VEZE_SERVICE_TOKEN is not of it.
func serviceVariable(name string) (service string, ok bool) {
	service, ok = strings.CutPrefix(name, "VEZE_SERVICE_")
	return strings.ToLower(service), ok && service != "TOKEN"
}

func innerServices() []string {
	return []string{"portal", "game", "email", "chat", "desk", "xengine"}
}

// loadServiceURLs reads VEZE_SERVICE_<NAME> for any name, then <NAME>_BASE_URL for our own
// services; a _BASE_URL of any other name is likely another program's.
func (c *Config) loadServiceURLs(getenv func(string) string, environ []string) error {
	variables := make(map[string]string)
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		service, ok := serviceVariable(name)
		if !ok || getenv(name) == "" {
			continue
		}
		if !regexp.MustCompile(`^[a-z][a-z0-9_]*$`).MatchString(service) {
			return fmt.Errorf("%s is not the name of a service; write it as VEZE_SERVICE_ and a name of capital letters, digits and underscores", name)
		}
		variables[service] = name
	}
	for _, service := range innerServices() {
		name := strings.ToUpper(service) + "_BASE_URL"
		if variables[service] == "" && getenv(name) != "" {
			variables[service] = name
		}
	}
	c.ServiceURLs = make(map[string]string)
	for service, name := range variables {
		u, err := parseURL(getenv(name))
		if err != nil {
			return setting{kind: "urls"}.refuse(name, getenv(name), err)
		}
		c.ServiceURLs[service] = u.String()
		c.sources["VEZE_SERVICE_"+strings.ToUpper(service)] = Source(name)
	}
	return nil
}

// check refuses what is right by itself and wrong together.
func (c *Config) check() error {
	if (c.TLSCert == "") != (c.TLSKey == "") {
		set, missing, value := "EMAIL_TLS_CERT", "EMAIL_TLS_KEY", c.TLSCert
		if c.TLSCert == "" {
			set, missing, value = missing, set, c.TLSKey
		}
		return fmt.Errorf("%s is %q, but %s is not set; set both, or neither for a self-signed pair", set, value, missing)
	}
	if err := c.checkOutbound(); err != nil {
		return err
	}
	open := make(map[Port]string)
	listeners := 0
	for _, s := range c.settings() {
		if s.kind != "port" || !c.usesPort(s.env[0]) {
			continue
		}
		p := Port(s.dst.Int())
		if p == Off {
			continue
		}
		listeners++
		if other := open[p]; p != 0 && other != "" {
			return fmt.Errorf("%s is %q, which %s has too; give each a port of its own, 0 for any free one, or off", s.name(), p, other)
		}
		open[p] = s.name()
	}
	if listeners == 0 {
		return errors.New("UNI_PORT (--portal-port) and every other port of the services that VEZE_SERVICES (--services) names are \"off\", so there is nothing to serve; set at least one to a port")
	}
	return nil
}

// checkOutbound refuses settings of outgoing mail that contradict each other.
func (c *Config) checkOutbound() error {
	switch {
	case c.Outbound == "smarthost" && c.Smarthost == "":
		return errors.New("EMAIL_OUTBOUND is \"smarthost\", but EMAIL_SMARTHOST is not set; set it to a server such as mail.example.org:587")
	case c.Outbound == "direct" && c.Smarthost != "":
		return fmt.Errorf("EMAIL_OUTBOUND is \"direct\", but EMAIL_SMARTHOST is %q; unset one of the two", c.Smarthost)
	case c.DMARCReports == "on" && c.OutboundMode() == "hold":
		return errors.New("EMAIL_DMARC_REPORTS is \"on\", but outgoing mail is held; set EMAIL_SMARTHOST, or EMAIL_OUTBOUND to direct")
	case c.SpamRefuse != 0 && c.SpamRefuse < c.SpamJunkAt:
		return fmt.Errorf("EMAIL_SPAM_REFUSE is %q, which is below EMAIL_SPAM_JUNK (%g): what is not even junk would be refused; set it higher", fmt.Sprint(c.SpamRefuse), c.SpamJunkAt)
	case (c.SmarthostUser == "") != (c.SmarthostPassword == ""):
		return errors.New("EMAIL_SMARTHOST_USER and EMAIL_SMARTHOST_PASSWORD go together, and one of them is not set; set both or neither")
	case c.SmarthostUser != "" && c.Smarthost == "":
		return fmt.Errorf("EMAIL_SMARTHOST_USER is %q, but EMAIL_SMARTHOST is not set; set it to a server such as mail.example.org:587", c.SmarthostUser)
	}
	return nil
}

// usesPort reports whether the services of this process listen on the port of that variable.
func (c *Config) usesPort(variable string) bool {
	switch variable {
	case "UNI_PORT":
		return c.Services.Has("portal")
	case "GAME_PORT":
		return c.Services.Has("game")
	case "CHAT_PORT":
		return c.Services.Has("chat")
	}
	return c.Services.Has("email")
}

// warnings returns what is taken but deserves a word.
func (c *Config) warnings(all []setting, environ []string) []string {
	var w []string
	if c.JWTDemo == ForcedOn {
		w = append(w, "VEZE_JWT_DEMO (--demo) is 1: the token \"demo\" opens nearly everything to whoever reaches the listeners; unset it where others can")
	}
	for name, secret := range map[string]Secret{"VEZE_JWT_SECRET": c.JWTSecret, "VEZE_SERVICE_TOKEN": c.ServiceToken} {
		if secret != "" && len(secret) < safeSecret {
			w = append(w, fmt.Sprintf("%s has only %d bytes and could be guessed; set %d or more, such as the output of: head -c 32 /dev/urandom | base64", name, len(secret), safeSecret))
		}
	}
	slices.Sort(w)
	for _, service := range innerServices() {
		if c.ServiceURLs[service] != "" && c.ServiceToken == "" {
			w = append(w, fmt.Sprintf("%s is set but VEZE_SERVICE_TOKEN is not: %s trusts our calls only if both processes have the same one",
				c.sources["VEZE_SERVICE_"+strings.ToUpper(service)], service))
			break
		}
	}
	var known []string
	for _, s := range all {
		known = append(known, s.env...)
	}
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		_, service := serviceVariable(name)
		if service || slices.Contains(known, name) {
			continue
		}
		switch {
		case strings.HasPrefix(name, "VEZE_"):
			w = append(w, fmt.Sprintf("%s is not a setting%s and is ignored; uniqverse help lists the settings", name, didYouMean("", name, known)))
		case strings.HasPrefix(name, "OTEL_"):
			w = append(w, fmt.Sprintf("%s is not understood%s and is ignored; docs/config.md lists the OTEL_ settings that are", name, didYouMean("", name, known)))
		}
	}
	return w
}

// didYouMean returns "; did you mean X?" when a known name is a slip or two away.
func didYouMean(prefix, name string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return " (did you mean " + prefix + best + "?)"
}

// distance is the number of letters to insert, delete or replace to make b from a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

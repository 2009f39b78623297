package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Entry is one setting as it is in force.
type Entry struct {
	Name   string // the variable that is asked first
	Flag   string // with its dashes, "" when there is none
	Value  string // safe to show: secrets and passwords are masked
	Source Source // where the value came from
}

// Entries returns every setting in force, in the order of the manual.
func (c Config) Entries() []Entry {
	var all []Entry
	for _, s := range c.settings() {
		e := Entry{Name: s.env[0], Source: c.source(s.env[0])}
		if s.flag != "" {
			e.Flag = "--" + s.flag
		}
		e.Value = strings.TrimSpace(fmt.Sprint(s.dst.Interface()))
		switch {
		case s.kind == "url" || s.kind == "jwks":
			e.Value = withoutPassword(e.Value)
		case s.kind == "switch" && e.Value == "":
			e.Value = map[bool]string{true: "(on by itself)", false: "(off by itself)"}[c.DemoIdentity()]
		}
		all = append(all, e)
		if s.env[0] == "VEZE_SERVICES" {
			all = append(all, c.serviceEntries()...)
		}
	}
	return all
}

func (c Config) serviceEntries() []Entry {
	var all []Entry
	for _, service := range slices.Sorted(maps.Keys(c.ServiceURLs)) {
		name := "VEZE_SERVICE_" + strings.ToUpper(service)
		all = append(all, Entry{Name: name, Value: c.ServiceURLs[service].Redacted(), Source: c.source(name)})
	}
	return all
}

func (c Config) source(name string) Source {
	if s, ok := c.sources[name]; ok {
		return s
	}
	return "default"
}

// String returns the settings in force as a table, a line each; secrets are masked.
func (c Config) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "SETTING\tFLAG\tVALUE\tFROM\n")
	for _, e := range c.Entries() {
		value := e.Value
		if value == "" {
			value = "(not set)"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", e.Name, e.Flag, value, e.Source)
	}
	w.Flush()
	return b.String()
}

// GoString is String, so that %#v shows no secret either.
func (c Config) GoString() string { return c.String() }

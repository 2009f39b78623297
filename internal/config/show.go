package config

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// usage is written by gendoc from the comments of Config and never changed at run time.
//
//go:embed usage.txt
var usage string

// Entry is one setting as it is in force.
type Entry struct {
	Name   string // the variable that is asked first
	Flag   string // with its dashes, "" when there is none
	Value  string // safe to show: secrets are masked; in brackets what holds when none is set
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
		case s.kind == "switch" && e.Value == "":
			e.Value = map[bool]string{true: "(on by itself)", false: "(off by itself)"}[c.DemoIdentity()]
		case e.Value == "":
			e.Value = "(" + s.unset + ")"
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
		all = append(all, Entry{Name: name, Value: c.ServiceURLs[service], Source: c.source(name)})
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
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", e.Name, e.Flag, e.Value, e.Source)
	}
	w.Flush()
	return b.String()
}

// Usage returns the settings as `uniqverse help` prints them: names, default and a sentence.
func Usage() string { return usage }

// GoString is String, so that %#v shows no secret either.
func (c Config) GoString() string { return c.String() }

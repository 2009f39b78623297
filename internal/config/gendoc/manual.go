package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
)

// manual is what the comments of config.Config say.
type manual struct{ chapters []chapter }

type chapter struct {
	title    string
	settings []setting
}

type setting struct {
	env   []string
	flag  string
	def   string // a value
	unset string // or what happens without one, in words
	text  string // the comment: paragraphs of plain text
}

// read takes the struct Config of the source apart. A field with tags and no comment is an
// error: it would be a setting that the manual keeps silent about.
func read(src []byte) (manual, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "config.go", src, parser.ParseComments)
	if err != nil {
		return manual{}, err
	}
	def := configStruct(file)
	if def == nil {
		return manual{}, fmt.Errorf("config.go declares no struct Config")
	}
	titles := chapterTitles(file, def)
	var m manual
	for _, f := range def.Fields.List {
		for len(titles) > 0 && titles[0].pos < f.Pos() {
			m.chapters = append(m.chapters, chapter{title: titles[0].text})
			titles = titles[1:]
		}
		if f.Tag == nil {
			continue
		}
		tag := reflect.StructTag(strings.Trim(f.Tag.Value, "`"))
		s := setting{
			env:   strings.Split(tag.Get("env"), ","),
			flag:  tag.Get("flag"),
			def:   tag.Get("default"),
			unset: tag.Get("unset"),
			text:  strings.TrimSpace(f.Doc.Text()),
		}
		name := f.Names[0].Name
		switch {
		case s.text == "":
			return manual{}, fmt.Errorf("field %s has no comment; write what the setting means", name)
		case (s.def == "") == (s.unset == ""):
			return manual{}, fmt.Errorf("field %s needs either a default or an unset tag", name)
		case len(m.chapters) == 0:
			return manual{}, fmt.Errorf("field %s stands before the first chapter", name)
		}
		last := &m.chapters[len(m.chapters)-1]
		last.settings = append(last.settings, s)
	}
	return m, nil
}

func configStruct(file *ast.File) *ast.StructType {
	var found *ast.StructType
	ast.Inspect(file, func(n ast.Node) bool {
		if t, ok := n.(*ast.TypeSpec); ok && t.Name.Name == "Config" {
			found, _ = t.Type.(*ast.StructType)
		}
		return found == nil
	})
	return found
}

type title struct {
	pos  token.Pos
	text string
}

func chapterTitles(file *ast.File, def *ast.StructType) []title {
	var all []title
	for _, c := range file.Comments {
		if c.Pos() < def.Pos() || c.End() > def.End() {
			continue
		}
		if text, ok := strings.CutPrefix(strings.TrimSpace(c.Text()), "# "); ok {
			all = append(all, title{c.Pos(), text})
		}
	}
	return all
}

const pageHead = `# Settings

<!-- Written by go generate from the comments in internal/config/config.go; edit those. -->

UniQVerse needs no setting to start. Each one below is an environment variable, and some are a
flag too. A flag beats the environment, the environment beats the default, and an empty variable
counts as unset. ` + "`uniqverse config`" + ` prints what is in force and where each value came from, with
secrets masked.

A value that is not understood is refused at the start: one line names the setting, the value and
the mend, and the exit status is 2. An unknown flag is refused likewise; an unknown ` + "`VEZE_`" + ` variable
is one line of warning.

`

// page returns docs/config.md.
func (m manual) page() string {
	var b strings.Builder
	b.WriteString(pageHead)
	b.WriteString("| setting | flag | default |\n|---|---|---|\n")
	for _, c := range m.chapters {
		for _, s := range c.settings {
			fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s |\n", s.env[0], anchor(s), flagCell(s), defaultCell(s))
		}
	}
	for _, c := range m.chapters {
		fmt.Fprintf(&b, "\n## %s\n", c.title)
		for _, s := range c.settings {
			fmt.Fprintf(&b, "\n### `%s`\n\n", s.env[0])
			if s.flag != "" {
				fmt.Fprintf(&b, "Flag `--%s` · ", s.flag)
			}
			for _, other := range s.env[1:] {
				fmt.Fprintf(&b, "then `%s` · ", other)
			}
			fmt.Fprintf(&b, "default: %s\n\n%s\n", defaultCell(s), s.text)
		}
	}
	return b.String()
}

// anchor returns the fragment that a heading of the variable's name gets.
func anchor(s setting) string {
	return strings.NewReplacer("<", "", ">", "").Replace(strings.ToLower(s.env[0]))
}

func flagCell(s setting) string {
	if s.flag == "" {
		return ""
	}
	return "`--" + s.flag + "`"
}

func defaultCell(s setting) string {
	if s.def != "" {
		return "`" + s.def + "`"
	}
	return s.unset
}

// usage returns the settings as the terminal shows them: a line and a sentence each.
func (m manual) usage() string {
	var b strings.Builder
	for _, c := range m.chapters {
		fmt.Fprintf(&b, "\n%s:\n", c.title)
		for _, s := range c.settings {
			names := strings.Join(s.env, ", then ")
			if s.flag != "" {
				names = "--" + s.flag + ", " + names
			}
			def := s.def
			if def == "" {
				def = s.unset
			}
			fmt.Fprintf(&b, "  %s (default: %s)\n", names, def)
			for _, line := range wrap(firstSentence(s.text), 88) {
				fmt.Fprintf(&b, "      %s\n", line)
			}
		}
	}
	return b.String()
}

func firstSentence(text string) string {
	text = strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "`", "")
	if i := strings.Index(text, ". "); i >= 0 {
		return text[:i+1]
	}
	return text
}

func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

package templates

import (
	_ "embed" // icons.txt
	"fmt"
	"html/template"
	"strings"
)

// Each line is the name of an icon and its drawing: the inside of an SVG of 24 by 24, in lines without a colour.
//
//go:embed icons.txt
var iconFile string

// iconSet is the drawings by name, and the names in the order of the file.
type iconSet struct {
	names []string
	svg   map[string]template.HTML
}

func newIconSet() (*iconSet, error) {
	s := &iconSet{svg: map[string]template.HTML{}}
	for line := range strings.Lines(iconFile) {
		name, drawing, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			return nil, fmt.Errorf("icons.txt: %q is not a name and a drawing", line)
		}
		s.names = append(s.names, name)
		s.svg[name] = wrapIcon(drawing)
	}
	return s, nil
}

func wrapIcon(drawing string) template.HTML {
	return template.HTML(`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">` + drawing + `</svg>`)
}

// draw returns the icon in the colour of the text around it. It is decoration: the words stand beside it. An unknown
// name draws a small circle, so that a service's own link with an unheard-of icon breaks nothing.
func (s *iconSet) draw(name string) template.HTML {
	if svg, ok := s.svg[name]; ok {
		return svg
	}
	return wrapIcon(`<circle cx="12" cy="12" r="3"/>`)
}

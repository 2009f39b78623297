package templates

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// sparkline draws values, oldest first, as a line with an area beneath and a dot at the newest. label is what a screen
// reader says instead. Fewer than two values draw nothing. Colours come from the style sheet.
func sparkline(label string, values []float64) template.HTML {
	if len(values) < 2 {
		return ""
	}
	const width, height, pad = 100.0, 28.0, 3.0
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		v = finite(v)
		lo, hi = math.Min(lo, v), math.Max(hi, v)
	}
	span := hi - lo
	var line strings.Builder
	var x, y float64
	for i, v := range values {
		x = width * float64(i) / float64(len(values)-1)
		y = height / 2
		if span > 0 {
			y = height - pad - (finite(v)-lo)/span*(height-2*pad)
		}
		fmt.Fprintf(&line, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[i == 0], x, y)
	}
	return template.HTML(`<svg class="spark" viewBox="0 0 100 28" preserveAspectRatio="none" role="img" aria-label="` +
		template.HTMLEscapeString(label) + `"><path class="spark-area" d="` + line.String() + `L100 28L0 28Z"/>` +
		`<path class="spark-line" vector-effect="non-scaling-stroke" d="` + line.String() + `"/>` +
		fmt.Sprintf(`<path class="spark-dot" vector-effect="non-scaling-stroke" d="M%.1f %.1fh.01"/></svg>`, x, y))
}

func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}

// bar draws one horizontal bar that fills part (0 to 1) of its width. The number itself stands beside it as text.
func bar(part float64) template.HTML {
	part = math.Max(0, math.Min(1, finite(part)))
	return template.HTML(`<svg class="bar" aria-hidden="true" focusable="false"><rect class="bar-fill" width="` +
		strconv.FormatFloat(part*100, 'f', 1, 64) + `%" height="100%" rx="3"/></svg>`)
}

// share returns v as a part of whole, 0 when there is no whole.
func share(v, whole float64) float64 {
	if whole <= 0 {
		return 0
	}
	return v / whole
}

func bestScore(rows []BoardRow) float64 {
	best := 0.0
	for _, r := range rows {
		best = math.Max(best, r.Score)
	}
	return best
}

// columns draws a column for each day, oldest first: what came, junk, what was refused and what went, one upon the other. It
// is for the eye; the figures stand in a table beside it.
func columns(label string, days []StatsDay) template.HTML {
	const width, height, gap = 600.0, 150.0, 4.0
	most := int64(1)
	for _, d := range days {
		most = max(most, d.Received+d.Junk+max(d.Refused, 0)+d.Sent)
	}
	var b strings.Builder
	b.WriteString(`<svg class="columns" viewBox="0 0 600 150" preserveAspectRatio="none" role="img" aria-label="` + template.HTMLEscapeString(label) + `"><path class="columns-ground" d="M0 149.5h600"/>`)
	step := width / float64(max(len(days), 1))
	for i, d := range days {
		foot := height - 1
		for _, part := range []struct {
			kind string
			n    int64
		}{{"received", d.Received}, {"junk", d.Junk}, {"refused", d.Refused}, {"sent", d.Sent}} {
			if part.n <= 0 {
				continue
			}
			tall := math.Max(1.5, float64(part.n)/float64(most)*(height-10))
			foot -= tall
			fmt.Fprintf(&b, `<rect class="is-%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, part.kind, float64(i)*step+gap/2, foot, step-gap, tall)
		}
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

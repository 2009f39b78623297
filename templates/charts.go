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

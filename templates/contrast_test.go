package templates_test

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"uniqverse/static"
)

// colours reads the tokens of the style sheet: name → light and dark as #rrggbb.
func colours(t *testing.T) map[string][2]string {
	t.Helper()
	css, _ := static.Read("app.css")
	out := map[string][2]string{}
	for _, m := range regexp.MustCompile(`--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)`).FindAllStringSubmatch(string(css), -1) {
		out[m[1]] = [2]string{m[2], m[3]}
	}
	for _, m := range regexp.MustCompile(`\.av-(\d) \{ background: light-dark\((#\w{6}), (#\w{6})\); color: light-dark\((#\w{6}), (#\w{6})\)`).FindAllStringSubmatch(string(css), -1) {
		out["av-"+m[1]+"-ground"], out["av-"+m[1]] = [2]string{m[2], m[3]}, [2]string{m[4], m[5]}
	}
	return out
}

// contrast is the ratio of WCAG 2.2, section "contrast ratio".
func contrast(a, b string) float64 {
	light := func(hex string) float64 {
		part := func(i int) float64 {
			n, _ := strconv.ParseUint(hex[i:i+2], 16, 8) // the pattern above lets only hex digits through
			c := float64(n) / 255
			if c <= 0.04045 {
				return c / 12.92
			}
			return math.Pow((c+0.055)/1.055, 2.4)
		}
		return 0.2126*part(1) + 0.7152*part(3) + 0.0722*part(5)
	}
	x, y := light(a), light(b)
	return (math.Max(x, y) + 0.05) / (math.Min(x, y) + 0.05)
}

// Text has 4.5:1 on every ground it stands on, the edges of fields and focus rings 3:1, in both themes (WCAG AA).
func TestContrast(t *testing.T) {
	c := colours(t)
	pairs := []struct {
		fore, ground string
		least        float64
	}{}
	add := func(least float64, fore string, grounds ...string) {
		for _, g := range grounds {
			pairs = append(pairs, struct {
				fore, ground string
				least        float64
			}{fore, g, least})
		}
	}
	add(4.5, "text", "bg", "surface", "surface-2", "surface-3", "accent-soft", "ok-soft", "warn-soft", "bad-soft", "info-soft", "sun-soft", "sky", "sky-2")
	add(4.5, "text-2", "bg", "surface", "surface-2", "surface-3", "accent-soft", "sky", "sky-2")
	add(4.5, "text-3", "bg", "surface", "surface-2", "sky", "sky-2")
	add(4.5, "accent", "bg", "surface", "surface-2", "accent-soft", "sky")
	add(4.5, "on-accent", "accent-solid", "accent-solid-hover", "danger-solid")
	for _, tone := range []string{"ok", "warn", "bad", "info", "sun"} {
		add(4.5, tone, tone+"-soft", "surface", "bg")
	}
	for i := range 8 {
		add(4.5, fmt.Sprintf("av-%d", i), fmt.Sprintf("av-%d-ground", i))
	}
	add(3, "line-strong", "surface", "bg")
	add(3, "accent", "surface", "bg")
	for _, p := range pairs {
		fore, ok1 := c[p.fore]
		ground, ok2 := c[p.ground]
		if !ok1 || !ok2 {
			t.Errorf("token --%s or --%s is not a pair of colours", p.fore, p.ground)
			continue
		}
		for i, theme := range []string{"light", "dark"} {
			if got := contrast(fore[i], ground[i]); got < p.least {
				t.Errorf("%s: %s on %s is %.2f:1, want %.1f:1", theme, p.fore, p.ground, got, p.least)
			}
		}
	}
}

func TestContrastFormula(t *testing.T) {
	if got := contrast("#000000", "#ffffff"); math.Abs(got-21) > 0.01 {
		t.Errorf("black on white is %.2f, want 21", got)
	}
	if got := contrast("#777777", "#ffffff"); math.Abs(got-4.48) > 0.01 {
		t.Errorf("grey on white is %.2f, want 4.48", got)
	}
}

// Every custom property that is used is set somewhere, and the other way round.
func TestTokensAreSetAndUsed(t *testing.T) {
	css, _ := static.Read("app.css")
	set, used := map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)[\s{;](--[\w-]+):`).FindAllStringSubmatch(string(css), -1) {
		set[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`var\((--[\w-]+)`).FindAllStringSubmatch(string(css), -1) {
		used[m[1]] = true
	}
	for name := range used {
		if !set[name] {
			t.Errorf("%s is used and never set", name)
		}
	}
	for name := range set {
		if !used[name] && !strings.HasPrefix(name, "--s-") {
			t.Errorf("%s is set and never used", name)
		}
	}
	if n := strings.Count(string(css), "{") - strings.Count(string(css), "}"); n != 0 {
		t.Errorf("the braces of the style sheet do not match: %d", n)
	}
}

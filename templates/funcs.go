package templates

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"html"
	"html/template"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// funcs are the functions of the templates. The ones that return template.HTML escape every text they are given.
func funcs(now func() time.Time, icons *iconSet) template.FuncMap {
	return template.FuncMap{
		"icon":      icons.draw,
		"time":      timeAbs,
		"clock":     timeClock,
		"day":       timeDay,
		"newday":    newDay,
		"ago":       func(t time.Time) template.HTML { return timeAgo(now(), t) },
		"bytes":     formatBytes,
		"num":       formatNumber,
		"score":     formatScore,
		"latency":   formatLatency,
		"wait":      formatWait,
		"initials":  initials,
		"hue":       hue,
		"plural":    plural,
		"json":      toJSON,
		"linkify":   linkify,
		"marked":    marked,
		"paragraph": paragraphs,
		"spark":     sparkline,
		"bar":       bar,
		"share":     share,
		"part":      func(n, of int64) float64 { return share(float64(n), float64(of)) },
		"columns":   columns,
		"handle":    handle,
		"lower":     strings.ToLower,
		"join":      strings.Join,
		"args":      args,
		"authtone":  authTone,
		"waytone":   wayTone,
		"healthtone": func(h Health) string {
			return map[Health]string{HealthGreen: "ok", HealthAmber: "warn", HealthRed: "bad"}[h]
		},
		"healthword": func(h Health) string {
			return firstOf(map[Health]string{HealthGreen: "Healthy", HealthAmber: "Degraded", HealthRed: "Down"}[h], "Unknown")
		},
		"statustone":  statusTone,
		"typetone":    typeTone,
		"typeicon":    typeIcon,
		"firstof":     firstOf,
		"isws":        isWebSocket,
		"roomicon":    roomIcon,
		"serviceicon": serviceIcon,
		"pick":        pick,
		"iconnames":   func() []string { return icons.names },
		"tokens": func() []string {
			return []string{"bg", "surface", "surface-2", "surface-3", "text", "accent", "accent-solid", "sun", "ok", "warn", "bad", "info"}
		},
		"healths":   func() []Health { return []Health{HealthGreen, HealthAmber, HealthRed, HealthUnknown} },
		"words":     func(w ...string) []string { return w },
		"floats":    floats,
		"authwhy":   authWhy,
		"sentence":  sentence,
		"spamtone":  spamTone,
		"bestscore": bestScore,
		"top":       func(n int, rows []BoardRow) []BoardRow { return rows[:min(n, len(rows))] },
	}
}

// marked shows a text in which what was found stands between <mark> and </mark> and everything else is escaped, as
// searches give it. Whatever else it may hold is escaped again.
func marked(s string) template.HTML {
	var b strings.Builder
	for i, part := range strings.Split(s, "<mark>") {
		found, rest, ok := strings.Cut(part, "</mark>")
		if i == 0 || !ok {
			found, rest = "", part
		} else {
			b.WriteString("<mark>" + template.HTMLEscapeString(html.UnescapeString(found)) + "</mark>")
		}
		b.WriteString(template.HTMLEscapeString(html.UnescapeString(rest)))
	}
	return template.HTML(b.String())
}

const isoMillis = "2006-01-02T15:04:05.000Z07:00"

// stamp is a <time> whose text is UTC; time.js shows the reader's own zone when it can. mode says in which form.
func stamp(t time.Time, mode, text string) template.HTML {
	if t.IsZero() {
		return `<span class="never">never</span>`
	}
	u := t.UTC()
	return template.HTML(`<time datetime="` + u.Format(isoMillis) + `" data-time="` + mode + `" title="` +
		u.Format("2 January 2006, 15:04:05 UTC") + `">` + template.HTMLEscapeString(text) + `</time>`)
}

func timeAbs(t time.Time) template.HTML {
	return stamp(t, "full", t.UTC().Format("2 Jan 2006, 15:04 UTC"))
}

func timeClock(t time.Time) template.HTML { return stamp(t, "clock", t.UTC().Format("15:04")) }

func timeDay(t time.Time) template.HTML {
	return stamp(t, "day", t.UTC().Format("Monday, 2 January 2006"))
}

func timeAgo(now, t time.Time) template.HTML { return stamp(t, "ago", agoText(now.Sub(t), t)) }

func agoText(d time.Duration, t time.Time) string {
	switch {
	case d < -time.Minute:
		return t.UTC().Format("2 Jan 2006, 15:04 UTC")
	case d < 45*time.Second:
		return "just now"
	case d < time.Hour:
		return strconv.Itoa(max(1, int(d.Minutes()+0.5))) + " min ago"
	case d < 24*time.Hour:
		return strconv.Itoa(int(d.Hours())) + " h ago"
	case d < 7*24*time.Hour:
		return plural(int(d.Hours()/24), "day", "days") + " ago"
	}
	return t.UTC().Format("2 Jan 2006")
}

// newDay reports whether line i of a room begins another UTC day than the line before it.
func newDay(lines []Line, i int) bool {
	if i == 0 {
		return true
	}
	a, b := lines[i-1].At.UTC(), lines[i].At.UTC()
	return a.YearDay() != b.YearDay() || a.Year() != b.Year()
}

func formatBytes(n int64) string {
	switch {
	case n < 0:
		return "?"
	case n < 1000:
		return strconv.FormatInt(n, 10) + " B"
	case n < 1000*1000:
		return strconv.FormatFloat(float64(n)/1e3, 'f', 1, 64) + " kB"
	case n < 1000*1000*1000:
		return strconv.FormatFloat(float64(n)/1e6, 'f', 1, 64) + " MB"
	}
	return strconv.FormatFloat(float64(n)/1e9, 'f', 1, 64) + " GB"
}

// formatNumber parts thousands with a narrow space that never breaks the line.
func formatNumber(v any) string {
	var n int64
	switch x := v.(type) {
	case int:
		n = int64(x)
	case int64:
		n = x
	default:
		return fmt.Sprint(v)
	}
	s := strconv.FormatInt(n, 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "−", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return sign + s
}

func formatScore(f float64) string {
	if f == float64(int64(f)) {
		return formatNumber(int64(f))
	}
	return strconv.FormatFloat(f, 'f', 2, 64)
}

func formatLatency(d time.Duration) string {
	switch {
	case d <= 0:
		return "–"
	case d < 10*time.Millisecond:
		return strconv.FormatFloat(float64(d)/1e6, 'f', 1, 64) + " ms"
	case d < 10*time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	}
	return strconv.FormatInt(int64(d.Seconds()), 10) + " s"
}

func formatWait(d time.Duration) string {
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min"
	}
	return strconv.Itoa(int(d.Hours())) + " h"
}

// initials takes up to two letters from a name, a handle or an address.
func initials(name string) string {
	name, _, _ = strings.Cut(strings.TrimLeft(name, "@ "), "@")
	words := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	out := ""
	for _, w := range words {
		r, _ := utf8.DecodeRuneInString(w)
		out += string(unicode.ToUpper(r))
		if utf8.RuneCountInString(out) == 2 {
			break
		}
	}
	return firstOf(out, "·")
}

// hue picks one of the eight avatar colours, always the same for the same name.
func hue(name string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(strings.TrimPrefix(strings.ToLower(name), "@"))) // a hash takes every write
	return int(h.Sum32() % 8)
}

func plural(n any, one, many string) string {
	s := formatNumber(n)
	if s == "1" {
		return s + " " + one
	}
	return s + " " + many
}

func toJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// args packs name, value, name, value… for a template that needs more than one thing.
func args(kv ...any) (map[string]any, error) {
	if len(kv)%2 != 0 {
		return nil, fmt.Errorf("args: %d values, which is not a list of pairs", len(kv))
	}
	m := make(map[string]any, len(kv)/2)
	for i := 0; i < len(kv); i += 2 {
		k, ok := kv[i].(string)
		if !ok {
			return nil, fmt.Errorf("args: name %v is not a string", kv[i])
		}
		m[k] = kv[i+1]
	}
	return m, nil
}

// handle shows a handle with exactly one @ before it.
func handle(s string) string {
	s = strings.TrimLeft(s, "@")
	if s == "" {
		return "@?"
	}
	return "@" + s
}

// authTone maps a result word of RFC 8601 to a tone: ok, warn, bad or none.
func authTone(result string) string {
	switch strings.ToLower(result) {
	case "pass":
		return "ok"
	case "fail", "permerror", "policy":
		return "bad"
	case "softfail", "temperror":
		return "warn"
	}
	return "none"
}

// wayTone is how the result of a step of a mail's way looks.
func wayTone(result string) string {
	switch result {
	case "good", "delivered", "sent":
		return "ok"
	case "junk", "refused", "bounced", "dropped":
		return "bad"
	case "noted", "later", "held", "queued", "stopped":
		return "warn"
	}
	return authTone(result)
}

func statusTone(s string) string {
	switch s {
	case "open":
		return "info"
	case "assigned":
		return "warn"
	case "solved", "closed":
		return "ok"
	}
	return "none"
}

// typeTone and typeIcon say how an event of the ticker looks, by the first word of its type.
func typeTone(t string) string {
	switch {
	case strings.HasSuffix(t, ".down"), strings.HasSuffix(t, "_breached"), strings.HasSuffix(t, ".bounced"):
		return "bad"
	case strings.HasSuffix(t, ".up"), strings.HasSuffix(t, ".solved"):
		return "ok"
	}
	return "none"
}

func typeIcon(t string) string {
	word, _, _ := strings.Cut(t, ".")
	switch word {
	case "mail", "chat", "game":
		return word
	case "ticket":
		return "desk"
	case "moderation":
		return "shield"
	case "auth":
		return "users"
	case "trend":
		return "chart"
	}
	return "helm"
}

// isWebSocket tells the two kinds of live address apart: only the path of a WebSocket begins with /ws/.
func isWebSocket(url string) bool { return strings.HasPrefix(url, "/ws/") }

func pick(cond bool, yes, no string) string {
	if cond {
		return yes
	}
	return no
}

func roomIcon(kind string) string {
	switch kind {
	case "guild":
		return "shield"
	case "party":
		return "game"
	case "dm":
		return "user"
	case "support":
		return "desk"
	}
	return "chat"
}

func serviceIcon(name string) string {
	switch name {
	case "email", "mail":
		return "mail"
	case "game", "chat", "desk":
		return name
	case "portal", "uniqverse":
		return "helm"
	}
	return "bolt"
}

func spamTone(score float64) string {
	switch {
	case score >= 5:
		return "bad"
	case score >= 2:
		return "warn"
	}
	return "ok"
}

// sentence makes a text that APIs give, as Go programs write errors, one for people: a capital first, a full stop last.
func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	if text == "" || first == utf8.RuneError {
		return text
	}
	text = string(unicode.ToUpper(first)) + text[size:]
	if last, _ := utf8.DecodeLastRuneInString(text); !unicode.IsPunct(last) || last == ')' || last == '"' {
		text += "."
	}
	return text
}

// authWhy explains one result of a sender check to somebody who never heard of it.
func authWhy(check, result string) string {
	words := map[string][2]string{
		"spf": {"The server that delivered this mail is one that the sender's domain names.",
			"The server that delivered this mail is not one that the sender's domain names."},
		"dkim": {"The signature of the sender's domain fits: nobody changed the mail on its way.",
			"The signature does not fit: the mail was changed on its way, or somebody else signed it."},
		"dmarc": {"The address in From belongs to the domain that was checked.",
			"The address in From may be forged. Be careful with links and requests in this mail."},
	}[check]
	switch strings.ToLower(result) {
	case "pass":
		return words[0]
	case "fail", "softfail", "policy":
		return words[1]
	case "temperror":
		return "Could not be checked just now, because the sender's DNS did not answer."
	case "permerror":
		return "Could not be checked, because the sender's domain has a faulty record."
	case "neutral":
		return "The sender's domain says neither yes nor no."
	}
	if check == "dkim" {
		return "The mail carries no signature."
	}
	return "The sender's domain does not offer this check."
}

func floats(v ...int) []float64 {
	out := make([]float64, len(v))
	for i, n := range v {
		out[i] = float64(n)
	}
	return out
}

package hooks

import (
	"encoding/json"
	"regexp"
	"strings"
	"unicode/utf8"

	"uniqverse/internal/errs"
)

// payload is what Slack's and Mattermost's callers send, as far as it has words. What is only for the eye (colours,
// pictures, footers) has no place in a line.
type payload struct {
	Text        string       `json:"text"`
	Username    string       `json:"username"`
	Icon        string       `json:"icon_emoji"`
	Attachments []attachment `json:"attachments"`
	Blocks      []block      `json:"blocks"`
}

type attachment struct {
	Fallback  string  `json:"fallback"`
	Pretext   string  `json:"pretext"`
	Author    string  `json:"author_name"`
	Title     string  `json:"title"`
	TitleLink string  `json:"title_link"`
	Text      string  `json:"text"`
	Fields    []field `json:"fields"`
	Footer    string  `json:"footer"`
}

type field struct {
	Title string `json:"title"`
	Value any    `json:"value"`
}

type block struct {
	Type     string   `json:"type"`
	Text     *words   `json:"text"`
	Fields   []words  `json:"fields"`
	Elements []*words `json:"elements"`
}

type words struct {
	Text json.RawMessage `json:"text"` // a string, in all blocks that are read
}

func (w *words) String() string {
	var s string
	if w == nil || json.Unmarshal(w.Text, &s) != nil {
		return ""
	}
	return s
}

const (
	maxAttachments = 20
	maxName        = 80
)

// read takes a JSON body, a form, or a form with the JSON in the field payload.
func read(in map[string]json.RawMessage) (payload, error) {
	var p payload
	raw, err := json.Marshal(in)
	if packed, ok := in["payload"]; ok && err == nil {
		var s string
		if json.Unmarshal(packed, &s) != nil {
			s = string(packed)
		}
		raw = []byte(s)
	}
	if err == nil {
		err = json.Unmarshal(raw, &p)
	}
	switch {
	case err != nil:
		return p, errs.New(errs.Malformed, `the payload cannot be read; send {"text":"…"}, with attachments as a list of objects`)
	case len(p.Attachments) > maxAttachments || len(p.Blocks) > 50:
		return p, errs.BadField("attachments", "must be at most %d", maxAttachments)
	case utf8.RuneCountInString(p.Username) > maxName || utf8.RuneCountInString(p.Icon) > maxName:
		return p, errs.BadField("username", "and icon_emoji must be at most %d characters", maxName)
	}
	return p, nil
}

// line is everything that has words, in the order in which Slack shows it.
func (p payload) line() string {
	var parts []string
	add := func(s string) {
		if s = strings.TrimSpace(plain(s)); s != "" {
			parts = append(parts, s)
		}
	}
	add(p.Text)
	for _, a := range p.Attachments {
		before := len(parts)
		add(a.Pretext)
		add(a.Author)
		if a.TitleLink != "" && a.Title != "" {
			add(a.Title + " (" + a.TitleLink + ")")
		} else {
			add(a.Title)
		}
		add(a.Text)
		for _, f := range a.Fields {
			add(strings.TrimSuffix(f.Title+": "+value(f.Value), ": "))
		}
		if len(parts) == before {
			add(a.Fallback)
		}
		add(a.Footer)
	}
	if len(parts) == 0 { // blocks are what text is the fallback of
		for _, b := range p.Blocks {
			add(b.Text.String())
			for i := range b.Fields {
				add(b.Fields[i].String())
			}
			for _, e := range b.Elements {
				add(e.String())
			}
		}
	}
	return strings.Join(parts, "\n")
}

// value is a field's value, which may be a number or true as well.
func value(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	raw, _ := json.Marshal(v) // it was JSON before
	if string(raw) == "null" {
		return ""
	}
	return string(raw)
}

var (
	link   = regexp.MustCompile(`<((?:https?|mailto):[^<>|\s]+)(?:\|([^<>]*))?>`)
	called = regexp.MustCompile(`<!(here|channel|everyone)(?:\|[^<>]*)?>`)
)

// plain brings Slack's markup into a plain text: links in angle brackets, and the three characters that it escapes.
func plain(s string) string {
	s = link.ReplaceAllStringFunc(s, func(m string) string {
		g := link.FindStringSubmatch(m)
		if g[2] == "" || g[2] == g[1] {
			return strings.TrimPrefix(g[1], "mailto:")
		}
		return g[2] + " (" + strings.TrimPrefix(g[1], "mailto:") + ")"
	})
	s = called.ReplaceAllString(s, "$1")
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(s)
}

// flags marks the line as a program's, with how it calls itself.
func (p payload) flags(h Hook) json.RawMessage {
	raw, _ := json.Marshal(struct { // plain strings: cannot fail
		Bot      bool   `json:"bot"`
		Hook     int64  `json:"hook"`
		Username string `json:"username,omitempty"`
		Icon     string `json:"icon,omitempty"`
	}{true, h.ID, p.Username, p.Icon})
	return raw
}

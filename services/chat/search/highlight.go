package search

import (
	"strings"
	"unicode/utf8"

	"uniqverse/internal/api"
)

const shownRunes = 240 // characters of a line around what was found in it

// Highlight splits a line into parts, those that the query found marked: around the first of them, as much as
// a list shows. Together the parts are the text from there, with … where something was left out.
func (q Query) Highlight(text string) []api.ChatPart {
	hits := q.hits(text)
	from, to := window(text, hits)
	var out []api.ChatPart
	add := func(part string, hit bool) {
		if part != "" {
			out = append(out, api.ChatPart{Text: part, Hit: hit})
		}
	}
	at := from
	if from > 0 {
		add("…", false)
	}
	for _, h := range hits {
		if h.end <= from || h.start >= to {
			continue
		}
		add(text[at:max(at, h.start)], false)
		add(text[max(at, h.start):min(h.end, to)], true)
		at = min(h.end, to)
	}
	add(text[at:to], false)
	if to < len(text) {
		add("…", false)
	}
	return out
}

// hits returns where the terms stand in a text, in order and without overlaps.
func (q Query) hits(text string) []span {
	all := spans(text)
	var out []span
	for i := 0; i < len(all); {
		n := 0
		for _, t := range q.Terms {
			if !t.not && t.begins(all[i:]) {
				n = max(n, len(t.words))
			}
		}
		if n == 0 {
			i++
			continue
		}
		out = append(out, span{start: all[i].start, end: all[i+n-1].end})
		i += n
	}
	return out
}

func (t term) begins(text []span) bool {
	if len(text) < len(t.words) {
		return false
	}
	for i, w := range t.words {
		last := i == len(t.words)-1
		if text[i].word != w && !(last && t.prefix && strings.HasPrefix(text[i].word, w)) {
			return false
		}
	}
	return true
}

// window chooses what of a text is shown: all of a short one, else what surrounds the first hit.
func window(text string, hits []span) (from, to int) {
	if utf8.RuneCountInString(text) <= shownRunes {
		return 0, len(text)
	}
	if len(hits) > 0 {
		from = hits[0].start
		for range shownRunes / 4 {
			_, n := utf8.DecodeLastRuneInString(text[:from])
			from -= n
		}
	}
	to = from
	for range shownRunes {
		_, n := utf8.DecodeRuneInString(text[to:])
		to += n
	}
	return from, to
}

package xengine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"uniqverse/hub"
	"uniqverse/internal/event"
)

// What makes a trend, and the bounds of what is remembered.
const (
	trendWindow  = 5 * time.Minute
	trendBase    = time.Hour // before the window, with which it is compared
	trendPeople  = 5         // different people who say it within the window
	trendTimes   = 4.0       // as often as before, per minute
	trendAgain   = time.Hour // after which the same is told again
	trendTerms   = 10_000    // words that are followed
	trendPerTerm = 500       // times that a word is remembered
)

// Trend is something of which people begin to talk.
type Trend struct {
	Slug   string  `json:"slug"`     // letters, digits and -
	Score  float64 `json:"score"`    // how many times as often as before
	Window int     `json:"window_s"` // seconds over which it was counted
}

// Trends finds out what people begin to talk about, from the lines of rooms that are for everybody: a word, or a #tag, that at least five
// people say within five minutes, four times as often as in the hour before. It keeps nothing over a restart, and forgets the
// rarest words when there are too many. Make one with NewTrends; it is safe for concurrent use.
type Trends struct {
	common map[string]bool // words that people say all the time

	mu    sync.Mutex // guards what follows
	terms map[string][]mention
	told  map[string]time.Time
}

type mention struct {
	user int64
	at   time.Time
}

// NewTrends returns one that has heard nothing yet.
func NewTrends() *Trends {
	t := &Trends{common: map[string]bool{}, terms: map[string][]mention{}, told: map[string]time.Time{}}
	for _, word := range strings.Fields(common) {
		t.common[word] = true
	}
	return t
}

// Run listens to what is said in rooms that are for everybody, and tells of trends on the same stream, until ctx ends.
func (t *Trends) Run(ctx context.Context, h hub.Hub, now func() time.Time, log *slog.Logger) error {
	for ctx.Err() == nil {
		sub, err := h.Subscribe(ctx, event.StreamChat, nil)
		for err == nil {
			var m hub.Message
			if m, err = sub.Next(ctx); err == nil && m.Type == event.ChatMessageCreated && m.User == "" {
				err = t.heard(ctx, h, m, now())
			}
		}
		if sub != nil {
			sub.Close()
		}
		if ctx.Err() != nil {
			break
		}
		if !errors.Is(err, hub.ErrSlow) { // so much is said that some of it is not counted
			log.Warn("xengine: trends are not followed for a moment", "err", err.Error())
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return nil
}

func (t *Trends) heard(ctx context.Context, h hub.Hub, m hub.Message, now time.Time) error {
	var line struct {
		UserID int64  `json:"user_id"`
		Text   string `json:"text"`
		Flags  struct{ Bot bool }
	}
	if json.Unmarshal(m.Payload, &line) != nil || line.UserID == 0 || line.Flags.Bot {
		return nil
	}
	for _, trend := range t.Hear(line.UserID, line.Text, now) {
		ev, err := event.New(event.TrendDetected, now, m.Trace, trend)
		if err != nil {
			return err
		}
		if _, err := h.Publish(ctx, event.StreamChat, ev); err != nil {
			return err
		}
	}
	return nil
}

// Hear takes a line and returns what it makes a trend of, each once an hour.
func (t *Trends) Hear(user int64, line string, now time.Time) []Trend {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []Trend
	for _, slug := range t.slugs(line) {
		all := append(t.terms[slug], mention{user, now})
		for len(all) > trendPerTerm || now.Sub(all[0].at) > trendBase+trendWindow {
			all = all[1:]
		}
		t.terms[slug] = all
		if now.Sub(t.told[slug]) < trendAgain {
			continue // told of already: no need to count all that was said
		}
		if score, is := weight(all, now); is {
			t.told[slug] = now
			out = append(out, Trend{Slug: slug, Score: math.Round(score*10) / 10, Window: int(trendWindow.Seconds())})
		}
	}
	if len(t.terms) > trendTerms {
		t.forget(now)
	}
	return out
}

// weight compares the window with the hour before it.
func weight(all []mention, now time.Time) (score float64, is bool) {
	if len(all) < trendPeople {
		return 0, false // too few to be so many people
	}
	people := map[int64]bool{}
	in, before := 0.0, 0.0
	for _, m := range all {
		if now.Sub(m.at) <= trendWindow {
			in++
			people[m.user] = true
		} else {
			before++
		}
	}
	score = (in / trendWindow.Minutes()) / max(before/trendBase.Minutes(), 1.0/trendBase.Minutes())
	return score, len(people) >= trendPeople && score >= trendTimes
}

// forget drops the words that were said the longest ago, down to half of what fits.
func (t *Trends) forget(now time.Time) {
	type term struct {
		slug string
		last int64
	}
	all := make([]term, 0, len(t.terms))
	for slug, said := range t.terms {
		all = append(all, term{slug, said[len(said)-1].at.UnixNano()})
	}
	slices.SortFunc(all, func(a, b term) int { return cmp.Compare(b.last, a.last) })
	for _, old := range all[trendTerms/2:] {
		delete(t.terms, old.slug)
	}
	maps.DeleteFunc(t.told, func(_ string, at time.Time) bool { return now.Sub(at) >= trendAgain })
}

// slugs are the words of a line that may become a trend, each once: #tags of two and more characters, and words of five and
// more letters that are not in everybody's mouth. Links and names of people are none.
func (t *Trends) slugs(line string) []string {
	var out []string
	for _, word := range strings.Fields(line) {
		if strings.HasPrefix(word, "@") || strings.Contains(word, "://") || strings.Contains(word, "/") {
			continue
		}
		tag := strings.HasPrefix(word, "#")
		slug := strings.Trim(strings.Map(func(r rune) rune {
			switch {
			case unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			case r == '-' || r == '_':
				return '-'
			}
			return -1
		}, word), "-")
		n := utf8.RuneCountInString(slug)
		if n > 40 || tag && n < 2 || !tag && (n < 5 || t.common[slug] || !strings.ContainsFunc(slug, unicode.IsLetter)) || slices.Contains(out, slug) {
			continue
		}
		out = append(out, slug)
	}
	return out
}

// common are words that people say all the time.
const common = `about above after again against almost along already always among anyone anything around because become been
		before being below better between cannot could doing during either enough every everyone everything first found going great hello
		their there these thing things think those though three through today together tomorrow tonight under until using wants where whether which while
		whole whose would yeah yesterday yourself really right should since someone something still thank thanks maybe might never nothing often
		other others people please probably quite rather same guys please sorry sounds`

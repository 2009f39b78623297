package moderation

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/services/chat"
	"uniqverse/services/chat/rules"
)

// Scorer says which labels a text deserves; none means that it may be said.
type Scorer interface {
	Moderate(ctx context.Context, text string) (labels []string, err error)
}

// Reader is what the pipeline asks of the store.
type Reader interface {
	// Rules returns the rules of a room, 0 for those of all rooms.
	Rules(ctx context.Context, room int64) ([]Rule, error)
	// Last returns the lines of a room that everybody sees, the oldest first: the newest so many with an id below before (0 for all).
	Last(ctx context.Context, room, before int64, n int) ([]chat.Line, error)
}

// PipelineOptions make a Pipeline. Store is required.
type PipelineOptions struct {
	Store  Reader
	Scorer Scorer  // nil lets everything pass
	Engine *Engine // nil where there is none
	Log    *slog.Logger
	Now    func() time.Time
}

// Pipeline is the moderation of lines: chat.Moderator. Make one with NewPipeline.
type Pipeline struct {
	opts   PipelineOptions
	recent *rules.Recent

	mu   sync.Mutex           // guards sets
	sets map[int64]*rules.Set // by room, with the rules of all rooms; until a rule changes
}

// keptSets bounds the rooms whose rules are in memory.
const keptSets = 4096

// NewPipeline returns a pipeline.
func NewPipeline(opts PipelineOptions) *Pipeline {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Pipeline{opts: opts, recent: rules.NewRecent(), sets: map[int64]*rules.Set{}}
}

// Said remembers a line, to tell who says the same again.
func (p *Pipeline) Said(c chat.Candidate) {
	p.recent.Said(c.Room.ID, c.Author.ID, c.Text, p.opts.Now())
}

// Moderate says what becomes of a line.
func (p *Pipeline) Moderate(ctx context.Context, c chat.Candidate) chat.Verdict {
	set, err := p.set(ctx, c.Room.ID)
	if err != nil {
		p.opts.Log.Warn("the rules of a room cannot be read; its lines are held against none", "room", c.Room.ID, "err", err.Error())
		set = &rules.Set{}
	}
	v := chat.Verdict{}
	line := rules.Line{Text: c.Text, Mentions: c.Mentions, Role: c.Role}
	if c.Line == 0 {
		line.Again = func(w time.Duration) int { return p.recent.Again(c.Room.ID, c.Author.ID, c.Text, w, p.opts.Now()) }
	}
	if m, met := set.Meet(line); met {
		if v = byRule(m); v.Refusal != nil {
			return v
		}
	}
	if refusal := p.score(ctx, c.Text); refusal != nil {
		return chat.Verdict{Refusal: refusal}
	}
	return p.ask(ctx, c, v)
}

// byRule is what a rule does.
func byRule(m rules.Match) chat.Verdict {
	v := chat.Verdict{Case: &chat.Case{Source: "rule", Reason: fmt.Sprintf("%s: %s", m.Name, m.What), Alert: m.Action == rules.Alert}}
	switch m.Action {
	case rules.Block, rules.TimeOut:
		v.Refusal = &errs.Error{Kind: errs.Invalid, Detail: "the line is against a rule of this room: " + m.Name, Fields: []errs.Field{
			{Field: "text", Detail: "is against a rule of this room: " + m.Name},
		}}
		if m.Action == rules.TimeOut {
			v.TimeOut = time.Duration(m.For) * time.Second
		} else {
			v.Case = nil // refused is enough
		}
	case rules.Hide:
		v.Hide = true
	}
	return v
}

// score refuses what the local scorer labels. When it cannot say, the line passes: a broken scorer must not silence the rooms.
func (p *Pipeline) score(ctx context.Context, text string) error {
	if p.opts.Scorer == nil {
		return nil
	}
	labels, err := p.opts.Scorer.Moderate(ctx, text)
	if err != nil {
		if ctx.Err() == nil {
			p.opts.Log.Warn("the scorer did not answer; the line passes", "err", err.Error())
		}
		return nil
	}
	if len(labels) == 0 {
		return nil
	}
	return toxic(labels)
}

func toxic(labels []string) error {
	return &errs.Error{Kind: errs.Invalid, Detail: "Toxic content", Fields: []errs.Field{
		{Field: "text", Detail: "is refused (" + strings.Join(labels, ", ") + "); say it in other words"},
	}}
}

// ask adds to a verdict what the external engine says.
func (p *Pipeline) ask(ctx context.Context, c chat.Candidate, v chat.Verdict) chat.Verdict {
	if p.opts.Engine == nil || c.Room.Kind == chat.KindDM && !c.Room.Moderation.Engine {
		return v
	}
	said, err := p.engine(ctx, c, c.Line)
	switch {
	case err != nil && c.Room.Moderation.Closed:
		v.Refusal = &errs.Error{Kind: errs.Unavailable, Detail: "nothing can be said here while the moderation does not answer; try again in a moment", RetryAfter: 10 * time.Second}
	case err != nil:
		v.Recheck = true
	default:
		v = weigh(said, v)
	}
	return v
}

// engine asks about a line, with what was said before it.
func (p *Pipeline) engine(ctx context.Context, c chat.Candidate, before int64) (api.XEngineVerdict, error) {
	last, err := p.opts.Store.Last(ctx, c.Room.ID, before, lastLines)
	if err != nil {
		return api.XEngineVerdict{}, err
	}
	q := api.XEngineQuestion{Room: c.Room.ID, Kind: c.Room.Kind, ReplyTo: c.ReplyTo, Last: []api.XEngineLine{},
		Candidate: api.XEngineLine{ID: c.Line, UserID: c.Author.ID, Handle: c.Author.Handle, Text: c.Text}}
	for _, l := range last {
		q.Last = append(q.Last, api.XEngineLine{ID: l.ID, UserID: l.UserID, Handle: l.Handle, Text: l.Text})
	}
	return p.opts.Engine.Ask(ctx, q)
}

// weigh adds an engine's word to a verdict.
func weigh(said api.XEngineVerdict, v chat.Verdict) chat.Verdict {
	var labels []string
	for _, l := range slices.Sorted(maps.Keys(said.Labels)) {
		if said.Labels[l] >= 0.5 {
			labels = append(labels, l)
		}
	}
	if said.Verdict == "allow" {
		return v
	}
	if said.Verdict == "block" {
		if len(labels) == 0 {
			labels = []string{"toxic"}
		}
		return chat.Verdict{Refusal: toxic(labels)}
	}
	v.Labels = labels
	v.Hide = v.Hide || said.Verdict == "hide"
	if v.Case == nil {
		v.Case = &chat.Case{Source: "engine", Reason: said.Reason}
	}
	return v
}

// set returns the rules that hold in a room.
func (p *Pipeline) set(ctx context.Context, room int64) (*rules.Set, error) {
	p.mu.Lock()
	set := p.sets[room]
	p.mu.Unlock()
	if set != nil {
		return set, nil
	}
	var all []rules.Rule
	for _, of := range []int64{0, room} {
		rs, err := p.opts.Store.Rules(ctx, of)
		if err != nil {
			return nil, err
		}
		for _, r := range rs {
			all = append(all, r.Rule)
		}
	}
	set = rules.New(all)
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.sets) >= keptSets {
		clear(p.sets)
	}
	p.sets[room] = set
	return set, nil
}

// forget lets the rules of a room, 0 for of all, be read again.
func (p *Pipeline) forget(room int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if room == 0 {
		clear(p.sets)
	}
	delete(p.sets, room)
}

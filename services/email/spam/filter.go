package spam

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"uniqverse/internal/web"
	"uniqverse/smtpd"
)

// JunkAt is the score from which a message is junk, unless Options or its mailbox say otherwise.
const JunkAt = 5.0

// scanTime bounds what all scanners together take for one message.
const scanTime = 10 * time.Second

// Scanner looks at whole messages outside of this process.
type Scanner interface {
	// Name is a word for logs and reasons.
	Name() string
	// Scan returns what the scanner says. It ends when ctx does; an error counts as no answer.
	Scan(ctx context.Context, env *smtpd.Envelope, message io.Reader, size int64) (Reason, error)
}

// Office is the mail service as the filter needs it.
type Office interface {
	// Stored reads a stored message, by the id of its bytes, as it was judged when it came.
	Stored(ctx context.Context, raw int64) (Facts, error)
	// Owner returns the local part of the user that a request names, the caller when it names none, after the domain
	// and owner checks.
	Owner(c *web.Call, user string) (string, error)
	// Message returns a message that the caller may see.
	Message(c *web.Call, id int64) (Stored, error)
}

// Stored is a message in a mailbox.
type Stored struct {
	ID, Mailbox, Raw int64
	User             string  // local part of the mailbox
	Score            float64 // when it came
	Reasons          []Reason
}

// Options is all that a Filter needs. Store, Office, Ensure, Log, Now and Metrics are required.
type Options[T Tx] struct {
	Store  Store[T]
	Office Office
	// Ensure returns the id of a user's mailbox in a transaction, and makes it when there is none.
	Ensure   func(tx T, user string) (int64, error)
	Scanners []Scanner
	JunkAt   float64 // from this score on a message is junk; 0 means JunkAt
	RefuseAt float64 // from this score on it may be refused; 0 means never
	Log      *slog.Logger
	Now      func() time.Time
	Metrics  *metrics.Set
}

// Filter judges messages. Make one with New.
type Filter[T Tx] struct {
	Options[T]
	scanners []*guarded
	wake     chan struct{}

	mu   sync.Mutex
	seen map[seenKey]*Seen // what was delivered since it was last written

	trained, failed *metrics.Counter
}

type seenKey struct{ user, source string }

// New returns a filter; it starts nothing.
func New[T Tx](o Options[T]) (*Filter[T], error) {
	if o.Store == nil || o.Office == nil || o.Ensure == nil || o.Log == nil || o.Now == nil || o.Metrics == nil {
		return nil, errors.New("spam: Store, Office, Ensure, Log, Now and Metrics are required")
	}
	if o.JunkAt == 0 {
		o.JunkAt = JunkAt
	}
	f := &Filter[T]{Options: o, wake: make(chan struct{}, 1), seen: map[seenKey]*Seen{}}
	for _, s := range o.Scanners {
		f.scanners = append(f.scanners, &guarded{Scanner: s})
	}
	f.trained = o.Metrics.GetOrCreateCounter("uniqverse_mail_spam_trained_total")
	f.failed = o.Metrics.GetOrCreateCounter("uniqverse_mail_scan_failures_total")
	return f, nil
}

// Verdict is what the filter says of a message for one mailbox.
type Verdict struct {
	Score   float64
	Junk    bool
	Refuse  bool     // so much that it may be refused, where the operator wants that
	Reasons []Reason // all of them
	Own     []Reason // those that only this mailbox has
	Sources []string // who the sender is, as far as that is proven
}

// Message is what Judge looks at.
type Message struct {
	Facts
	Envelope *smtpd.Envelope
	Open     func() io.Reader // the message as it came, for scanners
	Size     int64
}

// Judge says what a message is for each of these users (local parts). It never fails: what cannot be asked is left out.
// shared are the reasons that do not depend on the mailbox.
func (f *Filter[T]) Judge(ctx context.Context, m Message, users []string) (shared []Reason, out map[string]Verdict) {
	shared = Score(m.Facts)
	if !m.Submitted {
		shared = append(shared, f.scan(ctx, m)...)
	}
	sources := Sources(m.Facts)
	out = make(map[string]Verdict, len(users))
	known, err := f.look(ctx, m.Facts, users, sources)
	if err != nil {
		f.Log.Warn("a message is judged without what is known of words and senders", "err", err.Error())
		shared = append(shared, Reason{Rule: ruleUnjudged})
	}
	for _, u := range users {
		v := Verdict{Sources: sources}
		limit, decided := f.JunkAt, ""
		if err == nil {
			v.Own, decided = known.reasons(m.Facts, u, sources)
			if at := known.profiles[u].JunkAt; at > 0 {
				limit = at
			}
		}
		v.Reasons = append(slices.Clone(shared), v.Own...)
		v.Score = Sum(v.Reasons)
		v.Junk = decided == ruleBlocked || decided != ruleAllowed && v.Score >= limit
		v.Refuse = f.RefuseAt > 0 && !m.Submitted && decided != ruleAllowed && v.Score >= f.RefuseAt
		out[u] = v
	}
	return shared, out
}

// knowledge is all that the store has to say about one message.
type knowledge struct {
	profiles  map[string]Profile
	standings map[int64]map[string]Standing
	words     map[int64]map[string]Count
	listed    map[int64][]Listed
}

// look asks the store, with as few questions as there are things to know.
func (f *Filter[T]) look(ctx context.Context, m Facts, users, sources []string) (k knowledge, err error) {
	if k.profiles, err = f.Store.SpamProfiles(ctx, users); err != nil {
		return k, err
	}
	boxes, readers := []int64{0}, []int64{} // whose standings are asked, and whose words
	if enough(k.profiles[""].Trained, true) {
		readers = append(readers, 0)
	}
	k.listed = map[int64][]Listed{}
	for _, u := range users {
		p := k.profiles[u]
		if p.Mailbox == 0 {
			continue
		}
		boxes = append(boxes, p.Mailbox)
		if enough(p.Trained, false) {
			readers = append(readers, p.Mailbox)
		}
		if p.Listed > 0 {
			if k.listed[p.Mailbox], err = f.Store.SpamListed(ctx, p.Mailbox, names(m)); err != nil {
				return k, err
			}
		}
	}
	if len(sources) > 0 {
		if k.standings, err = f.Store.SpamStandings(ctx, boxes, sources); err != nil {
			return k, err
		}
	}
	if len(readers) > 0 && m.Sample != nil {
		k.words, err = f.Store.SpamWords(ctx, readers, m.Sample().Tokens())
	}
	return k, err
}

// reasons are those of one mailbox; decided names the list that decides alone, "" for none.
func (k knowledge) reasons(m Facts, user string, sources []string) (out []Reason, decided string) {
	p := k.profiles[user]
	if r, found := listed(m, k.listed[p.Mailbox]); found {
		out = append(out, r)
		decided = r.Rule
	}
	var own map[string]Standing
	if p.Mailbox != 0 {
		own = k.standings[p.Mailbox]
	}
	out = append(out, standing(m.Now, sources, own, k.standings[0])...)
	if p.Mailbox != 0 {
		prob, words := classify(p.Trained, k.words[p.Mailbox], false)
		if r, ok := wordsReason(ruleBayes, prob, words, 4, 6); ok {
			out = append(out, r)
		}
	}
	prob, words := classify(k.profiles[""].Trained, k.words[0], true)
	if r, ok := wordsReason(ruleBayesAll, prob, words, 1.5, 3); ok {
		out = append(out, r)
	}
	return out, decided
}

// scan asks the scanners, all at the same time.
func (f *Filter[T]) scan(ctx context.Context, m Message) []Reason {
	if len(f.scanners) == 0 || m.Open == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, scanTime)
	defer cancel()
	out := make([]Reason, len(f.scanners))
	var wg sync.WaitGroup
	for i, s := range f.scanners {
		wg.Go(func() {
			r, err := s.scan(ctx, f.Now(), m)
			if err != nil {
				f.failed.Inc()
				f.Log.Warn("a scanner did not answer; the message is judged without it", "scanner", s.Name(), "err", err.Error())
				r = Reason{Rule: ruleScannerDown, Detail: s.Name()}
			}
			out[i] = r
		})
	}
	wg.Wait()
	return slices.DeleteFunc(out, func(r Reason) bool { return r.Rule == "" })
}

// How long a scanner that fails is left alone.
const (
	failuresBefore = 3
	leftAlone      = 30 * time.Second
)

// errLeftAlone stands for a scanner that is not asked for a while.
var errLeftAlone = errors.New("it failed several times and is not asked for a while")

// guarded is a scanner with a breaker.
type guarded struct {
	Scanner
	mu     sync.Mutex // guards what is below
	failed int
	until  time.Time
}

func (g *guarded) scan(ctx context.Context, now time.Time, m Message) (Reason, error) {
	g.mu.Lock()
	alone := now.Before(g.until) && g.until.Sub(now) <= leftAlone
	g.mu.Unlock()
	if alone {
		return Reason{}, errLeftAlone
	}
	r, err := g.Scan(ctx, m.Envelope, m.Open(), m.Size)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil {
		g.failed = 0
		return r, nil
	}
	if g.failed++; g.failed >= failuresBefore {
		g.until = now.Add(leftAlone)
	}
	return Reason{}, err
}

package moderation

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/web"
	"uniqverse/services/chat"
	"uniqverse/services/chat/people"
	"uniqverse/services/chat/rules"
)

// Rule is a rule as the store has it.
type Rule struct {
	ID   int64 `json:"id"`
	Room int64 `json:"room"` // 0 for all rooms
	rules.Rule
	ByID      int64    `json:"by_id"` // who changed it last; 0 for a service
	ByHandle  string   `json:"by_handle"`
	UpdatedAt api.Time `json:"updated_at"`
}

// Change is what somebody did to a rule.
type Change struct {
	ID        int64      `json:"id"`
	RuleID    int64      `json:"rule_id"`
	Action    string     `json:"action"` // create, change or delete
	Rule      rules.Rule `json:"rule"`   // as it was then
	ByID      int64      `json:"by_id"`
	ByHandle  string     `json:"by_handle"`
	CreatedAt api.Time   `json:"created_at"`
}

// Case is something that moderators decide, as the store has it.
type Case struct {
	api.ChatCase
	WasHidden bool   // the line was hidden when it was decided
	WasRole   string // of its author in the room before they were banned for it; "" for no member
}

// Recheck is a line that is to be asked about again.
type Recheck struct {
	Message, Room int64
	Tries         int
}

// Query chooses cases.
type Query struct {
	Room   int64 // 0 for all rooms
	Viewer int64 // user_id of a moderator of rooms; 0 for who sees those of all
	Done   bool  // those that are decided, instead of those that are open
	web.Paging
}

// Store is what moderation asks of the store. Rows that do not exist are errs.NotFound.
type Store interface {
	web.Transactor[Tx]
	Reader
	Rule(ctx context.Context, id int64) (Rule, error)
	// Changes returns what was done to the rules of a room (0 for those of all), newest first.
	Changes(ctx context.Context, room int64, page web.Paging, limit int) ([]Change, error)
	// Cases returns cases, newest first.
	Cases(ctx context.Context, q Query, limit int) ([]Case, error)
	// Around returns the lines on both sides of a seq that everybody sees, the oldest first.
	Around(ctx context.Context, room, seq int64, n int) ([]chat.Line, error)
	// Actions returns what moderators did in a room, the newest first.
	Actions(ctx context.Context, room int64, page web.Paging, limit int) ([]chat.Action, error)
	// Reports returns what was reported in a room, the newest first.
	Reports(ctx context.Context, room int64, page web.Paging, limit int) ([]api.ChatReport, error)
	// Due returns rechecks whose time has come.
	Due(ctx context.Context, now time.Time, limit int) ([]Recheck, error)
}

// Tx changes what is moderated inside one transaction.
type Tx interface {
	chat.Tx
	// AddRule stores a rule and returns its id; CountRules says how many its room has then.
	AddRule(r Rule) (int64, error)
	CountRules(room int64) (int, error)
	SaveRule(r Rule) error
	DropRule(id int64) error
	LogRule(r Rule, action string) error
	// Case returns a case, or errs.NotFound.
	Case(id int64) (Case, error)
	// Decide stores the state, the note and who decided; state "open" opens the case again.
	Decide(c Case) error
	// KeepFiles puts the files of a line that is about to be taken away aside, until a time.
	KeepFiles(message int64, until time.Time) error
	// PutRecheck stores when a line is asked about again; a Tries of -1 removes it.
	PutRecheck(r Recheck, next time.Time) error
}

// Options make a Service. Store, Pipeline, Rooms and People are required.
type Options struct {
	Store    Store
	Pipeline *Pipeline
	Rooms    *chat.Service
	Log      *slog.Logger     // nil is silent
	Now      func() time.Time // nil means time.Now
}

// Service is what moderators do. Make one with New.
type Service struct{ opts Options }

// New returns a service that serves; what is to be asked again waits for Run.
func New(opts Options) *Service {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Service{opts}
}

// Endpoints are the routes of moderation.
func (s *Service) Endpoints() []web.Endpoint {
	read, write := web.Needs("chat.read"), web.Needs("chat.write")
	read.Describe = "moderators of a room see theirs, who carries chat.moderate sees all"
	return append(s.sanctions(),
		web.Query(http.MethodGet, "/moderation/rules", read, "The rules of a room, or of all rooms", s.rules),
		web.Query(http.MethodPost, "/moderation/rules", write, "Write down a rule", s.addRule),
		web.Query(http.MethodPut, "/moderation/rules/{id}", write, "Change a rule: all of it", s.putRule),
		web.Query(http.MethodDelete, "/moderation/rules/{id}", write, "Take a rule away", s.dropRule),
		web.Query(http.MethodGet, "/moderation/rules/log", read, "Who changed which rule, newest first; Link leads on", s.changes),
		web.View("/moderation/queue", read, "What waits for a moderator, with what may be decided", s.page),
		web.Query(http.MethodGet, "/moderation/queue", read, "What waits for a moderator, with the lines around it, newest first; Link leads on", s.queue),
		web.Command(http.MethodPost, "/moderation/queue/{id}/{action}", write, "Decide: approve, remove, warn, timeout or ban; undo takes the decision back", s.opts.Store, s.decide).
			Redirect(toQueue),
	)
}

// by is who changes something.
func by(c *web.Call) people.Person { return people.Caller(c.Caller) }

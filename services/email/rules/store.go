package rules

import (
	"context"
	"time"

	"uniqverse/internal/web"
)

// Standing is what a user wants done with mail that arrives.
type Standing struct {
	Mailbox  int64
	Rules    []Rule   // those that are enabled, in their order
	Vacation Vacation // of a user without one: not enabled
}

// Run is the work of rules on mail that is there already.
type Run struct {
	ID      int64
	Mailbox int64
	Folder  int64  // 0 is all but Junk, Trash and Drafts
	Rule    int64  // 0 is all that are enabled
	State   string // one of the State constants
	Upto    int64  // messages up to this id
	Next    int64  // the one after the last that was looked at, going down
	Looked  int64
	Changed int64
	Total   int64 // about how many there are
	Error   string
	Created time.Time
	Updated time.Time
}

// The states of a Run.
const (
	Running  = "running"
	Done     = "done"
	Stopped  = "stopped" // by its owner
	Failed   = "failed"
	perBatch = 50 // messages in one transaction
	MaxKept  = 20 // runs of one mailbox that are remembered
)

// Store is what rules are kept in. T is a transaction.
type Store[T Tx] interface {
	web.Transactor[T]

	// RulesFor returns what is to be done with mail that arrives for these users (local parts); a user who wants nothing is left out.
	RulesFor(ctx context.Context, users []string) (map[string]Standing, error)
	// MailboxID returns the id of a user's mailbox; 0 when there is none.
	MailboxID(ctx context.Context, user string) (int64, error)
	// UserRules returns all rules of a mailbox in their order.
	UserRules(ctx context.Context, mailbox int64) ([]Rule, error)
	// RuleHits returns what rules did to a message.
	RuleHits(ctx context.Context, message int64) ([]Hit, error)
	// VacationOf returns the answer of a mailbox; one that is not enabled when there is none.
	VacationOf(ctx context.Context, mailbox int64) (Vacation, error)
	// RuleRuns returns the runs of a mailbox, newest first; mailbox 0 is all that are running.
	RuleRuns(ctx context.Context, mailbox int64) ([]Run, error)
	// RunBatch returns the ids of the next messages that a run is for, the newest first; none when it is through.
	RunBatch(ctx context.Context, r Run, most int) ([]int64, error)
}

// Tx is one transaction of a Store.
type Tx interface {
	// Now is the transaction's time.
	Now() time.Time
	// UserRules returns all rules of a mailbox in their order.
	UserRules(mailbox int64) ([]Rule, error)
	// UserRule returns a rule, or errs.NotFound.
	UserRule(id int64) (Rule, error)
	// SaveUserRule writes a rule; one without an id is added. It returns the rule with its id.
	SaveUserRule(r Rule) (Rule, error)
	// RemoveUserRule removes a rule.
	RemoveUserRule(id int64) error
	// HitRules notes what rules did to a message, and counts it.
	HitRules(message, mailbox int64, hits []Hit) error
	// SaveVacation writes the answer of a mailbox, and forgets who had it when it is another text.
	SaveVacation(v Vacation) error
	// Answer notes that a sender is answered now, and reports whether they may be: not within AnswerEvery of the last answer, and
	// not beyond AnswersADay of the mailbox.
	Answer(mailbox int64, sender string) (bool, error)
	// AddRun begins a run and returns it; errs.Conflict while another of the mailbox is running.
	AddRun(r Run) (Run, error)
	// RuleRun returns a run, or errs.NotFound.
	RuleRun(id int64) (Run, error)
	// SaveRun writes a run that is still in the state was; errs.Conflict when it is not.
	SaveRun(was string, r Run) error
}

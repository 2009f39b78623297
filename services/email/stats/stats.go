// Package stats tells what a mailbox, or the whole installation, holds and what came and went by day: GET /api/stats and the
// page /stats.
//
// It counts and decides nothing. The days are those of UTC, and what they tell is where mail lies now: what its reader moved to
// Junk counts as junk on the day on which it came, what is in two folders counts in each, and what was removed for good counts
// no more. Refused mail is known for as long as its journal keeps it. The figures of the whole installation are at most a
// minute old. Safe for concurrent use.
package stats

import (
	"context"
	"errors"
	"sync"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/queue"
	"uniqverse/services/email/refusals"
)

// Days is for how many days, today the last, what came and went is told.
const Days = 30

// keep is how long the figures of the whole installation are told again before they are counted anew.
const keep = time.Minute

const day = 24 * time.Hour

// Sums are what mailboxes hold together.
type Sums struct{ Mailboxes, Messages, Unread, Bytes int64 }

// Count is how much there is of a kind on a day.
type Count struct {
	Day  int    // from 0
	Kind string // received, sent or junk
	N    int64
}

// Store counts. A mailbox of 0 is all of them.
type Store interface {
	// MailboxByName returns the mailbox of a local part, or errs.NotFound.
	MailboxByName(ctx context.Context, user string) (mailbox.Mailbox, error)
	// Folders returns the folders of a mailbox.
	Folders(ctx context.Context, box int64) ([]mailbox.Folder, error)
	// Counts returns how many entries of the queue there are in each state.
	Counts(ctx context.Context) (map[queue.State]int64, error)
	// Sums adds up all mailboxes.
	Sums(ctx context.Context) (Sums, error)
	// FoldersByRole adds up the folders of all mailboxes that have the same role.
	FoldersByRole(ctx context.Context) ([]mailbox.Folder, error)
	// Came counts by day from a time on what lies in folders other than drafts.
	Came(ctx context.Context, box int64, from time.Time, days int) ([]Count, error)
	// Refused counts by day from a time on what concerned a user; "" is everybody, and nobody.
	Refused(ctx context.Context, user string, from time.Time) ([]Count, error)
}

// Options is all that Stats needs; everything but Quota is required.
type Options struct {
	Store   Store
	Named   func(user string) (local string, err error) // reads the user that a request names
	Address func(local string) string
	Quota   int64 // bytes that a mailbox may hold
}

// Stats tells the figures. Make it with New.
type Stats struct {
	Options

	mu   sync.Mutex // held while the whole installation is counted: nobody counts beside
	all  Figures
	when time.Time
}

// New returns the figures of a store.
func New(o Options) (*Stats, error) {
	if o.Store == nil || o.Named == nil || o.Address == nil {
		return nil, errors.New("stats: Store, Named and Address are required")
	}
	return &Stats{Options: o}, nil
}

// Figures are the answer to GET /api/stats.
type Figures struct {
	User      string           `json:"user"` // whose; "" is the whole installation
	Mailboxes int64            `json:"mailboxes"`
	Messages  int64            `json:"messages"`
	Unread    int64            `json:"unread"`
	Bytes     int64            `json:"bytes"`
	Quota     int64            `json:"quota"` // bytes that the mailbox may hold; 0 for the whole installation
	Folders   []Folder         `json:"folders"`
	Days      []Day            `json:"days"`  // oldest first; the last is today
	Queue     map[string]int64 `json:"queue"` // entries by state; null for one mailbox
}

// Folder is what a folder holds, or all folders of a role together.
type Folder struct {
	ID       int64  `json:"id"` // 0 for the whole installation
	Name     string `json:"name"`
	Role     string `json:"role"` // "" for people's own
	Messages int64  `json:"messages"`
	Unread   int64  `json:"unread"`
}

// Day is what came and went on a day.
type Day struct {
	Day      string `json:"day"` // in UTC, such as 2026-11-27
	Received int64  `json:"received"`
	Sent     int64  `json:"sent"`
	Junk     int64  `json:"junk"`
	Refused  *int64 `json:"refused"` // null where it is not known any more
}

// Of returns the figures of the user whom a call names, or of all.
func (s *Stats) Of(c *web.Call, in Params) (Figures, error) {
	if in.All {
		if !c.Caller.Has("email.admin") && !c.Caller.Demo {
			return Figures{}, errs.New(errs.Denied, "the figures of the whole installation need the scope email.admin")
		}
		return s.whole(c.Context(), c.Now)
	}
	user := in.User
	if user == "" {
		user = c.Caller.User
	}
	if user == "" {
		return Figures{}, errs.Missing("user")
	}
	local, err := s.Named(user)
	if err == nil {
		err = c.Caller.ActAs(local, "email.admin")
	}
	if err != nil {
		return Figures{}, err
	}
	return s.one(c.Context(), local, c.Now)
}

// one counts a mailbox; one that nobody made yet is empty.
func (s *Stats) one(ctx context.Context, local string, now time.Time) (Figures, error) {
	out := Figures{User: s.Address(local), Quota: s.Quota, Folders: []Folder{}}
	box, err := s.Store.MailboxByName(ctx, local)
	if errs.Is(err, errs.NotFound) {
		box, err = mailbox.Mailbox{}, nil
	}
	if err != nil {
		return out, err
	}
	if box.ID != 0 {
		out.Mailboxes, out.Messages, out.Unread, out.Bytes = 1, box.Messages, box.Unread, box.Bytes
		all, err := s.Store.Folders(ctx, box.ID)
		if err != nil {
			return out, err
		}
		for _, f := range all {
			out.Folders = append(out.Folders, Folder{f.ID, mailbox.FolderPath(all, f), f.Role, f.Messages, f.Unread})
		}
	}
	return out, s.days(ctx, &out, box.ID, local, now)
}

// whole counts everything, or tells what was counted a moment ago.
func (s *Stats) whole(ctx context.Context, now time.Time) (Figures, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if age := now.Sub(s.when); age >= 0 && age < keep {
		return s.all, nil
	}
	sums, err := s.Store.Sums(ctx)
	if err != nil {
		return Figures{}, err
	}
	out := Figures{Mailboxes: sums.Mailboxes, Messages: sums.Messages, Unread: sums.Unread, Bytes: sums.Bytes, Folders: []Folder{}, Queue: map[string]int64{}}
	roles, err := s.Store.FoldersByRole(ctx)
	if err != nil {
		return out, err
	}
	for _, f := range roles {
		out.Folders = append(out.Folders, Folder{Name: f.Name, Role: f.Role, Messages: f.Messages, Unread: f.Unread})
	}
	states, err := s.Store.Counts(ctx)
	if err != nil {
		return out, err
	}
	for state, n := range states {
		out.Queue[string(state)] = n
	}
	if err := s.days(ctx, &out, 0, "", now); err != nil {
		return out, err
	}
	s.all, s.when = out, now
	return out, nil
}

// days fills in what came and went. A mailbox of 0 with a user is one that was never made.
func (s *Stats) days(ctx context.Context, out *Figures, box int64, user string, now time.Time) error {
	from := now.UTC().Truncate(day).Add(-(Days - 1) * day)
	out.Days = make([]Day, Days)
	for i := range out.Days {
		start := from.Add(time.Duration(i) * day)
		out.Days[i].Day = start.Format(time.DateOnly)
		if !start.Before(now.Add(-refusals.Keep)) {
			out.Days[i].Refused = new(int64)
		}
	}
	var came []Count
	var err error
	if box != 0 || user == "" {
		if came, err = s.Store.Came(ctx, box, from, Days); err != nil {
			return err
		}
	}
	refused, err := s.Store.Refused(ctx, user, from)
	if err != nil {
		return err
	}
	for _, n := range append(came, refused...) {
		if n.Day < 0 || n.Day >= Days {
			continue // a clock that was set back
		}
		d := &out.Days[n.Day]
		switch n.Kind {
		case "received":
			d.Received += n.N
		case "sent":
			d.Sent += n.N
		case "junk":
			d.Junk += n.N
		case "refused":
			if d.Refused != nil {
				*d.Refused += n.N
			}
		}
	}
	return nil
}

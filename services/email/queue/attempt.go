package queue

import (
	"context"
	"time"
)

// Attempt is how one attempt of an entry went. One whose process died has none.
type Attempt struct {
	EntryID      int64
	Number       int // from 1; a bounced entry that begins anew counts from 1 again
	Began, Ended time.Time
	Verdict      string // delivered, later, refused or stopped
	Host, TLS    string // as in Result
	Reply        string
}

// MaxKept is how many attempts of an entry are kept.
const MaxKept = 50

// word is how a verdict is kept.
func (v Verdict) word() string {
	switch v {
	case Delivered:
		return "delivered"
	case Permanent:
		return "refused"
	case Interrupted:
		return "stopped"
	}
	return "later"
}

// How long the queue knows what became of an entry that is sent, bounced or dropped, and how many of those at most.
const (
	RetireAfter = 30 * 24 * time.Hour
	RetireMost  = 200_000
)

// code returns the code of the host's reply; 0 when there was none.
func (a Attempt) code() int {
	if !isReply(a.Reply) {
		return 0
	}
	return int(a.Reply[0]-'0')*100 + int(a.Reply[1]-'0')*10 + int(a.Reply[2]-'0')
}

// sweepEvery is how often the entries that are finished long enough are removed.
const sweepEvery = time.Hour

// sweep removes what is finished long enough, a part at a time so that nobody waits for it.
func (q *Queue[T]) sweep(ctx context.Context) {
	removed := 0
	for ctx.Err() == nil {
		n, files, err := q.Store.Retire(ctx, q.Now().Add(-RetireAfter), RetireMost)
		if err != nil {
			if ctx.Err() == nil {
				q.Log.Error("finished mail could not be removed from the queue; it is tried again in an hour", "err", err.Error())
			}
			return
		}
		q.Office.Gone(files)
		if removed += n; n == 0 {
			break
		}
	}
	if removed > 0 {
		q.Log.Info("mail that was finished long ago was removed from the queue", "entries", removed)
	}
}

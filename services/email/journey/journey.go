// Package journey tells the way of a message: each step with its time, what was found on it and why, from the connection that
// brought it to the folder that it was put into, and for what was sent each attempt with the host's answer.
//
// It tells what is stored and guesses nothing: of mail from before marks were kept, and of what the queue has forgotten
// meanwhile, there are fewer steps. It keeps nothing itself. Mail that was not taken is told by package refusals.
// A Teller is safe for concurrent use.
package journey

import (
	"context"
	"slices"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/queue"
	"uniqverse/services/email/rules"
	"uniqverse/services/email/spam"
	"uniqverse/smtpd"
)

// Kept is what is stored of a message's way beside the message.
type Kept struct {
	Marks   []smtpd.Mark
	Folders []int64 // that it was put into when it came; none for mail from before that was kept
}

// Store is where the steps are kept.
type Store interface {
	// Journey returns what is kept of a message's way.
	Journey(ctx context.Context, message int64) (Kept, error)
	Folders(ctx context.Context, mailbox int64) ([]mailbox.Folder, error)
	SpamVerdict(ctx context.Context, message int64) ([]spam.Reason, error)
	RuleHits(ctx context.Context, message int64) ([]rules.Hit, error)
	Entries(ctx context.Context, f queue.Filter, p web.Paging) ([]queue.Entry, error)
	EntryAttempts(ctx context.Context, id int64) (queue.Entry, []queue.Attempt, error)
}

// Mail is the mail service as it is needed here.
type Mail interface {
	// OpenFor returns a message that the caller may see, with its bytes; close the content. What is somebody else's is errs.NotFound.
	OpenFor(c *web.Call, id int64) (mailbox.Message, mailbox.Raw, *mailbox.Content, error)
	// Address is the address of a mailbox.
	Address(user string) string
}

// Teller tells journeys. Make one with New.
type Teller struct {
	mail  Mail
	store Store
}

// New returns a Teller.
func New(mail Mail, store Store) *Teller { return &Teller{mail, store} }

// Endpoints are the routes of journeys.
func (t *Teller) Endpoints() []web.Endpoint {
	read := web.NeedsToken("email.read")
	read.Describe = "the user's own mailbox; others' with email.admin"
	return []web.Endpoint{
		web.Query("GET", "/api/messages/{id}/journey", read, "The message's way through this server, step by step, with times and reasons", t.get),
	}
}

type idParams struct {
	ID int64 `path:"id" min:"1"`
}

// Journey is the answer to GET /api/messages/{id}/journey.
type Journey struct {
	ID          int64  `json:"id"`
	Traceparent string `json:"traceparent"` // of the action that brought it; its other hops are under the same number
	Steps       []Step `json:"steps"`       // in their order
}

// Step is one step of a message's way.
type Step struct {
	Step   string    `json:"step"`             // connected, tls, received, spf, dkim, dmarc, peer, policy, read, spam, rules, filed, told, queued, attempt, bounced, …
	At     *api.Time `json:"at,omitempty"`     // when it was over; left out when that is not known
	MS     *float64  `json:"ms,omitempty"`     // how long it took; left out when that is not known
	Result string    `json:"result,omitempty"` // a word: pass, fail, junk, delivered, …
	Title  string    `json:"title"`
	Text   string    `json:"text"`
	Items  []string  `json:"items,omitempty"` // the reasons behind it, one by one
}

func (t *Teller) get(c *web.Call, in idParams) (Journey, error) {
	m, raw, body, err := t.mail.OpenFor(c, in.ID)
	if err != nil {
		return Journey{}, err
	}
	body.Close()
	return t.Tell(c.Context(), m, raw)
}

// maxEntries bounds how many recipients of one message are told of.
const maxEntries = 100

// Tell tells the way of a message that its reader may see.
func (t *Teller) Tell(ctx context.Context, m mailbox.Message, raw mailbox.Raw) (Journey, error) {
	out := Journey{ID: m.ID, Traceparent: raw.Traceparent}
	kept, err := t.store.Journey(ctx, m.ID)
	if err != nil {
		return out, err
	}
	way := way{m: m, raw: raw, kept: kept, address: t.mail.Address(m.User), at: map[string]time.Time{}}
	for _, mark := range kept.Marks {
		way.at[mark.Step] = time.UnixMicro(mark.At).UTC()
	}
	if way.folders, err = t.store.Folders(ctx, m.MailboxID); err != nil {
		return out, err
	}
	if way.own, err = t.store.SpamVerdict(ctx, m.ID); err != nil {
		return out, err
	}
	if way.hits, err = t.store.RuleHits(ctx, m.ID); err != nil {
		return out, err
	}
	entries, err := t.store.Entries(ctx, queue.Filter{Raw: m.RawID}, web.Paging{Limit: maxEntries})
	if err != nil {
		return out, err
	}
	for _, e := range slices.Backward(entries) {
		// The copies of others share the bytes; where they send theirs on is nobody else's business.
		if e.MessageID != m.ID && e.User != m.User {
			continue
		}
		_, attempts, err := t.store.EntryAttempts(ctx, e.ID)
		if err != nil {
			return out, err
		}
		way.sent = append(way.sent, delivery{e, attempts})
	}
	out.Steps = way.tell()
	return out, nil
}

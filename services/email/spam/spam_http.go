package spam

import (
	"context"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// mostTop is how many words of each kind are shown.
const mostTop = 30

// Endpoints returns the routes that tell what is counted and why. People see and change their own; email.admin everybody's.
func (f *Filter[T]) Endpoints() []web.Endpoint {
	read := web.NeedsToken("email.read")
	read.Describe = "the user's own; others' with email.admin"
	return []web.Endpoint{
		web.Query("GET", "/api/spam", read, "What the spam filter learnt from a user, its thresholds, and what it knows of a sender", f.stats),
		web.Command("PATCH", "/api/spam", read, "Set the score from which on a user's mail is junk", f.Store, f.setThreshold),
		web.Query("GET", "/api/spam/rules", read, "Every reason that a score can have, with its points and what it means", f.rules),
		web.Query("GET", "/api/spam/senders", read, "The senders that a user allows or blocks, newest first", f.list),
		web.Command("POST", "/api/spam/senders", read, "Allow or block a sender: an address or a domain. Allowing needs a sender that proves to be real (DMARC)", f.Store, f.addSender),
		web.Command("DELETE", "/api/spam/senders/{id}", read, "Take a sender off the list", f.Store, f.removeSender),
		web.Query("GET", "/api/messages/{id}/spam", read, "Why a message is in the inbox or among the junk, and what its words say today", f.explain),
	}
}

// userParams name a user.
type userParams struct {
	User string `json:"user,omitempty" max:"320" doc:"whose: an address of the domain, or its local part; the caller when left out"`
}

// statsParams name a user and what to look up.
type statsParams struct {
	userParams
	Sender string `json:"sender,omitempty" max:"320" doc:"an address or a domain whose reputation is wanted"`
}

// Stats is the answer to GET /api/spam.
type Stats struct {
	User      string       `json:"user"`     // local part
	JunkAt    float64      `json:"junk_at"`  // from this score on this user's mail is junk
	OwnJunkAt bool         `json:"own"`      // … and it is the user's own threshold
	Default   float64      `json:"default"`  // the installation's
	Refuse    float64      `json:"refuse"`   // from this score on mail may be refused; 0 never
	Counted   Counted      `json:"counted"`  // messages of this user
	Everybody Counted      `json:"all"`      // mailboxes that had mail of each kind
	SpamWords []Word       `json:"spam"`     // the words that tell most
	HamWords  []Word       `json:"ham"`      //
	Reputed   []Reputation `json:"senders"`  // of the sender that was asked for
	Pending   bool         `json:"learning"` // something that was moved is not counted yet
}

// Counted is how much was learnt, and whether it is enough for words to count.
type Counted struct {
	Ham    int  `json:"ham"`
	Spam   int  `json:"spam"`
	Words  int  `json:"words"`
	Needed int  `json:"needed"` // of each kind, before words count
	Used   bool `json:"used"`
}

// Reputation is what was seen of a sender.
type Reputation struct {
	Source string    `json:"source"` // from:address, domain:name, spf:name or ip:network
	Own    *Standing `json:"own"`    // by this user, in messages; null when nothing was
	All    *Standing `json:"all"`    // by everybody: how many people mostly keep or junk its mail; null when nobody said anything
}

func (f *Filter[T]) profileOf(ctx context.Context, user string) (Profile, Profile, error) {
	all, err := f.Store.SpamProfiles(ctx, []string{user})
	return all[user], all[""], err
}

func (f *Filter[T]) stats(c *web.Call, in statsParams) (Stats, error) {
	user, err := f.Office.Owner(c, in.User)
	if err != nil {
		return Stats{}, err
	}
	own, all, err := f.profileOf(c.Context(), user)
	if err != nil {
		return Stats{}, err
	}
	out := Stats{User: user, JunkAt: f.JunkAt, Default: f.JunkAt, Refuse: f.RefuseAt, SpamWords: []Word{}, HamWords: []Word{}, Reputed: []Reputation{},
		Counted:   Counted{own.Trained.Ham, own.Trained.Spam, own.Words, MinTrained, enough(own.Trained, false)},
		Everybody: Counted{all.Trained.Ham, all.Trained.Spam, all.Words, MinUsers, enough(all.Trained, true)}}
	if own.JunkAt > 0 {
		out.JunkAt, out.OwnJunkAt = own.JunkAt, true
	}
	if own.Mailbox != 0 {
		if out.SpamWords, err = f.Store.SpamTop(c.Context(), own.Mailbox, Spam, mostTop); err != nil {
			return out, err
		}
		if out.HamWords, err = f.Store.SpamTop(c.Context(), own.Mailbox, Ham, mostTop); err != nil {
			return out, err
		}
		pending, err := f.Store.SpamPending(c.Context(), batch)
		if err != nil {
			return out, err
		}
		for _, m := range pending {
			out.Pending = out.Pending || m.Mailbox == own.Mailbox
		}
	}
	if in.Sender != "" {
		sender, err := CleanSender(in.Sender)
		if err != nil {
			return out, err
		}
		out.Reputed, err = f.reputation(c.Context(), own.Mailbox, []string{"from:" + sender, "domain:" + sender, "spf:" + sender})
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// reputation looks senders up, for one mailbox and for everybody; those that nothing is known of are left out.
func (f *Filter[T]) reputation(ctx context.Context, mailbox int64, sources []string) ([]Reputation, error) {
	out := []Reputation{}
	if len(sources) == 0 {
		return out, nil
	}
	st, err := f.Store.SpamStandings(ctx, []int64{0, mailbox}, sources)
	for _, src := range sources {
		r := Reputation{Source: src}
		if s, ok := st[mailbox][src]; ok && mailbox != 0 {
			r.Own = &s
		}
		if s, ok := st[0][src]; ok {
			r.All = &s
		}
		if r.Own != nil || r.All != nil {
			out = append(out, r)
		}
	}
	return out, err
}

type thresholdParams struct {
	userParams
	JunkAt *float64 `json:"junk_at" web:"required" doc:"a score from 1 to 50, or 0 for the installation's"`
}

// Check refuses scores that make no sense.
func (p thresholdParams) Check() error {
	if p.JunkAt != nil && *p.JunkAt != 0 && !(*p.JunkAt >= 1 && *p.JunkAt <= 50) {
		return errs.BadField("junk_at", "must be from 1 to 50, or 0 for the installation's")
	}
	return nil
}

// Threshold is the answer to PATCH /api/spam.
type Threshold struct {
	User   string  `json:"user"`
	JunkAt float64 `json:"junk_at"`
	Own    bool    `json:"own"`
}

func (f *Filter[T]) setThreshold(c *web.Call, tx T, in thresholdParams) (Threshold, error) {
	user, box, err := f.ensure(c, tx, in.User)
	if err != nil {
		return Threshold{}, err
	}
	out := Threshold{User: user, JunkAt: round(*in.JunkAt), Own: *in.JunkAt != 0}
	if err := tx.SetJunkAt(box, out.JunkAt); err != nil {
		return out, err
	}
	if !out.Own {
		out.JunkAt = f.JunkAt
	}
	return out, nil
}

// ensure returns the mailbox of the user that a request names, after the owner check.
func (f *Filter[T]) ensure(c *web.Call, tx T, user string) (string, int64, error) {
	user, err := f.Office.Owner(c, user)
	if err != nil {
		return "", 0, err
	}
	box, err := f.Ensure(tx, user)
	return user, box, err
}

// Rules is the answer to GET /api/spam/rules.
type Rules struct {
	JunkAt   float64 `json:"junk_at"`   // from this score on a message is junk, unless its owner has another threshold
	RefuseAt float64 `json:"refuse_at"` // from this score on it is refused, where the operator applies a policy; 0 never
	Rules    []Rule  `json:"rules"`
}

func (f *Filter[T]) rules(_ *web.Call, _ web.None) (Rules, error) {
	return Rules{f.JunkAt, f.RefuseAt, Catalogue()}, nil
}

type listParams struct {
	userParams
	web.Paging
}

// Sender is an entry of the list, as the API shows it.
type Sender struct {
	ID        int64    `json:"id"`
	Sender    string   `json:"sender"`
	Action    string   `json:"action"` // allow or block
	Note      string   `json:"note"`
	CreatedAt api.Time `json:"created_at"`
}

func wire(l Listed) Sender {
	s := Sender{l.ID, l.Sender, "block", l.Note, api.TimeOf(l.Created)}
	if l.Allow {
		s.Action = "allow"
	}
	return s
}

// Senders is the answer to GET /api/spam/senders.
type Senders struct {
	User    string   `json:"user"`
	Senders []Sender `json:"senders"`
}

func (f *Filter[T]) list(c *web.Call, in listParams) (Senders, error) {
	user, err := f.Office.Owner(c, in.User)
	if err != nil {
		return Senders{}, err
	}
	out := Senders{User: user, Senders: []Sender{}}
	p, _, err := f.profileOf(c.Context(), user)
	if err != nil || p.Mailbox == 0 {
		return out, err
	}
	list, err := f.Store.SpamList(c.Context(), p.Mailbox, in.Paging)
	for _, l := range list {
		out.Senders = append(out.Senders, wire(l))
	}
	return out, err
}

type senderParams struct {
	userParams
	Sender string `json:"sender" web:"required" max:"320" doc:"an address, or a domain with all below it"`
	Action string `json:"action" web:"required" max:"10" doc:"allow or block"`
	Note   string `json:"note,omitempty" max:"200" doc:"why, for yourself"`
}

// Check refuses what is neither.
func (p senderParams) Check() error {
	if p.Action != "" && p.Action != "allow" && p.Action != "block" {
		return errs.BadField("action", "must be allow or block")
	}
	return nil
}

func (f *Filter[T]) addSender(c *web.Call, tx T, in senderParams) (Sender, error) {
	_, box, err := f.ensure(c, tx, in.User)
	if err != nil {
		return Sender{}, err
	}
	name, err := CleanSender(in.Sender)
	if err != nil {
		return Sender{}, err
	}
	l, err := tx.ListSender(box, Listed{Sender: name, Allow: in.Action == "allow", Note: in.Note}, MaxListed)
	return wire(l), err
}

type entryParams struct {
	userParams
	ID int64 `path:"id" min:"1"`
}

// Removed is the answer to a removal.
type Removed struct {
	ID int64 `json:"id"`
}

func (f *Filter[T]) removeSender(c *web.Call, tx T, in entryParams) (Removed, error) {
	_, box, err := f.ensure(c, tx, in.User)
	if err != nil {
		return Removed{}, err
	}
	return Removed{in.ID}, tx.UnlistSender(box, in.ID)
}

type messageParams struct {
	ID int64 `path:"id" min:"1"`
}

// Explanation is the answer to GET /api/messages/{id}/spam.
type Explanation struct {
	ID      int64        `json:"id"`
	User    string       `json:"user"`    // local part
	Score   float64      `json:"score"`   // when it came
	JunkAt  float64      `json:"junk_at"` // today's threshold
	Reasons []Reason     `json:"reasons"` // when it came
	Mark    string       `json:"mark"`    // what its owner says: spam, ham or ""
	Auto    bool         `json:"auto"`    // the mark is not the owner's: the message was read and kept
	Trained bool         `json:"trained"` // what the mark says is counted
	Words   Telling      `json:"words"`   // what its words say today, by what this user moved
	All     Telling      `json:"all"`     // … and by what everybody did
	Senders []Reputation `json:"senders"` // who it is from, as far as that is proven
}

// Telling is what words say.
type Telling struct {
	Used bool    `json:"used"` // false: too little was counted
	P    float64 `json:"p"`    // from 0, good, to 1, spam
	Most []Word  `json:"most"` // the words that tell most
}

func (f *Filter[T]) explain(c *web.Call, in messageParams) (Explanation, error) {
	m, err := f.Office.Message(c, in.ID)
	if err != nil {
		return Explanation{}, err
	}
	ctx := c.Context()
	own, all, err := f.profileOf(ctx, m.User)
	if err != nil {
		return Explanation{}, err
	}
	out := Explanation{ID: m.ID, User: m.User, Score: m.Score, JunkAt: f.JunkAt, Reasons: m.Reasons}
	if own.JunkAt > 0 {
		out.JunkAt = own.JunkAt
	}
	mine, err := f.Store.SpamVerdict(ctx, m.ID)
	if err != nil {
		return out, err
	}
	out.Reasons = append(out.Reasons, mine...)
	if out.Reasons == nil {
		out.Reasons = []Reason{}
	}
	if err := f.marked(ctx, &out); err != nil {
		return out, err
	}
	facts, err := f.Office.Stored(ctx, m.Raw)
	if err != nil {
		return out, err
	}
	words := facts.Sample().Tokens()
	counts, err := f.Store.SpamWords(ctx, []int64{m.Mailbox, 0}, words)
	if err != nil {
		return out, err
	}
	out.Words = weigh(own.Trained, counts[m.Mailbox], false)
	out.All = weigh(all.Trained, counts[0], true)
	out.Senders, err = f.reputation(ctx, m.Mailbox, Sources(facts))
	return out, err
}

// marked fills in what the owner says of the message.
func (f *Filter[T]) marked(ctx context.Context, out *Explanation) error {
	mark, err := f.Store.SpamMark(ctx, out.ID)
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	out.Mark, out.Auto, out.Trained = map[int]string{Spam: "spam", Ham: "ham"}[mark.Want], mark.Auto, mark.Want == mark.Trained
	return err
}

func weigh(total Count, counts map[string]Count, everybody bool) Telling {
	p, words := classify(total, counts, everybody)
	t := Telling{Used: enough(total, everybody), P: float64(int(p*1000+0.5)) / 1000, Most: words[:min(len(words), mostTop)]}
	if t.Most == nil {
		t.Most = []Word{}
	}
	return t
}

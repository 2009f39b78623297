package rules

import (
	"slices"
	"strconv"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// mostTried is how many messages a rule is tried on at most.
const mostTried = 100

// Endpoints returns the routes of rules and of the answer while away. People see and change their own; email.admin everybody's.
func (s *Set[T]) Endpoints() []web.Endpoint {
	read := web.NeedsToken("email.read")
	read.Describe = "the user's own; others' with email.admin"
	return append(s.forms(),
		web.Query("GET", "/api/rules", read, "A user's rules, in the order in which they are asked", s.list),
		web.Command("POST", "/api/rules", read, "Add a rule", s.Store, s.add),
		web.Command("PATCH", "/api/rules/{id}", read, "Change a rule, or its place", s.Store, s.change),
		web.Command("DELETE", "/api/rules/{id}", read, "Remove a rule", s.Store, s.remove),
		web.Query("POST", "/api/rules/try", read, "What would a rule, or all of them, do to a message, or to the newest ones? Nothing is changed", s.try),
		web.Query("POST", "/api/rules/run", read, "Run a rule, or all of them, on mail that is there already; nothing is sent on", s.begin).Status(202),
		web.Query("GET", "/api/rules/runs", read, "How far runs of rules are, newest first", s.runs),
		web.Command("DELETE", "/api/rules/runs/{id}", read, "Stop a run of rules; what it did stays", s.Store, s.stop),
		web.Query("GET", "/api/vacation", read, "The answer that senders get while a user is away", s.vacation),
		web.Command("PUT", "/api/vacation", read, "Set the answer that senders get, once a week each", s.Store, s.setVacation),
	)
}

// userParams name a user.
type userParams struct {
	User string `json:"user,omitempty" max:"320" doc:"whose: an address of the domain, or its local part; the caller when left out"`
}

// Wire is a rule as the API shows it.
type Wire struct {
	ID         int64      `json:"id"`
	Position   int        `json:"position"`
	Name       string     `json:"name"`
	Enabled    bool       `json:"enabled"`
	Match      string     `json:"match"` // all or any
	Conditions Conditions `json:"conditions"`
	Actions    ActionList `json:"actions"`
	Hits       int64      `json:"hits"`
	LastHit    *api.Time  `json:"last_hit"`
	CreatedAt  api.Time   `json:"created_at"`
	UpdatedAt  api.Time   `json:"updated_at"`
}

func wire(r Rule) Wire {
	w := Wire{ID: r.ID, Position: r.Position, Name: r.Name, Enabled: r.Enabled, Match: "all", Conditions: r.Conditions, Actions: r.Actions, Hits: r.Hits,
		CreatedAt: api.TimeOf(r.Created), UpdatedAt: api.TimeOf(r.Updated)}
	if r.Any {
		w.Match = "any"
	}
	if !r.LastHit.IsZero() {
		at := api.TimeOf(r.LastHit)
		w.LastHit = &at
	}
	return w
}

// List is the answer to GET /api/rules.
type List struct {
	User  string `json:"user"`
	Rules []Wire `json:"rules"`
}

// owned returns the local part and the mailbox of the user that a request names; 0 when there is none yet.
func (s *Set[T]) owned(c *web.Call, user string) (string, int64, error) {
	user, err := s.Office.Owner(c, user)
	if err != nil {
		return "", 0, err
	}
	box, err := s.Store.MailboxID(c.Context(), user)
	return user, box, err
}

func (s *Set[T]) list(c *web.Call, in userParams) (List, error) {
	user, box, err := s.owned(c, in.User)
	out := List{User: user, Rules: []Wire{}}
	if err != nil || box == 0 {
		return out, err
	}
	all, err := s.Store.UserRules(c.Context(), box)
	for _, r := range all {
		out.Rules = append(out.Rules, wire(r))
	}
	return out, err
}

// ruleParams are a rule as people write it.
type ruleParams struct {
	userParams
	Name       string     `json:"name,omitempty" max:"100"`
	Enabled    *bool      `json:"enabled,omitempty" doc:"true when left out"`
	Match      string     `json:"match,omitempty" max:"3" doc:"all (when left out) or any of the conditions"`
	Conditions Conditions `json:"conditions,omitempty" doc:"[{field, op, value, header?, not?}], or a line each: [not] field [header name] operator value"`
	Actions    ActionList `json:"actions,omitempty" doc:"[{do, value?}], or a line each: move FOLDER, label L, star, read, redirect ADDRESS, trash, stop"`
	Position   *int       `json:"position,omitempty" min:"1" max:"100" doc:"its place among the rules, from 1; the last when left out"`
}

// Check refuses a match that is none.
func (p ruleParams) Check() error {
	if p.Match != "" && p.Match != "all" && p.Match != "any" {
		return errs.BadField("match", "must be all or any")
	}
	return nil
}

// onto writes what is given onto a rule.
func (p ruleParams) onto(r *Rule) {
	if p.Name != "" {
		r.Name = p.Name
	}
	if p.Enabled != nil {
		r.Enabled = *p.Enabled
	}
	if p.Match != "" {
		r.Any = p.Match == "any"
	}
	if p.Conditions != nil {
		r.Conditions = p.Conditions
	}
	if p.Actions != nil {
		r.Actions = p.Actions
	}
}

// settle checks a rule, and what it names: folders, labels and addresses.
func (s *Set[T]) settle(tx T, user string, r *Rule) error {
	if err := r.check(); err != nil {
		return err
	}
	r.Actions = slices.Clone(r.Actions)
	for i := range r.Actions {
		a := &r.Actions[i]
		var err error
		switch a.Do {
		case "move":
			_, a.Value, err = s.Office.FolderIn(tx, r.Mailbox, a.Value)
		case "label":
			a.Value, err = s.Office.CleanLabel(a.Value)
		case "redirect":
			a.Value, err = s.Office.CheckRedirect(user, a.Value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Set[T]) add(c *web.Call, tx T, in ruleParams) (Wire, error) {
	user, err := s.Office.Owner(c, in.User)
	if err != nil {
		return Wire{}, err
	}
	r := Rule{Enabled: true, Created: tx.Now(), Updated: tx.Now()}
	if r.Mailbox, err = s.Office.Ensure(tx, user); err != nil {
		return Wire{}, err
	}
	in.onto(&r)
	if err := s.settle(tx, user, &r); err != nil {
		return Wire{}, err
	}
	all, err := tx.UserRules(r.Mailbox)
	if err != nil {
		return Wire{}, err
	}
	if len(all) >= MaxRules {
		return Wire{}, errs.New(errs.Conflict, "there are %d rules, and may be no more; remove one first", MaxRules)
	}
	return s.place(tx, all, r, in.Position)
}

func (s *Set[T]) change(c *web.Call, tx T, in changeParams) (Wire, error) {
	user, r, err := s.mine(c, tx, in.ID, in.User)
	if err != nil {
		return Wire{}, err
	}
	in.onto(&r)
	if err := s.settle(tx, user, &r); err != nil {
		return Wire{}, err
	}
	r.Updated = tx.Now()
	all, err := tx.UserRules(r.Mailbox)
	if err != nil {
		return Wire{}, err
	}
	at := slices.IndexFunc(all, func(x Rule) bool { return x.ID == r.ID })
	all = slices.Delete(all, at, at+1)
	if in.Position == nil {
		in.Position = &at
		*in.Position++
	}
	return s.place(tx, all, r, in.Position)
}

// place writes a rule at its place among the others, and moves those that have to.
func (s *Set[T]) place(tx T, others []Rule, r Rule, position *int) (Wire, error) {
	n := r.patterns()
	for _, o := range others {
		n += o.patterns()
	}
	if n > MaxPatterns {
		return Wire{}, errs.BadField("conditions", "of all rules may be wildcards or regular expressions at most %d times, and are %d times", MaxPatterns, n)
	}
	at := len(others)
	if position != nil {
		at = min(at, *position-1)
	}
	var out Rule
	for i, o := range slices.Insert(others, at, r) {
		moved := o.Position != i+1
		o.Position = i + 1
		if i != at && !moved {
			continue
		}
		saved, err := tx.SaveUserRule(o)
		if err != nil {
			return Wire{}, err
		}
		if i == at {
			out = saved
		}
	}
	return wire(out), nil
}

type changeParams struct {
	ID int64 `path:"id" min:"1"`
	ruleParams
}

type idParams struct {
	ID int64 `path:"id" min:"1"`
	userParams
}

// mine returns a rule that the caller may change, and whose it is.
func (s *Set[T]) mine(c *web.Call, tx T, id int64, named string) (string, Rule, error) {
	r, err := tx.UserRule(id)
	if err != nil {
		return "", r, err
	}
	user, err := s.Office.Owner(c, named)
	if err != nil {
		return "", r, err
	}
	box, err := s.Office.Ensure(tx, user)
	if err == nil && box != r.Mailbox {
		err = errs.New(errs.NotFound, "there is no such rule")
	}
	return user, r, err
}

// Removed is the answer to a removal.
type Removed struct {
	ID int64 `json:"id"`
}

func (s *Set[T]) remove(c *web.Call, tx T, in idParams) (Removed, error) {
	_, r, err := s.mine(c, tx, in.ID, in.User)
	if err != nil {
		return Removed{}, err
	}
	if err := tx.RemoveUserRule(r.ID); err != nil {
		return Removed{}, err
	}
	rest, err := tx.UserRules(r.Mailbox)
	for i, o := range rest {
		if o.Position == i+1 || err != nil {
			continue
		}
		o.Position = i + 1
		_, err = tx.SaveUserRule(o)
	}
	return Removed{r.ID}, err
}

// tryParams say what to try on which messages.
type tryParams struct {
	ruleParams
	Rule    int64  `json:"rule,omitempty" min:"1" doc:"a rule that is stored; without it and without conditions: all that are enabled"`
	Message int64  `json:"message,omitempty" min:"1" doc:"the message to try it on"`
	Newest  int    `json:"newest,omitempty" min:"1" max:"100" doc:"without a message: how many of the newest; 20 when left out"`
	Folder  string `json:"folder,omitempty" max:"800" doc:"… of this folder; of all but Junk, Trash and Drafts when left out"`
}

// Tried is the answer to POST /api/rules/try.
type Tried struct {
	Looked int      `json:"looked"` // messages
	Hits   []Effect `json:"hits"`
}

// Effect is what would become of a message.
type Effect struct {
	Message  int64    `json:"message"`
	Subject  string   `json:"subject"`
	From     string   `json:"from"`
	Rules    []Hit    `json:"rules"`
	Folder   string   `json:"folder"` // where it would go; "" is where it is
	Labels   []string `json:"labels"`
	Star     bool     `json:"star"`
	Read     bool     `json:"read"`
	Redirect []string `json:"redirect"`
}

func (s *Set[T]) try(c *web.Call, in tryParams) (Tried, error) {
	out := Tried{Hits: []Effect{}}
	user, box, err := s.owned(c, in.User)
	if err != nil {
		return out, err
	}
	if in.Message != 0 {
		if box, err = s.Office.Visible(c, in.Message); err != nil {
			return out, err
		}
	}
	var ready []compiled
	if in.Conditions != nil {
		r := Rule{Name: "this rule", Mailbox: box}
		if in.onto(&r); r.Actions == nil {
			r.Actions = ActionList{{Do: "stop"}}
		}
		if err := r.check(); err != nil {
			return out, err
		}
		one, err := compile(r)
		if err != nil {
			return out, errs.BadField("conditions", "cannot be used: %s", err)
		}
		ready = []compiled{one}
	} else if box != 0 {
		list, err := s.chosen(c.Context(), box, in.Rule)
		if err == nil && len(list) == 0 && in.Rule != 0 {
			err = errs.New(errs.NotFound, "there is no such rule")
		}
		if err != nil {
			return out, err
		}
		ready = s.cache.ready(list)
	}
	ids := []int64{in.Message}
	if in.Message == 0 {
		if ids, err = s.newest(c, user, box, in); err != nil {
			return out, err
		}
	}
	for _, id := range ids {
		m, err := s.Office.StoredFacts(c.Context(), id)
		if errs.Is(err, errs.NotFound) {
			continue
		}
		if err != nil {
			return out, err
		}
		out.Looked++
		if p := run(ready, &m.Facts); !p.Empty() {
			out.Hits = append(out.Hits, effect(m, p))
		}
	}
	return out, nil
}

// newest returns the messages to try rules on.
func (s *Set[T]) newest(c *web.Call, _ string, box int64, in tryParams) ([]int64, error) {
	if box == 0 {
		return nil, nil
	}
	r := Run{Mailbox: box}
	if in.Folder != "" {
		var err error
		if r.Folder, _, err = s.Office.FolderNamed(c.Context(), box, in.Folder); err != nil {
			return nil, err
		}
	}
	if in.Newest == 0 {
		in.Newest = 20
	}
	return s.Store.RunBatch(c.Context(), r, min(in.Newest, mostTried))
}

func effect(m Stored, p Plan) Effect {
	e := Effect{Message: m.ID, Subject: m.Subject, Rules: p.Hits, Folder: p.Move, Labels: p.Labels, Star: p.Star, Read: p.Read, Redirect: p.Redirect}
	if len(m.From) > 0 {
		e.From = m.From[0]
	}
	if e.Labels == nil {
		e.Labels = []string{}
	}
	if e.Redirect == nil {
		e.Redirect = []string{}
	}
	return e
}

// runParams say what to run on which mail.
type runParams struct {
	userParams
	Rule   int64  `json:"rule,omitempty" min:"1" doc:"which; all that are enabled when left out"`
	Folder string `json:"folder,omitempty" max:"800" doc:"the mail of this folder; of all but Junk, Trash and Drafts when left out"`
}

// RunWire is a run as the API shows it.
type RunWire struct {
	ID        int64    `json:"id"`
	State     string   `json:"state"` // running, done, stopped or failed
	Rule      int64    `json:"rule"`
	Looked    int64    `json:"looked"`
	Changed   int64    `json:"changed"`
	Total     int64    `json:"total"` // about how many there are to look at
	Error     string   `json:"error"`
	CreatedAt api.Time `json:"created_at"`
	UpdatedAt api.Time `json:"updated_at"`
}

func wireRun(r Run) RunWire {
	return RunWire{r.ID, r.State, r.Rule, r.Looked, r.Changed, r.Total, r.Error, api.TimeOf(r.Created), api.TimeOf(r.Updated)}
}

func (s *Set[T]) begin(c *web.Call, in runParams) (any, error) {
	user, box, err := s.owned(c, in.User)
	if err != nil {
		return nil, err
	}
	r := Run{Mailbox: box, Rule: in.Rule, State: Running}
	if in.Folder != "" && box != 0 {
		if r.Folder, _, err = s.Office.FolderNamed(c.Context(), box, in.Folder); err != nil {
			return nil, err
		}
	}
	out, err := web.Update(c, in, s.Store, func(tx T) (RunWire, error) {
		var err error
		if r.Mailbox, err = s.Office.Ensure(tx, user); err != nil {
			return RunWire{}, err
		}
		all, err := tx.UserRules(r.Mailbox)
		if err != nil {
			return RunWire{}, err
		}
		if !slices.ContainsFunc(all, func(x Rule) bool { return x.ID == in.Rule || in.Rule == 0 && x.Enabled }) {
			return RunWire{}, errs.BadField("rule", "names no rule of %s: there is nothing to run", strconv.Quote(user))
		}
		added, err := tx.AddRun(r)
		return wireRun(added), err
	})
	if err == nil {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	return out, err
}

// Runs is the answer to GET /api/rules/runs.
type Runs struct {
	Runs []RunWire `json:"runs"`
}

func (s *Set[T]) runs(c *web.Call, in userParams) (Runs, error) {
	_, box, err := s.owned(c, in.User)
	out := Runs{Runs: []RunWire{}}
	if err != nil || box == 0 {
		return out, err
	}
	list, err := s.Store.RuleRuns(c.Context(), box)
	for _, r := range list {
		out.Runs = append(out.Runs, wireRun(r))
	}
	return out, err
}

func (s *Set[T]) stop(c *web.Call, tx T, in idParams) (RunWire, error) {
	user, err := s.Office.Owner(c, in.User)
	if err != nil {
		return RunWire{}, err
	}
	box, err := s.Office.Ensure(tx, user)
	if err != nil {
		return RunWire{}, err
	}
	r, err := tx.RuleRun(in.ID)
	if err == nil && r.Mailbox != box {
		err = errs.New(errs.NotFound, "there is no such run")
	}
	if err != nil || r.State != Running {
		return wireRun(r), err
	}
	r.State, r.Updated = Stopped, tx.Now()
	return wireRun(r), tx.SaveRun(Running, r)
}

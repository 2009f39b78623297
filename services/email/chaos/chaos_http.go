package chaos

import (
	"net/http"
	"strings"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/mime"
	"uniqverse/templates"
)

// Endpoints are the routes of the rules and their page. Rules are for email.admin, and for the demo identity, which there is only
// where nobody else's mail is.
func (c *Chaos) Endpoints() []web.Endpoint {
	token, page := web.NeedsToken("email.read"), web.Needs("email.read")
	token.Describe = "the demo identity, or email.admin"
	page.Describe = token.Describe
	back := func(*web.Call, any) string { return "/chaos" }
	return []web.Endpoint{
		web.Query(http.MethodGet, "/api/chaos", token, "The rules by which mail fails on purpose, the first made first", c.list),
		web.Query(http.MethodPost, "/api/chaos", token, "Make a rule", c.add),
		web.Query(http.MethodPatch, "/api/chaos/{id}", token, "Change a rule, or turn it on or off", c.patch),
		web.Query(http.MethodDelete, "/api/chaos/{id}", token, "Remove a rule", c.remove),
		web.View("/chaos", page, "Mail that fails on purpose", c.page),
		web.Query(http.MethodPost, "/chaos", page, "The page's form: make a rule", c.add).Redirect(back),
		web.Query(http.MethodPost, "/chaos/{id}", page, "The page's form: turn a rule on or off", c.patch).Redirect(back),
		web.Query(http.MethodPost, "/chaos/{id}/remove", page, "The page's form: remove a rule", c.remove).Redirect(back),
	}
}

// allowed refuses who may not make mail fail for others.
func allowed(who web.Caller) error {
	if who.Demo || who.Has("email.admin") {
		return nil
	}
	return errs.New(errs.Denied, "chaos rules are for an administrator of mail (email.admin), or for the demo identity")
}

// wireRule is a rule as the API shows it.
type wireRule struct {
	ID          int64     `json:"id"`
	Pattern     string    `json:"pattern"`
	Stage       string    `json:"stage"`
	Effect      string    `json:"effect"`
	Code        int       `json:"code"`
	Enhanced    string    `json:"enhanced"`
	Text        string    `json:"text"`
	DelayMS     int64     `json:"delay_ms"`
	PerMinute   int       `json:"per_minute"`
	Probability int       `json:"probability"` // percent
	Enabled     bool      `json:"enabled"`
	Note        string    `json:"note"`
	Hits        int64     `json:"hits"`
	LastHitAt   *api.Time `json:"last_hit_at"` // null for never
	CreatedAt   api.Time  `json:"created_at"`
}

func wire(r Rule) wireRule {
	w := wireRule{ID: r.ID, Pattern: r.Pattern, Stage: r.Stage, Effect: r.Effect, Code: r.Code, Enhanced: r.Enhanced, Text: r.Text, DelayMS: r.Delay.Milliseconds(),
		PerMinute: r.PerMinute, Probability: r.Probability, Enabled: r.Enabled, Note: r.Note, Hits: r.Hits, CreatedAt: api.TimeOf(r.Created)}
	if !r.LastHit.IsZero() {
		t := api.TimeOf(r.LastHit)
		w.LastHitAt = &t
	}
	return w
}

// Rules is the answer to GET /api/chaos.
type Rules struct {
	Rules []wireRule `json:"rules"`
}

func (c *Chaos) list(call *web.Call, _ web.None) (Rules, error) {
	out := Rules{Rules: []wireRule{}}
	if err := allowed(call.Caller); err != nil {
		return out, err
	}
	c.flush(call.Context())
	rules, err := c.o.Store.ChaosRules(call.Context())
	for _, r := range rules {
		out.Rules = append(out.Rules, wire(r))
	}
	return out, err
}

type ruleIn struct {
	Pattern     string `json:"pattern" web:"required" max:"320" doc:"whom it is meant for: an address, a domain, *.domain, or *"`
	Stage       string `json:"stage" web:"required" max:"20" doc:"tls, auth, mail, rcpt, data or deliver"`
	Effect      string `json:"effect,omitempty" max:"20" doc:"reply, delay, drop, rate, greylist or fail; left out: fail for tls, else reply"`
	Code        int    `json:"code,omitempty" min:"0" max:"599" doc:"of a reply: 400 to 599, for deliver also 250; left out: 451"`
	Enhanced    string `json:"enhanced,omitempty" max:"11" doc:"such as 4.2.2"`
	Text        string `json:"text,omitempty" max:"200" doc:"of the reply, one line of ASCII"`
	DelayMS     int64  `json:"delay_ms,omitempty" min:"0" max:"86400000" doc:"how long a peer waits, 20 seconds at most; how long the greylist and a later bounce take, a day at most"`
	PerMinute   int    `json:"per_minute,omitempty" min:"0" max:"100000" doc:"of rate: how many pass"`
	Probability int    `json:"probability,omitempty" min:"0" max:"100" doc:"in percent; left out: 100"`
	Disabled    bool   `json:"disabled,omitempty" doc:"make it, but do not let it strike yet"`
	Note        string `json:"note,omitempty" max:"200"`
}

// rule checks what was asked and fills in what was left out.
func (in ruleIn) rule() (Rule, error) {
	r := Rule{Pattern: strings.ToLower(strings.TrimSpace(in.Pattern)), Stage: in.Stage, Effect: in.Effect, Code: in.Code, Enhanced: strings.TrimSpace(in.Enhanced), Text: strings.TrimSpace(in.Text),
		Delay: time.Duration(in.DelayMS) * time.Millisecond, PerMinute: in.PerMinute, Probability: in.Probability, Enabled: !in.Disabled, Note: mime.Line(in.Note, 200)}
	if r.Effect == "" {
		r.Effect = map[bool]string{true: EffectFail, false: EffectReply}[r.Stage == StageTLS]
	}
	if r.Probability == 0 {
		r.Probability = 100
	}
	if r.Effect == EffectReply && r.Code == 0 {
		r.Code = 451
	}
	return r, r.check()
}

// effects are the effects of each stage.
func effects(stage string) []string {
	switch stage {
	case StageTLS:
		return []string{EffectFail}
	case StageAuth, StageMail:
		return []string{EffectReply, EffectDelay, EffectDrop, EffectRate}
	case StageRcpt:
		return []string{EffectReply, EffectDelay, EffectDrop, EffectRate, EffectGreylist}
	case StageData:
		return []string{EffectReply, EffectDelay, EffectDrop}
	case StageDeliver:
		return []string{EffectReply}
	}
	return nil
}

// check refuses a rule that says what would be ignored.
func (r Rule) check() error {
	all := effects(r.Stage)
	if all == nil {
		return errs.BadField("stage", "must be tls, auth, mail, rcpt, data or deliver")
	}
	ok := false
	for _, e := range all {
		ok = ok || e == r.Effect
	}
	if !ok {
		return errs.BadField("effect", "must be one of those of the stage %s: %s", r.Stage, strings.Join(all, ", "))
	}
	if !goodPattern(r.Pattern) {
		return errs.BadField("pattern", "must be an address, a domain, *.domain, or *")
	}
	reply := r.Effect == EffectReply
	low := 400
	if r.Stage == StageDeliver {
		low = 250
	}
	switch {
	case reply && (r.Code < low || r.Code > 599 || r.Code > 250 && r.Code < 400):
		return errs.BadField("code", "must be 400 to 599%s", map[bool]string{true: ", or 250 for a delivery that succeeds"}[r.Stage == StageDeliver])
	case !reply && r.Code != 0:
		return errs.BadField("code", "goes with the effect reply alone")
	case r.Effect == EffectRate && r.PerMinute == 0:
		return errs.BadField("per_minute", "is required for the effect rate")
	case r.Effect != EffectRate && r.PerMinute != 0:
		return errs.BadField("per_minute", "goes with the effect rate alone")
	case (r.Effect == EffectDelay || r.Effect == EffectGreylist) && r.Delay == 0:
		return errs.BadField("delay_ms", "is required for the effect %s", r.Effect)
	case r.Effect == EffectFail && r.Delay != 0:
		return errs.BadField("delay_ms", "does not go with the effect fail")
	case r.Delay > MaxDelay && r.Stage != StageDeliver && r.Effect != EffectGreylist:
		return errs.BadField("delay_ms", "must be at most %d: longer, and the session itself would give up", MaxDelay.Milliseconds())
	}
	return r.checkWords()
}

// checkWords refuses what cannot stand in a reply.
func (r Rule) checkWords() error {
	if r.Enhanced != "" && (len(r.Enhanced) < 5 || strings.Count(r.Enhanced, ".") != 2 || strings.Trim(r.Enhanced, "0123456789.") != "" || strings.Contains(r.Enhanced, "..") || !strings.ContainsAny(r.Enhanced[:1], "245")) {
		return errs.BadField("enhanced", "must be a status code such as 4.2.2")
	}
	if r.Enhanced != "" && r.Code != 0 && r.Enhanced[0] != itoa(int64(r.Code))[0] {
		return errs.BadField("enhanced", "must be of the class of the code")
	}
	if strings.ContainsFunc(r.Text, func(c rune) bool { return c < ' ' || c > '~' }) {
		return errs.BadField("text", "must be one line of ASCII")
	}
	return nil
}

func goodPattern(p string) bool {
	if p == "*" {
		return true
	}
	_, domain, at := strings.Cut(p, "@")
	if !at {
		domain = strings.TrimPrefix(p, "*.")
	}
	return domain != "" && !strings.ContainsFunc(p, func(c rune) bool { return c <= ' ' || c == 0x7f }) && !strings.Contains(domain, "*") && !strings.Contains(domain, "@") && (!at || !strings.HasPrefix(p, "@"))
}

func (c *Chaos) add(call *web.Call, in ruleIn) (any, error) {
	if err := allowed(call.Caller); err != nil {
		return nil, err
	}
	r, err := in.rule()
	if err != nil {
		return nil, err
	}
	return c.change(call, in, func(tx Tx) (wireRule, error) {
		r.Created = tx.Now()
		made, err := tx.AddChaosRule(r)
		return wire(made), err
	})
}

// change runs a transaction and lets the rules strike as they are from then on.
func (c *Chaos) change(call *web.Call, in any, fn func(tx Tx) (wireRule, error)) (any, error) {
	out, err := web.Update(call, in, c.o.Store, fn)
	if err != nil {
		return nil, err
	}
	return out, c.Refresh(call.Context())
}

type patchIn struct {
	ID          int64 `path:"id" min:"1"`
	Enabled     *bool `json:"enabled,omitempty" doc:"whether it strikes"`
	Probability *int  `json:"probability,omitempty" min:"1" max:"100"`
}

func (c *Chaos) patch(call *web.Call, in patchIn) (any, error) {
	if err := allowed(call.Caller); err != nil {
		return nil, err
	}
	if in.Enabled == nil && in.Probability == nil {
		return nil, errs.Missing("enabled")
	}
	return c.change(call, in, func(tx Tx) (wireRule, error) {
		r, err := tx.ChaosRule(in.ID)
		if err != nil {
			return wireRule{}, err
		}
		if in.Enabled != nil {
			r.Enabled = *in.Enabled
		}
		if in.Probability != nil {
			r.Probability = *in.Probability
		}
		return wire(r), tx.SaveChaosRule(r)
	})
}

type idIn struct {
	ID int64 `path:"id" min:"1"`
}

func (c *Chaos) remove(call *web.Call, in idIn) (any, error) {
	if err := allowed(call.Caller); err != nil {
		return nil, err
	}
	return c.change(call, in, func(tx Tx) (wireRule, error) {
		r, err := tx.ChaosRule(in.ID)
		if err != nil {
			return wireRule{}, err
		}
		return wire(r), tx.RemoveChaosRule(in.ID)
	})
}

func (c *Chaos) page(call *web.Call, _ web.None) (web.Page, error) {
	list, err := c.list(call, web.None{})
	if err != nil {
		return web.Page{}, err
	}
	var v templates.ChaosView
	for _, r := range list.Rules {
		row := templates.ChaosRow{ID: r.ID, Pattern: r.Pattern, Stage: r.Stage, Effect: describe(r), Enabled: r.Enabled, Note: r.Note, Hits: int(r.Hits), Probability: r.Probability}
		if r.LastHitAt != nil {
			row.LastHit = r.LastHitAt.Time()
		}
		v.Rules = append(v.Rules, row)
	}
	return web.Page{Template: templates.PageChaos, Title: "Chaos", Data: v}, nil
}

// describe is what a rule does, in words.
func describe(r wireRule) string {
	delay := (time.Duration(r.DelayMS) * time.Millisecond).String()
	words := ""
	switch r.Effect {
	case EffectReply:
		words = "answers " + itoa(int64(r.Code))
		if r.Stage == StageDeliver {
			words = map[bool]string{true: "succeeds, nothing is sent", false: "fails with " + itoa(int64(r.Code))}[r.Code < 400]
		}
		if r.Enhanced != "" {
			words += " " + r.Enhanced
		}
	case EffectDelay:
		return "waits " + delay
	case EffectDrop:
		words = "hangs up"
	case EffectRate:
		words = "lets " + itoa(int64(r.PerMinute)) + " a minute pass, then 421"
	case EffectGreylist:
		return "refuses the first attempt, takes those after " + delay
	case EffectFail:
		return "lets the handshake fail"
	}
	if r.DelayMS > 0 {
		words += " after " + delay
	}
	return words
}

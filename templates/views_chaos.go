package templates

import "time"

// PageChaos is the page of the chaos rules.
const PageChaos = "email_chaos" // ChaosView, email /chaos

// ChaosView is the rules by which mail fails on purpose. Its forms, each answered with a redirect to /chaos:
//
//	POST /chaos {pattern, stage, effect, code, enhanced, text, delay_ms, per_minute, probability, note}
//	POST /chaos/{id} {enabled: true|false}
//	POST /chaos/{id}/remove
type ChaosView struct {
	Rules []ChaosRow // the first made first
}

// ChaosRow is one rule.
type ChaosRow struct {
	ID          int64
	Pattern     string // "test.example", "*@…" never: see services/email/chaos
	Stage       string
	Effect      string // in words: "answers 451"
	Probability int    // percent
	Enabled     bool
	Note        string
	Hits        int
	LastHit     time.Time // zero for never
}

// Package rspamd asks the scanner rspamd about a message, over its HTTP interface (POST /checkv2).
//
// It decides nothing: rspamd's action becomes one reason with points, in the terms of package spam. It keeps no state
// and is safe for concurrent use. The deadline is the context's, and at most Timeout.
package rspamd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"uniqverse/services/email/spam"
	"uniqverse/smtpd"
)

// Timeout bounds one question.
const Timeout = 8 * time.Second

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 1 << 20

// Scanner is an rspamd worker. Make one with New.
type Scanner struct {
	url    string
	client *http.Client
}

var _ spam.Scanner = (*Scanner)(nil)

// New returns a scanner at base, such as http://127.0.0.1:11333.
func New(base string) (*Scanner, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("must be an address such as http://127.0.0.1:11333")
	}
	// Where the operator's address leads is their business; where it redirects to is not.
	client := &http.Client{Timeout: Timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &Scanner{url: u.JoinPath("checkv2").String(), client: client}, nil
}

// Name implements spam.Scanner.
func (s *Scanner) Name() string { return "rspamd" }

// answer is what of rspamd's answer is used.
type answer struct {
	Action   string  `json:"action"`
	Score    float64 `json:"score"`
	Required float64 `json:"required_score"`
	Skipped  bool    `json:"is_skipped"`
	Symbols  map[string]struct {
		Score float64 `json:"score"`
	} `json:"symbols"`
}

// Scan implements spam.Scanner.
func (s *Scanner) Scan(ctx context.Context, env *smtpd.Envelope, message io.Reader, size int64) (spam.Reason, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, message)
	if err != nil {
		return spam.Reason{}, err
	}
	req.ContentLength = size
	set := func(name, value string) {
		if value != "" {
			req.Header.Set(name, strings.Map(func(r rune) rune {
				if r < ' ' || r == 0x7f {
					return -1
				}
				return r
			}, value))
		}
	}
	set("Queue-Id", env.ID)
	set("From", env.ReversePath)
	set("Helo", env.HELO)
	set("User", env.User)
	if env.RemoteIP.IsValid() {
		set("IP", env.RemoteIP.String())
	}
	for _, rcpt := range env.Recipients {
		req.Header.Add("Rcpt", rcpt)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return spam.Reason{}, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return spam.Reason{}, fmt.Errorf("rspamd answers %s", res.Status)
	}
	var a answer
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&a); err != nil {
		return spam.Reason{}, fmt.Errorf("rspamd's answer: %w", err)
	}
	if a.Action == "" {
		return spam.Reason{}, errors.New("rspamd's answer names no action")
	}
	return a.reason(), nil
}

// reason turns an action into points: rspamd's own thresholds decide, its score only within them.
func (a answer) reason() spam.Reason {
	if a.Skipped {
		return spam.Reason{}
	}
	points := 0.0
	switch a.Action {
	case "reject":
		points = 8
	case "add header", "rewrite subject", "quarantine":
		points = 5
	case "soft reject", "greylist":
		points = 2.5
	case "discard":
		points = 8
	default: // no action
		if a.Required > 0 && !math.IsNaN(a.Score) {
			points = math.Round(min(2, max(-2, 5*a.Score/a.Required))*10) / 10
		}
	}
	type symbol struct {
		name  string
		score float64
	}
	var symbols []symbol
	for name, s := range a.Symbols {
		if s.Score != 0 {
			symbols = append(symbols, symbol{name, s.Score})
		}
	}
	slices.SortFunc(symbols, func(x, y symbol) int {
		return cmp.Or(cmp.Compare(math.Abs(y.score), math.Abs(x.score)), strings.Compare(x.name, y.name))
	})
	detail := fmt.Sprintf("%s, %.1f of %.1f", a.Action, a.Score, a.Required)
	for _, s := range symbols[:min(len(symbols), 8)] {
		detail += fmt.Sprintf(", %s %.1f", s.name, s.score)
	}
	return spam.Reason{Rule: "rspamd", Score: points, Detail: strings.ToValidUTF8(detail[:min(len(detail), 500)], "")}
}

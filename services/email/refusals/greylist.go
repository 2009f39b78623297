package refusals

import (
	"strings"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/web"
)

// What is told of the greylist.
const (
	retryTime = 24 * time.Hour // for which an attempt counts, as in package policy
	mostShown = 200            // attempts
	onThePage = 20
)

// Waiting is an attempt that the greylist put off. All but the times names it.
type Waiting struct {
	Network string // of the host
	From    string // reverse-path in lower case; "" is the null sender
	To      string // in lower case
	First   time.Time
	Last    time.Time
}

// Greylist is the answer to GET /api/greylist.
type Greylist struct {
	Waiting []WaitingEntry `json:"waiting"`
}

// WaitingEntry is one attempt as it is shown.
type WaitingEntry struct {
	Network string   `json:"network"` // of the host: a /24, or a /64 in IPv6
	From    string   `json:"from"`    // reverse-path; "" is the null sender
	To      string   `json:"to"`
	FirstAt api.Time `json:"first_at"`
	LastAt  api.Time `json:"last_at"`
}

func (j *Journal) greylisted(c *web.Call, _ struct{}) (Greylist, error) {
	list, err := j.Store.Greylisted(c.Context(), c.Now.Add(-retryTime), mostShown)
	out := Greylist{Waiting: []WaitingEntry{}}
	for _, w := range list {
		out.Waiting = append(out.Waiting, WaitingEntry{w.Network, w.From, w.To, api.TimeOf(w.First), api.TimeOf(w.Last)})
	}
	return out, err
}

type releaseParams struct {
	Network string `json:"network" web:"required" max:"64" doc:"as GET /api/greylist names it"`
	From    string `json:"from,omitempty" max:"320" doc:"the reverse-path; left out for the null sender"`
	To      string `json:"to" web:"required" max:"320" doc:"the recipient"`
}

// Released is the answer to a release.
type Released struct {
	Network string `json:"network"`
	From    string `json:"from"`
	To      string `json:"to"`
}

func (j *Journal) release(c *web.Call, in releaseParams) (Released, error) {
	w := Waiting{Network: in.Network, From: strings.ToLower(in.From), To: strings.ToLower(in.To)}
	return Released{w.Network, w.From, w.To}, j.Store.GreylistRelease(c.Context(), w)
}

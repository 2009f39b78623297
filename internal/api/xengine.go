package api

import (
	"context"
	"net/http"
)

// XEngineLine is one line of a room, as an external moderation reads it.
type XEngineLine struct {
	ID     int64  `json:"id,omitempty"` // 0 for one that is not stored yet
	UserID int64  `json:"user_id"`
	Handle string `json:"handle"`
	Text   string `json:"text"`
}

// XEngineQuestion asks what a line deserves.
type XEngineQuestion struct {
	Room      int64         `json:"room"`
	Kind      string        `json:"kind"` // of the room
	Candidate XEngineLine   `json:"candidate"`
	Last      []XEngineLine `json:"last"`               // the lines before it, the oldest first
	ReplyTo   int64         `json:"reply_to,omitempty"` // id of the line that it answers
}

// XEngineVerdict is what an external moderation says.
type XEngineVerdict struct {
	Verdict string             `json:"verdict"` // allow, flag, hide or block
	Labels  map[string]float64 `json:"labels"`  // how sure it is of each, 0 to 1
	Reason  string             `json:"reason"`
}

// XEngine is a client of an external moderation.
type XEngine struct{ call caller }

// NewXEngine returns a client over registry.Client("xengine"); authorize puts a token on each request, nil sends none.
func NewXEngine(client *http.Client, authorize func(*http.Request) error) *XEngine {
	return &XEngine{call: caller{service: "xengine", client: client, authorize: authorize}}
}

// Moderate asks what a line deserves: POST /moderate.
func (x *XEngine) Moderate(ctx context.Context, q XEngineQuestion) (XEngineVerdict, error) {
	var out XEngineVerdict
	err := x.call.post(ctx, "/moderate", q, "", &out)
	return out, err
}

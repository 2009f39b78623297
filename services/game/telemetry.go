package game

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// The bounds of telemetry.
const (
	maxBatch   = 1000     // events at once
	maxPayload = 16 << 10 // bytes of one payload
	maxWrong   = 20       // entries named in a refusal
)

// TelemetryEvent is something that a game tells, to be stored.
type TelemetryEvent struct {
	Event   string
	At      time.Time // in whole milliseconds
	UserID  string    // "" for none
	Payload string    // JSON; "null" for none
}

// TelemetryQuery chooses stored events; zero fields choose all.
type TelemetryQuery struct {
	Event, UserID string
	web.Paging
}

type telemetryIn struct {
	Event   string          `json:"event" web:"required" doc:"what happened, 1 to 64 characters"`
	TS      float64         `json:"ts" web:"required" min:"0" max:"253402300799" doc:"when, in Unix seconds; fractions down to the millisecond"`
	UserID  userID          `json:"user_id,omitempty" doc:"whom it concerns; a user's own events are theirs"`
	Payload json.RawMessage `json:"payload,omitempty" doc:"any JSON, up to 16 kB"`
}

type batchIn []telemetryIn

// Check names each wrong entry by its index.
func (in *batchIn) Check() error {
	if len(*in) > maxBatch {
		return errs.New(errs.Invalid, "a batch holds at most %d events, and this one has %d; send it in parts", maxBatch, len(*in))
	}
	var bad []errs.Field
	for i := range *in {
		e := &(*in)[i]
		if err := cleanName(&e.Event); err != nil {
			bad = append(bad, errs.Field{Field: fmt.Sprintf("[%d].event", i), Detail: err.Error()})
		}
		if len(e.Payload) > maxPayload {
			bad = append(bad, errs.Field{Field: fmt.Sprintf("[%d].payload", i), Detail: fmt.Sprintf("must be at most %d bytes of JSON", maxPayload)})
		}
		if len(bad) >= maxWrong {
			break
		}
	}
	return refusal(bad)
}

// refusal is the error for wrong entries; nil for none.
func refusal(bad []errs.Field) error {
	if len(bad) == 0 {
		return nil
	}
	return &errs.Error{Kind: errs.Invalid, Detail: bad[0].Field + " " + bad[0].Detail + "; nothing of the batch was stored", Fields: bad}
}

func (s *Service) addTelemetry(c *web.Call, tx Tx, in batchIn) (api.GameAccepted, error) {
	evs := make([]TelemetryEvent, len(in))
	for i, e := range in {
		user := s.stored(string(e.UserID))
		if err := c.Caller.ActAs(user, "game.server"); err != nil {
			return api.GameAccepted{}, err
		}
		if !c.Caller.Demo && !c.Caller.Has("game.server") {
			user = c.Caller.User
		}
		evs[i] = TelemetryEvent{Event: e.Event, At: time.UnixMilli(int64(math.Round(e.TS * 1000))), UserID: user, Payload: "null"}
		if len(e.Payload) > 0 {
			evs[i].Payload = string(e.Payload)
		}
	}
	return api.GameAccepted{Accepted: len(evs)}, tx.AddTelemetry(evs)
}

type telemetryListIn struct {
	Event  string `json:"event,omitempty" doc:"only events of this name"`
	UserID userID `json:"user_id,omitempty" doc:"only events of this user; a user's token sees its own in any case"`
	web.Paging
}

func (s *Service) telemetry(c *web.Call, in telemetryListIn) (api.GameTelemetryList, error) {
	user := s.stored(string(in.UserID))
	if err := c.Caller.ActAs(user, "game.server"); err != nil {
		return api.GameTelemetryList{}, err
	}
	if !c.Caller.Demo && !c.Caller.Has("game.server") {
		user = c.Caller.User
	}
	evs, err := s.store.Telemetry(c.Context(), TelemetryQuery{Event: in.Event, UserID: user, Paging: in.Paging})
	return api.GameTelemetryList{Events: evs}, err
}

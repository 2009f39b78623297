package game

import (
	"encoding/json"
	"regexp"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
)

// maxInput bounds a posted input in bytes.
const maxInput = 16 << 10

// inputType keeps inputs apart from the events that we tell ourselves.
var inputType = regexp.MustCompile(`^input(\.[a-z0-9_]{1,32}){0,4}$`)

// inputIn is any JSON object with a type.
type inputIn map[string]json.RawMessage

// Check refuses what could be taken for one of our own events.
func (in *inputIn) Check() error {
	raw, ok := (*in)["type"]
	if !ok {
		return errs.Missing("type")
	}
	var typ string
	if json.Unmarshal(raw, &typ) != nil || !inputType.MatchString(typ) {
		return errs.BadField("type", `must be "input" or "input.<name>" in small letters`)
	}
	var bad []errs.Field
	for _, name := range []string{"ts", "id", "epoch", "trace"} {
		if _, ok := (*in)[name]; ok {
			bad = append(bad, errs.Field{Field: name, Detail: "is a field that every event has of its own; choose another name"})
		}
	}
	if len(bad) > 0 {
		return &errs.Error{Kind: errs.Invalid, Detail: bad[0].Field + " " + bad[0].Detail, Fields: bad}
	}
	return nil
}

// input passes the object on. Nothing is stored but the answer to its Idempotency-Key; the
// transaction gives it its place among the other events.
func (s *Service) input(c *web.Call, tx Tx, in inputIn) (api.GameSent, error) {
	if err := s.inputOwner(c, in["user_id"]); err != nil {
		return api.GameSent{}, err
	}
	var typ string
	if err := json.Unmarshal(in["type"], &typ); err != nil {
		return api.GameSent{}, errs.Wrap(errs.Internal, err, "the input has no type")
	}
	payload := map[string]json.RawMessage{}
	for k, v := range in {
		if k != "type" {
			payload[k] = v
		}
	}
	ev, err := c.Event(typ, payload)
	if err != nil {
		return api.GameSent{}, errs.Wrap(errs.Malformed, err, "the input cannot be passed on")
	}
	ev.Ephemeral = true
	tx.Emit(event.StreamGame, ev)
	return api.GameSent{OK: true}, nil
}

// inputOwner checks who the input says it is from: a user may send as themselves alone.
func (s *Service) inputOwner(c *web.Call, raw json.RawMessage) error {
	var id int64
	if json.Unmarshal(raw, &id) == nil {
		return c.Caller.ActAsID(id, "game.server")
	}
	var name string
	if json.Unmarshal(raw, &name) == nil {
		return c.Caller.ActAs(s.stored(name), "game.server")
	}
	if len(raw) > 0 {
		return errs.BadField("user_id", "must be text or an integer")
	}
	return nil
}

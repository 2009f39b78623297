package page

import (
	"errors"
	"fmt"

	"uniqverse/internal/errs"
	"uniqverse/templates"
)

// Programs are the tabs over the pages of a room's programs; room 0 is all rooms, which no program posts to.
func Programs(room int64, incoming bool) []templates.Tab {
	if room == 0 {
		return nil
	}
	return []templates.Tab{{Label: "Programs that post", Href: Room(room) + "/hooks", Current: incoming},
		{Label: "Programs that are told", Href: fmt.Sprintf("/webhooks?room_id=%d", room), Current: !incoming}}
}

// Wrong is an error by the fields of a form; without fields it is about the whole form. Nil is none.
func Wrong(err error) templates.FieldErrors {
	out := templates.FieldErrors{}
	var e *errs.Error
	if !errors.As(err, &e) {
		return out
	}
	for _, f := range e.Fields {
		out[f.Field] = f.Detail
	}
	if len(out) == 0 {
		out[""] = Sentence(e.Detail)
	}
	return out
}

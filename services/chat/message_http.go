package chat

import (
	"errors"
	"fmt"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
)

type messagesIn struct {
	ID int64 `path:"id" doc:"the room's id"`
	web.Paging
}

func (s *Service) messages(c *web.Call, in messagesIn) ([]api.ChatMessage, error) {
	_, st, err := s.readable(c.Context(), c.Caller, in.ID)
	if err != nil {
		return nil, err
	}
	size := in.Size()
	ms, err := s.store.Messages(c.Context(), in.ID, seenFrom(c.Caller, st), in.Paging, size+1)
	if err != nil {
		return nil, err
	}
	path := fmt.Sprintf("/rooms/%d/messages", in.ID)
	forward := in.After > 0 && in.Before == 0 // the lines just after one: what is too many is the newest
	switch more := len(ms) > size; {
	case more && forward:
		ms = ms[1:]
		setNext(c, path, "after", ms[0].ID, size)
	case more:
		ms = ms[:size]
		setNext(c, path, "before", ms[size-1].ID, size)
	}
	return ms, nil
}

type sendIn struct {
	Room   int64  `path:"id" doc:"the room's id"`
	UserID int64  `json:"user_id,omitempty" min:"1" doc:"who says it; the caller when left out"`
	Handle string `json:"handle,omitempty" doc:"their name, such as @pilot; the caller's when left out"`
	Text   string `json:"text" web:"required" doc:"plain text, 1 to 4000 characters"`
}

// send stores a line. What may take time (users, the moderator) is asked before the transaction, what is
// decided is decided in it.
func (s *Service) send(c *web.Call, in sendIn) (any, error) {
	text, err := cleanText(in.Text)
	if err != nil {
		return nil, err
	}
	user, handle, err := s.author(c, in.UserID, in.Handle)
	if err != nil {
		return nil, err
	}
	if _, _, err := s.readable(c.Context(), c.Caller, in.Room); err != nil {
		return nil, err
	}
	refusal := s.moderate(c, text)
	return web.Update(c, in, s.store, func(tx Tx) (api.ChatSent, error) {
		return s.keep(c, tx, in, refusal, newMessage(in.Room, user, handle, text, api.TimeOf(tx.Now())))
	})
}

// maySay decides whether somebody's line may stand in the room: who may not write comes first, what
// was said comes last.
func (s *Service) maySay(c *web.Call, tx Tx, room Room, st Standing, author int64, refusal error) error {
	if err := mayWrite(c.Caller, room, st, tx.Now()); err != nil {
		return err
	}
	if author != c.Caller.ID {
		theirs, err := tx.Standing(room.ID, author)
		if err != nil {
			return err
		}
		for _, held := range []struct {
			by   Sanction
			word string
		}{{theirs.Ban, "banned from"}, {theirs.Mute, "muted in"}} {
			if held.by.holds(tx.Now()) {
				return errs.New(errs.Denied, "user %d is %s this room %s", author, held.word, held.by)
			}
		}
	}
	return refusal
}

// keep stores a line, its event and, for good, its key.
func (s *Service) keep(c *web.Call, tx Tx, in sendIn, refusal error, m api.ChatMessage) (api.ChatSent, error) {
	key := sendKey(c)
	if key.Key != "" {
		sent, found, err := tx.Sent(key)
		if err != nil {
			return api.ChatSent{}, err
		}
		if found && sent.Print != in.print() {
			return api.ChatSent{}, errs.BadField("Idempotency-Key", "was used before for another line; use a new key for each new line")
		}
		if found {
			return api.ChatSent{ID: sent.ID, Seq: sent.Seq}, nil
		}
	}
	room, st, err := entered(c.Caller, tx, in.Room)
	if err != nil {
		return api.ChatSent{}, err
	}
	if err := s.maySay(c, tx, room, st, m.UserID, refusal); err != nil {
		return api.ChatSent{}, err
	}
	if m.Seq, err = tx.NextSeq(m.RoomID); err != nil {
		return api.ChatSent{}, err
	}
	if m.ID, err = tx.AddMessage(m); err != nil {
		return api.ChatSent{}, err
	}
	ev, err := c.Event(event.ChatMessageCreated, messageCreated{MessageID: m.ID, UserID: m.UserID, Handle: m.Handle, Text: m.Text, Flags: m.Flags})
	if err != nil {
		return api.ChatSent{}, err
	}
	ev.Room, ev.Seq, ev.At, ev.User = m.RoomID, m.Seq, m.CreatedAt.Time(), audience(room)
	if err := tx.Log(ev); err != nil {
		return api.ChatSent{}, err
	}
	if key.Key != "" {
		if err := tx.KeepSent(key, Sent{ID: m.ID, Seq: m.Seq, Print: in.print()}); err != nil {
			return api.ChatSent{}, err
		}
	}
	return api.ChatSent{ID: m.ID, Seq: m.Seq}, nil
}

// detail is the sentence of an error for the person who posted a form.
func detail(err error) string {
	var e *errs.Error
	if !errors.As(err, &e) {
		return "This did not work; try again."
	}
	return e.Detail
}

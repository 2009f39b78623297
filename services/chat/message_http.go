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
	if _, err := s.store.Room(c.Context(), in.ID); err != nil {
		return nil, err
	}
	size := in.Size()
	ms, err := s.store.Messages(c.Context(), in.ID, in.Paging, size+1)
	if err != nil {
		return nil, err
	}
	path := fmt.Sprintf("/rooms/%d/messages", in.ID)
	forward := in.After > 0 && in.Before == 0 // the lines just after one: what is too many is the newest
	switch more := len(ms) > size; {
	case more && forward:
		ms = ms[1:]
		setNext(c, path, "after", ms[0].ID, size, "")
	case more:
		ms = ms[:size]
		setNext(c, path, "before", ms[size-1].ID, size, "")
	}
	return ms, nil
}

type sendIn struct {
	Room   int64  `path:"id" doc:"the room's id"`
	UserID int64  `json:"user_id,omitempty" min:"1" doc:"who says it; the caller when left out"`
	Handle string `json:"handle,omitempty" doc:"their name, such as @pilot; the caller's when left out"`
	Text   string `json:"text" web:"required" doc:"plain text, 1 to 4000 characters"`
}

// send stores a line. What may take time (users, moderation) is asked before the transaction.
func (s *Service) send(c *web.Call, in sendIn) (any, error) {
	text, err := cleanText(in.Text)
	if err != nil {
		return nil, err
	}
	user, handle, err := s.author(c, in.UserID, in.Handle)
	if err != nil {
		return nil, err
	}
	if err := s.moderate(c, text); err != nil {
		if _, missing := s.store.Room(c.Context(), in.Room); missing != nil {
			return nil, missing // no room comes before what would be said in it
		}
		return nil, err
	}
	return web.Update(c, in, s.store, func(tx Tx) (api.ChatSent, error) {
		return s.keep(c, tx, in, newMessage(in.Room, user, handle, text, api.TimeOf(tx.Now())))
	})
}

// keep stores a line, its event and, for good, its key.
func (s *Service) keep(c *web.Call, tx Tx, in sendIn, m api.ChatMessage) (api.ChatSent, error) {
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
	var err error
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
	ev.Room, ev.Seq, ev.At = m.RoomID, m.Seq, m.CreatedAt.Time()
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

package chat

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/chat/hooks"
	"uniqverse/services/chat/people"
	"uniqverse/services/chat/text"
)

// Keeper is nil for who keeps order in the room: its owner and moderators, and who carries chat.moderate.
func (s *Service) Keeper(ctx context.Context, c web.Caller, room int64) error {
	_, st, err := s.readable(ctx, c, room)
	if err == nil && !moderates(c, st) {
		err = errs.New(errs.Denied, "this is for the room's owner and moderators")
	}
	return err
}

// RoomName is what a room is called.
func (s *Service) RoomName(ctx context.Context, room int64) (string, error) {
	r, err := s.store.Room(ctx, room)
	return r.Name, err
}

// Person reports whether a name is somebody's.
func (s *Service) Person(ctx context.Context, name string) (bool, error) {
	_, err := s.opts.Users.UserByName(ctx, name)
	if errs.Is(err, errs.NotFound) || errs.Is(err, errs.Invalid) {
		return false, nil
	}
	return err == nil, err
}

// Say stores a line of a program's: it is moderated and mentions people as anybody's, in any room but an archived
// one. A repeat with the same key is answered as the first, for good.
func (s *Service) Say(c *web.Call, in hooks.Line) (api.ChatSent, error) {
	line, err := text.Line(in.Text)
	if err != nil {
		return api.ChatSent{}, err
	}
	room, err := s.store.Room(c.Context(), in.Room)
	if err != nil {
		return api.ChatSent{}, err
	}
	users, tooMany := s.people.Mentioned(c.Context(), line)
	verdict, cand := Verdict{Refusal: tooMany}, Candidate{Room: room, Author: people.Person{Handle: "@" + in.Name}, Text: line, Mentions: len(users)}
	if tooMany == nil && s.opts.Moderator != nil && room.ArchivedAt == 0 && room.DeletedAt == 0 {
		verdict = s.opts.Moderator.Moderate(c.Context(), cand)
	}
	print := sha256.Sum256([]byte(line))
	sent := Sent{Print: hex.EncodeToString(print[:16])}
	key := SendKey{Caller: in.Whose, Key: in.Key}
	err = s.store.Update(c.Context(), nil, func(tx Tx) error {
		if in.Key != "" {
			before, found, err := tx.Sent(key)
			if err != nil || found && before.Print == sent.Print {
				sent = before
				return err
			}
			if found {
				return errs.BadField("Idempotency-Key", "was used before for another line; use a new key for each new line")
			}
		}
		room, err := tx.Room(in.Room)
		switch {
		case err != nil:
			return err
		case room.DeletedAt != 0:
			return errs.New(errs.NotFound, "Room not found")
		case room.ArchivedAt != 0:
			return errs.New(errs.Conflict, "the room is archived; nothing can be said in it until it is opened again")
		case verdict.Refusal != nil:
			return verdict.Refusal
		}
		m := Line{ChatMessage: newMessage(in.Room, cand.Author, line, api.TimeOf(tx.Now())), Hidden: verdict.Hide}
		if m.Flags = in.Flags; verdict.Hide || len(verdict.Labels) > 0 {
			m.Flags = verdict.flags()
		}
		if m.Mentions, err = hearing(tx, room, users); err != nil {
			return err
		}
		if m, err = s.append(authorOf(c), tx, room, m, verdict, "", nil); err != nil {
			return err
		}
		sent.ID, sent.Seq = m.ID, m.Seq
		if in.Key != "" {
			return tx.KeepSent(key, sent)
		}
		return nil
	})
	if err != nil && err == verdict.Refusal {
		s.refused(c, cand, verdict)
	}
	return api.ChatSent{ID: sent.ID, Seq: sent.Seq}, err
}

// server is what the server does by itself.
func (s *Service) server(ctx context.Context) author {
	return author{event: func(typ string, payload any) (event.Event, error) {
		return event.New(typ, s.opts.Now(), event.TraceOf(ctx), payload)
	}}
}

// Announce says a line in a room that is from the server itself, to whoever is there.
func (s *Service) Announce(ctx context.Context, room int64, line string) error {
	return s.store.Update(ctx, nil, func(tx Tx) error {
		room, err := tx.Room(room)
		if err != nil {
			return err
		}
		m := Line{ChatMessage: newMessage(room.ID, people.Person{Handle: "@uniqverse"}, line, api.TimeOf(tx.Now()))}
		m.Flags = []byte(`{"bot":true,"notice":true}`)
		_, err = s.append(s.server(ctx), tx, room, m, Verdict{}, "", nil)
		return err
	})
}

// Ensure returns the room with the name, made for everybody by the server when there is none.
func (s *Service) Ensure(ctx context.Context, name string) (room Room, err error) {
	err = s.store.Update(ctx, nil, func(tx Tx) error {
		if room, err = tx.RoomByName(name); errs.Is(err, errs.NotFound) {
			room, err = s.addRoom(s.server(ctx), tx, Room{ChatRoom: api.ChatRoom{Name: name, Kind: KindGlobal}})
		}
		return err
	})
	return room, err
}

// SetArchived closes or opens a room on behalf of the server.
func (s *Service) SetArchived(ctx context.Context, id int64, archived bool) error {
	return s.store.Update(ctx, nil, func(tx Tx) error {
		room, err := tx.Room(id)
		if err != nil || room.DeletedAt != 0 || (room.ArchivedAt != 0) == archived {
			return err
		}
		typ := event.ChatRoomUpdated
		if room.ArchivedAt = 0; archived {
			typ, room.ArchivedAt = event.ChatRoomArchived, api.TimeOf(tx.Now())
		}
		if err := tx.SaveRoom(room); err != nil {
			return err
		}
		ev, err := s.server(ctx).event(typ, map[string]any{"kind": room.Kind, "archived": archived, "by": 0})
		if err != nil {
			return err
		}
		ev.Room, ev.User = room.ID, audience(room)
		if ev.Seq, err = tx.NextSeq(room.ID); err != nil {
			return err
		}
		return tx.Log(ev)
	})
}

package chat

import (
	"errors"
	"fmt"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/chat/attachment"
	"uniqverse/services/chat/text"
)

type messagesIn struct {
	ID     int64 `path:"id" doc:"the room's id"`
	Around int64 `json:"around,omitempty" min:"1" doc:"lines on both sides of the one with this id; goes with limit alone"`
	From   int64 `json:"since_seq,omitempty" min:"1" doc:"the lines that follow this seq at once; goes with limit alone"`
	web.Paging
}

// Check refuses two places at once.
func (in *messagesIn) Check() error {
	if in.Around != 0 && (in.Before != 0 || in.After != 0 || in.Offset != 0 || in.From != 0) {
		return errs.BadField("around", "goes with limit alone, not with before, after, offset or since_seq")
	}
	if in.From != 0 && (in.Before != 0 || in.After != 0 || in.Offset != 0) {
		return errs.BadField("since_seq", "goes with limit alone, not with before, after or offset")
	}
	return nil
}

func (s *Service) messages(c *web.Call, in messagesIn) ([]api.ChatMessage, error) {
	_, st, err := s.readable(c.Context(), c.Caller, in.ID)
	if err != nil {
		return nil, err
	}
	size := in.Size()
	since := seenFrom(c.Caller, st)
	if in.Around != 0 {
		ls, err := s.around(c, in.ID, since, in.Around, size)
		if err != nil {
			return nil, err
		}
		return s.shown(c, ls)
	}
	forward := in.After > 0 && in.Before == 0 || in.From > 0
	var ms []Line
	if in.From > 0 {
		ms, err = s.store.Following(c.Context(), in.ID, max(since, in.From), size+1)
	} else {
		ms, err = s.store.Messages(c.Context(), in.ID, since, in.Paging, size+1)
	}
	if err != nil {
		return nil, err
	}
	path := fmt.Sprintf("/rooms/%d/messages", in.ID)
	// Forward, what is too many is the newest.
	switch more := len(ms) > size; {
	case more && forward:
		ms = ms[1:]
		setNext(c, path, "after", ms[0].ID, size)
	case more:
		ms = ms[:size]
		setNext(c, path, "before", ms[size-1].ID, size)
	}
	return s.shown(c, ms)
}

type sendIn struct {
	Room   int64  `path:"id" doc:"the room's id"`
	UserID int64  `json:"user_id,omitempty" min:"1" doc:"who says it; the caller when left out"`
	Handle string `json:"handle,omitempty" doc:"their name, such as @pilot; the caller's when left out"`
	Text   string `json:"text,omitempty" doc:"plain text, 1 to 4000 characters; may be empty where files go with the line"`

	Attachments []int64 `json:"attachments,omitempty" max:"10" doc:"ids of files that the sender uploaded to this room"`

	ReplyTo int64  `json:"reply_to,omitempty" min:"1" doc:"id of the line of this room that it answers"`
	Nonce   string `json:"nonce,omitempty" max:"128" doc:"the same as an Idempotency-Key, and told with the event"`
}

// send stores a line. What may take time (users, the moderator) is asked before the transaction, what is
// decided is decided in it.
func (s *Service) send(c *web.Call, in sendIn) (any, error) {
	line, err := text.Line(in.Text)
	if err != nil && (in.Text != "" || len(in.Attachments) == 0) {
		return nil, err
	}
	author, err := s.people.Author(c.Context(), c.Caller, in.UserID, in.Handle)
	if err != nil {
		return nil, err
	}
	room, st, err := s.readable(c.Context(), c.Caller, in.Room)
	if err != nil {
		return nil, err
	}
	if key := c.Request.Header.Get("Idempotency-Key"); in.Nonce != "" && key != "" && in.Nonce != key {
		return nil, errs.BadField("nonce", "is the same thing as Idempotency-Key; give one of them, or both alike")
	}
	users, tooMany := s.people.Mentioned(c.Context(), line)
	verdict, cand := Verdict{Refusal: tooMany}, Candidate{}
	if tooMany == nil {
		cand, verdict = s.judge(c, room, st, author, line, len(users), in.ReplyTo, 0)
	}
	bare := in
	bare.Nonce = "" // a key is no part of what it is the key of
	stored := false
	out, err := web.Update(c, bare, s.store, func(tx Tx) (sent api.ChatSent, err error) {
		m := Line{ChatMessage: newMessage(in.Room, author, line, api.TimeOf(tx.Now())), Hidden: verdict.Hide}
		m.ReplyTo, m.Mentions, m.Flags = in.ReplyTo, users, verdict.flags()
		sent, stored, err = s.keep(c, tx, in, verdict, m)
		return sent, err
	})
	switch {
	case err != nil && err == verdict.Refusal:
		s.refused(c, cand, verdict)
	case err == nil && stored && s.opts.Moderator != nil:
		s.opts.Moderator.Said(cand)
	}
	return out, err
}

// maySay decides whether somebody's line may stand in the room: who may not write comes first, then who
// writes too fast, and last what was said.
func (s *Service) maySay(c *web.Call, tx Tx, room Room, st Standing, author int64, refusal error) error {
	if err := mayWrite(c.Caller, room, st, tx.Now()); err != nil {
		return err
	}
	if err := notHeld(c, tx, room, author); err != nil {
		return err
	}
	if err := s.maySpeak(c.Caller, tx, room, st); err != nil {
		return err
	}
	return refusal
}

// notHeld refuses to act for somebody else who is banned or muted.
func notHeld(c *web.Call, tx Tx, room Room, author int64) error {
	if author == c.Caller.ID {
		return nil
	}
	theirs, err := tx.Standing(room.ID, author)
	if err != nil {
		return err
	}
	switch now := tx.Now(); {
	case theirs.Ban.holds(now):
		return errs.New(errs.Denied, "user %d is banned from this room %s", author, theirs.Ban)
	case theirs.Mute.holds(now):
		return errs.New(errs.Denied, "user %d is muted in this room %s", author, theirs.Mute)
	}
	return nil
}

// keep answers a repeat as the first, and else stores the line and, for good, its key.
func (s *Service) keep(c *web.Call, tx Tx, in sendIn, verdict Verdict, m Line) (sent api.ChatSent, stored bool, err error) {
	key := sendKey(c, in.Nonce)
	if key.Key != "" {
		sent, found, err := tx.Sent(key)
		if err != nil {
			return api.ChatSent{}, false, err
		}
		if found && sent.Print != in.print() {
			return api.ChatSent{}, false, errs.BadField("Idempotency-Key", "was used before for another line; use a new key for each new line")
		}
		if found {
			return api.ChatSent{ID: sent.ID, Seq: sent.Seq}, false, nil
		}
	}
	if sent, err = s.place(c, tx, in, verdict, m); err == nil && key.Key != "" {
		err = tx.KeepSent(key, Sent{ID: sent.ID, Seq: sent.Seq, Print: in.print()})
	}
	return sent, err == nil, err
}

// place gives a line its place in the room and stores it, with its event.
func (s *Service) place(c *web.Call, tx Tx, in sendIn, verdict Verdict, m Line) (api.ChatSent, error) {
	room, st, err := entered(c.Caller, tx, in.Room)
	if err != nil {
		return api.ChatSent{}, err
	}
	if err := s.maySay(c, tx, room, st, m.UserID, verdict.Refusal); err != nil {
		return api.ChatSent{}, err
	}
	if m.ReplyTo != 0 {
		if to, err := tx.Message(room.ID, m.ReplyTo); err != nil || to.Deleted || to.Seq <= seenFrom(c.Caller, st) {
			return api.ChatSent{}, errs.BadField("reply_to", "is no line of this room")
		}
	}
	if m.Mentions, err = hearing(tx, room, m.Mentions); err != nil {
		return api.ChatSent{}, err
	}
	if m, err = s.append(authorOf(c), tx, room, m, verdict, in.Nonce, in.Attachments); err != nil {
		return api.ChatSent{}, err
	}
	if m.UserID != 0 && m.UserID == c.Caller.ID {
		if _, err := tx.SetRead(room.ID, m.UserID, m.Seq); err != nil { // who speaks has read
			return api.ChatSent{}, err
		}
	}
	return api.ChatSent{ID: m.ID, Seq: m.Seq}, nil
}

// author is what makes the events of a line and whose files go with it.
type author struct {
	event func(typ string, payload any) (event.Event, error)
	owner string
}

func authorOf(c *web.Call) author { return author{c.Event, attachment.Owner(c.Caller)} }

// append puts a line at the end of a room, with its files and what its verdict asks for, and tells of it.
func (s *Service) append(by author, tx Tx, room Room, m Line, verdict Verdict, nonce string, files []int64) (_ Line, err error) {
	if m.Seq, err = tx.NextSeq(m.RoomID); err != nil {
		return m, err
	}
	if m.ID, err = tx.AddMessage(m); err != nil {
		return m, err
	}
	if m.Attachments, err = tx.Attach(m.ChatMessage, by.owner, files); err != nil {
		return m, err
	}
	if err := verdict.noted(by, tx, m.ChatMessage); err != nil {
		return m, err
	}
	told := m.unseen()
	ev, err := by.event(event.ChatMessageCreated, messageCreated{MessageID: m.ID, UserID: m.UserID, Handle: m.Handle, Text: told.Text, Flags: m.Flags,
		ReplyTo: m.ReplyTo, Mentions: told.Mentions, Attachments: told.Attachments, Nonce: nonce})
	if err != nil {
		return m, err
	}
	ev.Room, ev.Seq, ev.At, ev.User = m.RoomID, m.Seq, m.CreatedAt.Time(), audience(room)
	if err := tx.Log(ev); err != nil {
		return m, err
	}
	return m, tx.Mention(room.ID, m.Seq, nil, told.Mentions)
}

// detail is the sentence of an error for the person who posted a form.
func detail(err error) string {
	var e *errs.Error
	if !errors.As(err, &e) {
		return "This did not work; try again."
	}
	return e.Detail
}

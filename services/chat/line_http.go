package chat

import (
	"context"
	"slices"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/chat/people"
	"uniqverse/services/chat/text"
)

// shown brings lines into the form in which callers see them: with their reactions and files, and without the text
// of those that were taken away.
func (s *Service) shown(c *web.Call, lines []Line) ([]api.ChatMessage, error) {
	var ids, with []int64
	for _, l := range lines {
		if l.Reacted > 0 && !l.Deleted {
			ids = append(ids, l.ID)
		}
		if l.Files > 0 && !l.Deleted {
			with = append(with, l.ID)
		}
	}
	reactions, err := s.store.Reactions(c.Context(), c.Caller.ID, ids)
	if err != nil {
		return nil, err
	}
	files, err := s.store.Attachments(c.Context(), with)
	if err != nil {
		return nil, err
	}
	out := make([]api.ChatMessage, len(lines))
	for i, l := range lines {
		if l.Deleted {
			l.Text, l.Mentions = "", nil
		}
		l.Reactions, l.Attachments = reactions[l.ID], files[l.ID]
		if l.UserID != c.Caller.ID && !c.Caller.Has(actForOthers) {
			l = l.unseen()
		}
		out[i] = l.ChatMessage
	}
	return out, nil
}

// Shown is lines as a caller sees them, for what stands beside rooms. Whether they may see them was decided before.
func (s *Service) Shown(c *web.Call, lines []Line) ([]api.ChatMessage, error) {
	return s.shown(c, lines)
}

type lineIn struct {
	Room int64 `path:"id" doc:"the room's id"`
	Line int64 `path:"mid" doc:"the line's id"`
}

// reads returns a line that the caller may read.
func (s *Service) reads(c *web.Call, in lineIn) (Line, Standing, error) {
	_, st, err := s.readable(c.Context(), c.Caller, in.Room)
	if err != nil {
		return Line{}, st, err
	}
	l, err := s.store.Message(c.Context(), in.Room, in.Line)
	if err == nil && l.Seq <= seenFrom(c.Caller, st) {
		err = noLine()
	}
	return l, st, err
}

func noLine() error { return errs.New(errs.NotFound, "there is no such line in this room") }

// found is reads inside a transaction, for who may also write; a line that was taken away is errs.Conflict.
func found(c *web.Call, tx Tx, in lineIn) (Room, Line, error) {
	room, st, err := entered(c.Caller, tx, in.Room)
	if err != nil {
		return room, Line{}, err
	}
	l, err := tx.Message(in.Room, in.Line)
	switch {
	case err != nil:
		return room, l, err
	case l.Seq <= seenFrom(c.Caller, st):
		return room, l, noLine()
	case l.Deleted:
		return room, l, errs.New(errs.Conflict, "the line was taken away")
	}
	return room, l, mayWrite(c.Caller, room, st, tx.Now())
}

func (s *Service) message(c *web.Call, in lineIn) (api.ChatMessage, error) {
	l, _, err := s.reads(c, in)
	if err != nil {
		return api.ChatMessage{}, err
	}
	out, err := s.shown(c, []Line{l})
	if err != nil {
		return api.ChatMessage{}, err
	}
	return out[0], nil
}

// history answers every text that a line had, the oldest first. What was taken away is for moderators.
func (s *Service) history(c *web.Call, in lineIn) ([]api.ChatVersion, error) {
	l, st, err := s.reads(c, in)
	if err != nil {
		return nil, err
	}
	if (l.Deleted || l.Hidden && l.UserID != c.Caller.ID) && !moderates(c.Caller, st) {
		return nil, errs.New(errs.Denied, "the line was taken away or is hidden; its texts are for moderators")
	}
	all, err := s.store.Versions(c.Context(), l.ID)
	if err != nil {
		return nil, err
	}
	return append(all, api.ChatVersion{Text: l.Text, At: writtenAt(l)}), nil
}

// writtenAt is when a line's text was written.
func writtenAt(l Line) api.Time {
	if l.EditedAt != 0 {
		return l.EditedAt
	}
	return l.CreatedAt
}

type editIn struct {
	lineIn
	Text string `json:"text" web:"required" doc:"plain text, 1 to 4000 characters"`
}

func (s *Service) edit(c *web.Call, in editIn) (any, error) {
	line, err := text.Line(in.Text)
	if err != nil {
		return nil, err
	}
	old, _, err := s.reads(c, in.lineIn)
	if err != nil {
		return nil, err
	}
	room, st, err := s.readable(c.Context(), c.Caller, in.Room)
	if err != nil {
		return nil, err
	}
	users, tooMany := s.people.Mentioned(c.Context(), line)
	verdict, cand := Verdict{Refusal: tooMany}, Candidate{}
	if tooMany == nil && line != old.Text {
		cand, verdict = s.judge(c, room, st, people.Person{ID: old.UserID, Handle: old.Handle}, line, len(users), old.ReplyTo, old.ID)
	}
	out, err := web.Update(c, in, s.store, func(tx Tx) (api.ChatMessage, error) {
		room, l, err := found(c, tx, in.lineIn)
		if err != nil {
			return l.ChatMessage, err
		}
		if (c.Caller.ID == 0 || l.UserID != c.Caller.ID) && !c.Caller.Has(actForOthers) {
			return l.ChatMessage, errs.New(errs.Denied, "only who said it changes a line")
		}
		if line == l.Text {
			return l.ChatMessage, nil
		}
		if err := s.mayAct(c.Caller, tx.Now()); err != nil {
			return l.ChatMessage, err
		}
		if verdict.Refusal != nil {
			return l.ChatMessage, verdict.Refusal
		}
		before, was, had := l.Text, writtenAt(l), l.Mentions
		l.Text, l.EditedAt = line, api.TimeOf(tx.Now())
		if verdict.Hide || !l.Hidden { // what was hidden stays so until a moderator has seen it
			l.Hidden, l.Flags = verdict.Hide, verdict.flags()
		}
		if l.Mentions, err = hearing(tx, room, users); err != nil {
			return l.ChatMessage, err
		}
		if err := tx.EditMessage(l, before, was); err != nil {
			return l.ChatMessage, err
		}
		if err := verdict.noted(authorOf(c), tx, l.ChatMessage); err != nil {
			return l.ChatMessage, err
		}
		if err := tx.Mention(room.ID, l.Seq, had, l.unseen().Mentions); err != nil {
			return l.ChatMessage, err
		}
		return l.ChatMessage, s.tellEdit(c, tx, room, l)
	})
	if err != nil && err == verdict.Refusal {
		s.refused(c, cand, verdict)
	}
	return out, err
}

// tellEdit writes into the room's log what a line says now.
func (s *Service) tellEdit(c *web.Call, tx Tx, room Room, l Line) error {
	told := l.unseen()
	ev, err := s.log(c, tx, room, event.ChatMessageEdited, messageEdited{l.ID, l.UserID, l.Handle, told.Text, l.EditedAt, l.Flags, told.Mentions})
	if err == nil {
		err = tx.NoteEdit(l.ID, ev.Seq)
	}
	return err
}

func (s *Service) deleteMessage(c *web.Call, tx Tx, in lineIn) (ok, error) {
	room, st, err := entered(c.Caller, tx, in.Room)
	if err != nil {
		return ok{}, err
	}
	l, err := tx.Message(in.Room, in.Line)
	if err == nil && l.Seq <= seenFrom(c.Caller, st) {
		err = noLine()
	}
	if err != nil {
		return ok{}, err
	}
	own := c.Caller.ID != 0 && l.UserID == c.Caller.ID
	if !own && !moderates(c.Caller, st) || room.Kind == KindDM && !own && !c.Caller.Has(actForOthers) {
		return ok{}, errs.New(errs.Denied, "only who said it and moderators take a line away")
	}
	return ok{true}, s.Remove(c, tx, room, l, "", !own)
}

// Remove takes a line away; one that is gone already is no error. byModerator writes it down, with the reason.
func (s *Service) Remove(c *web.Call, tx Tx, room Room, l Line, reason string, byModerator bool) error {
	if l.Deleted { // gone is gone
		return nil
	}
	if err := tx.DeleteMessage(l.ChatMessage); err != nil {
		return err
	}
	if _, err := s.log(c, tx, room, event.ChatMessageDeleted, messageDeleted{l.ID, l.UserID, c.Caller.ID}); err != nil || !byModerator {
		return err
	}
	_, err := s.record(c, tx, room, actDelete, people.Person{ID: l.UserID, Handle: l.Handle}, 0, reason)
	return err
}

// Hide leaves a line to its author and moderators; the room's log tells that it says nothing now.
func (s *Service) Hide(c *web.Call, tx Tx, room Room, l Line) error {
	return s.hide(tx, room, l, c.Trace())
}

// HideLate is Hide for who found out later, and is no caller.
func (s *Service) HideLate(tx Tx, room Room, l Line) error { return s.hide(tx, room, l, nil) }

func (s *Service) hide(tx Tx, room Room, l Line, trace *event.Trace) error {
	l.Hidden, l.Flags = true, Verdict{Hide: true}.flags()
	if err := tx.HideLine(l); err != nil {
		return err
	}
	ev, err := event.New(event.ChatMessageEdited, tx.Now(), trace, messageEdited{l.ID, l.UserID, l.Handle, "", l.EditedAt, l.Flags, nil})
	if err != nil {
		return err
	}
	ev.Room, ev.User = room.ID, audience(room)
	if ev.Seq, err = tx.NextSeq(room.ID); err != nil {
		return err
	}
	return tx.Log(ev)
}

// LineOf returns a room and a line of it, for who asks on behalf of nobody.
func (s *Service) LineOf(ctx context.Context, room, id int64) (Room, Line, error) {
	r, err := s.store.Room(ctx, room)
	if err != nil {
		return r, Line{}, err
	}
	l, err := s.store.Message(ctx, room, id)
	return r, l, err
}

// Show gives a line back that was hidden or taken away; the room's log tells what it says. The files of one that was taken away come back if they were put aside.
func (s *Service) Show(c *web.Call, tx Tx, room Room, l Line) error {
	l.Deleted, l.Hidden, l.Flags = false, false, noFlags()
	if err := tx.ShowLine(l.ChatMessage); err != nil {
		return err
	}
	return s.tellEdit(c, tx, room, l)
}

type reactIn struct {
	lineIn
	Emoji  string `path:"emoji" doc:"one emoji"`
	UserID int64  `json:"user_id,omitempty" min:"1" doc:"who reacts; the caller when left out"`
	Handle string `json:"handle,omitempty" doc:"their name, such as @pilot"`
}

func (s *Service) putReaction(c *web.Call, in reactIn) (any, error)  { return s.react(c, in, true) }
func (s *Service) dropReaction(c *web.Call, in reactIn) (any, error) { return s.react(c, in, false) }

type reactFormIn struct {
	lineIn
	Emoji  string `json:"emoji" web:"required" doc:"one emoji"`
	Remove bool   `json:"remove,omitempty" doc:"true takes it back"`
}

func (s *Service) reactForm(c *web.Call, in reactFormIn) (any, error) {
	return s.react(c, reactIn{lineIn: in.lineIn, Emoji: in.Emoji}, !in.Remove)
}

func (s *Service) react(c *web.Call, in reactIn, on bool) (any, error) {
	if err := text.Emoji(in.Emoji); err != nil {
		return nil, err
	}
	who, err := s.self(c, whoIn{Room: in.Room, UserID: in.UserID, Handle: in.Handle})
	if err != nil {
		return nil, err
	}
	return web.Update(c, in, s.store, func(tx Tx) (api.ChatReaction, error) {
		room, l, err := found(c, tx, in.lineIn)
		if err != nil {
			return api.ChatReaction{}, err
		}
		if err := notHeld(c, tx, room, who.ID); err != nil {
			return api.ChatReaction{}, err
		}
		if err := s.mayAct(c.Caller, tx.Now()); err != nil {
			return api.ChatReaction{}, err
		}
		count, kinds, changed, err := tx.React(l.ID, who.ID, in.Emoji, on)
		out := api.ChatReaction{Emoji: in.Emoji, Count: count, Mine: on && who.ID == c.Caller.ID}
		if err != nil || !changed {
			return out, err
		}
		if kinds > maxReactions {
			return out, errs.New(errs.Conflict, "a line takes at most %d different reactions", maxReactions)
		}
		_, err = s.log(c, tx, room, event.ChatMessageReacted, messageReacted{l.ID, who.ID, who.Handle, in.Emoji, on, count})
		return out, err
	})
}

type reportIn struct {
	lineIn
	Reason string `json:"reason,omitempty" max:"500" doc:"what is wrong with it"`
}

// Check refuses a reason that shows something else than it says.
func (in *reportIn) Check() error { return text.OneLine("reason", in.Reason) }

func (s *Service) report(c *web.Call, in reportIn) (any, error) {
	if c.Caller.ID == 0 {
		return nil, errs.New(errs.Denied, "people report lines, services do not")
	}
	l, _, err := s.reads(c, in.lineIn)
	if err != nil {
		return nil, err
	}
	return web.Update(c, in, s.store, func(tx Tx) (api.ChatReport, error) {
		r := api.ChatReport{MessageID: l.ID, UserID: c.Caller.ID, Handle: people.Caller(c.Caller).Handle, Reason: in.Reason, CreatedAt: api.TimeOf(tx.Now())}
		var err error
		if r.ID, err = tx.AddReport(in.Room, r); errs.Is(err, errs.Conflict) {
			err = errs.New(errs.Conflict, "you have reported this line already")
		}
		if err == nil {
			err = tx.OpenCase(l.ChatMessage, Case{Source: "report", Reason: in.Reason})
		}
		return r, err
	})
}

type readIn struct {
	whoIn
	Seq int64 `json:"seq" web:"required" min:"1" doc:"the seq of the newest event that they have seen"`
}

// readMark is how far somebody has read.
type readMark struct {
	RoomID int64 `json:"room_id"`
	Seq    int64 `json:"seq"`
}

func (s *Service) markRead(c *web.Call, in readIn) (any, error) {
	who, err := s.self(c, in.whoIn)
	if err != nil {
		return nil, err
	}
	return web.Update(c, in, s.store, func(tx Tx) (readMark, error) {
		room, _, err := entered(c.Caller, tx, in.Room)
		if err != nil {
			return readMark{}, err
		}
		if in.Seq > room.Head {
			return readMark{}, errs.BadField("seq", "must be at most %d, the room's newest", room.Head)
		}
		seq, err := tx.SetRead(room.ID, who.ID, in.Seq)
		return readMark{room.ID, seq}, err
	})
}

type notifyIn struct {
	Room  int64  `path:"id" doc:"the room's id"`
	Level string `json:"level" web:"required" doc:"all, mentions or none"`
}

// Check refuses a level that does not exist.
func (in *notifyIn) Check() error {
	if !slices.Contains([]string{"all", "mentions", "none"}, in.Level) {
		return errs.BadField("level", "must be all, mentions or none")
	}
	return nil
}

// notify keeps of what in a room the caller wants to hear. It is for clients: /unread says it beside the counts.
func (s *Service) notify(c *web.Call, tx Tx, in notifyIn) (ok, error) {
	if c.Caller.ID == 0 {
		return ok{}, errs.New(errs.Denied, "a service hears of everything")
	}
	room, _, err := entered(c.Caller, tx, in.Room)
	if err != nil {
		return ok{}, err
	}
	return ok{true}, tx.SetNotify(room.ID, c.Caller.ID, in.Level)
}

func (s *Service) unread(c *web.Call, _ web.None) ([]api.ChatUnread, error) {
	return s.store.Unread(c.Context(), viewer(c.Caller), 200)
}

// around returns lines on both sides of one, newest first.
func (s *Service) around(c *web.Call, room, since, id int64, size int) ([]Line, error) {
	older, err := s.store.Messages(c.Context(), room, since, web.Paging{Before: id + 1}, size/2+1)
	if err != nil || size == 1 {
		return older, err
	}
	newer, err := s.store.Messages(c.Context(), room, since, web.Paging{After: id}, size-size/2-1)
	return slices.Concat(newer, older), err
}

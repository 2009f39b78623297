package chat

import (
	"context"
	"encoding/json"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/chat/people"
)

// Candidate is a line that somebody wants to say, or what an edit would make of one.
type Candidate struct {
	Room     Room
	Role     string // of the caller; "" for who is no member
	Author   people.Person
	Text     string
	Mentions int   // people that it mentions
	ReplyTo  int64 // id of the line that it answers, 0 for none
	Line     int64 // id of the line that is edited, 0 for a new one
}

// Verdict is what becomes of a line; the zero value lets it stand.
type Verdict struct {
	Refusal error         // why it is refused; nil when it is not
	TimeOut time.Duration // for how long its author is muted, when it is refused for that
	Hide    bool          // only its author and moderators see it
	Labels  []string      // that go with it
	Case    *Case         // for the moderators' queue; nil for none
	Recheck bool          // nobody could say; it is to be asked again later
}

// Case is something that moderators shall look at.
type Case struct {
	Source string // rule, report or engine
	Reason string
	Alert  bool // moderators are told at once
}

// Moderator says what becomes of lines. It may take time, and is asked outside of transactions.
type Moderator interface {
	Moderate(ctx context.Context, c Candidate) Verdict
	// Said is told of a line that was stored.
	Said(c Candidate)
}

// CaseTx opens cases, inside the transaction of what they are about.
type CaseTx interface {
	// OpenCase puts a line into the moderators' queue, or adds to the case that is open for it.
	OpenCase(m api.ChatMessage, c Case) error
	// AddRecheck notes that a line is to be asked about again.
	AddRecheck(room, message int64) error
}

// judge asks the moderator about a line of who may write in the room; others are refused for that, later.
func (s *Service) judge(c *web.Call, room Room, st Standing, author people.Person, line string, mentions int, replyTo, id int64) (Candidate, Verdict) {
	cand := Candidate{Room: room, Role: st.Role, Author: author, Text: line, Mentions: mentions, ReplyTo: replyTo, Line: id}
	if cand.Role == "" && c.Caller.Has(actForOthers) {
		cand.Role = RoleModerator
	}
	if s.opts.Moderator == nil || line == "" || mayWrite(c.Caller, room, st, s.opts.Now()) != nil {
		return cand, Verdict{}
	}
	return cand, s.opts.Moderator.Moderate(c.Context(), cand)
}

// flags marks a line with what was found.
func (v Verdict) flags() json.RawMessage {
	if !v.Hide && len(v.Labels) == 0 {
		return noFlags()
	}
	raw, _ := json.Marshal(struct { // plain values: cannot fail
		Hidden bool     `json:"hidden,omitempty"`
		Labels []string `json:"labels,omitempty"`
	}{v.Hide, v.Labels})
	return raw
}

// ForModerators is the User of events that belong to no room and are for moderators; it is no user's name.
const ForModerators = "moderators of rooms"

// alerted is the payload of moderation.actioned that tells moderators of a case at once.
type alerted struct {
	Action string `json:"action"` // "alert"
	Room   int64  `json:"in_room"`
	Line   int64  `json:"message_id"`
	UserID int64  `json:"user_id"`
	Handle string `json:"handle"`
	Reason string `json:"reason"`
}

// noted stores, with a line, what a verdict asks for beside it.
func (v Verdict) noted(by author, tx Tx, m api.ChatMessage) error {
	if v.Case != nil {
		if err := tx.OpenCase(m, *v.Case); err != nil {
			return err
		}
		if v.Case.Alert {
			ev, err := by.event(event.ModerationActioned, alerted{"alert", m.RoomID, m.ID, m.UserID, m.Handle, v.Case.Reason})
			if err != nil {
				return err
			}
			ev.User = ForModerators
			tx.Emit(event.StreamChat, ev)
		}
	}
	if v.Recheck {
		return tx.AddRecheck(m.RoomID, m.ID)
	}
	return nil
}

// refused does what a verdict asks for when its line was refused for it: the moderators' queue has it, and who said it is muted for a
// while. That this fails changes nothing for the caller.
func (s *Service) refused(c *web.Call, cand Candidate, v Verdict) {
	if v.Case == nil && v.TimeOut == 0 {
		return
	}
	err := s.store.Update(c.Context(), nil, func(tx Tx) error {
		if v.Case != nil {
			m := newMessage(cand.Room.ID, cand.Author, cand.Text, api.TimeOf(tx.Now()))
			m.ID = cand.Line
			if err := tx.OpenCase(m, *v.Case); err != nil {
				return err
			}
		}
		if v.TimeOut == 0 || cand.Author.ID == 0 {
			return nil
		}
		until := api.TimeOf(tx.Now().Add(v.TimeOut))
		if err := tx.PutSanction(cand.Room.ID, cand.Author.ID, actMute, Sanction{On: true, Until: until}); err != nil {
			return err
		}
		_, err := s.recordBy(c, tx, people.Person{Handle: "@rules"}, cand.Room, actMute, cand.Author, until, v.Case.Reason)
		return err
	})
	if err != nil {
		c.Log.Warn("what a rule asks for was not done", "room", cand.Room.ID, "err", err.Error())
	}
}

package chat

import (
	"encoding/json"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/chat/pace"
)

const maxReactions = 20 // different emoji under one line

// Line is a line as the store has it.
type Line struct {
	api.ChatMessage
	Reacted int // reactions, of all emoji
	Files   int // how many go with it

	Hidden bool // only its author and moderators see it
}

// unseen is what others than its author and moderators see of a line: of a hidden one, nothing but that it is there.
func (l Line) unseen() Line {
	if l.Hidden {
		l.Text, l.Mentions, l.Attachments = "", nil, nil
	}
	return l
}

// messageEdited is the payload of chat.message.edited.
type messageEdited struct {
	MessageID int64           `json:"message_id"`
	UserID    int64           `json:"user_id"`
	Handle    string          `json:"handle"`
	Text      string          `json:"text"`
	EditedAt  api.Time        `json:"edited_at"`
	Flags     json.RawMessage `json:"flags"`
	Mentions  []int64         `json:"mentions,omitempty"`
}

// messageDeleted is the payload of chat.message.deleted.
type messageDeleted struct {
	MessageID int64 `json:"message_id"`
	UserID    int64 `json:"user_id"` // whose line it was
	By        int64 `json:"by"`
}

// messageReacted is the payload of chat.message.reacted.
type messageReacted struct {
	MessageID int64  `json:"message_id"`
	UserID    int64  `json:"user_id"` // who reacts
	Handle    string `json:"handle"`
	Emoji     string `json:"emoji"`
	Added     bool   `json:"added"` // false when it was taken back
	Count     int    `json:"count"` // of this emoji, now
}

// hearing leaves of the mentioned those who may read the room.
func hearing(tx Tx, room Room, users []int64) ([]int64, error) {
	var out []int64
	for _, user := range users {
		st, err := tx.Standing(room.ID, user)
		if err != nil {
			return nil, err
		}
		if !st.Ban.holds(tx.Now()) && (!room.private() || st.Role != "") {
			out = append(out, user)
		}
	}
	return out, nil
}

// unhurried reports whom no pace holds back.
func unhurried(c web.Caller) bool {
	return c.Demo || c.Has(actForOthers) || c.Has("game.server") || c.Has("email.admin")
}

// mayAct refuses who does too much in all rooms together: five things a second, ten at once.
func (s *Service) mayAct(c web.Caller, now time.Time) error {
	if unhurried(c) {
		return nil
	}
	if wait := s.pace.Take(pace.Key{User: c.ID}, 5, 10, now); wait > 0 {
		return tooFast(wait)
	}
	return nil
}

func tooFast(wait time.Duration) error {
	return errs.Limit(wait, "you write too fast; wait a moment")
}

// maySpeak adds to mayAct what holds for new lines: in a global room one a second with five at once, and
// what the room's slow mode says.
func (s *Service) maySpeak(c web.Caller, tx Tx, room Room, st Standing) error {
	now := tx.Now()
	if err := s.mayAct(c, now); err != nil || unhurried(c) {
		return err
	}
	if room.Kind == KindGlobal {
		if wait := s.pace.Take(pace.Key{Room: room.ID, User: c.ID}, 1, 5, now); wait > 0 {
			return tooFast(wait)
		}
	}
	if room.SlowMode == 0 || moderates(c, st) {
		return nil
	}
	last, err := tx.Pace(room.ID, c.ID)
	if err != nil {
		return err
	}
	if wait := time.Duration(room.SlowMode)*time.Second - now.Sub(time.UnixMilli(last)); last > 0 && wait > 0 {
		return errs.Limit(wait, "slow_mode: one line in %d seconds here", room.SlowMode)
	}
	return nil
}

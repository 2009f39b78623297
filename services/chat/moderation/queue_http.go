package moderation

import (
	"fmt"
	"slices"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/chat"
	"uniqverse/services/chat/people"
	"uniqverse/services/chat/text"
)

const (
	around    = 2                  // lines on each side of one that moderators look at
	filesKept = 7 * 24 * time.Hour // of a line that was removed
)

type queueIn struct {
	Room  int64  `json:"room,omitempty" min:"1" doc:"only of this room"`
	State string `json:"state,omitempty" doc:"open (when left out) or done"`
	web.Paging
}

// Check refuses a state that does not exist.
func (in *queueIn) Check() error {
	if in.State != "" && in.State != "open" && in.State != "done" {
		return errs.BadField("state", "must be open or done")
	}
	return nil
}

// Queue returns what waits for the caller as a moderator, for pages.
func (s *Service) Queue(c *web.Call, room int64, done bool, page web.Paging) ([]api.ChatCase, error) {
	q := Query{Room: room, Done: done, Paging: page}
	if !c.Caller.Has(people.ActForOthers) {
		if room != 0 {
			if err := s.may(c, room); err != nil {
				return nil, err
			}
		}
		if q.Viewer = c.Caller.ID; q.Viewer == 0 {
			return nil, errs.New(errs.Denied, "the queue is for moderators")
		}
	}
	cases, err := s.opts.Store.Cases(c.Context(), q, page.Size()+1)
	if err != nil {
		return nil, err
	}
	out := make([]api.ChatCase, len(cases))
	for i, k := range cases {
		out[i] = k.ChatCase
		out[i].Context = []api.ChatMessage{}
		if k.Seq == 0 {
			continue
		}
		lines, err := s.opts.Store.Around(c.Context(), k.RoomID, k.Seq, around)
		if err != nil {
			return nil, err
		}
		if out[i].Context, err = s.opts.Rooms.Shown(c, lines); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Service) queue(c *web.Call, in queueIn) ([]api.ChatCase, error) {
	out, err := s.Queue(c, in.Room, in.State == "done", in.Paging)
	if size := in.Size(); err == nil && len(out) > size {
		out = out[:size]
		more := fmt.Sprintf("/moderation/queue?before=%d&limit=%d", out[size-1].ID, size)
		if in.Room != 0 {
			more += fmt.Sprintf("&room=%d", in.Room)
		}
		if in.State != "" {
			more += "&state=" + in.State
		}
		c.Header().Set("Link", fmt.Sprintf(`<%s>; rel="next"`, c.URL(more)))
	}
	return out, err
}

// What moderators decide.
const (
	approve = "approve" // the line stands, and is shown if it was hidden
	remove  = "remove"  // it is taken away
	warn    = "warn"    // its author is told
	timeOut = "timeout" // its author is muted
	ban     = "ban"     // its author is banned
	undo    = "undo"    // what was decided is taken back, and the case is open again
)

type decideIn struct {
	ID     int64  `path:"id" doc:"the case's id"`
	Action string `path:"action" doc:"approve, remove, warn, timeout, ban or undo"`
	Reason string `json:"reason,omitempty" max:"500" doc:"why; moderators and the person see it"`
	For    int    `json:"for_s,omitempty" min:"0" max:"31536000" doc:"timeout and ban: for so many seconds; 600 for a timeout and for good for a ban when left out"`
}

// Check refuses what cannot be decided.
func (in *decideIn) Check() error {
	if !slices.Contains([]string{approve, remove, warn, timeOut, ban, undo}, in.Action) {
		return errs.BadField("action", "must be approve, remove, warn, timeout, ban or undo")
	}
	if in.For != 0 && in.Action != timeOut && in.Action != ban {
		return errs.BadField("for_s", "goes with timeout and ban")
	}
	return text.OneLine("reason", in.Reason)
}

// matter is a case with what it is about, inside a transaction.
type matter struct {
	Case
	room chat.Room
	line *chat.Line // nil when there is none, or its time is over
	own  chat.Standing
}

// matter returns a case that the caller may decide; for others it is not there.
func (s *Service) matter(c *web.Call, tx Tx, id int64) (matter, error) {
	var m matter
	var err error
	if m.Case, err = tx.Case(id); err != nil {
		return m, err
	}
	none := errs.New(errs.NotFound, "there is no such case")
	if m.room, m.own, err = chat.Entered(c.Caller, tx, m.RoomID); err != nil || !chat.Moderates(c.Caller, m.own) {
		return m, none
	}
	if m.MessageID != 0 {
		line, err := tx.Message(m.RoomID, m.MessageID)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return m, err
		}
		if err == nil {
			m.line = &line
		}
	}
	return m, nil
}

func (s *Service) decide(c *web.Call, tx Tx, in decideIn) (api.ChatCase, error) {
	m, err := s.matter(c, tx, in.ID)
	if err != nil {
		return m.ChatCase, err
	}
	if in.Action == undo {
		return s.undo(c, tx, m, in.Reason)
	}
	if m.State != "open" {
		return m.ChatCase, errs.New(errs.Conflict, "%s has decided this already: %s; undo it first", m.ByHandle, m.State)
	}
	if err := s.carryOut(c, tx, &m, in); err != nil {
		return m.ChatCase, err
	}
	m.State, m.Note, m.ByID, m.ByHandle, m.DecidedAt = in.Action, in.Reason, by(c).ID, by(c).Handle, api.TimeOf(tx.Now())
	return m.ChatCase, tx.Decide(m.Case)
}

// carryOut does what was decided.
func (s *Service) carryOut(c *web.Call, tx Tx, m *matter, in decideIn) error {
	who := people.Person{ID: m.UserID, Handle: m.Handle}
	m.WasHidden = m.line != nil && m.line.Hidden
	switch in.Action {
	case approve:
		if m.WasHidden && !m.line.Deleted {
			return s.opts.Rooms.Show(c, tx, m.room, *m.line)
		}
		return nil
	case remove:
		if m.line == nil {
			return errs.New(errs.Conflict, "the line was not stored, or its time is over; there is nothing to remove")
		}
		if m.line.Deleted {
			return nil
		}
		if err := tx.KeepFiles(m.line.ID, tx.Now().Add(filesKept)); err != nil {
			return err
		}
		return s.opts.Rooms.Remove(c, tx, m.room, *m.line, in.Reason, true)
	}
	theirs, err := tx.Standing(m.RoomID, m.UserID)
	if err != nil {
		return err
	}
	if m.UserID == 0 || m.UserID == c.Caller.ID || !chat.Below(c.Caller, m.own, theirs) {
		return errs.New(errs.Denied, "you can do this to members below you only")
	}
	if in.Action == ban {
		m.WasRole = theirs.Role
	}
	until := api.Time(0)
	if in.Action == timeOut && in.For == 0 {
		in.For = 600
	}
	if in.For > 0 {
		until = api.TimeOf(tx.Now().Add(time.Duration(in.For) * time.Second))
	}
	_, err = s.opts.Rooms.Act(c, tx, m.room, map[string]string{warn: chat.ActWarn, timeOut: chat.ActMute, ban: chat.ActBan}[in.Action], who, until, in.Reason)
	return err
}

// comeBack makes somebody again what they were in the room before a ban; an owner whose place another has is a moderator.
func (s *Service) comeBack(c *web.Call, tx Tx, m matter, who people.Person) error {
	if m.WasRole == "" || m.room.ArchivedAt != 0 {
		return nil
	}
	role := m.WasRole
	if role == chat.RoleOwner {
		heir, err := tx.Heir(m.RoomID)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return err
		}
		if err == nil && heir.Role == chat.RoleOwner {
			role = chat.RoleModerator
		}
	}
	_, err := s.opts.Rooms.Admit(c, tx, m.room, who, role)
	return err
}

// undo takes back what was decided: a line comes back with its files, if they were not put aside too long ago, and who was banned is
// again what they were.
func (s *Service) undo(c *web.Call, tx Tx, m matter, reason string) (api.ChatCase, error) {
	who := people.Person{ID: m.UserID, Handle: m.Handle}
	var err error
	switch m.State {
	case "open":
		return m.ChatCase, errs.New(errs.Conflict, "nothing was decided yet")
	case remove:
		if m.line == nil {
			return m.ChatCase, errs.New(errs.Conflict, "the line's time is over")
		}
		err = s.opts.Rooms.Show(c, tx, m.room, *m.line)
	case timeOut:
		_, err = s.opts.Rooms.Act(c, tx, m.room, chat.ActUnmute, who, 0, reason)
	case ban:
		if _, err = s.opts.Rooms.Act(c, tx, m.room, chat.ActUnban, who, 0, reason); err == nil {
			err = s.comeBack(c, tx, m, who)
		}
		m.WasRole = ""
	case approve:
		if m.WasHidden && m.line != nil {
			err = s.opts.Rooms.Hide(c, tx, m.room, *m.line)
		}
	}
	if err != nil {
		return m.ChatCase, err
	}
	m.State, m.Note, m.ByID, m.ByHandle, m.DecidedAt = "open", reason, by(c).ID, by(c).Handle, 0
	return m.ChatCase, tx.Decide(m.Case)
}

// alert is what moderators are told at once.
type alert struct {
	Action string `json:"action"` // "recheck"
	Room   int64  `json:"in_room"`
	Line   int64  `json:"message_id"`
	Reason string `json:"reason"`
}

func (a alert) event(now time.Time) (event.Event, error) {
	ev, err := event.New(event.ModerationActioned, now, nil, a)
	ev.User = chat.ForModerators
	return ev, err
}

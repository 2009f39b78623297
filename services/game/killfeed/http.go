package killfeed

import (
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
)

// Endpoints are the routes of game servers: what happens in matches, and notices.
func (s *Service) Endpoints() []web.Endpoint {
	server := web.Needs("game.server")
	return []web.Endpoint{
		web.Command(http.MethodPost, "/matches/{id}/kills", server, "Somebody was taken out in a match: an event, and a line in its room", s.opts.Store, s.kill),
		web.Command(http.MethodPost, "/matches/{id}/end", server, "A match is over: an event, and its room is archived", s.opts.Store, s.end),
		web.Command(http.MethodPost, "/notices", server, "A notice of the server: an event, and a line in the room that it names", s.opts.Store, s.notice),
	}
}

type killIn struct {
	ID     int64  `path:"id" doc:"the match's id"`
	Killer string `json:"killer,omitempty" max:"128" doc:"a player of the match; left out when it was nobody"`
	Victim string `json:"victim" web:"required" max:"128" doc:"a player of the match"`
	Weapon string `json:"weapon,omitempty" max:"64" doc:"with what"`
}

// Check refuses what cannot be shown in one line.
func (in *killIn) Check() error {
	for _, f := range []struct{ name, value string }{{"killer", in.Killer}, {"victim", in.Victim}, {"weapon", in.Weapon}} {
		if !printable(f.value) {
			return errs.BadField(f.name, "must be printable text in one line")
		}
	}
	return nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// killed is the payload of game.kill.
type killed struct {
	MatchID int64  `json:"match_id"`
	Killer  string `json:"killer,omitempty"`
	Victim  string `json:"victim"`
	Weapon  string `json:"weapon,omitempty"`
}

func (s *Service) kill(c *web.Call, tx Tx, in killIn) (api.OK, error) {
	m, err := running(tx, in.ID)
	if err != nil {
		return api.OK{}, err
	}
	for _, f := range []struct{ name, value string }{{"killer", in.Killer}, {"victim", in.Victim}} {
		if f.value != "" && !m.plays(f.value) {
			return api.OK{}, errs.BadField(f.name, "is no player of match %d", m.ID)
		}
	}
	line := in.Victim + " is out"
	if in.Killer != "" {
		line = in.Killer + " took out " + in.Victim
	}
	if in.Weapon != "" {
		line += " (" + in.Weapon + ")"
	}
	if err := s.emit(c, tx, event.GameKill, killed{m.ID, in.Killer, in.Victim, in.Weapon}); err != nil {
		return api.OK{}, err
	}
	return api.OK{OK: true}, tx.AddEntry(Entry{Match: m.ID, Kind: Line, Text: line, CreatedAt: tx.Now()})
}

func (m Match) plays(player string) bool {
	for _, team := range m.Teams {
		for _, p := range team {
			if strings.EqualFold(p, player) {
				return true
			}
		}
	}
	return false
}

// running returns a match that goes on.
func running(tx Tx, id int64) (Match, error) {
	m, err := tx.Match(id)
	if err == nil && m.EndedAt != 0 {
		err = errs.New(errs.Conflict, "match %d is over since %s", id, m.EndedAt)
	}
	return m, err
}

func (s *Service) emit(c *web.Call, tx Tx, typ string, payload any) error {
	ev, err := c.Event(typ, payload)
	if err == nil {
		tx.Emit(event.StreamGame, ev)
	}
	return err
}

type endIn struct {
	ID     int64  `path:"id" doc:"the match's id"`
	Result string `json:"result,omitempty" max:"200" doc:"how it ended, in a line"`
}

// Check refuses a result of more than one line.
func (in *endIn) Check() error {
	if !printable(in.Result) {
		return errs.BadField("result", "must be printable text in one line")
	}
	return nil
}

// ended is the payload of game.match.ended.
type ended struct {
	MatchID int64  `json:"match_id"`
	Result  string `json:"result"`
}

func (s *Service) end(c *web.Call, tx Tx, in endIn) (api.OK, error) {
	m, err := running(tx, in.ID)
	if err != nil {
		return api.OK{}, err
	}
	if err := tx.SetEnded(m.ID); err != nil {
		return api.OK{}, err
	}
	if err := s.emit(c, tx, event.GameMatchEnded, ended{m.ID, in.Result}); err != nil {
		return api.OK{}, err
	}
	line := fmt.Sprintf("Match %d is over", m.ID)
	if in.Result != "" {
		line += ": " + in.Result
	}
	return api.OK{OK: true}, tx.AddEntry(Entry{Match: m.ID, Kind: End, Text: line, CreatedAt: tx.Now()})
}

type noticeIn struct {
	Room string `json:"room" web:"required" max:"120" doc:"name of a room; made for everybody when there is none"`
	Text string `json:"text" web:"required" max:"1000" doc:"the notice, in one line"`
}

// Check refuses what cannot be shown in one line.
func (in *noticeIn) Check() error {
	in.Room, in.Text = strings.TrimSpace(in.Room), strings.TrimSpace(in.Text)
	if !printable(in.Room) {
		return errs.BadField("room", "must be printable text in one line")
	}
	if !printable(in.Text) {
		return errs.BadField("text", "must be printable text in one line")
	}
	return nil
}

// noticed is the payload of game.notice.
type noticed struct {
	Room string `json:"room"`
	Text string `json:"text"`
}

func (s *Service) notice(c *web.Call, tx Tx, in noticeIn) (api.OK, error) {
	if err := s.emit(c, tx, event.GameNotice, noticed(in)); err != nil {
		return api.OK{}, err
	}
	return api.OK{OK: true}, tx.AddEntry(Entry{Kind: Notice, Room: in.Room, Text: in.Text, CreatedAt: tx.Now()})
}

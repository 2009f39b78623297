package chat

import (
	"errors"
	"fmt"
	"strconv"
	"unicode"
	"unicode/utf8"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/chat/sockets"
	"uniqverse/services/chat/text"
	"uniqverse/templates"
)

const (
	homeRooms = 6   // rooms on the start page
	pageRooms = 200 // rooms on the page of rooms
	sideRooms = 30  // rooms beside an open one
	pageLines = 50  // lines of a room
)

func (s *Service) home(c *web.Call, _ web.None) (web.Page, error) {
	rows, err := s.store.RecentRooms(c.Context(), viewer(c.Caller), homeRooms)
	if err != nil {
		return web.Page{}, err
	}
	rooms, lines, err := s.store.Totals(c.Context(), viewer(c.Caller))
	if err != nil {
		return web.Page{}, err
	}
	v := templates.ChatHomeView{
		Rooms: roomRows(rows, 0),
		Counts: []templates.Count{
			{Label: "Rooms", Value: rooms, Href: "/rooms"},
			{Label: "Lines", Value: lines, Hint: "said in all rooms"},
			{Label: "Listening", Value: int64(s.sockets.Stats().Conns), Hint: "open sockets"},
		},
	}
	if s.opts.Tickets != nil {
		if v.Tickets, err = s.opts.Tickets(c); err != nil {
			return web.Page{}, err
		}
	}
	return web.Page{Template: templates.PageChatHome, Title: "Chat", Data: v}, nil
}

func (s *Service) roomsPage(c *web.Call, in roomsIn) (web.Page, error) {
	return s.roomsView(c, in.Kind, nil)
}

func (s *Service) roomsView(c *web.Call, only string, wrong templates.FieldErrors) (web.Page, error) {
	rows, err := s.store.RecentRooms(c.Context(), viewer(c.Caller), pageRooms)
	if err != nil {
		return web.Page{}, err
	}
	v := templates.RoomsView{CanCreate: c.Caller.Has("chat.write"), Errors: wrong, EventsURL: "/events"}
	kind := KindGlobal
	if wrong != nil {
		v.Name = c.Form("name")
		kind = c.Form("kind")
	}
	shown := roomRows(rows, 0)
	if err := s.countUnread(c, shown); err != nil {
		return web.Page{}, err
	}
	for i := range shown {
		shown[i].Online = s.sockets.Online(shown[i].ID).Online
	}
	for _, k := range Kinds() {
		v.Kinds = append(v.Kinds, templates.Option{Value: k, Label: kindTitle(k, false), Selected: k == kind})
		g := templates.RoomGroup{Kind: k, Title: kindTitle(k, true)}
		for _, r := range shown {
			if r.Kind == k && (only == "" || only == k) {
				g.Rooms = append(g.Rooms, r)
			}
		}
		if len(g.Rooms) > 0 {
			v.Groups = append(v.Groups, g)
		}
	}
	return web.Page{Template: templates.PageRooms, Title: "Rooms", Data: v}, nil
}

// roomRefused shows the page of rooms again with what is wrong in the form.
func (s *Service) roomRefused(c *web.Call, err error) (web.Page, bool) {
	page, e := s.roomsView(c, "", fieldErrors(err))
	return page, e == nil
}

// toRoom sends a browser from the form to the new room.
func (s *Service) toRoom(_ *web.Call, out any) string {
	if r, ok := out.(api.ChatRoom); ok {
		return roomPath(r.ID)
	}
	return "/rooms"
}

// toRooms sends a browser to the list of rooms.
func (s *Service) toRooms(*web.Call, any) string { return "/rooms" }

// toSameRoom sends a browser from the composer back to its room.
func (s *Service) toSameRoom(c *web.Call, _ any) string { return "/rooms/" + c.Request.PathValue("id") }

type roomPageIn struct {
	roomIn
	web.Paging
	Reply int64 `json:"reply,omitempty" min:"1" doc:"id of the line that the composer answers"`
}

func (s *Service) roomPage(c *web.Call, in roomPageIn) (web.Page, error) {
	return s.roomView(c, in, "", "")
}

// lineRefused shows the room again with the line that was refused and why.
func (s *Service) lineRefused(c *web.Call, err error) (web.Page, bool) {
	id, bad := strconv.ParseInt(c.Request.PathValue("id"), 10, 64)
	if bad != nil || errs.Is(err, errs.NotFound) {
		return web.Page{}, false
	}
	page, e := s.roomView(c, roomPageIn{roomIn: roomIn{ID: id}}, c.Form("text"), detail(err))
	return page, e == nil
}

func (s *Service) roomView(c *web.Call, in roomPageIn, draft, wrong string) (web.Page, error) {
	room, st, err := s.readable(c.Context(), c.Caller, in.ID)
	if err != nil {
		return web.Page{}, err
	}
	page := web.Paging{Before: in.Before}
	ms, err := s.store.Messages(c.Context(), room.ID, seenFrom(c.Caller, st), page, pageLines+1)
	if err != nil {
		return web.Page{}, err
	}
	side, err := s.store.RecentRooms(c.Context(), viewer(c.Caller), sideRooms)
	if err != nil {
		return web.Page{}, err
	}
	v := templates.RoomView{
		ID: room.ID, Name: room.Name, Kind: room.Kind, Topic: room.Topic, Epoch: s.opts.Hub.Epoch(), Newest: in.Before == 0,
		CanWrite: c.Caller.Has("chat.write"), UserID: c.Caller.ID, MaxLength: text.MaxLine, Draft: draft, Error: wrong, Rooms: roomRows(side, room.ID),
	}
	if err := s.countUnread(c, v.Rooms); err != nil {
		return web.Page{}, err
	}
	if !v.CanWrite {
		v.WhyNot = "Your token lets you read here, but not write."
	} else if err := mayWrite(c.Caller, room, st, s.opts.Now()); err != nil {
		v.CanWrite, v.WhyNot = false, sentence(detail(err))
	}
	if !v.Newest {
		v.NewestURL = roomPath(room.ID)
	}
	if len(ms) > pageLines {
		ms = ms[:pageLines]
		v.OlderURL = fmt.Sprintf("%s?before=%d", roomPath(room.ID), ms[pageLines-1].ID)
	}
	shown, err := s.shown(c, ms)
	if err != nil {
		return web.Page{}, err
	}
	v.Seq = room.Head // what happened up to it is in the lines, which were read later
	known := map[int64]api.ChatMessage{}
	for i := len(shown) - 1; i >= 0; i-- {
		l := line(shown[i], c.Caller)
		known[l.ID] = shown[i]
		v.Seq = max(v.Seq, l.Seq)
		if v.CanWrite {
			offer(&l, room, moderates(c.Caller, st))
		}
		if l.Reply, err = s.answered(c, room.ID, seenFrom(c.Caller, st), shown[i].ReplyTo, known); err != nil {
			return web.Page{}, err
		}
		v.Lines = append(v.Lines, l)
	}
	if v.CanWrite {
		if v.ReplyTo, err = s.answered(c, room.ID, seenFrom(c.Caller, st), in.Reply, known); err != nil {
			return web.Page{}, err
		}
		v.Tools = &templates.Line{Own: true}
		offer(v.Tools, room, false)
	}
	if err := s.peopleOf(c, room, &v); err != nil {
		return web.Page{}, err
	}
	return web.Page{Template: templates.PageRoom, Title: room.Name, Data: v}, nil
}

// offer gives a line what the caller may do with it, in forms.
func offer(l *templates.Line, room Room, moderator bool) {
	if l.Deleted {
		return
	}
	l.Path = fmt.Sprintf("%s/messages/%d", roomPath(room.ID), l.ID)
	l.ReplyURL = fmt.Sprintf("%s?reply=%d#text", roomPath(room.ID), l.ID)
	l.CanEdit, l.CanDelete = l.Own, l.Own || moderator && room.Kind != KindDM
}

// answered returns the line that another answers, as far as the caller sees it; nil for none. It is
// looked for among the known ones first.
func (s *Service) answered(c *web.Call, room, since, id int64, known map[int64]api.ChatMessage) (*templates.Line, error) {
	if id == 0 {
		return nil, nil
	}
	m, ok := known[id]
	if !ok {
		l, err := s.store.Message(c.Context(), room, id)
		if errs.Is(err, errs.NotFound) || err == nil && l.Seq <= since {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if l.Deleted {
			l.Text = ""
		}
		m = l.ChatMessage
		known[id] = m
	}
	out := line(m, c.Caller)
	if len(out.Text) > 120 {
		out.Text = text.Clip(out.Text, 120) + "…"
	}
	return &out, nil
}

// peopleOf puts who is in the room, and who belongs to one that is not for everybody, on its page.
func (s *Service) peopleOf(c *web.Call, room Room, v *templates.RoomView) error {
	for _, u := range s.sockets.Online(room.ID).Users {
		v.Online = append(v.Online, u.Handle)
	}
	if !room.private() {
		return nil
	}
	ms, err := s.store.Members(c.Context(), room.ID, s.opts.Now().UnixMilli(), web.Paging{}, sockets.ShownOnline)
	for _, m := range ms {
		v.Members = append(v.Members, templates.Member{Handle: m.Handle, Role: m.Role})
	}
	return err
}

// countUnread puts onto rows what the caller has not read.
func (s *Service) countUnread(c *web.Call, rows []templates.RoomRow) error {
	if c.Caller.ID == 0 {
		return nil
	}
	all, err := s.store.Unread(c.Context(), viewer(c.Caller), 200)
	for _, u := range all {
		for i := range rows {
			if rows[i].ID == u.RoomID && !rows[i].Current {
				rows[i].Unread, rows[i].Mentions = u.Unread, u.Mentions
			}
		}
	}
	return err
}

// sentence begins with a capital and ends with a full stop.
func sentence(words string) string {
	first, n := utf8.DecodeRuneInString(words)
	return string(unicode.ToUpper(first)) + words[n:] + "."
}

func line(m api.ChatMessage, who web.Caller) templates.Line {
	return templates.Line{
		ID: m.ID, Seq: m.Seq, UserID: m.UserID, Handle: m.Handle, Text: m.Text, At: m.CreatedAt.Time(),
		Own: who.ID != 0 && m.UserID == who.ID, Edited: m.EditedAt != 0, Deleted: m.Deleted, Reactions: reactions(m),
	}
}

func reactions(m api.ChatMessage) []templates.Reaction {
	var out []templates.Reaction
	for _, r := range m.Reactions {
		out = append(out, templates.Reaction{Emoji: r.Emoji, Count: r.Count, Mine: r.Mine})
	}
	return out
}

func roomRows(rows []RoomRow, current int64) []templates.RoomRow {
	out := make([]templates.RoomRow, len(rows))
	for i, r := range rows {
		out[i] = roomRow(r, current)
	}
	return out
}

func roomRow(r RoomRow, current int64) templates.RoomRow {
	return templates.RoomRow{
		ID: r.ID, Name: r.Name, Kind: r.Kind, LastHandle: r.LastHandle, LastText: r.LastText, LastAt: r.LastAt, Current: r.ID == current,
	}
}

func kindTitle(kind string, many bool) string {
	one, all := "Global", "For everybody"
	switch kind {
	case KindGuild:
		one, all = "Guild", "Guilds"
	case KindParty:
		one, all = "Party", "Parties"
	case KindDM:
		one, all = "Direct", "Direct"
	case KindSupport:
		one, all = "Support", "Support"
	}
	if many {
		return all
	}
	return one
}

// fieldErrors are an error's fields for a form; an error without fields is about the whole form.
func fieldErrors(err error) templates.FieldErrors {
	out := templates.FieldErrors{}
	var e *errs.Error
	if errors.As(err, &e) {
		for _, f := range e.Fields {
			out[f.Field] = f.Detail
		}
	}
	if len(out) == 0 {
		out[""] = detail(err)
	}
	return out
}

package chat

import (
	"errors"
	"fmt"
	"strconv"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/chat/page"
	"uniqverse/services/chat/sockets"
	"uniqverse/services/chat/text"
	"uniqverse/templates"
)

const (
	homeRooms = 6   // rooms on the start page
	pageRooms = 200 // rooms on the page of rooms
	sideRooms = 30  // rooms beside an open one
	pageLines = 50  // lines of a room
	pageActs  = 20  // of what moderators did
)

func (s *Service) home(c *web.Call, _ web.None) (web.Page, error) {
	rows, err := s.store.RecentRooms(c.Context(), viewer(c.Caller), s.opts.Now(), homeRooms)
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
	return s.roomsView(c, in, nil)
}

func (s *Service) roomsView(c *web.Call, in roomsIn, wrong templates.FieldErrors) (web.Page, error) {
	rows, err := s.store.RecentRooms(c.Context(), viewer(c.Caller), s.opts.Now(), pageRooms)
	if err != nil {
		return web.Page{}, err
	}
	if in.Q != "" {
		if rows, err = s.named(c, rows, in); err != nil {
			return web.Page{}, err
		}
	}
	v := templates.RoomsView{CanCreate: c.Caller.Has("chat.write"), Errors: wrong, EventsURL: "/events", Query: in.Q, Domain: s.opts.Domain,
		CanDirect: c.Caller.ID != 0 && c.Caller.Has("chat.write") && text.InDomain(c.Caller.Email, s.opts.Domain)}
	kind := KindGlobal
	if wrong != nil {
		v.Name, v.With = c.Form("name"), c.Form("with")
		kind = c.Form("kind")
	}
	shown := roomRows(rows, 0)
	if _, err := s.countUnread(c, shown); err != nil {
		return web.Page{}, err
	}
	for i := range shown {
		shown[i].Online = s.sockets.Online(shown[i].ID).Online
	}
	for _, k := range Kinds() {
		if k != KindDM {
			v.Kinds = append(v.Kinds, templates.Option{Value: k, Label: page.KindTitle(k, false), Selected: k == kind})
		}
		g := templates.RoomGroup{Kind: k, Title: page.KindTitle(k, true)}
		for _, r := range shown {
			if r.Kind == k && (in.Kind == "" || in.Kind == k) {
				g.Rooms = append(g.Rooms, r)
			}
		}
		if len(g.Rooms) > 0 {
			v.Groups = append(v.Groups, g)
		}
	}
	return web.Page{Template: templates.PageRooms, Title: "Rooms", Data: v}, nil
}

// named leaves of the rooms lately used those with a name that is looked for, and adds what else has it.
func (s *Service) named(c *web.Call, recent []RoomRow, in roomsIn) ([]RoomRow, error) {
	all, err := s.store.Rooms(c.Context(), viewer(c.Caller), RoomFilter{Kind: in.Kind, Name: in.Q}, web.Paging{}, pageRooms)
	out := make([]RoomRow, 0, len(all))
	for _, r := range all {
		row := RoomRow{Room: r}
		for _, known := range recent {
			if known.ID == r.ID {
				row = known
			}
		}
		out = append(out, row)
	}
	return out, err
}

// roomRefused shows the page of rooms again with what is wrong in the form.
func (s *Service) roomRefused(c *web.Call, err error) (web.Page, bool) {
	pg, e := s.roomsView(c, roomsIn{}, fieldErrors(err))
	return pg, e == nil
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

// toSameRoom sends a browser from a form back to its room.
func (s *Service) toSameRoom(c *web.Call, _ any) string { return "/rooms/" + c.Request.PathValue("id") }

type roomPageIn struct {
	roomIn
	web.Paging
	Around int64 `json:"around,omitempty" min:"1" doc:"lines on both sides of the one with this id"`
	Reply  int64 `json:"reply,omitempty" min:"1" doc:"id of the line that the composer answers"`
	Asked  bool  `json:"asked,omitempty" doc:"the reader has just asked to come in"`
}

func (s *Service) roomPage(c *web.Call, in roomPageIn) (web.Page, error) {
	pg, err := s.roomView(c, in, "", "")
	if errs.Is(err, errs.NotFound) && c.Caller.ID != 0 && c.Caller.Has("chat.write") {
		if room, e := s.store.Room(c.Context(), in.ID); e == nil && room.Knock() != "" {
			return s.doorPage(c, room, in.Asked), nil
		}
	}
	return pg, err
}

// doorPage is what somebody sees of a guild who may come in, or ask to.
func (s *Service) doorPage(c *web.Call, room Room, asked bool) web.Page {
	v := templates.ChatListView{Title: "This room is for its members"}
	row := templates.ChatListRow{Who: sockets.Handle(c.Caller), At: c.Now, Parts: []templates.TextPart{{Text: "You can ask to come in; its moderators decide."}},
		Acts: []templates.RowAct{{Label: "Ask to come in", Action: roomPath(room.ID) + "/requests"}}}
	switch {
	case room.Knock() == JoinOpen:
		row.Parts[0].Text, row.Acts = "Everybody may become one.", []templates.RowAct{{Label: "Join", Action: roomPath(room.ID) + "/join"}}
	case asked:
		row.Parts[0].Text, row.Acts = "You have asked to come in. The room appears in your list when a moderator lets you.", nil
	}
	v.Rows = append(v.Rows, row)
	return web.Page{Template: templates.PageChatList, Title: v.Title, Data: v, Status: 404}
}

// lineRefused shows the room again with the line that was refused and why.
func (s *Service) lineRefused(c *web.Call, err error) (web.Page, bool) {
	id, bad := strconv.ParseInt(c.Request.PathValue("id"), 10, 64)
	if bad != nil || errs.Is(err, errs.NotFound) {
		return web.Page{}, false
	}
	pg, e := s.roomView(c, roomPageIn{roomIn: roomIn{ID: id}}, c.Form("text"), detail(err))
	return pg, e == nil
}

func (s *Service) roomView(c *web.Call, in roomPageIn, draft, wrong string) (web.Page, error) {
	room, st, err := s.readable(c.Context(), c.Caller, in.ID)
	if err != nil {
		return web.Page{}, err
	}
	side, err := s.store.RecentRooms(c.Context(), viewer(c.Caller), s.opts.Now(), sideRooms)
	if err != nil {
		return web.Page{}, err
	}
	v := templates.RoomView{
		ID: room.ID, Name: room.Name, Kind: room.Kind, Topic: room.Topic, SlowMode: room.SlowMode, Archived: room.ArchivedAt != 0, Epoch: s.opts.Hub.Epoch(),
		CanWrite: c.Caller.Has("chat.write"), UserID: c.Caller.ID, MaxLength: text.MaxLine, Draft: draft, Error: wrong, Rooms: roomRows(side, room.ID),
	}
	read, err := s.countUnread(c, v.Rooms)
	if err != nil {
		return web.Page{}, err
	}
	who := page.Reader{ID: c.Caller.ID, Rank: rank(st.Role), All: c.Caller.Has(actForOthers)}
	if !v.CanWrite {
		v.WhyNot = "Your token lets you read here, but not write."
	} else {
		who.Moderates = moderates(c.Caller, st)
		if err := mayWrite(c.Caller, room, st, s.opts.Now()); err != nil {
			v.CanWrite, v.WhyNot = false, page.Sentence(detail(err))
		}
	}
	who.Writes, v.CanAttach = v.CanWrite, v.CanWrite
	who.Pins = Holds(room.Permissions().Pin, c.Caller, st)
	if err := s.linesOf(c, in, room, st, who, &v); err != nil {
		return web.Page{}, err
	}
	page.Unread(v.Lines, read)
	if err := s.peopleOf(c, room, st, who, &v); err != nil {
		return web.Page{}, err
	}
	return web.Page{Template: templates.PageRoom, Title: room.Name, Data: v}, nil
}

// linesOf puts a room's lines on its page, and what the composer answers.
func (s *Service) linesOf(c *web.Call, in roomPageIn, room Room, st Standing, who page.Reader, v *templates.RoomView) error {
	since := seenFrom(c.Caller, st)
	ms, older, later, err := s.window(c, in, room.ID, since)
	if err != nil {
		return err
	}
	if v.Newest = !later; later {
		v.NewestURL = roomPath(room.ID)
	}
	if older {
		v.OlderURL = fmt.Sprintf("%s?before=%d", roomPath(room.ID), ms[len(ms)-1].ID)
	}
	if later && len(ms) > 0 {
		v.LaterURL = fmt.Sprintf("%s?after=%d", roomPath(room.ID), ms[0].ID)
	}
	shown, err := s.shown(c, ms)
	if err != nil {
		return err
	}
	v.Seq = room.Head // what happened up to it is in the lines, which were read later
	known := map[int64]api.ChatMessage{}
	for i := len(shown) - 1; i >= 0; i-- {
		known[shown[i].ID] = shown[i]
		l := who.Line(shown[i], room.Kind == KindDM)
		v.Seq = max(v.Seq, l.Seq)
		if l.Reply, err = s.answered(c, room.ID, since, shown[i].ReplyTo, who, known); err != nil {
			return err
		}
		v.Lines = append(v.Lines, l)
	}
	if !v.CanWrite {
		return nil
	}
	v.Tools = &templates.Line{Own: true}
	who.Offer(v.Tools, room.ID, room.Kind == KindDM)
	v.ToolsAll = who.Moderates && room.Kind != KindDM
	v.ReplyTo, err = s.answered(c, room.ID, since, in.Reply, who, known)
	return err
}

// window reads the lines that a page asks for, newest first, and whether there are older and later ones.
func (s *Service) window(c *web.Call, in roomPageIn, room, since int64) (ms []Line, older, later bool, err error) {
	if in.Around == 0 {
		at := web.Paging{Before: in.Before, After: in.After}
		ms, err = s.store.Messages(c.Context(), room, since, at, pageLines+1)
		forward, more := in.After > 0 && in.Before == 0, len(ms) > pageLines
		switch {
		case forward && more:
			ms = ms[1:]
		case more:
			ms = ms[:pageLines]
		}
		if forward {
			return ms, len(ms) > 0, more, err
		}
		return ms, more, in.Before != 0, err
	}
	if ms, err = s.around(c, room, since, in.Around, pageLines); err != nil || len(ms) == 0 {
		return ms, false, true, err
	}
	before, err := s.store.Messages(c.Context(), room, since, web.Paging{Before: ms[len(ms)-1].ID}, 1)
	if err != nil {
		return nil, false, false, err
	}
	after, err := s.store.Messages(c.Context(), room, since, web.Paging{After: ms[0].ID}, 1)
	return ms, len(before) > 0, len(after) > 0, err
}

// answered returns the line that another answers, as far as the caller sees it; nil for none. It is
// looked for among the known ones first.
func (s *Service) answered(c *web.Call, room, since, id int64, who page.Reader, known map[int64]api.ChatMessage) (*templates.Line, error) {
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
	return who.Excerpt(m), nil
}

// peopleOf puts who is in the room, who belongs to it and what the reader may do about them on its page.
func (s *Service) peopleOf(c *web.Call, room Room, st Standing, who page.Reader, v *templates.RoomView) error {
	now, act := s.sockets.Online(room.ID), room.ArchivedAt == 0 && c.Caller.Has("chat.write")
	v.Role, v.Online, v.Moderates = st.Role, now.Online, who.Moderates && room.Kind != KindDM
	if room.Kind == KindDM {
		who.Moderates = false
	} else if c.Caller.ID != 0 {
		v.CanJoin, v.CanLeave = act && st.Role == "" && !st.Ban.holds(s.opts.Now()), st.Role != "" && c.Caller.Has("chat.write")
		v.CanInvite = act && (who.All || rank(st.Role) >= rank(RoleMember))
	}
	ms, err := s.store.Members(c.Context(), room.ID, s.opts.Now().UnixMilli(), web.Paging{}, sockets.ShownOnline)
	if err != nil {
		return err
	}
	members := make([]api.ChatMember, len(ms))
	for i, m := range ms {
		members[i] = m.ChatMember
	}
	roles := []string{RoleMember, RoleGuest}
	if who.All || st.Role == RoleOwner {
		roles = []string{RoleOwner, RoleModerator, RoleMember, RoleGuest}
	}
	v.People = who.People(members, now.Users, rank, roles)
	if !v.Moderates {
		return nil
	}
	v.Requests = room.Knock() == JoinRequest
	as, err := s.store.Actions(c.Context(), room.ID, web.Paging{}, pageActs)
	acts := make([]api.ChatAction, len(as))
	for i, a := range as {
		acts[i] = a.ChatAction
	}
	v.Acts = page.Acts(acts, func(a api.ChatAction) bool { return Sanction{On: true, Until: a.Until}.holds(s.opts.Now()) })
	return err
}

// countUnread puts onto rows what the caller has not read, and returns how far they have read in the open one.
func (s *Service) countUnread(c *web.Call, rows []templates.RoomRow) (read int64, err error) {
	if c.Caller.ID == 0 {
		return 0, nil
	}
	all, err := s.store.Unread(c.Context(), viewer(c.Caller), 200)
	for _, u := range all {
		for i := range rows {
			if rows[i].ID != u.RoomID {
				continue
			}
			if rows[i].Current {
				read = u.ReadSeq
			} else {
				rows[i].Unread, rows[i].Mentions = u.Unread, u.Mentions
			}
		}
	}
	return read, err
}

func roomRows(rows []RoomRow, current int64) []templates.RoomRow {
	out := make([]templates.RoomRow, len(rows))
	for i, r := range rows {
		out[i] = templates.RoomRow{ID: r.ID, Name: r.Name, Kind: r.Kind, LastHandle: r.LastHandle, LastText: r.LastText, LastAt: r.LastAt, Current: r.ID == current}
	}
	return out
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

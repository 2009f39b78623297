package search

import (
	"fmt"
	"strings"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/chat/page"
	"uniqverse/services/chat/sockets"
	"uniqverse/templates"
)

type pageIn struct {
	Q      string `json:"q,omitempty" max:"500" doc:"what GET /search takes"`
	Room   int64  `json:"room,omitempty" min:"1" doc:"only in the room with this id"`
	Before int64  `json:"before,omitempty" min:"1" doc:"lines before the one with this id"`
}

// page is the search for people: a field, and what was found with the words marked.
func (s *Service) page(c *web.Call, in pageIn) (web.Page, error) {
	v := templates.ChatListView{Title: "Search", Searches: true, Query: in.Q, RoomID: in.Room, EmptyTitle: "What are you looking for?",
		EmptyText: `Words, "words in a row", from:nova, in:hangar, before:2026-11-27, has:attachment, and -word for what must not be there.`}
	if in.Room != 0 {
		room, _, err := s.opts.Rooms.Entered(c.Context(), c.Caller, in.Room)
		if err != nil {
			return web.Page{}, err
		}
		v.RoomName = room.Name
	}
	if strings.TrimSpace(in.Q) != "" {
		found, err := s.search(c, searchIn{Q: in.Q, Room: in.Room, Before: in.Before})
		switch {
		case errs.Is(err, errs.Invalid) || errs.Is(err, errs.Limited) || errs.Is(err, errs.Timeout):
			v.Errors = templates.FieldErrors{"": page.Sentence(sockets.Reason(err))}
		case err != nil:
			return web.Page{}, err
		}
		v.EmptyTitle, v.EmptyText = "Nothing found", "No line that you can read has that. Fewer words find more."
		for _, f := range found {
			v.Rows = append(v.Rows, row(f, in.Room == 0))
		}
		if next, ok := strings.CutPrefix(c.Header().Get("Link"), "<"+c.Prefix); ok {
			v.NextURL, _, _ = strings.Cut(next, ">")
		}
	}
	return web.Page{Template: templates.PageChatList, Title: "Search", Data: v}, nil
}

func row(f api.ChatFound, named bool) templates.ChatListRow {
	r := templates.ChatListRow{ID: f.ID, Who: f.Handle, At: f.CreatedAt.Time(), Href: fmt.Sprintf("/rooms/%d?around=%d#line-%[2]d", f.RoomID, f.ID)}
	if named {
		r.Room = f.RoomName
	}
	for _, p := range f.Parts {
		r.Parts = append(r.Parts, templates.TextPart{Text: p.Text, Hit: p.Hit})
	}
	for _, a := range f.Attachments {
		r.Note += " " + a.Name
	}
	if len(r.Parts) == 0 {
		r.Parts = []templates.TextPart{{Text: "(files)"}}
	}
	return r
}

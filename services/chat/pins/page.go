package pins

import (
	"fmt"

	"uniqverse/internal/web"
	"uniqverse/services/chat"
	"uniqverse/services/chat/page"
	"uniqverse/templates"
)

// page is what a room holds up, for people.
func (s *Service) page(c *web.Call, in roomIn) (web.Page, error) {
	room, st, err := s.rooms.Entered(c.Context(), c.Caller, in.Room)
	if err != nil {
		return web.Page{}, err
	}
	pins, err := s.list(c, in)
	if err != nil {
		return web.Page{}, err
	}
	v := templates.ChatListView{Title: "Pinned lines", RoomID: room.ID, RoomName: room.Name, EmptyTitle: "Nothing is pinned", EmptyText: "A line that is worth finding again is pinned from what may be done with it."}
	may := c.Caller.Has("chat.write") && chat.Holds(room.Permissions().Pin, c.Caller, st) && chat.MayWrite(c.Caller, room, st, c.Now) == nil
	for _, p := range pins {
		r := templates.ChatListRow{ID: p.Message.ID, Who: p.Message.Handle, At: p.Message.CreatedAt.Time(), Note: "pinned by " + p.ByHandle,
			Href: fmt.Sprintf("%s?around=%d#line-%[2]d", page.Room(room.ID), p.Message.ID), Parts: []templates.TextPart{{Text: p.Message.Text}}}
		for _, a := range p.Message.Attachments {
			r.Note += ", " + a.Name
		}
		if may {
			r.Acts = []templates.RowAct{{Label: "Unpin", Action: fmt.Sprintf("%s/messages/%d/unpin", page.Room(room.ID), p.Message.ID)}}
		}
		v.Rows = append(v.Rows, r)
	}
	return web.Page{Template: templates.PageChatList, Title: "Pinned lines", Data: v}, nil
}

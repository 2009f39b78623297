package requests

import (
	"fmt"

	"uniqverse/internal/web"
	"uniqverse/services/chat/page"
	"uniqverse/templates"
)

// page is who asks to come into a room, for its moderators.
func (s *Service) page(c *web.Call, in roomIn) (web.Page, error) {
	asking, err := s.list(c, in)
	if err != nil {
		return web.Page{}, err
	}
	room, _, err := s.rooms.Entered(c.Context(), c.Caller, in.Room)
	if err != nil {
		return web.Page{}, err
	}
	v := templates.ChatListView{Title: "Who asks to come in", RoomID: room.ID, RoomName: room.Name, EmptyTitle: "Nobody asks", EmptyText: "Who would like to come into the room is listed here."}
	for _, r := range asking {
		at := fmt.Sprintf("%s/requests/%d", page.Room(room.ID), r.UserID)
		v.Rows = append(v.Rows, templates.ChatListRow{ID: r.UserID, Who: r.Handle, At: r.CreatedAt.Time(), Parts: []templates.TextPart{{Text: r.Text}},
			Acts: []templates.RowAct{{Label: "Let in", Action: at + "/approve"}, {Label: "Decline", Action: at + "/decline", Danger: true}}})
	}
	return web.Page{Template: templates.PageChatList, Title: v.Title, Data: v}, nil
}

// toList sends a browser back to the list.
func toList(c *web.Call, _ any) string { return "/rooms/" + c.Request.PathValue("id") + "/requests" }

package hooks

import (
	"fmt"
	"strconv"

	"uniqverse/internal/web"
	"uniqverse/services/chat/page"
	"uniqverse/templates"
)

// page is the room's incoming hooks, for who keeps order in it.
func (s *Service) page(c *web.Call, in listIn) (web.Page, error) { return s.view(c, in, nil, nil) }

// view is the page with what is wrong in its form, or with what was just made.
func (s *Service) view(c *web.Call, in listIn, wrong error, m *made) (web.Page, error) {
	hs, err := s.list(c, in)
	if err != nil {
		return web.Page{}, err
	}
	name, err := s.opts.Rooms.RoomName(c.Context(), in.Room)
	if err != nil {
		return web.Page{}, err
	}
	at := page.Room(in.Room) + "/hooks"
	v := templates.ProgramsView{Title: "Programs that post", Lede: "Each has an address of its own, at which it says lines in this room and can do nothing else.", RoomID: in.Room, RoomName: name,
		Tabs: page.Programs(in.Room, true), Errors: page.Wrong(wrong), EmptyTitle: "No program posts here", EmptyText: "Make an address for each: for alerts, builds, whatever speaks Slack's or Mattermost's webhooks."}
	if c.Caller.Has("chat.write") {
		v.Form = &templates.ProgramForm{Title: "Let a program post", Action: at, Button: "Make an address", Name: "name", Label: "What its lines are from", Hint: "grafana", Type: "text", Max: 79,
			Note: fmt.Sprintf("At most %d. What it posts is moderated like any line.", maxHooks)}
		if wrong != nil {
			v.Form.Value = c.Form("name")
		}
	}
	if m != nil {
		v.Made = &templates.MadeSecret{Text: m.Name + " posts at this address of this server. Whoever knows it can post; it is shown this once:", Value: m.URL}
	}
	for _, h := range hs {
		r := templates.ProgramRow{ID: h.ID, Title: h.Name, At: h.CreatedAt.Time(), Note: "Never used"}
		if h.UsedAt != 0 {
			r.Note = "Last used " + h.UsedAt.Time().UTC().Format("2006-01-02 15:04") + " UTC"
		}
		if v.Form != nil {
			r.Acts = []templates.RowAct{{Label: "Remove", Action: fmt.Sprintf("%s/%d/delete", at, h.ID), Danger: true}}
		}
		v.Rows = append(v.Rows, r)
	}
	return web.Page{Template: templates.PagePrograms, Title: v.Title, Data: v}, nil
}

// refused shows the page again with what is wrong.
func (s *Service) refused(c *web.Call, err error) (web.Page, bool) {
	room, bad := strconv.ParseInt(c.Request.PathValue("id"), 10, 64)
	if bad != nil {
		return web.Page{}, false
	}
	pg, e := s.view(c, listIn{Room: room}, err, nil)
	return pg, e == nil
}

// toHooks sends a browser back to the list.
func toHooks(c *web.Call, _ any) string { return "/rooms/" + c.Request.PathValue("id") + "/hooks" }

package webhooks

import (
	"fmt"
	"strconv"
	"strings"

	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/internal/webhook"
	"uniqverse/services/chat/page"
	"uniqverse/templates"
)

// page is the webhooks of a room, or of all rooms, for who may have some.
func (s *Service) page(c *web.Call, in listIn) (web.Page, error) { return s.view(c, in, nil, nil) }

// frame is what all pages here begin with.
func (s *Service) frame(c *web.Call, room int64) (v templates.ProgramsView, err error) {
	v.RoomID, v.Tabs = room, page.Programs(room, false)
	if room != 0 {
		v.RoomName, err = s.opts.Rooms.RoomName(c.Context(), room)
	}
	return v, err
}

// view is the page with what is wrong in its form, or with what was just made.
func (s *Service) view(c *web.Call, in listIn, wrong error, a *added) (web.Page, error) {
	ws, err := s.list(c, in)
	if err != nil {
		return web.Page{}, err
	}
	v, err := s.frame(c, in.RoomID)
	if err != nil {
		return web.Page{}, err
	}
	v.Title, v.Lede = "Programs that are told", "What happens in the room is posted to each address, signed, and again until it is taken."
	v.EmptyTitle, v.EmptyText = "No program is told", "Add the address of a bot or a service that wants to hear of this room."
	if in.RoomID == 0 {
		v.Lede, v.EmptyText = "What happens in all rooms but direct ones is posted to each address, signed, and again until it is taken.", "Add the address of a bot or a service that wants to hear of all rooms."
	}
	v.Errors, v.NextURL = page.Wrong(wrong), older(c)
	writes := c.Caller.Has("chat.write")
	if writes {
		v.Form = &templates.ProgramForm{Title: "Tell a program", Action: "/webhooks", Button: "Add", Name: "url", Label: "Its address", Hint: "https://bot.example/hook", Type: "url", Max: 2000, Room: in.RoomID,
			Note: fmt.Sprintf("At most %d. Deliveries are signed after Standard Webhooks.", most(in.RoomID))}
		for _, t := range Types(in.RoomID) {
			v.Form.Events = append(v.Form.Events, templates.Option{Value: t, Label: kinds()[t]})
		}
		if wrong != nil {
			v.Form.Value = c.Form("url")
		}
	}
	if a != nil {
		v.Made = &templates.MadeSecret{Text: "The secret by which the program checks that deliveries are from here; it is shown this once:", Value: a.Secret}
	}
	for _, w := range ws {
		v.Rows = append(v.Rows, row(w, writes))
	}
	return web.Page{Template: templates.PagePrograms, Title: v.Title, Data: v}, nil
}

// older is where the list goes on, as the Link header has it.
func older(c *web.Call) string {
	next, ok := strings.CutPrefix(c.Header().Get("Link"), "<"+c.Prefix)
	if !ok {
		return ""
	}
	next, _, _ = strings.Cut(next, ">")
	return next
}

// kinds are the types of events in words.
func kinds() map[string]string {
	return map[string]string{event.ChatMessageCreated: "Lines", event.ChatMessageEdited: "Changed lines", event.ChatMessageDeleted: "Lines that are taken away", event.ChatMessageReacted: "Reactions",
		event.ChatRoomUpdated: "Members and settings", event.ChatRoomArchived: "The room is archived", event.ModerationActioned: "What moderators do", event.ChatRoomCreated: "New rooms"}
}

func row(w Webhook, writes bool) templates.ProgramRow {
	at := fmt.Sprintf("/webhooks/%d", w.ID)
	r := templates.ProgramRow{ID: w.ID, Title: w.URL, Href: at + "/deliveries", State: "on", Tone: "ok", Note: "Every event", At: w.CreatedAt.Time()}
	if len(w.Events) > 0 {
		r.Note = strings.Join(w.Events, ", ")
	}
	if w.Failures > 0 {
		r.State, r.Tone = "failing", "warn"
		r.Note += fmt.Sprintf("; %d attempts in a row failed", w.Failures)
	}
	turn := templates.RowAct{Label: "Pause", Action: at + "/change", Fields: map[string]string{"enabled": "false"}}
	if !w.Enabled {
		r.State, r.Tone = "paused", "bad"
		if w.Reason != "" {
			r.Note += "; switched off: " + w.Reason
		}
		turn = templates.RowAct{Label: "Resume", Action: at + "/change", Fields: map[string]string{"enabled": "true"}}
	}
	if writes {
		r.Acts = []templates.RowAct{turn, {Label: "Remove", Action: at + "/delete", Danger: true}}
	}
	return r
}

// deliveriesPage is what was sent to a webhook.
func (s *Service) deliveriesPage(c *web.Call, in deliveriesIn) (web.Page, error) {
	w, err := s.find(c, in.ID)
	if err != nil {
		return web.Page{}, err
	}
	ds, err := s.deliveries(c, in)
	if err != nil {
		return web.Page{}, err
	}
	v, err := s.frame(c, w.RoomID)
	if err != nil {
		return web.Page{}, err
	}
	v.Title, v.Lede, v.NextURL = "What was sent", w.URL, older(c)
	v.EmptyTitle, v.EmptyText = "Nothing was sent yet", "Each event that the program is told of is listed here for a week, with every attempt."
	for _, d := range ds {
		v.Rows = append(v.Rows, sent(w, d, c.Caller.Has("chat.write")))
	}
	return web.Page{Template: templates.PagePrograms, Title: v.Title, Data: v}, nil
}

func sent(w Webhook, d Delivery, writes bool) templates.ProgramRow {
	r := templates.ProgramRow{ID: d.ID, Title: d.Type, State: d.State, Tone: map[string]string{webhook.Delivered: "ok", webhook.Dropped: "bad", webhook.Waiting: "warn"}[d.State], At: d.CreatedAt.Time(),
		Note: fmt.Sprintf("Room %d", d.RoomID)}
	if d.Seq != 0 {
		r.Note += fmt.Sprintf(", event %d", d.Seq)
	}
	for _, a := range d.Attempts {
		said := fmt.Sprintf("answered %d", a.Status)
		if a.Status == 0 {
			said = "no answer"
		}
		if a.Error != "" {
			said += ", " + a.Error
		}
		r.Tries = append(r.Tries, fmt.Sprintf("Attempt %d at %s UTC: %s, %d ms", a.N, a.At.Time().UTC().Format("15:04:05"), said, a.MS))
	}
	if writes && w.Enabled && d.State != webhook.Waiting {
		r.Acts = []templates.RowAct{{Label: "Send again", Action: fmt.Sprintf("/webhooks/%d/deliveries/%d/replay", w.ID, d.ID)}}
	}
	return r
}

// refused shows the page again with what is wrong.
func (s *Service) refused(c *web.Call, err error) (web.Page, bool) {
	room, bad := int64(0), error(nil)
	if given := c.Form("room_id"); given != "" {
		room, bad = strconv.ParseInt(given, 10, 64)
	}
	if bad != nil {
		return web.Page{}, false
	}
	pg, e := s.view(c, listIn{RoomID: room}, err, nil)
	return pg, e == nil
}

// toWebhooks sends a browser back to the list of the room.
func toWebhooks(_ *web.Call, out any) string {
	room := int64(0)
	switch o := out.(type) {
	case Webhook:
		room = o.RoomID
	case dropped:
		room = o.RoomID
	}
	if room == 0 {
		return "/webhooks"
	}
	return fmt.Sprintf("/webhooks?room_id=%d", room)
}

// toDeliveries sends a browser back to what was sent.
func toDeliveries(c *web.Call, _ any) string {
	return "/webhooks/" + c.Request.PathValue("wid") + "/deliveries"
}

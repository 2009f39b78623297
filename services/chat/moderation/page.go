package moderation

import (
	"fmt"
	"net/url"
	"strings"

	"uniqverse/internal/api"
	"uniqverse/internal/web"
	"uniqverse/services/chat/page"
	"uniqverse/templates"
)

// page is the queue for people: each case with the lines around it, and what may be decided, also by one key.
func (s *Service) page(c *web.Call, in queueIn) (web.Page, error) {
	cases, err := s.queue(c, in)
	if err != nil {
		return web.Page{}, err
	}
	v := templates.ChatListView{Title: "What waits for moderators", Keys: true, EmptyTitle: "Nothing waits", EmptyText: "Lines that were reported, and lines that a rule or the engine stopped, are listed here."}
	at := func(state string) string {
		q := url.Values{}
		if in.Room != 0 {
			q.Set("room", fmt.Sprint(in.Room))
		}
		if state != "" {
			q.Set("state", state)
		}
		if len(q) == 0 {
			return "/moderation/queue"
		}
		return "/moderation/queue?" + q.Encode()
	}
	v.Filters = []templates.Tab{{Label: "Open", Href: at(""), Current: in.State != "done"}, {Label: "Decided", Href: at("done"), Current: in.State == "done"}}
	for _, k := range cases {
		v.Rows = append(v.Rows, row(k))
	}
	if next, ok := strings.CutPrefix(c.Header().Get("Link"), "<"+c.Prefix); ok {
		v.NextURL, _, _ = strings.Cut(next, ">")
	}
	return web.Page{Template: templates.PageChatList, Title: v.Title, Data: v}, nil
}

func row(k api.ChatCase) templates.ChatListRow {
	r := templates.ChatListRow{ID: k.ID, Who: k.Handle, Room: k.RoomName, At: k.CreatedAt.Time(), Parts: []templates.TextPart{{Text: k.Text}}, Note: k.Source}
	if k.Reason != "" {
		r.Note += ": " + k.Reason
	}
	if k.Reports > 1 {
		r.Note += fmt.Sprintf(" (%d reports)", k.Reports)
	}
	if k.MessageID != 0 {
		r.Href = fmt.Sprintf("%s?around=%d#line-%[2]d", page.Room(k.RoomID), k.MessageID)
	}
	for _, m := range k.Context {
		if m.ID != k.MessageID {
			r.Around = append(r.Around, templates.Said{Who: m.Handle, Text: page.Clip(m.Text, 160), Before: m.Seq < k.Seq})
		}
	}
	act := func(label, action, key string, danger bool) {
		r.Acts = append(r.Acts, templates.RowAct{Label: label, Action: fmt.Sprintf("/moderation/queue/%d/%s", k.ID, action), Key: key, Danger: danger})
	}
	if k.State != "open" {
		r.Note += "; " + k.ByHandle + " decided: " + k.State
		act("Undo", undo, "u", false)
		return r
	}
	act("Approve", approve, "a", false)
	if k.MessageID != 0 {
		act("Remove", remove, "d", true)
	}
	if k.UserID != 0 {
		act("Warn", warn, "w", false)
		act("Time out", timeOut, "t", true)
		act("Ban", ban, "b", true)
	}
	return r
}

// toQueue sends a browser back to the queue.
func toQueue(*web.Call, any) string { return "/moderation/queue" }

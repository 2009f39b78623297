// Package page turns what chat knows into the structs from which its pages are drawn.
//
// It reads no store, decides about no right and answers no request: what a reader may do is told to it, and it says
// which forms they are offered. Everything that somebody wrote stays plain text; escaping is the templates' part.
// It is functions over values, so everything here is safe for concurrent use.
package page

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"uniqverse/internal/api"
	"uniqverse/templates"
)

// Room is the path of a room's page.
func Room(id int64) string { return fmt.Sprintf("/rooms/%d", id) }

// Reader is who looks at a room, and what they may do there.
type Reader struct {
	ID        int64 // 0 for a service
	Rank      int   // of their role in the room; 0 for no member
	All       bool  // acts on anybody, whatever their rank
	Writes    bool
	Moderates bool
	Pins      bool
}

// Line is a line as the reader sees it, with the forms that they are offered. Direct says that it stands in a direct
// room, where nobody takes away what another said.
func (r Reader) Line(m api.ChatMessage, direct bool) templates.Line {
	l := templates.Line{
		ID: m.ID, Seq: m.Seq, UserID: m.UserID, Handle: m.Handle, Text: m.Text, At: m.CreatedAt.Time(),
		Own: r.ID != 0 && m.UserID == r.ID, Edited: m.EditedAt != 0, Deleted: m.Deleted,
	}
	for _, x := range m.Reactions {
		l.Reactions = append(l.Reactions, templates.Reaction{Emoji: x.Emoji, Count: x.Count, Mine: x.Mine})
	}
	for _, f := range m.Attachments {
		w, h := Fit(f.Width, f.Height)
		l.Files = append(l.Files, templates.File{Name: f.Name, Href: fmt.Sprintf("%s/attachments/%d", Room(m.RoomID), f.ID), Size: f.Size, Width: w, Height: h})
	}
	for _, user := range m.Mentions {
		l.Mention = l.Mention || r.ID != 0 && user == r.ID
	}
	if r.Writes && !m.Deleted {
		r.Offer(&l, m.RoomID, direct)
	}
	return l
}

// Offer gives a line what the reader may do with it, in forms.
func (r Reader) Offer(l *templates.Line, room int64, direct bool) {
	l.Path = fmt.Sprintf("%s/messages/%d", Room(room), l.ID)
	l.ReplyURL = fmt.Sprintf("%s?reply=%d#text", Room(room), l.ID)
	l.CanPin = r.Pins
	l.CanEdit, l.CanDelete = l.Own, l.Own || r.Moderates && !direct
}

// Fit is the size in which a picture is shown: not larger than 320 by 240, and never stretched; 0 stays 0.
func Fit(width, height int) (w, h int) {
	if width <= 0 || height <= 0 {
		return 0, 0
	}
	scale := min(1, 320/float64(width), 240/float64(height))
	return max(1, int(float64(width)*scale)), max(1, int(float64(height)*scale))
}

// Excerpt is a line as another quotes it.
func (r Reader) Excerpt(m api.ChatMessage) *templates.Line {
	l := Reader{ID: r.ID}.Line(m, false)
	if l.Text == "" && len(l.Files) > 0 {
		l.Text = l.Files[0].Name
	}
	l.Text, l.JumpURL = Clip(l.Text, 120), fmt.Sprintf("%s?around=%d#line-%[2]d", Room(m.RoomID), m.ID)
	return &l
}

// Clip shortens a text to some characters.
func Clip(text string, most int) string {
	if all := []rune(text); len(all) > most {
		return string(all[:most]) + "…"
	}
	return text
}

// Unread marks the first line of others that lies beyond what the reader has read; nothing when they never read here.
func Unread(lines []templates.Line, read int64) {
	if read == 0 {
		return
	}
	for i := range lines {
		if lines[i].Seq > read {
			if !lines[i].Own {
				lines[i].FirstNew = true
				return
			}
			read = lines[i].Seq // who writes has read
		}
	}
}

// People are those who belong to a room and those who are there now, each once: who is there first, then by rank.
// Ranks orders the roles; roles are those that the reader may give.
func (r Reader) People(members []api.ChatMember, now []api.ChatPresentOne, rank func(role string) int, roles []string) []templates.Person {
	at := map[int64]int{}
	var all []templates.Person
	for _, u := range now {
		at[u.UserID] = len(all)
		all = append(all, templates.Person{ID: u.UserID, Handle: u.Handle, Online: true})
	}
	for _, role := range []string{"owner", "moderator", "member", "guest"} {
		for _, m := range members {
			if m.Role != role {
				continue
			}
			i, here := at[m.UserID]
			if !here {
				i = len(all)
				all = append(all, templates.Person{ID: m.UserID, Handle: m.Handle})
			}
			all[i].Role, all[i].Muted, all[i].MutedUntil = m.Role, m.Muted, m.MutedUntil.Time()
		}
	}
	for i := range all {
		p := &all[i]
		p.You = p.ID == r.ID
		p.CanAct = r.Moderates && !p.You && (r.All || rank(p.Role) < r.Rank)
		if !p.CanAct || p.Role == "" {
			continue
		}
		for _, role := range roles {
			p.Roles = append(p.Roles, templates.Option{Value: role, Label: Capital(role), Selected: role == p.Role})
		}
	}
	return all
}

// Acts are what moderators did, the newest first; what the newest of its kind still holds is offered to be lifted.
func Acts(all []api.ChatAction, holds func(api.ChatAction) bool) []templates.ModAct {
	verb := map[string]string{"kick": "took out", "ban": "banned", "unban": "lifted the ban of", "mute": "muted", "unmute": "lifted the mute of", "delete": "removed a line of"}
	decided := map[string]bool{} // what a newer action of the same kind settled
	var out []templates.ModAct
	for _, a := range all {
		did := verb[a.Action]
		if did == "" {
			did = a.Action
		}
		act := templates.ModAct{Did: did, UserID: a.UserID, Handle: a.Handle, By: a.ByHandle, Reason: a.Reason, At: a.CreatedAt.Time(), Until: a.Until.Time()}
		kind := strings.TrimPrefix(a.Action, "un")
		key := fmt.Sprint(kind, " ", a.UserID)
		if (kind == "ban" || kind == "mute") && !decided[key] {
			decided[key] = true
			if a.Action == kind && holds(a) {
				act.Lift = "un" + kind
			}
		}
		out = append(out, act)
	}
	return out
}

// Capital begins a word with a capital.
func Capital(text string) string {
	first, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[n:]
}

// Sentence begins with a capital and ends with a full stop.
func Sentence(text string) string { return Capital(text) + "." }

// KindTitle is a kind of rooms in words, for one or for many.
func KindTitle(kind string, many bool) string {
	one, all := "Global: for everybody", "For everybody"
	switch kind {
	case "guild":
		one, all = "Guild: for its members", "Guilds"
	case "party":
		one, all = "Party: for one evening", "Parties"
	case "dm":
		one, all = "Direct", "Direct"
	case "support":
		one, all = "Support: with the desk", "Support"
	}
	if many {
		return all
	}
	return one
}

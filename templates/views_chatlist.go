package templates

import "time"

// PageChatList is the name of the page of lines out of rooms: ChatListView, chat /search, /rooms/{id}/pins and /rooms/{id}/requests.
const PageChatList = "chat_list"

// ChatListView is a list of lines, or of people, with what may be done about each.
type ChatListView struct {
	Title    string
	RoomID   int64 // that the list is of; 0 is all
	RoomName string
	Searches bool // a form asks: GET /search {q, room}
	Query    string
	Errors   FieldErrors
	Filters  []Tab
	Keys     bool // a letter does what its button does
	Rows     []ChatListRow
	NextURL  string // as Link.Href; "" is none

	EmptyTitle, EmptyText string
}

// ChatListRow is one row of the list.
type ChatListRow struct {
	ID    int64
	Who   string // a handle
	Room  string // its name; "" where all are of one
	At    time.Time
	Note  string // in few words
	Href  string // as Link.Href: where it stands; "" is nowhere
	Parts []TextPart
	Acts  []RowAct
	// Around is what was said before and after.
	Around []Said
}

// Said is a line around another.
type Said struct {
	Who, Text string
	Before    bool
}

// TextPart is a part of a text; a Hit is what was looked for.
type TextPart struct {
	Text string
	Hit  bool
}

// RowAct is a form with one button.
type RowAct struct {
	Label  string
	Action string // as Link.Href
	Fields map[string]string
	Danger bool
	Key    string // "" for none
}

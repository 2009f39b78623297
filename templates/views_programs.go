package templates

import "time"

// PagePrograms is the name of the pages of what programs post into rooms and are told: ProgramsView, chat /rooms/{id}/hooks, /webhooks and
// /webhooks/{wid}/deliveries.
const PagePrograms = "chat_programs"

// ProgramsView is a list of incoming hooks, of outgoing webhooks, or of what was sent to one of those.
type ProgramsView struct {
	Title, Lede string
	RoomID      int64 // 0 is all rooms
	RoomName    string
	Tabs        []Tab
	Errors      FieldErrors
	Made        *MadeSecret  // shown this once
	Form        *ProgramForm // nil where nothing is made
	Rows        []ProgramRow
	NextURL     string // as Link.Href; "" is none

	EmptyTitle, EmptyText string
}

// MadeSecret is what is shown once, when it was made.
type MadeSecret struct {
	Text, Value string
}

// ProgramForm makes a hook or a webhook: POST Action {Name, room_id, events}.
type ProgramForm struct {
	Title, Action, Button          string
	Name, Label, Value, Hint, Type string // of the one field
	Max                            int
	Room                           int64    // goes with it; 0 for none
	Events                         []Option // types to choose from; none is all
	Note                           string
}

// ProgramRow is a hook, a webhook or a delivery.
type ProgramRow struct {
	ID    int64
	Title string
	Href  string // as Link.Href: what was sent; "" is nowhere
	State string // in a word
	Tone  string // of the word
	Note  string
	At    time.Time
	Tries []string // attempts to deliver
	Acts  []RowAct
}

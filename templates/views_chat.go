package templates

import "time"

// ChatHomeView is the chat's start page.
type ChatHomeView struct {
	Counts  []Count
	Rooms   []RoomRow   // the most recently used, about 6
	Tickets []TicketRow // the newest open ones, about 6
}

// RoomsView is the list of rooms with a form: POST /rooms {name, kind}, answered with a redirect to the room.
type RoomsView struct {
	Groups    []RoomGroup // by kind, in the order to show
	Kinds     []Option
	Name      string // typed before
	CanCreate bool
	Query     string // what was looked for: GET /rooms {q}
	CanDirect bool   // offers POST /dm {with}
	With      string // typed before
	Domain    string // of the addresses between which direct rooms are
	Errors    FieldErrors
	EventsURL string // SSE as Link.Href, or a WebSocket when the path starts with /ws/; "" is a page that is not live
}

// RoomGroup is the rooms of one kind.
type RoomGroup struct {
	Kind, Title string // "guild", "Guilds"
	Rooms       []RoomRow
}

// RoomRow is one room in a list.
type RoomRow struct {
	ID         int64
	Name       string
	Kind       string // global|guild|party|dm|support
	LastHandle string // of the last line; "" when there is none
	LastText   string
	LastAt     time.Time // zero is never
	Online     int
	Unread     int  // lines not read yet, counted up to 100
	Mentions   int  // of those, lines that mention the reader
	Current    bool // the room that is open, in a side list
}

// RoomView is one room. Its form is POST /rooms/{id}/messages {text} and, when set, {handle, user_id}: a browser's own
// form post (Accept: text/html) is answered with a redirect to the room, the script's with JSON. With JavaScript the
// page connects to {Prefix}/ws/rooms/{id}?after=<Seq>&epoch=<Epoch>&<SocketQuery>.
type RoomView struct {
	ID          int64
	Name, Kind  string
	Topic       string
	Lines       []Line // oldest first
	Seq         int64  // of the newest event that the page shows (not only lines); 0 is none
	Epoch       string
	OlderURL    string // as Link.Href: the lines before these; "" is none
	Newest      bool   // the page ends with the room's newest line; else it is not live
	NewestURL   string // as Link.Href: back to the newest, when Newest is false
	CanWrite    bool
	CanAttach   bool   // POST /rooms/{id}/attachments?name= takes a file, which a line takes along
	WhyNot      string // said instead of the composer when CanWrite is false
	Handle      string // sent along as the writer; "" leaves it to the token
	UserID      int64  // sent along as the writer; also marks own lines; 0 leaves it to the token
	MaxLength   int    // of a line, in characters; 0 is 4000
	Draft       string // a line that was refused, typed before
	Error       string // why
	SocketQuery string // for example "access_token=demo"; "" is none
	Rooms       []RoomRow
	ReplyTo     *Line  // the line that the composer answers; nil is none
	Tools       *Line  // what the script makes the tools of new lines from; nil offers none
	ToolsAll    bool   // the reader may take away every line, not only their own
	LaterURL    string // as Link.Href: the lines after these; "" is none

	Role      string // of the reader; "" for who is no member
	SlowMode  int    // seconds between two lines of one person; 0 for none
	Archived  bool
	Online    int      // how many are here now
	People    []Person // who is here or belongs here; who is here is left out when there are too many
	CanJoin   bool     // POST /rooms/{id}/join
	CanLeave  bool     // POST /rooms/{id}/leave
	CanInvite bool     // POST /rooms/{id}/invite {handle}
	Moderates bool     // POST /rooms/{id}/settings {topic, slow_mode_s, archived}, and what moderators did
	Acts      []ModAct // newest first
	Requests  bool     // leads to who asks to come in
}

// Person is somebody in a room. Whom the reader may act on is offered POST /rooms/{id}/mute {user_id, for_s, reason},
// /unmute, /ban, /kick, and for members /invite {user_id, role}.
type Person struct {
	ID         int64
	Handle     string
	Role       string // "" for who is no member
	Online     bool
	Muted      bool
	MutedUntil time.Time // zero is for good
	You        bool
	CanAct     bool
	Roles      []Option // to give
}

// ModAct is what a moderator did to somebody.
type ModAct struct {
	Did    string // "muted"
	UserID int64
	Handle string
	By     string
	Reason string
	At     time.Time
	Until  time.Time // zero is none
	Lift   string    // "unban" or "unmute", which POST /rooms/{id}/… {user_id} does; "" offers neither
}

// Line is one message of a room.
type Line struct {
	ID, Seq int64
	UserID  int64
	Handle  string // with or without @
	Text    string
	At      time.Time
	Edited  bool
	Deleted bool // its text is not shown
	Own     bool
	Mention bool // of the reader
	// FirstNew is the first line that the reader has not seen: a separator stands before it.
	FirstNew bool
	Flags    []string

	Reply     *Line // the line that it answers, for its handle and text; nil is none
	Files     []File
	Reactions []Reaction
	// Path is where the line's forms post, as Link.Href: {Path}/react {emoji, remove?}, /edit {text}, /delete, /report; "" offers none.
	Path      string
	JumpURL   string // as Link.Href: where the line stands, for others that quote it
	ReplyURL  string // as Link.Href: the page with a composer that answers it
	CanEdit   bool
	CanDelete bool
	CanPin    bool // {Path}/pin
}

// File is something that goes with a line: a picture is shown, all else is saved.
type File struct {
	Name          string
	Href          string // as Link.Href
	Size          int64
	Width, Height int // of a picture, at most 320 by 240; 0 for what is saved
}

// Reaction is one emoji under a line.
type Reaction struct {
	Emoji string
	Count int
	Mine  bool
}

// TicketsView is the desk's list with a form: POST /tickets {subject, created_by}, answered with a redirect to the
// ticket for a browser's own form post.
type TicketsView struct {
	Filters   []Tab // "All", "Open", "Assigned", "Solved"
	Tickets   []TicketRow
	Pager     Pager
	CanCreate bool
	Subject   string // typed before
	CreatedBy int64  // sent along when not 0
	Errors    FieldErrors
	EventsURL string // as RoomsView: every ticket.* event refreshes the list
}

// TicketRow is one ticket in a list.
type TicketRow struct {
	ID        int64
	Subject   string
	Status    string // open|assigned|solved, or another word
	Requester string
	Assignee  string // "" is nobody
	Tags      []string
	Created   time.Time
	LastAt    time.Time // zero is never
}

// TicketView is one ticket. Its forms:
//
//	POST /tickets/{id}/assign {assignee_id}
//	POST /tickets/{id}/comments {text}          only with CanComment
//
// each answered with a redirect to the ticket for a browser's own form post.
type TicketView struct {
	TicketRow
	Comments   []Comment // oldest first
	Agents     []Option  // to assign to; empty shows a number field
	AssigneeID int64     // 0 is nobody
	SelfID     int64     // offers "assign to me" when not 0
	CanAssign  bool
	CanComment bool
	Errors     FieldErrors
	EventsURL  string
}

// Comment is one entry of a ticket.
type Comment struct {
	Author   string
	Text     string
	At       time.Time
	Internal bool // for agents only
	Event    bool // something that happened ("assigned to …"), not something said
}

package templates

import "time"

// The names that Set.Render takes, each with the struct that Page.Data must hold (by value).
const (
	// Portal.
	PageHelm       = "portal_helm"    // HelmView: / and /helm
	PageLogin      = "portal_login"   // LoginView: /login
	PageSignup     = "portal_signup"  // SignupView: /signup
	PageSetup      = "portal_setup"   // SetupView: /setup?token=…
	PageAccount    = "portal_account" // AccountView: /account
	PageAdminUsers = "portal_users"   // AdminUsersView: /admin/users
	PageComponents = "components"     // no Data: /ui
	// Every service.
	PageError = "error" // ErrorView: a problem document as a page
	PageDocs  = "docs"  // DocsView: /docs
	// Email.
	PageInbox   = "email_inbox"   // InboxView: / and /inbox
	PageMessage = "email_message" // MessageView: /messages/{id}
	PageFolders = "email_folders" // FoldersView: /folders
	PageCompose = "email_compose" // ComposeView: /compose
	// Chat and desk.
	PageChatHome = "chat_home"    // ChatHomeView: /
	PageRooms    = "chat_rooms"   // RoomsView: /rooms
	PageRoom     = "chat_room"    // RoomView: /rooms/{id}
	PageTickets  = "desk_tickets" // TicketsView: /inbox
	PageTicket   = "desk_ticket"  // TicketView: /tickets/{id}
	// Game.
	PageGameHome    = "game_home"         // GameHomeView: /
	PageLeaderboard = "game_leaderboards" // LeaderboardView: /leaderboards
)

// The names that Set.Fragment takes. A live page asks for its own address again and takes the fragment's element out
// of the answer, so a service may always answer with the whole page; answering a request that has the header
// `HX-Request: true` with the fragment alone only saves bytes. Data is the same as the page's.
const (
	FragHelm        = "frag_helm"        // HelmView
	FragInbox       = "frag_inbox"       // InboxView
	FragMessage     = "frag_message"     // MessageView: the action bar (star, read, labels)
	FragRooms       = "frag_rooms"       // RoomsView: the list of rooms
	FragTickets     = "frag_tickets"     // TicketsView
	FragTicket      = "frag_ticket"      // TicketView
	FragGame        = "frag_game"        // GameHomeView
	FragLeaderboard = "frag_leaderboard" // LeaderboardView
)

// Tab is one choice of a filter or a set of tabs.
type Tab struct {
	Label   string
	Href    string // as Link.Href
	Current bool
	Count   int // shown when above 0
}

// Option is one choice of a <select>.
type Option struct {
	Value, Label string
	Selected     bool
}

// Pager leads to the neighbouring pages of a list; an empty Href is a page that does not exist.
type Pager struct {
	Prev, Next string // as Link.Href; Prev is towards the start of the list
	From, To   int    // positions shown, from 1; 0 is unknown
	Total      int    // 0 is unknown
}

// Count is one number with a label.
type Count struct {
	Label string
	Value int64
	Hint  string    // one short line beneath; "" is none
	Href  string    // as Link.Href; "" is none
	Trend []float64 // drawn as a sparkline, oldest first; fewer than two values draw nothing
}

// TickerLine is one event of the ticker, newest first in every list.
type TickerLine struct {
	At   time.Time
	Type string // the event's type: "mail.received"
	Text string // one line for a person
	Href string // as Link.Href; "" is none
}

// FieldErrors are the wrong fields of a form by their name, each with what to do about it, for example
// {"password": "must have at least 10 characters"}. The key "" is about the form as a whole.
type FieldErrors map[string]string

// ErrorView is a problem document (RFC 9457) as a page.
type ErrorView struct {
	Status     int    // 404
	Title      string // "Not found"
	Detail     string // what to do next
	Fields     []FieldError
	RequestID  string        // "" is not shown
	RetryAfter time.Duration // 0 is not shown
	Back       Link          // where to go instead; the zero value is the service's home
}

// FieldError is one wrong field of an ErrorView.
type FieldError struct{ Field, Detail string }

// DocsView is an API reference.
type DocsView struct {
	Name        string // "UniQVerse Mail"
	Version     string
	Description string // plain text, paragraphs parted by an empty line
	BaseURL     string // "http://127.0.0.1:8004", for reading only
	SpecURL     string // as Link.Href, "/openapi.json"
	Groups      []DocGroup
}

// DocGroup is the endpoints of one noun.
type DocGroup struct {
	Name, Description string
	Endpoints         []Endpoint
}

// Endpoint is one method of one path.
type Endpoint struct {
	Method, Path         string // "POST", "/rooms/{id}/messages"
	Summary, Description string
	Scope                string // "chat.write"; "" needs none
	Params               []Param
	Responses            []Response
	Example              string // a shell command; "" is none
}

// Param is one parameter of an endpoint.
type Param struct {
	Name, In, Type string // "limit", "query", "integer"
	Required       bool
	Description    string
}

// Response is one answer of an endpoint.
type Response struct {
	Status      string // "200", "4XX", "default"
	Description string
	Example     string // JSON; "" is none
}

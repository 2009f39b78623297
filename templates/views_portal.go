package templates

import "time"

// Health is the state of a service as Helm shows it.
type Health string

// The states. The zero value is HealthUnknown: not asked yet.
const (
	HealthUnknown Health = ""
	HealthGreen   Health = "green" // answers
	HealthAmber   Health = "amber" // answers, but slowly or with a part failing
	HealthRed     Health = "red"   // does not answer
)

// HelmView is the start page of the portal.
type HelmView struct {
	Domain    string // the mail domain
	Services  []ServiceTile
	Counts    []Count
	Ticker    []TickerLine // newest first, about 20
	Tour      []TourStep   // the five-minute tour
	CanSignUp bool         // shows "create an account" to who is signed out
	// EventsURL is an SSE stream of the events of section 5, as Link.Href. Each one becomes a ticker line at once, and
	// service.up, service.down and a few counted types refresh the tiles. "" is a page that is not live.
	EventsURL string
}

// ServiceTile is one service of the directory.
type ServiceTile struct {
	Name        string // "email"
	Title       string // "Mail"
	Category    string // "communication"
	Description string
	Health      Health
	Detail      string // why it is not green; "" is none
	Where       string // "in this process" or its base URL
	Href        string // where its pages are, as Link.Href
	Latency     time.Duration
	Latencies   []float64 // milliseconds, oldest first, for the sparkline
	LastSeen    time.Time // last time it answered; zero is never
	Links       []Link    // its pages
}

// TourStep is one step of the five-minute tour.
type TourStep struct {
	Title, Text, Command string
	Link                 Link // zero is none
}

// LoginView is the sign-in form: POST /login {user, password, next}. user is an address or its local part.
type LoginView struct {
	User      string // typed before
	Next      string // path to go to afterwards; the service checks that it is local
	Domain    string
	CanSignUp bool
	DemoURL   string // as Link.Href: opens the product as demo; "" when demo identity is off
	Errors    FieldErrors
}

// SignupView is the sign-up form: POST /signup {user, name, password, next}. user is the local part of the address.
type SignupView struct {
	User, Name string // typed before
	Next       string
	Domain     string
	MinLength  int // of a password, in characters
	Errors     FieldErrors
}

// SetupView makes the first admin: POST /setup {token, user, name, password}.
type SetupView struct {
	Token      string // from the one-time link
	Gone       bool   // the link was used or never existed: no form, only the way on
	User, Name string // typed before
	Domain     string
	MinLength  int
	Errors     FieldErrors
}

// AccountView is the user's own page. Its forms, each answered with a redirect back:
//
//	POST /account/profile {name}
//	POST /account/password {current, password}
//	POST /account/app-passwords {label}
//	POST /account/app-passwords/{id}/revoke
//	POST /account/sessions/{id}/revoke
//	POST /account/sessions/revoke-others
//
// A new app password is answered with the page itself (200) and NewPassword set, since it is shown once.
type AccountView struct {
	UserID       int64
	Email, Name  string
	Roles        []string
	Created      time.Time
	MinLength    int // of a password
	AppPasswords []AppPassword
	NewPassword  *NewAppPassword
	Sessions     []Session
	Submission   string // "127.0.0.1:2587", where the app passwords work; "" hides the hint
	Errors       FieldErrors
}

// AppPassword is a password for mail programs, without its secret.
type AppPassword struct {
	ID       string
	Label    string
	Created  time.Time
	LastUsed time.Time // zero is never
}

// NewAppPassword is the one time that a new app password can be read.
type NewAppPassword struct{ Label, Password string }

// Session is one browser that is signed in.
type Session struct {
	ID       string
	Device   string // "Firefox on Linux"
	Address  string // of the peer
	Created  time.Time
	LastSeen time.Time
	Current  bool // the one that looks at the page
}

// AdminUsersView is the list of users, for admins. Its forms:
//
//	GET  /admin/users?q=
//	POST /admin/users/{id}/roles {roles…}       every ticked role; none ticked removes all
//	POST /admin/users/{id}/disable | …/enable
type AdminUsersView struct {
	Query string
	Users []AdminUser
	Roles []string // all roles there are
	Pager Pager
}

// AdminUser is one user as an admin sees them.
type AdminUser struct {
	ID          int64
	Email, Name string
	Roles       []string
	Created     time.Time
	LastSeen    time.Time // zero is never
	Disabled    bool
	You         bool // the admin themselves: cannot be disabled here
}

// Has reports whether the user has the role.
func (u AdminUser) Has(role string) bool {
	for _, r := range u.Roles {
		if r == role {
			return true
		}
	}
	return false
}

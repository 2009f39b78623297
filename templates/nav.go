package templates

import (
	"net/url"
	"slices"
	"strings"
)

// Link is an address with a label. An Href that starts with "/" is a path of the same service and gets the
// page's Prefix; any other is taken as it is.
type Link struct {
	Label   string
	Href    string
	Icon    string // name of an icon, see icons.go; "" is none
	Current bool
	Key     string // one letter: "g" and then this letter opens it; "" is none
}

// SwitcherItem is one service in the bar at the top.
type SwitcherItem struct {
	Service, Label, Href, Icon, Key string
	Current                         bool
}

// Switcher returns the services, in the order of the bar, as addresses under the portal; nil when no portal is known.
func (p Page) Switcher() []SwitcherItem {
	if p.Standalone {
		return nil
	}
	items := []SwitcherItem{
		{Service: Portal, Label: "Helm", Href: "/helm", Icon: "helm", Key: "h"},
		{Service: Game, Label: "Game", Href: "/proxy/game/", Icon: "game", Key: "p"},
		{Service: Email, Label: "Mail", Href: "/proxy/email/inbox", Icon: "mail", Key: "m"},
		{Service: Chat, Label: "Chat", Href: "/proxy/chat/rooms", Icon: "chat", Key: "c"},
		{Service: Desk, Label: "Desk", Href: "/proxy/chat/inbox", Icon: "desk", Key: "d"},
	}
	for i := range items {
		items[i].Href = p.PortalBase + items[i].Href
		items[i].Current = items[i].Service == p.Service
	}
	return items
}

// Links returns Nav, or the service's standard pages when Nav is nil, with Current set by Path.
func (p Page) Links() []Link {
	nav := p.Nav
	if nav == nil {
		nav = DefaultNav(p.Service, p.User)
	}
	here, _, _ := strings.Cut(p.Path, "?")
	out := make([]Link, len(nav))
	copy(out, nav)
	for i := range out {
		if here != "" && (out[i].Href == here || here == "/" && out[i].Href == home(p.Service)) {
			out[i].Current = true
		}
	}
	return out
}

// home returns the page that a service shows at "/", too; "" when that is a page of its own.
func home(service string) string {
	switch service {
	case Portal:
		return "/helm"
	case Email:
		return "/inbox"
	}
	return ""
}

// DefaultNav returns the standard pages of a service for a user.
func DefaultNav(service string, user User) []Link {
	switch service {
	case Game:
		return []Link{
			{Label: "Overview", Href: "/", Icon: "game", Key: "o"},
			{Label: "Leaderboards", Href: "/leaderboards", Icon: "trophy", Key: "l"},
			{Label: "API", Href: "/docs", Icon: "book", Key: "a"},
		}
	case Email:
		nav := []Link{{Label: "Inbox", Href: "/inbox", Icon: "inbox", Key: "i"}}
		if user.Admin {
			nav = append(nav, Link{Label: "Queue", Href: "/queue", Icon: "send", Key: "q"}, Link{Label: "DNS", Href: "/dns", Icon: "shield", Key: "d"})
		}
		if user.Admin || user.Demo {
			nav = append(nav, Link{Label: "Chaos", Href: "/chaos", Icon: "bolt", Key: "x"})
		}
		return append(nav, Link{Label: "API", Href: "/docs", Icon: "book", Key: "a"})
	case Chat, Desk:
		return []Link{
			{Label: "Rooms", Href: "/rooms", Icon: "chat", Key: "r"},
			{Label: "Search", Href: "/search", Icon: "search", Key: "f"},
			{Label: "Tickets", Href: "/inbox", Icon: "desk", Key: "t"},
			{Label: "API", Href: "/docs", Icon: "book", Key: "a"},
		}
	}
	nav := []Link{{Label: "Services", Href: "/helm", Icon: "helm", Key: "s"}}
	if user.Admin {
		nav = append(nav, Link{Label: "Users", Href: "/admin/users", Icon: "users", Key: "u"})
	}
	return append(nav,
		Link{Label: "Design", Href: "/ui", Icon: "palette", Key: "y"},
		Link{Label: "API", Href: "/docs", Icon: "book", Key: "a"})
}

// SignInURL returns the portal's sign-in page, with the way back to this one. A token in the address stays behind:
// the way back is for the session that the sign-in makes.
func (p Page) SignInURL() string {
	to := p.ToPortal("/login")
	path, query, _ := strings.Cut(p.Path, "?")
	if path == "" || path == "/login" || p.PortalBase != "" {
		return to // a next on another origin would be refused, and rightly
	}
	if q, err := url.ParseQuery(query); err != nil {
		query = ""
	} else if q.Has("access_token") {
		q.Del("access_token")
		query = q.Encode()
	}
	next := p.Prefix + path
	if query != "" {
		next += "?" + query
	}
	return to + "?next=" + url.QueryEscape(next)
}

// Self returns Path when it is one of the page's own paths, else the first of them: a refused form is shown at the path
// it was posted to, which answers no GET with this page.
func (p Page) Self(own ...string) string {
	path, _, _ := strings.Cut(p.Path, "?")
	if slices.Contains(own, path) {
		return p.Path
	}
	return own[0]
}

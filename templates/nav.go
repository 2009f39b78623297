package templates

import (
	"net/url"
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
		nav = DefaultNav(p.Service, p.User.Admin)
	}
	here, _, _ := strings.Cut(p.Path, "?")
	out := make([]Link, len(nav))
	copy(out, nav)
	for i := range out {
		if here != "" && out[i].Href == here {
			out[i].Current = true
		}
	}
	return out
}

// DefaultNav returns the standard pages of a service.
func DefaultNav(service string, admin bool) []Link {
	switch service {
	case Game:
		return []Link{
			{Label: "Overview", Href: "/", Icon: "game", Key: "o"},
			{Label: "Leaderboards", Href: "/leaderboards", Icon: "trophy", Key: "l"},
			{Label: "API", Href: "/docs", Icon: "book", Key: "a"},
		}
	case Email:
		return []Link{
			{Label: "Inbox", Href: "/inbox", Icon: "inbox", Key: "i"},
			{Label: "API", Href: "/docs", Icon: "book", Key: "a"},
		}
	case Chat, Desk:
		return []Link{
			{Label: "Rooms", Href: "/rooms", Icon: "chat", Key: "r"},
			{Label: "Tickets", Href: "/inbox", Icon: "desk", Key: "t"},
			{Label: "API", Href: "/docs", Icon: "book", Key: "a"},
		}
	}
	nav := []Link{{Label: "Services", Href: "/helm", Icon: "helm", Key: "s"}}
	if admin {
		nav = append(nav, Link{Label: "Users", Href: "/admin/users", Icon: "users", Key: "u"})
	}
	return append(nav,
		Link{Label: "Design", Href: "/ui", Icon: "palette", Key: "y"},
		Link{Label: "API", Href: "/docs", Icon: "book", Key: "a"})
}

// SignInURL returns the portal's sign-in page, with the way back to this one.
func (p Page) SignInURL() string {
	to := p.ToPortal("/login")
	if p.Path == "" || p.Path == "/login" || p.PortalBase != "" {
		return to // a next on another origin would be refused, and rightly
	}
	return to + "?next=" + url.QueryEscape(p.Prefix+p.Path)
}

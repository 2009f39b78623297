package portal

import (
	"errors"
	"strings"

	"uniqverse/hub"
	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/templates"
)

// ServiceStatus is one service as /api/services lists it.
type ServiceStatus struct {
	Name        string   `json:"name"`
	Title       string   `json:"title"`
	Category    string   `json:"category"`
	Description string   `json:"description"`
	Status      string   `json:"status"` // green, amber, red, or unknown before it was asked
	Detail      string   `json:"detail,omitempty"`
	LatencyMS   float64  `json:"latency_ms"`
	LastSeen    api.Time `json:"last_seen"`
	Href        string   `json:"href"`
}

type serviceList struct {
	Services []ServiceStatus `json:"services"`
}

func (s *Service) services(c *web.Call, _ web.None) (serviceList, error) {
	out := serviceList{Services: []ServiceStatus{}}
	for _, t := range s.tiles(c) {
		health := string(t.Health)
		if health == "" {
			health = "unknown"
		}
		st := ServiceStatus{Name: t.Name, Title: t.Title, Category: t.Category, Description: t.Description, Status: health, Detail: t.Detail,
			LatencyMS: float64(t.Latency.Microseconds()) / 1000, Href: t.Href}
		if !t.LastSeen.IsZero() {
			st.LastSeen = api.Time(t.LastSeen.UnixMilli())
		}
		out.Services = append(out.Services, st)
	}
	return out, nil
}

func (s *Service) tiles(c *web.Call) []templates.ServiceTile {
	var tiles []templates.ServiceTile
	for _, e := range s.entries {
		st := s.health.of(e.Name)
		t := templates.ServiceTile{Name: e.Name, Title: e.Title, Category: e.Category, Description: e.Description, Health: st.Health, Detail: st.Detail,
			Latency: st.Latency, Latencies: st.Latencies, LastSeen: st.LastSeen}
		switch {
		case e.Href != "":
			t.Href, t.Where = e.Href, e.Href
		case !s.opts.Registry.Known(e.Name):
			t.Detail, t.Where = "Not part of this process; name its address in VEZE_SERVICE_"+strings.ToUpper(e.Name), "nowhere"
		default:
			t.Href, t.Where = c.Link(e.Name, "/"), "in this process"
			if far := s.opts.Registry.BaseURL(e.Name); far != "" {
				t.Where = far
			}
			for _, l := range e.Links {
				t.Links = append(t.Links, templates.Link{Label: l.Label, Href: c.Link(e.Name, l.Href)})
			}
		}
		tiles = append(tiles, t)
	}
	return tiles
}

func (s *Service) helm(c *web.Call, _ web.None) (web.Page, error) {
	v := templates.HelmView{Domain: s.opts.Domain, Services: s.tiles(c), CanSignUp: s.opts.CanSignUp, EventsURL: "/events", Tour: s.tour(c),
		Ticker: s.ticker.visible(c.Caller, func(m hub.Message) templates.TickerLine { return s.line(c, m) })}
	if c.Caller.Known() {
		v.Counts = []templates.Count{
			{Label: "Mails received", Value: s.ticker.count(event.MailReceived), Hint: "since the start"},
			{Label: "Chat lines", Value: s.ticker.count(event.ChatMessageCreated), Hint: "since the start"},
			{Label: "Tickets opened", Value: s.ticker.count(event.TicketCreated), Hint: "since the start"},
			{Label: "Matches found", Value: s.ticker.count(event.GameMatchFound), Hint: "since the start"},
		}
	}
	return web.Page{Template: templates.PageHelm, Title: "Helm", Data: v}, nil
}

// tour is the five minutes of the README, with the addresses of this installation. Its commands
// carry no credentials, so it is for who looks around as demo.
func (s *Service) tour(c *web.Call) []templates.TourStep {
	if !c.Caller.Demo {
		return nil
	}
	here := "http://" + c.Request.Host
	steps := []templates.TourStep{{Title: "Make a mailbox", Text: "Provisioning may be repeated: there is still one box.",
		Command: "curl -X POST " + here + "/provision/pilot"}}
	if s.opts.SMTP != "" {
		steps = append(steps, templates.TourStep{Title: "Send it a mail", Text: "Over real SMTP, with any mail program.",
			Command: "swaks --server " + s.opts.SMTP + " --to pilot@" + s.opts.Domain + " --h-Subject 'First light'",
			Link:    templates.Link{Label: "Open the inbox", Href: c.Link("email", "/inbox?user=pilot@"+s.opts.Domain)}})
	}
	return append(steps,
		templates.TourStep{Title: "Read it through the game", Text: "The game asks mail on the player's behalf.",
			Command: "curl '" + here + "/proxy/game/email/mail?user=pilot@" + s.opts.Domain + "&access_token=demo'"},
		templates.TourStep{Title: "Talk", Text: "Open a room in two browsers and write.",
			Command: "curl -X POST '" + here + "/proxy/chat/rooms?name=Hangar&kind=global'", Link: templates.Link{Label: "Open the rooms", Href: c.Link("chat", "/rooms")}},
		templates.TourStep{Title: "Ask for help", Text: "A ticket goes to the desk.",
			Command: "curl -X POST '" + here + "/proxy/chat/tickets?subject=Lost+cargo&created_by=1'", Link: templates.Link{Label: "Open the tickets", Href: c.Link("desk", "/inbox")}},
	)
}

func (s *Service) components(*web.Call, web.None) (web.Page, error) {
	return web.Page{Template: templates.PageComponents, Title: "Components"}, nil
}

func asError(err error, into **errs.Error) bool { return errors.As(err, into) }

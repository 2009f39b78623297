package portal

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"uniqverse/hub"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/templates"
)

// keptLines is how many events the page shows before the live ones arrive.
const keptLines = 20

// ticker remembers the last events of every stream that Helm hears, newest last.
type ticker struct {
	mu    sync.Mutex // guards lines and heard
	lines []hub.Message
	heard map[string]int64 // by type, since the process started
}

func newTicker() *ticker { return &ticker{heard: map[string]int64{}} }

var heardStreams = []string{event.StreamChat, event.StreamGame, event.StreamPortal, event.StreamMail}

// listen follows the streams until ctx ends; where it is too slow it goes on with what is new,
// since a ticker is no record.
func (s *Service) listen(ctx context.Context) {
	var all sync.WaitGroup
	for _, name := range heardStreams {
		all.Go(func() {
			for ctx.Err() == nil {
				sub, err := s.opts.Hub.Subscribe(ctx, name, nil)
				if err != nil {
					return
				}
				for err == nil {
					var m hub.Message
					if m, err = sub.Next(ctx); err == nil {
						s.ticker.add(m)
					}
				}
				sub.Close()
				if !errors.Is(err, hub.ErrSlow) {
					return
				}
			}
		})
	}
	all.Wait()
}

func (t *ticker) add(m hub.Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heard[m.Type]++
	if m.Ephemeral || !told(m.Type) {
		return
	}
	t.lines = append(t.lines, m)
	if len(t.lines) > 4*keptLines {
		t.lines = append([]hub.Message(nil), t.lines[2*keptLines:]...)
	}
}

// told reports whether an event is one that people tell each other, and not that somebody read
// a mail, say. static/js/live.js chooses likewise for the events that come while the page is open.
func told(typ string) bool {
	switch group, rest, _ := strings.Cut(typ, "."); group {
	case "mail":
		return rest == "received" || rest == "sent" || rest == "bounced"
	case "chat":
		return typ == event.ChatMessageCreated || typ == event.ChatRoomCreated
	case "ticket", "game", "service", "auth", "trend", "moderation":
		return true
	}
	return false
}

// visible returns the newest lines that the caller may see, newest first.
func (t *ticker) visible(c web.Caller, say func(hub.Message) templates.TickerLine) []templates.TickerLine {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []templates.TickerLine
	for i := len(t.lines) - 1; i >= 0 && len(out) < keptLines; i-- {
		if maySee(c, t.lines[i]) {
			out = append(out, say(t.lines[i]))
		}
	}
	return out
}

// maySee keeps to what the caller could read at the service itself: mail is its owner's,
// chat and game belong to those who may read them, the state of services to everybody.
func maySee(c web.Caller, m hub.Message) bool {
	switch m.Stream {
	case event.StreamPortal:
		return m.Type == event.ServiceUp || m.Type == event.ServiceDown || c.Has("portal.admin") || c.Demo
	case event.StreamGame:
		return c.Known() && c.Has("game.play")
	case event.StreamChat:
		if len(m.Type) > 7 && m.Type[:7] == "ticket." {
			return c.Known() && c.Has("ticket.manage")
		}
		// An event of a room that is not for everybody names whom it is for; it stays with them and with moderators.
		return c.Known() && c.Has("chat.read") && (m.User == "" || m.User == c.User || c.Has("chat.moderate"))
	case event.StreamMail:
		return c.Known() && (m.User == c.User || c.Demo) && c.Has("email.read")
	}
	return false
}

// events streams what happens to Helm. It joins several streams whose ids do not compare, so
// it cannot be resumed: whoever reconnects is told to reload, and sees the newest lines.
func (s *Service) events(c *web.Call, w http.ResponseWriter, in web.Since) error {
	from, err := in.Position(c.Request)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	joined := &joined{ch: make(chan hub.Message, 256), slow: make(chan struct{}), recovered: from == nil}
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	for _, name := range heardStreams {
		sub, err := s.opts.Hub.Subscribe(ctx, name, nil)
		if err != nil {
			return errs.Wrap(errs.Unavailable, err, "events cannot be followed now; try again in a moment")
		}
		all.Go(func() { joined.pump(ctx, sub) })
	}
	return c.ServeEvents(w, joined, from != nil, func(m hub.Message) bool { return maySee(c.Caller, m) })
}

// joined is several subscriptions as one.
type joined struct {
	ch        chan hub.Message
	slow      chan struct{}
	once      sync.Once
	recovered bool
}

func (j *joined) pump(ctx context.Context, sub hub.Subscription) {
	defer sub.Close()
	for {
		m, err := sub.Next(ctx)
		if err != nil {
			if errors.Is(err, hub.ErrSlow) || errors.Is(err, hub.ErrClosed) {
				j.once.Do(func() { close(j.slow) })
			}
			return
		}
		select {
		case j.ch <- m:
		case <-ctx.Done():
			return
		}
	}
}

// Next implements hub.Subscription.
func (j *joined) Next(ctx context.Context) (hub.Message, error) {
	select {
	case m := <-j.ch:
		return m, nil
	case <-j.slow:
		return hub.Message{}, hub.ErrSlow
	case <-ctx.Done():
		return hub.Message{}, ctx.Err()
	}
}

// Recovered implements hub.Subscription: a join of streams never resumes.
func (j *joined) Recovered() bool { return j.recovered }

// Close implements hub.Subscription; the pumps end with their context.
func (j *joined) Close() {}

// line is an event in words, with where to look.
func (s *Service) line(c *web.Call, m hub.Message) templates.TickerLine {
	var p struct {
		Handle, Subject, From, User, Service, Detail, Name, Mode, Text string
		UserID                                                         any    `json:"user_id"`
		TicketID                                                       int64  `json:"ticket_id"`
		FromName                                                       string `json:"from_name"`
		FromAddress                                                    string `json:"from_address"`
	}
	json.Unmarshal(m.Payload, &p) // a field that is not there stays empty
	l := templates.TickerLine{At: m.At, Type: m.Type}
	switch m.Type {
	case event.ServiceUp:
		l.Text = p.Service + " is up"
	case event.ServiceDown:
		l.Text = p.Service + " is down: " + p.Detail
	case event.UserCreated:
		l.Text = p.User + " joined"
	case event.MailReceived:
		l.Text, l.Href = fmt.Sprintf("Mail from %s: %s", cmp.Or(p.FromName, p.FromAddress, p.From, "somebody"), cmp.Or(p.Subject, "(no subject)")), c.Link("email", "/inbox")
	case event.ChatMessageCreated:
		l.Text, l.Href = p.Handle+": "+short(p.Text), c.Link("chat", fmt.Sprintf("/rooms/%d", m.Room))
	case event.ChatRoomCreated:
		l.Text, l.Href = "Room opened: "+p.Name, c.Link("chat", fmt.Sprintf("/rooms/%d", m.Room))
	case event.TicketCreated:
		l.Text, l.Href = "Ticket opened: "+p.Subject, c.Link("desk", fmt.Sprintf("/tickets/%d", p.TicketID))
	case event.TicketAssigned, event.TicketCommented, event.TicketSolved, event.TicketReopened:
		l.Text, l.Href = fmt.Sprintf("Ticket #%d %s", p.TicketID, m.Type[len("ticket."):]), c.Link("desk", fmt.Sprintf("/tickets/%d", p.TicketID))
	case event.GameLeaderboardUpdated:
		l.Text, l.Href = fmt.Sprintf("%v set a new best in %s", p.UserID, p.Mode), c.Link("game", "/leaderboards")
	case event.GameMatchFound:
		l.Text, l.Href = "A match was found", c.Link("game", "/")
	default:
		l.Text = m.Type
	}
	return l
}

// short is the beginning of a text, for a line.
func short(text string) string {
	if r := []rune(text); len(r) > 160 {
		return string(r[:159]) + "…"
	}
	return text
}

// count returns how often events of the types were heard since the process started.
func (t *ticker) count(types ...string) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	var n int64
	for _, typ := range types {
		n += t.heard[typ]
	}
	return n
}

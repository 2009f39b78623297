package webhooks

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"uniqverse/hub"
	"uniqverse/internal/api"
	"uniqverse/internal/event"
	"uniqverse/internal/reach"
	"uniqverse/internal/web"
	"uniqverse/internal/webhook"
	"uniqverse/services/chat/live"
)

const (
	maxOfRoom = 10 // webhooks
	maxOfAll  = 50 // webhooks of all rooms
)

// Webhook is an address that is told of events.
type Webhook struct {
	ID        int64    `json:"id"`
	RoomID    int64    `json:"room_id"` // 0 for all rooms that are not direct
	URL       string   `json:"url"`
	Events    []string `json:"events"`  // the types that it is told of; empty for all
	MadeBy    int64    `json:"made_by"` // user_id; 0 for a service
	CreatedAt api.Time `json:"created_at"`
	Enabled   bool     `json:"enabled"`
	Reason    string   `json:"reason,omitempty"` // why it is not enabled

	Failures     int      `json:"failures"`      // in a row
	FailingSince api.Time `json:"failing_since"` // null while the last delivery succeeded

	Secret    string    `json:"-"`
	Since     int64     `json:"-"` // hears of events with a higher place
	SinceRoom int64     `json:"-"` // hears of rooms with a higher id
	WaitUntil time.Time `json:"-"` // nothing is sent before
}

// hears reports whether the webhook is told of an event.
func (w Webhook) hears(ev Event) bool {
	if ev.Place <= w.Since || w.RoomID != 0 && w.RoomID != ev.Room || w.RoomID == 0 && ev.Direct {
		return false
	}
	return len(w.Events) == 0 || slices.Contains(w.Events, ev.Type)
}

// hearsOf reports whether the webhook is told of a new room.
func (w Webhook) hearsOf(r NewRoom) bool {
	return w.RoomID == 0 && r.ID > w.SinceRoom && r.Kind != "dm" && (len(w.Events) == 0 || slices.Contains(w.Events, event.ChatRoomCreated))
}

// NewRoom is a room that was made.
type NewRoom struct {
	ID        int64
	Name      string
	Kind      string
	CreatedBy int64
	CreatedAt api.Time
}

// Types are the types of events that the webhooks of a room, or (0) of all rooms, are told of.
func Types(room int64) []string {
	all := []string{event.ChatMessageCreated, event.ChatMessageEdited, event.ChatMessageDeleted, event.ChatMessageReacted,
		event.ChatRoomUpdated, event.ChatRoomArchived, event.ModerationActioned}
	if room == 0 { // nobody listens to a room before it is there
		all = append(all, event.ChatRoomCreated)
	}
	return all
}

// Event is an event of the rooms' logs.
type Event struct {
	live.Logged
	Direct bool // of a room of kind dm
}

// Delivery is one event on its way to one webhook.
type Delivery struct {
	ID        int64     `json:"id"`
	Webhook   int64     `json:"webhook_id"`
	MessageID string    `json:"message_id"` // the header webhook-id
	Type      string    `json:"type"`
	RoomID    int64     `json:"room_id"`
	Seq       int64     `json:"seq"`
	State     string    `json:"state"` // waiting, delivered or dropped
	DueAt     api.Time  `json:"due_at"`
	CreatedAt api.Time  `json:"created_at"`
	DoneAt    api.Time  `json:"done_at"` // null while it waits
	Attempts  []Attempt `json:"attempts"`

	Tries int    `json:"-"` // attempts so far
	Body  string `json:"-"`
}

// Attempt is one try to deliver.
type Attempt = webhook.Attempt

// Store is what webhooks ask of the store. Rows that do not exist are errs.NotFound.
type Store interface {
	web.Transactor[Tx]
	Webhook(ctx context.Context, id int64) (Webhook, error)
	// Webhooks returns the webhooks of a room (0 for those of all), the newest first.
	Webhooks(ctx context.Context, room int64, page web.Paging, limit int) ([]Webhook, error)
	// Enabled returns all webhooks that are enabled.
	Enabled(ctx context.Context) ([]Webhook, error)
	// Behind returns events of the logs that were not turned into deliveries yet, in the order of commits, up to the first whose id is not known.
	Behind(ctx context.Context, limit int) ([]Event, error)
	// NewRooms returns rooms that were not turned into deliveries yet, in the order in which they were made.
	NewRooms(ctx context.Context, limit int) ([]NewRoom, error)
	// Waits returns how many deliveries of a webhook wait.
	Waits(ctx context.Context, webhook int64) (int, error)
	// Due returns the first waiting deliveries of a webhook whose time has come.
	Due(ctx context.Context, webhook int64, now time.Time, limit int) ([]Delivery, error)
	// Deliveries returns a webhook's deliveries with their attempts, the newest first.
	Deliveries(ctx context.Context, webhook int64, page web.Paging, limit int) ([]Delivery, error)
}

// Tx changes webhooks inside one transaction.
type Tx interface {
	Now() time.Time
	CountWebhooks(room int64) (int, error)
	Webhook(id int64) (Webhook, error)
	// AddWebhook stores a webhook, which hears what is committed from now on, and returns its id.
	AddWebhook(w Webhook) (int64, error)
	// SaveWebhook stores a webhook; one that is enabled anew hears what is committed from now on.
	SaveWebhook(w Webhook, anew bool) error
	DropWebhook(id int64) error
	// Queue stores deliveries and notes that the logs were turned into them up to a place.
	Queue(all []Delivery, place int64) error
	// QueueRooms stores deliveries and notes that the rooms were turned into them up to an id.
	QueueRooms(all []Delivery, room int64) error
	// Attempted stores an attempt and what came of it.
	Attempted(d Delivery, a Attempt) error
	// Delivery returns a delivery of a webhook.
	Delivery(webhook, id int64) (Delivery, error)
	// Again makes a delivery wait, due at once.
	Again(d Delivery) error
	// Forget removes deliveries that were done before the time, at most limit, and returns how many.
	Forget(before time.Time, limit int) (int, error)
}

// Rooms is what webhooks ask of chat.
type Rooms interface {
	// Keeper is nil for who keeps order in the room.
	Keeper(ctx context.Context, c web.Caller, room int64) error
	// RoomName is what a room is called.
	RoomName(ctx context.Context, room int64) (string, error)
	// Announce says a line in a room that is from the server itself.
	Announce(ctx context.Context, room int64, line string) error
}

// Options make a Service. Store, Rooms and Hub are required.
type Options struct {
	Store   Store
	Rooms   Rooms
	Hub     hub.Hub
	Targets reach.Targets
	Log     *slog.Logger
	Now     func() time.Time
}

// Service is the outgoing webhooks. Make one with New.
type Service struct {
	opts   Options
	sender *webhook.Sender
}

// New returns a service whose deliveries wait for Run.
func New(opts Options) *Service {
	s := &Service{opts: opts}
	s.sender = webhook.New(webhook.Options{Source: source{s}, Hub: opts.Hub, Stream: event.StreamChat, Targets: opts.Targets, Log: opts.Log, Now: opts.Now})
	return s
}

// Run turns the rooms' logs into deliveries and sends them, until ctx ends.
func (s *Service) Run(ctx context.Context) error { return s.sender.Run(ctx) }

// Endpoints are the routes of webhooks.
func (s *Service) Endpoints() []web.Endpoint {
	read, write := web.Needs("chat.read"), web.Needs("chat.write")
	write.Describe = "of a room: its owner and moderators; of all rooms: the scope chat.moderate"
	read.Describe = write.Describe
	one := "/webhooks/{wid}"
	return []web.Endpoint{
		web.View("/webhooks", read, "The webhooks of a room, or of all rooms, and a form to add one", s.page),
		web.Query(http.MethodPost, "/webhooks", write, "Have an address told of a room's events, or of all rooms'; its secret is shown this once", s.make).Retry(s.refused),
		web.Query(http.MethodGet, "/webhooks", read, "The webhooks of a room, or of all rooms, newest first", s.list),
		web.Query(http.MethodGet, one, read, "One webhook", s.one),
		web.Query(http.MethodPatch, one, write, "Change a webhook, or switch it on and off", s.change),
		web.Query(http.MethodDelete, one, write, "Remove a webhook with what waits for it", s.drop),
		web.Query(http.MethodPost, one+"/change", write, "As PATCH, for forms", s.change).Redirect(toWebhooks),
		web.Query(http.MethodPost, one+"/delete", write, "As DELETE, for forms", s.drop).Redirect(toWebhooks),
		web.View(one+"/deliveries", read, "What was sent to a webhook and how it was answered", s.deliveriesPage),
		web.Query(http.MethodGet, one+"/deliveries", read, "What was sent to a webhook and how it was answered, newest first; kept for a week", s.deliveries),
		web.Query(http.MethodPost, one+"/deliveries/{did}/replay", write, "Send a delivery again", s.replay).Redirect(toDeliveries),
	}
}

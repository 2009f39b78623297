package chat

import (
	"net/http"

	"uniqverse/internal/web"
)

// Endpoints are chat's routes.
func (s *Service) Endpoints() []web.Endpoint {
	read, write := web.Needs("chat.read"), web.Needs("chat.write")
	write.Describe = "a user sends as themselves; the scope chat.moderate may name others"
	return []web.Endpoint{
		web.View("/", read, "Rooms lately used, and open tickets", s.home),
		web.View("/rooms", read, "All rooms, and a form to open one", s.roomsPage),
		web.Query(http.MethodGet, "/rooms", read, "Rooms in the order of their ids; Link leads on", s.rooms),
		web.Command(http.MethodPost, "/rooms", write, "Open a room; a name that is taken is 409 and Location leads to its room", s.store, s.createRoom).
			Redirect(s.toRoom).Retry(s.roomRefused),
		web.View("/rooms/{id}", read, "One room, live", s.roomPage),
		web.Query(http.MethodGet, "/rooms/{id}", read, "One room, with the seq and epoch to listen from", s.room),
		web.Query(http.MethodGet, "/rooms/{id}/messages", read, "Lines, newest first; Link leads on", s.messages),
		web.Query(http.MethodPost, "/rooms/{id}/messages", write, "Say a line; a repeat with the same Idempotency-Key is answered as the first, for good", s.send).
			Redirect(s.toSameRoom).Retry(s.lineRefused),
		web.Stream(http.MethodGet, "/rooms/{id}/events", read, "The room's events as an event stream, for clients without WebSockets", s.roomEvents),
		web.Stream(http.MethodGet, "/ws/rooms/{id}", read, "The room's events over a WebSocket; after=<seq> replays what came after", s.socket),
		web.Stream(http.MethodGet, "/events", read, "Events of all rooms, and of the tickets that the caller may see", s.events),
	}
}

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
		web.Query(http.MethodGet, "/rooms/{id}/members", read, "Who belongs to the room, in the order of their user_ids", s.members),
		web.Query(http.MethodPost, "/rooms/{id}/members", write, "Make somebody a member, or give a member another role", s.invite),
		web.Query(http.MethodPost, "/rooms/{id}/join", write, "Become a member of a room that is for everybody", s.joinRoom).Redirect(s.toSameRoom),
		web.Query(http.MethodPost, "/rooms/{id}/leave", write, "Be a member no more; an owner's place goes to who is there the longest", s.leaveRoom).Redirect(s.toRooms),
		web.Query(http.MethodPost, "/rooms/{id}/invite", write, "Make somebody a member", s.invite).Redirect(s.toSameRoom),
		web.Query(http.MethodPost, "/dm", write, "The direct room with somebody of the domain, made when there is none", s.direct).
			Redirect(s.toRoom).Retry(s.roomRefused),
		web.Query(http.MethodGet, "/rooms/{id}/messages", read, "Lines, newest first; Link leads on", s.messages),
		web.Query(http.MethodPost, "/rooms/{id}/messages", write, "Say a line; a repeat with the same Idempotency-Key is answered as the first, for good", s.send).
			Redirect(s.toSameRoom).Retry(s.lineRefused),
		web.Query(http.MethodGet, "/rooms/{id}/messages/{mid}", read, "One line", s.message),
		web.Query(http.MethodPatch, "/rooms/{id}/messages/{mid}", write, "Change one's own line", s.edit),
		web.Query(http.MethodPost, "/rooms/{id}/messages/{mid}/edit", write, "As PATCH, for forms", s.edit).Redirect(s.toSameRoom),
		web.Command(http.MethodDelete, "/rooms/{id}/messages/{mid}", write, "Take a line away: one's own, or as a moderator", s.store, s.deleteMessage),
		web.Command(http.MethodPost, "/rooms/{id}/messages/{mid}/delete", write, "As DELETE, for forms", s.store, s.deleteMessage).Redirect(s.toSameRoom),
		web.Query(http.MethodGet, "/rooms/{id}/messages/{mid}/history", read, "Every text that a line had, the oldest first", s.history),
		web.Query(http.MethodPut, "/rooms/{id}/messages/{mid}/reactions/{emoji}", write, "React to a line", s.putReaction),
		web.Query(http.MethodDelete, "/rooms/{id}/messages/{mid}/reactions/{emoji}", write, "Take a reaction back", s.dropReaction),
		web.Query(http.MethodPost, "/rooms/{id}/messages/{mid}/react", write, "React to a line, or take it back, for forms", s.reactForm).Redirect(s.toSameRoom),
		web.Query(http.MethodPost, "/rooms/{id}/messages/{mid}/report", write, "Tell the room's moderators of a line", s.report).Redirect(s.toSameRoom),
		web.Query(http.MethodPost, "/rooms/{id}/read", read, "Say how far one has read", s.markRead),
		web.Command(http.MethodPost, "/rooms/{id}/notify", read, "Say of what in a room one wants to hear: all, mentions or none", s.store, s.notify).Redirect(s.toSameRoom),
		web.Query(http.MethodGet, "/unread", read, "What one has not read, in the rooms that one is in or has read", s.unread),
		web.Query(http.MethodPost, "/rooms/{id}/typing", write, "Tell the room that one writes; passed on every three seconds at most", s.typing),
		web.Query(http.MethodPost, "/presence", write, "Say that one is away, or back: in all rooms where one has a socket", s.sockets.SetState),
		web.Query(http.MethodGet, "/rooms/{id}/presence", read, "Who is in the room now: a socket open, or ten seconds ago", s.presence),
		web.Stream(http.MethodGet, "/rooms/{id}/events", read, "The room's events as an event stream, for clients without WebSockets", s.sockets.RoomEvents),
		web.Stream(http.MethodGet, "/ws/rooms/{id}", read, "The room's events over a WebSocket; after=<seq> replays what came after", s.sockets.Plain),
		web.Stream(http.MethodGet, "/ws", web.Anyone(), "Many rooms over one WebSocket, in the sub-protocol veze.v1; its first message says who calls", s.veze.Serve),
		web.Stream(http.MethodGet, "/connection/websocket", web.Anyone(), "Rooms in the JSON protocol of Centrifugo's clients, as channels room:<id>", s.clients.Serve),
		web.Query(http.MethodPost, "/ws/token", read, "A token that opens one connection within a minute, for browsers that cannot send headers", s.sockets.Ticket),
		web.Stream(http.MethodGet, "/events", read, "Events of all rooms, and of the tickets that the caller may see", s.sockets.Events),
	}
}

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
		web.Command(http.MethodPatch, "/rooms/{id}", write, "Topic, slow mode and archiving, by the room's owner and moderators", s.store, s.patchRoom),
		web.Query(http.MethodGet, "/rooms/{id}/members", read, "Who belongs to the room, in the order of their user_ids", s.members),
		web.Query(http.MethodPost, "/rooms/{id}/members", write, "Make somebody a member, or give a member another role", s.invite),
		web.Query(http.MethodDelete, "/rooms/{id}/members/{user}", write, "Take a member out; oneself leaves", s.dismissMember),
		web.Query(http.MethodPost, "/rooms/{id}/join", write, "Become a member of a room that is for everybody", s.joinRoom).Redirect(s.toSameRoom),
		web.Query(http.MethodPost, "/rooms/{id}/leave", write, "Be a member no more; an owner's place goes to who is there the longest", s.leaveRoom).Redirect(s.toRooms),
		web.Query(http.MethodPost, "/rooms/{id}/invite", write, "Make somebody a member", s.invite).Redirect(s.toSameRoom),
		web.Query(http.MethodPost, "/rooms/{id}/kick", write, "Take somebody out; their sockets close with 3503", s.act(actKick)).Redirect(s.toSameRoom),
		web.Query(http.MethodPost, "/rooms/{id}/ban", write, "Take somebody out and keep them out", s.actUntil(actBan)).Redirect(s.toSameRoom),
		web.Query(http.MethodPost, "/rooms/{id}/unban", write, "Lift a ban", s.act(actUnban)).Redirect(s.toSameRoom),
		web.Query(http.MethodPost, "/rooms/{id}/mute", write, "Let somebody read, but not write", s.actUntil(actMute)).Redirect(s.toSameRoom),
		web.Query(http.MethodPost, "/rooms/{id}/unmute", write, "Lift a mute", s.act(actUnmute)).Redirect(s.toSameRoom),
		web.Query(http.MethodGet, "/rooms/{id}/actions", read, "What moderators did in the room, newest first; for them alone", s.actions),
		web.Query(http.MethodPost, "/dm", write, "The direct room with somebody of the domain, made when there is none", s.direct).Redirect(s.toRoom),
		web.Query(http.MethodGet, "/rooms/{id}/messages", read, "Lines, newest first; Link leads on", s.messages),
		web.Query(http.MethodPost, "/rooms/{id}/messages", write, "Say a line; a repeat with the same Idempotency-Key is answered as the first, for good", s.send).
			Redirect(s.toSameRoom).Retry(s.lineRefused),
		web.Stream(http.MethodGet, "/rooms/{id}/events", read, "The room's events as an event stream, for clients without WebSockets", s.roomEvents),
		web.Stream(http.MethodGet, "/ws/rooms/{id}", read, "The room's events over a WebSocket; after=<seq> replays what came after", s.socket),
		web.Stream(http.MethodGet, "/events", read, "Events of all rooms, and of the tickets that the caller may see", s.events),
	}
}

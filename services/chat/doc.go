// Package chat is the rooms in which people talk: they are listed and opened, lines are posted
// and paged through, and every line reaches every socket of its room.
//
// It is not the support desk (services/desk stands beside it on the same port), decides nothing
// about tokens, and holds no SQL. What a text deserves is asked of a Moderator.
//
// # The room's order
//
// Every line gets the next seq of its room, 1, 2, 3 …, in the transaction that stores it, together
// with its event: the room's log. What was acknowledged is in the log, and the log has no gaps. A
// room's creation comes before its order begins and has no seq.
//
// The hub hears of an event after the commit and gives it an id. The relay (package live) hands the
// event to the room's sockets and writes the id back into the log, so that a replay is, byte for
// byte, what a socket saw that was there. An event whose id was not written back (the process
// was killed just then) is published again at the next start: listeners of the hub get every
// event at least once, sockets of a room exactly once.
//
// # WebSocket /ws/rooms/{id}
//
// Sockets and event streams are package sockets.
//
// One JSON object per text frame, each an event of the room. Without `after` a client gets what
// is committed after it asked; with `after=<seq>` (and `epoch`) it gets everything after that
// line first, from the log, however long ago that was. When the epoch is another one or
// the seq lies beyond the room's newest, the first frame is
//
//	{"type":"recovered","recovered":false,"room_id":17,"epoch":"…","head":442}
//
// and only new events follow: the client must load the room again. The socket is for listening:
// an empty message, "ping" and "{}" keep it alive and are ignored, any other closes it with
// 3501, and lines are sent with POST /rooms/{id}/messages. The other close codes are those of
// package ws; a user may hold 20 sockets.
//
// # Who may what
//
// A global room is for everybody who may read chat. A room of any other kind is for its members,
// for who carries chat.moderate and, if it is a support room, for who carries ticket.manage; for
// anybody else it is not there (errs.NotFound). Who opens a room is its owner. What is decided about a
// member (access.go) is decided inside the transaction that acts on it, and whoever is taken out loses their
// sockets (3503 by a moderator, 3507 by their own leaving) and their event streams as soon as the hub
// has told of it. An event of a room that is not for everybody carries "room <id>" as its User, which is no
// user's name, so that listeners of the hub can tell.
//
// A direct room belongs to two people with addresses in the domain: both addresses are parsed
// and their domains compared whole. Nobody joins or leaves it. Members of a party see
// what was said since they came.
//
// # What happens to a line
//
// An edit, a deletion and a reaction are events of the room like the line itself: each takes the next seq in its own
// transaction. A line that was taken away is shown without its text, which is for moderators, and its texts go from the
// log: a replay tells that there was a line. Presence and
// typing have no seq and no replay; a plain socket hears of typing only.
//
// Before a line is stored it is asked, in this order and inside the transaction: whether the caller may read and
// write here (bans, mutes, archived rooms, the room's permissions), whether they write too fast (their pace in
// memory, a room's slow mode in the store), and what the Moderator said of the text (package moderation). A line that is
// hidden tells others than its author and moderators only that it is there, in every list, event and replay.
//
// # Repeats
//
// A line sent with an Idempotency-Key, or a nonce, is remembered for good, beyond the time for which package
// store keeps answers: the same key and parameters give the first answer however late, other
// parameters are errs.Invalid. Keys of different callers never meet.
//
// A Service is safe for concurrent use. Run must be running for sockets to be served.
package chat

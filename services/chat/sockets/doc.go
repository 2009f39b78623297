// Package sockets is what every way of listening to rooms has in common: who may come in, the place in a
// room, the replay from its log, who is there, and how those must go who may not stay.
//
// A Server owns the WebSocket edge of chat, its relay and its seats. It serves the plain socket of one room
// (/ws/rooms/{id}) and the event streams itself; packages veze and centrifugo speak their protocols over it,
// for many rooms a connection. It holds no rule about rooms: chat says who may enter (Options.Enter).
//
// # A place in a room
//
// Server.Sit takes a seat, asks once more whether the caller may be there (who was taken out between the two
// looks loses the seat), and holds the room live. Place.Play sends what the log has after a seq and lets the
// live events follow from exactly there. Whoever is taken out of a room loses the place as soon as the hub has
// told of it: nothing that comes after that event reaches them.
//
// Everything here is safe for concurrent use.
package sockets

// Package centrifugo is the JSON protocol (version 2) of Centrifugo's clients on /connection/websocket, so that its
// SDKs work unchanged. docs/websockets.md says what of it is served.
//
// A room is the channel room:<id>; a publication is an event of the room, its offset the event's seq, the
// epoch that of the database. A subscription that recovers gets everything after its offset, however long ago that
// was, or recovered: false and nothing old. A publish is a line of the caller's, and rpc serves the operations
// of package veze: both are requests like any other (web.Visitor), so the package holds no rule of rooms.
//
// A Server is safe for concurrent use. Each connection has the goroutine that reads it and, while rooms are
// replayed, one that does that.
package centrifugo

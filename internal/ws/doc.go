// Package ws is the WebSocket edge (RFC 6455): it upgrades requests, reads messages under
// limits, keeps connections alive and fans events out to very many sockets with few writes.
//
// It knows nothing of rooms, tokens or events: services give it bytes. Handshakes and frame
// reading are gorilla/websocket's; every byte that is written goes through this package.
//
// An Edge owns the connections of one service. Its handler returns right after Upgrade and
// Start; an idle connection then costs one parked goroutine and some 5 kB.
//
//	conn, err := edge.Upgrade(w, r, ws.Options{Origin: …})
//	if err != nil { web.Error(w, r, err); return }
//	sub := topic.Attach(conn)              // paused: holds the place in the room
//	conn.Start(onMessage, onClose)
//	… conn.Send(ctx, row) for what the store has after the client's seq …
//	sub.Resume(lastSeqSent)                // live from exactly there
//
// # Fan-out
//
// A Topic is a room's log: one append-only, bounded window of ready-made frames and an
// offset per subscriber, no queue per subscriber. What is promised:
//
//   - Publish copies the payload into one frame and returns. It never waits for a socket.
//   - Every subscriber gets the frames in the order of the window, whole, without gap or
//     repeat, or its connection is closed with a code that says so: SlowConsumer (3008) when
//     the window moved past it, WriteError (3009) when one write made no progress for
//     WriteTimeout.
//   - Frames with a seq are put in the order of their seq, whichever order concurrent
//     publishers arrive in; one that came already is dropped. If a seq stays missing for
//     GapWait, all subscribers are closed with InsufficientState (3010): they resume from the
//     store, which has it.
//   - A quiet topic is written at once. A busy one is written every 20–50 ms, all new frames
//     of a connection in one write of at most 32 kB.
//   - A stuck socket delays the others by at most a few milliseconds, once: a write that does
//     not finish at once continues in a goroutine of its own.
//
// All types are safe for concurrent use.
package ws

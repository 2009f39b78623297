// Package veze is the sub-protocol veze.v1 on /ws: many rooms over one WebSocket, with lines that are
// acknowledged, presence, typing and history. docs/websockets.md shows it with examples.
//
// Every message is a JSON object in a text frame. The client's carry an op and, if they want to know which answer
// belongs to which, a number n; the first is hello. What an op does is what the REST route of the same name does: it
// is served as a request of the caller's (web.Visitor), with the same checks, limits, moderation and
// repeats, so the package holds no rule of rooms. Answers come in the order of the messages.
//
// A room's events come in the order of their seq, each once, from where the client was: first a sync frame
// that says whether everything can be told, then what was missed, then what is new. When it cannot, nothing
// old comes at all. A client that reads too slowly is closed with 3008 and resumes.
//
// A Server is safe for concurrent use. Each connection has the goroutine that reads it and, while rooms are
// replayed, one that does that.
package veze

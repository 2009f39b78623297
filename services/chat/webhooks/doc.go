// Package webhooks tells other programs of what happens in rooms: each event of a room's log is posted to the
// webhooks of the room, and to those of all rooms, signed after Standard Webhooks
// (https://www.standardwebhooks.com, version 1).
//
// # What is promised
//
// A delivery is a row that is written from the log behind a cursor, in one transaction with the cursor: nothing that was
// committed is left out, whenever the process is killed, and nothing is queued twice. It is sent until the
// other side answers 2xx, so a kill between that answer and the row's update sends it again: the header
// webhook-id is the same, by which a receiver knows a repeat. A webhook's deliveries are sent one at a time in the order
// of the events; one that failed comes later, between others, and a receiver that minds orders by seq.
//
// A delivery that fails is repeated with growing pauses, nine times in two days, and then dropped; each
// attempt is kept for a week, and any delivery can be sent again by hand. A webhook to which nothing could be
// delivered for three days, that answers 410, or for which too much waits, is switched off, and its room is told.
//
// # Where it sends
//
// Webhooks are addresses that users choose, so a connection goes to no host but a public one (package reach) unless Options.Targets
// allows: what a name resolves to is checked when it is dialled, redirects are not followed, proxies not
// asked, and nothing of an answer but its status is shown to anybody.
//
// Incoming webhooks are package hooks. A Service is safe for concurrent use.
package webhooks

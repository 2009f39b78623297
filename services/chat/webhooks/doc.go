// Package webhooks tells other programs of what happens in rooms: each event of a room's log is posted to the
// webhooks of the room, and to those of all rooms, signed after Standard Webhooks
// (https://www.standardwebhooks.com, version 1).
//
// # What is promised
//
// A delivery is a row that is written from the log behind a cursor, in one transaction with the cursor: nothing that was
// committed is left out, whenever the process is killed, and nothing is queued twice. A receiver that minds the order
// goes by seq. How deliveries are sent, repeated and given up, and where they may go, is package webhook, which also says what
// is promised; each attempt is kept for a week, any delivery can be sent again by hand, and the room of a webhook that is switched
// off is told.
//
// Incoming webhooks are package hooks. A Service is safe for concurrent use.
package webhooks

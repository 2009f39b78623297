// Package queue is the mail that waits to leave this host: a row for each recipient, what may
// happen to it, when it is tried again, and the report (DSN) when it could not be delivered.
//
// It speaks no SMTP (package courier does), holds no SQL (package store satisfies Store), and
// knows no mailboxes: what a delivery or a failure means to the sender is asked of an Office.
// The states follow RFC 5321 section 4.5.4, the reports RFC 3464 and RFC 6533.
//
// # The life of an entry
//
//	queued   waits for its time (NextAt)
//	held     waits for a person; nothing is sent. Why is in Reason
//	sending  a worker has it until LeaseUntil
//	sent     the next host took it, and it is that host's from now on
//	bounced  refused for good or given up after the last attempt; the sender was told
//	dropped  a person took it out; nobody is told
//
// # Once more, at most
//
// An attempt begins with a claim that is on disk (state sending, one attempt counted) and ends
// with a result that is written only by whoever holds the claim. A crash in between leaves the claim
// to the next Run, which tries the entry again at once (no second process works on the same queue), or else to
// run out: a recipient gets a message at most once more for each crash, and no entry is forgotten.
//
// # Domains
//
// A domain none of whose hosts could be reached is left alone as a whole: 5 minutes, then twice as long each time, an hour
// at most. Then one entry is tried, and the rest follows when a host answers. The same holds for everything that leaves when the
// smarthost cannot be reached. A person can pause a domain, or everything, until it is resumed; all of this is in the store
// and outlives a restart. Mail for our own domain (which waits for its time only) does not stop. An entry is given up after
// MaxAge at the latest.
//
// # What is kept
//
// Each attempt has a row (at most MaxKept of an entry). What is finished is known for RetireAfter, the newest RetireMost
// at most; then the entry goes, and the stored message with it unless a mailbox or another entry refers to it.
//
// # Concurrency
//
// Run has one goroutine that claims and one for each attempt, at most Workers, and at most PerDomain
// for one domain; it waits for all of them. Everything else is safe for concurrent use.
package queue

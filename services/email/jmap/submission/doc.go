// Package submission is the Identity, EmailSubmission and VacationResponse methods of JMAP (RFC 8621 sections 6 to 8): who somebody sends
// as, sending a stored message, and the answer while they are away.
//
// Whether an address may be sent from, and what becomes of a message, is decided by package email; a vacation response is the one of
// package rules. A submission can be taken back as long as nobody has the message and no attempt was made. Where a message stands is read
// from the queue when a submission is asked for; the state of submissions changes only when a client changes one.
//
// Methods is safe for concurrent use.
package submission

// Package rules is what people want done with their mail as it comes: rules (if this, then that), and the answer that
// goes out while they are away.
//
// It delivers nothing, holds no SQL (package store satisfies Store) and knows no mailbox from inside: what a rule asks
// of a message, and what it does to one, goes through an Office. It is no Sieve: a rule has conditions that are all, or
// any, to hold, and actions; there are no variables, no loops and no rules within rules.
//
// # What a rule says
//
// In text, as forms take it, a condition and an action stand on a line each:
//
//	from contains shop.example             move Receipts
//	subject matches *invoice*              label paid
//	header X-Priority is 1                 star
//	not to contains pilot@                 read
//	body regex \bwarp (drive|core)\b       redirect me@example.org
//	size over 1048576                      trash
//	score over 3                           stop
//	auth is dmarc=pass
//	attachment is yes
//
// Rules are asked in their order, on every message that arrives, after the spam filter. The first rule that
// moves a message decides where it goes; labels, star and the rest add up. Junk stays where it is: only rules
// that ask for the score or for junk themselves are asked about it. A regular expression is RE2: its time grows
// with the text and no faster.
//
// # Redirects and answers
//
// A redirected message is sent on as it came, in its own envelope: bounces go to whoever redirects. One that went
// through the same mailbox before, one that a program sent as an answer, junk, and one without a sender are not sent on.
// The answer while away (RFC 3834, with the fields of RFC 8621's VacationResponse) goes to a sender once in
// AnswerEvery, never to a null sender, a list, a program, or mail that was judged junk or failed its checks, and only when
// the message names the mailbox as its recipient. Both leave through the queue, like all mail.
//
// # Concurrency
//
// A Set is safe for concurrent use. Conditions are asked on the goroutine that delivers; Run works through mail that is
// there already, a batch in a transaction, and goes on where it was after a restart.
package rules

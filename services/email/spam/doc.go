// Package spam says of a message, for each mailbox that it goes to, whether it belongs into the inbox or
// among the junk, and why. It learns from what people move there and back.
//
// It is not the SMTP edge (greylisting and block lists of the DNS are asked before a message is taken), holds
// no SQL (package store satisfies Store), moves no message and knows no folders: that is for package email.
//
// # The verdict
//
// Reasons add up to a score. Each has a name, points and a sentence (Catalogue); none is hidden. They come from
//
//	rules        what the checks of the sender found, and oddities of header and structure (rules.go)
//	reputation   what this mailbox, and everybody, did with earlier mail of the same verified sender (source.go)
//	words        Robinson's combination by Fisher's method over the words of the message (bayes.go), counted for
//	             the mailbox and for everybody
//	lists        senders that the mailbox allows or blocks: they decide alone. An allowed sender needs a DMARC
//	             pass, or anybody could borrow the name
//	scanners     rspamd and a milter, when they are set; one that does not answer in time is left out
//
// A score from the mailbox's threshold on is junk. What cannot be asked (a store that is busy, a scanner that is
// down) is left out of the sum: nothing is refused or lost because of it.
//
// # Learning
//
// A message that somebody moves into or out of Junk gets a mark in the same transaction. The Filter works the
// marks off: it counts the message's words and its sender, at most once, however often the message is moved; a
// message that is moved back is taken out of the counts again. Each mark of spam is matched by a message that its
// owner read and kept, as long as fewer of those are counted: nobody marks what is good.
//
// Words of everybody's count only from MinUsers mailboxes on, each word by itself, so that no single person
// teaches the others. Counts are bounded: beyond MaxWords of a mailbox the rarest and oldest go, and beyond
// MaxTrained messages all are halved.
//
// # Concurrency
//
// A Filter is safe for concurrent use. Messages are read and scored on the caller's goroutine, never on the
// store's writer. Run works off marks and writes what was seen of senders; it returns when its context ends.
package spam

// Package sorting says what becomes of a message on its way into mailboxes, and lets people say otherwise: it reads the
// message for the spam filter (package spam) and for people's rules (package rules), keeps what they say with the
// mailbox's row, puts into the queue what rules send on and what those who are away answer, and moves what people call
// junk, or no junk, so that the filter learns from it.
//
// It delivers nothing itself: package email does, and asks. It never fails because of what a message holds, and nothing is
// refused because something could not be asked. A Sorter is safe for concurrent use.
package sorting

// Package message is the Email object of JMAP (RFC 8621 section 4) as far as a message's bytes go: its header in every form, its
// body structure, its text, and the other way round a message made from properties.
//
// It knows no mailbox and no store: keywords, mailboxIds and the like are for package mail. Reading never fails for what a message
// holds; what cannot be decoded is shown as far as it can be and marked with isEncodingProblem. Composing refuses what is
// wrong and names the property.
//
// All functions are pure; a Parsed belongs to one goroutine.
package message

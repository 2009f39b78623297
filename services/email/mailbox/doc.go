// Package mailbox is what a mailbox holds and the rules of it: messages, the folders that they lie in, the threads that
// they form, their labels and keywords, names of mailboxes, and what a store has to do for all that.
//
// It is not the delivery of mail and not its API (package email above it), holds no SQL (store/mailstore satisfies Store), and
// decides nothing about who may see what. Folders and keywords are those of RFC 8621 (JMAP for Mail).
//
// # What changed
//
// Every change to a mailbox takes its next modseq. A message and a folder carry the modseq of their making and of their
// last change; what is gone leaves a note with its own. So whoever knows the state of a mailbox at a modseq can be told what
// is new, changed and gone since, as long as Mailbox.KeptFrom lies not above it. Ids are never given twice.
//
// Files is safe for concurrent use; everything else here is plain values.
package mailbox

// Package email is the mail service: mailboxes, the messages in them, the API and the pages
// that show them, and the backend that package smtpd delivers to.
//
// It is not the SMTP edge (package smtpd has the protocol and the sender checks), holds no SQL
// (its Store is satisfied by package store), and does not speak to other hosts itself: what
// leaves comes in through package sending, is written by package compose, signed by package signer, waits in package queue and is
// taken away by package courier, all below this one. What a mailbox holds, and the rules of folders, threads and names, is
// package mailbox; what a message says is package reading; the pages are package webmail above this one.
//
// # What a 250 means
//
// Deliver returns nil only when the message is committed and fsynced for every recipient, in one
// transaction; the events are published after it. Nothing that the edge lets through in a message can
// make it be refused or lost: it is stored as it came, byte for byte, and what cannot be
// understood is flagged malformed and shown as text. The fields that the edge added stand beside
// the raw bytes (mailbox.Raw.Prepended), so a signature over them can be checked again.
//
// A delivered message lies in the inbox, what somebody sends in their folder "Sent"; a list without a folder shows the whole
// mailbox. Replies join the thread of what they answer. A message that is deleted goes to the trash, and from there for good;
// its bytes go with the last mailbox or queue entry that needs them.
//
// A message is stored once, however many mailboxes it goes to. Up to MaxInRow bytes it is in its row;
// a larger one is in a file that is written and fsynced, its folder too, before the
// transaction begins. Files without a row, as a crash may leave them, are removed at start.
//
// The same message again (Message-ID, envelope and SHA-256) to the same mailbox within an
// hour is answered 250 and not stored twice: its sender never saw our first 250. A message
// without a Message-ID has nothing to be known by and is always stored.
//
// # Mail that people send
//
// A message that a user submits, over SMTP or by POST /api/send, is stored as one that arrives is, in
// the same transaction: into the mailboxes here that it is for, into the sender's own with the label "sent"
// and already read, and as an entry of the queue for each recipient at another host. Whoever writes to
// themselves has one copy. Bcc is taken out before anything is stored. Mail to other hosts
// needs exactly one From field, is signed before it is stored, and is held unless Options say
// otherwise. Its sender has DailyLimit recipients elsewhere a day.
//
// Mail for later (send_at, undo_seconds) is stored with its copy at once, and waits in the queue for all its recipients, also the
// ones here; they get it in the transaction that writes the result. Until its time it can be taken back, whole, and
// is a draft then, with its Bcc.
//
// What cannot be delivered comes back as a report (RFC 3464) from postmaster into the mailbox of
// whoever sent it, in the transaction that writes the result; there is never a report about a report. A copy and a report
// are stored in a mailbox that is over its quota, too. Senders choose what they hear of (RFC 3461): a delivery here is
// reported to whoever asked for that, to senders elsewhere only when SPF or DMARC vouches for them.
//
// # Who has a mailbox
//
// With demo identity on, every valid local part; its row is made at the first RCPT, at most
// newPerSecond a second, beyond that with the delivery. Otherwise: users, mailboxes made
// through POST /api/mailboxes, aliases, postmaster, and whatever the alias "*" (the catch-all)
// leads to. Local parts are compared in lower case; "user+tag" is user's mailbox. A mailbox over its
// quota is answered 452 4.2.2 at RCPT; a message that was let in by then is stored, so a
// mailbox may exceed its quota by what was under way; one larger than the whole quota is 552 5.2.2.
//
// # What a message is shown with
//
// Flags are found at delivery and never change: attachment, html, list (from a mailing list),
// auto (sent by a program), bounce (null reverse-path), encrypted, malformed (something in
// header or structure is broken; GET /api/messages/{id} says what under faults), spam (the
// filter put it into Junk; package spam). Labels belong to people.
//
// # Events
//
// Each is emitted on the streams email:events and email:events:<user> (user is the local part):
//
//	mail.received  message_id, user, subject, from, from_, from_name, from_address, to, date,
//	               received_at, snippet, labels, flags, size, spam_score, unread, starred,
//	               attachments, internet_message_id, auth {spf, dkim, dmarc}: the row of the list
//	mail.read      message_id, user, unread
//	mail.star      message_id, user, starred
//	mail.labels    message_id, user, labels
//	mail.sent      message_id, user, queue_id, recipient, host, reply
//	mail.bounced   the same
//	mail.moved     message_id, user, folders
//	mail.deleted   message_id, user: gone for good
//	mail.changed   user: folders, keywords or drafts, which have no event of their own
//
// where message_id is the id of the list's row and user the mailbox's address. mail.sent and mail.bounced
// come once for each recipient and name the sender's copy; for recipients here host is "".
//
// # Concurrency
//
// A Service is safe for concurrent use. Messages are parsed on the goroutine that delivers
// them, never on the store's writer.
package email

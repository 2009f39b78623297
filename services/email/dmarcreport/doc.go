// Package dmarcreport is DMARC's aggregate reports (RFC 9990): it reads the ones that others send about our domain, and,
// where that is switched on, counts who sends as whom to us and tells the owners of those domains once a day.
//
// It judges no message (package smtpd/senderauth does) and stores none. It stands before the mail service as an
// smtpd.Backend: what it does with a message it does after that was accepted, and nothing that goes wrong here is heard by
// its sender.
//
// # Reports about us
//
// Mail to the first of Users that DMARC vouches for (or that came from this host) and carries a report about our domain is kept as
// a report besides. What is unpacked is bounded: 20 files looked at, 10 MB of XML, 5,000 rows; XML entities are not
// resolved. The same report again is known by its author and id.
//
// # Reports from us
//
// Counts are kept in memory and written every minute, so a crash loses a minute of statistics and a delivery waits for
// nothing. A day (UTC) that is over is reported once to each domain that asks for it (rua), to five addresses at most; an address in
// another organisation has to agree (RFC 9990 section 4). A report goes out as mail of that user, signed and queued like
// any other.
//
// # Concurrency
//
// A Desk is safe for concurrent use. Run has one goroutine; Deliver hands it what is to be read and never waits for it.
package dmarcreport

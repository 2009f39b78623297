// Package smtpd is the SMTP edge of UniQVerse: it takes mail from the network, checks who
// sent it, and hands it to a Backend.
//
// It listens as an MX (RFC 5321), for submission with STARTTLS (RFC 6409, RFC 3207) and for
// submissions with implicit TLS (RFC 8314). It speaks PIPELINING (RFC 2920), SIZE (RFC 1870),
// 8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531), CHUNKING (RFC 3030), ENHANCEDSTATUSCODES (RFC 2034),
// DSN (RFC 3461), REQUIRETLS (RFC 8689), LIMITS (RFC 9422), STARTTLS and AUTH PLAIN, LOGIN and OAUTHBEARER (RFC 4954,
// RFC 7628). Below it, command reads what MAIL and RCPT say, peers
// counts what an address does, spool holds a message while it comes, senderauth says who sent it (SPF,
// DKIM, DMARC), dnsclient looks names up, and cert has the TLS pair.
//
// It is not a mail store, not a queue and not a client: who may send, which recipients exist
// and where a message ends up is the Backend's to say.
//
// The transaction machinery is github.com/emersion/go-smtp. Beneath it lies a guard, a
// net.Conn that reads every line before the library does. The guard owns syntax, order,
// limits, times, STARTTLS and the wording of replies; the library only ever sees commands
// that are well formed and allowed at that moment. What goes wrong on the wire is remembered:
// after one failed read nothing more is read, so the rest of a broken message can never be
// taken for commands.
//
// What is promised: a 250 after the end of data is sent only when Backend.Deliver returned
// nil. A temporary failure of the Backend or of DNS is never answered with a permanent code.
// What the Backend says in an error is shown only when it is an errs detail or a Reply.
//
// A Server runs every connection in its own goroutine and waits for all of them in Serve;
// the Backend, the Resolver and Metrics must be safe for concurrent use. An Envelope and a
// Message belong to the one call of Deliver that they are given to.
package smtpd

package smtpd

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"uniqverse/smtpd/senderauth"
)

// Mode says what a listener is for.
type Mode int

// The modes of a listener.
const (
	MX          Mode = iota // mail from other hosts: no AUTH, sender authentication on every message
	Submission              // mail from users: STARTTLS offered, AUTH required before MAIL
	Submissions             // the same with TLS from the first byte
)

// String returns the name that logs and metrics use: mx, submission or submissions.
func (m Mode) String() string {
	switch m {
	case Submission:
		return "submission"
	case Submissions:
		return "submissions"
	default:
		return "mx"
	}
}

// Listener is an open socket and what it is for. The caller opens it, so that a port in use
// is the caller's error at start; the Server closes it.
type Listener struct {
	net.Listener
	Mode Mode
}

// Options is all that a Server needs. Listeners, Domain and Backend are required.
type Options struct {
	Listeners  []Listener
	Domain     string              // our name in the banner, in Received and as authserv-id, for example "vezeuniqverse.com"
	TLS        *tls.Config         // nil: no STARTTLS, hence no AUTH; a Submissions listener is then refused by New
	DSN        bool                // offer DSN; say so only when the Backend honours Envelope.DSN
	RequireTLS bool                // offer REQUIRETLS within TLS; say so only when the Backend honours Envelope.RequireTLS
	Journal    Journal             // hears of refused mail; nil: nobody does
	Blocklists []string            // zones of DNS blocklists that peers of an MX listener are looked up in; nil: none
	Backend    Backend             // who may send, who receives, where mail goes
	Resolver   senderauth.Resolver // DNS for SPF, DKIM and DMARC; nil: every look-up fails as temporary
	SpoolDir   string              // folder for messages above 1 MB while they are received; "" is the system's temporary folder
	Limits     Limits              // zero fields mean the documented defaults
	Log        *slog.Logger        // nil: nothing is logged
	Metrics    Metrics             // nil: nothing is counted
	Now        func() time.Time    // nil: time.Now. Used for stamps and rates; network deadlines follow the real clock
}

// Backend is what the edge asks. Its errors become replies: a *Reply as it is written, an
// errs kind by the table at replyFor, anything else 451 4.3.0; causes go to the log alone.
// The context ends when the peer's session or the Server does.
type Backend interface {
	// Authenticate returns the identity (an address) that user and password stand for.
	// errs.Unauthenticated means wrong credentials (535 5.7.8); errs.Unavailable and unknown
	// errors become 454 4.7.0.
	Authenticate(ctx context.Context, s Session, user, password string) (identity string, err error)

	// AuthenticateToken returns the identity that a bearer token stands for (OAUTHBEARER, RFC 7628). user is whom the
	// peer wants to be, "" when it leaves that to the token. errs.Denied means a token that may not send; the rest is
	// as with Authenticate.
	AuthenticateToken(ctx context.Context, s Session, user, token string) (identity string, err error)

	// CheckSender says whether the session may send from this reverse-path ("" is the null
	// sender). It is asked at MAIL on every listener; on a submission listener s.User is set.
	CheckSender(ctx context.Context, s Session, from string) error

	// CheckRecipient says whether mail for this address is taken. It is asked at each RCPT.
	// UnknownUser, RelayDenied and QuotaExceeded are the usual answers beside nil.
	CheckRecipient(ctx context.Context, s Session, to string) error

	// Deliver stores the message for all recipients of the envelope or for none, and returns
	// nil only when that is durable: the peer is told 250 right after. The Message is gone
	// when Deliver returns.
	Deliver(ctx context.Context, env *Envelope, msg *Message) error
}

// Session says who is at the other end when the Backend is asked something.
type Session struct {
	ID          string     // of the connection, for logs
	Mode        Mode       // of the listener
	RemoteIP    netip.Addr // unmapped: IPv4 in IPv6 is shown as IPv4
	Loopback    bool       // the peer is on this host
	HELO        string     // what the peer calls itself, as sent; at most 255 bytes
	TLS         *TLSState  // nil without TLS
	User        string     // the identity from Authenticate; "" without AUTH
	ReversePath string     // of the transaction; set in CheckRecipient
}

// TLSState is what was negotiated.
type TLSState struct {
	Version     string // "TLS 1.3"
	CipherSuite string // IANA name
	ServerName  string // SNI; "" when the peer sent none
}

// Envelope is how a message came, beside what is written in it.
type Envelope struct {
	ID          string     // of this message, 16 letters and digits; shown to the peer in the 250 and in Received
	Mode        Mode       // of the listener
	ReversePath string     // MAIL FROM; "" is the null sender. A quoted local part is kept quoted only where it needs to be
	Recipients  []string   // each as accepted at RCPT, in order, without repeats
	HELO        string     // as sent
	ESMTP       bool       // the peer greeted with EHLO
	SMTPUTF8    bool       // the peer asked for SMTPUTF8 at MAIL
	EightBit    bool       // the peer declared BODY=8BITMIME
	RequireTLS  bool       // the peer asked for REQUIRETLS (RFC 8689): no host may get it in plain text
	DSN         DSN        // which reports the peer asked for
	RemoteIP    netip.Addr // see Session
	Loopback    bool
	TLS         *TLSState // nil without TLS
	User        string    // the identity from Authenticate; "" without AUTH
	ReceivedAt  time.Time // end of data, UTC
	Auth        AuthResults
	Marks       []Mark   // when what happened to it at the edge, in order; none where it did not come over SMTP
	Traceparent string   // W3C trace context, made for this message
	Faults      []string // what is odd about the header, one word each: no_header, bad_field, no_from, many_from, bad_from
}

// Mark is when something happened to a message: connected, tls, data (its content begins), received (it ends), checked;
// who takes the message over may add words of their own.
type Mark struct {
	Step string `json:"s"`
	At   int64  `json:"t"` // microseconds of Unix time
}

// DSN is what the sender wants to hear about a message's fate (RFC 3461). All of it is checked, and
// printable text in one line.
type DSN struct {
	Return     string         // RET: FULL or HDRS; "" leaves it to us
	EnvelopeID string         // ENVID, decoded; "" for none
	Recipients []RecipientDSN // as long as Envelope.Recipients, in its order; nil when there was no peer to ask
}

// RecipientDSN is what the sender wants to hear about one recipient.
type RecipientDSN struct {
	Notify string // NEVER, or words of SUCCESS, FAILURE and DELAY with commas between them; "" leaves it to us
	ORCPT  string // the recipient as the sender first wrote it, "rfc822;address", decoded; "" for none
}

// AuthResults holds what sender authentication found: a result word of RFC 8601 for each of
// SPF, DKIM and DMARC, and the details behind it. On a submission listener all three words
// are "none": the user's password stands for them.
type AuthResults = senderauth.Results

// Metrics counts. Names end in _total (Add) or _seconds (Observe) and have no prefix; labels
// are pairs of key and value from small sets. The names used are listed in metrics.go.
type Metrics interface {
	Add(name string, delta int, labels ...string)
	Observe(name string, seconds float64, labels ...string)
}

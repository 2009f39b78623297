package ws

// Code is a WebSocket close code. 3000–3499 and 4000–4499 ask the client to reconnect with
// backoff and resume; 3500–3999 and 4500–4999 ask it not to.
type Code int

// The codes of RFC 6455 that this package sends.
const (
	Normal        Code = 1000 // the client closed, or asked to
	GoingAway     Code = 1001 // the page was left
	ProtocolError Code = 1002 // a frame that breaks RFC 6455
	Unsupported   Code = 1003 // a binary message where only text is read
	NoStatus      Code = 1005 // never sent: the peer closed without a code
	Abnormal      Code = 1006 // never sent: the connection broke without a close frame
	BadText       Code = 1007 // a text message that is not UTF-8
	TooBig        Code = 1009 // a message over the read limit
)

// The codes of Centrifugo's ranges that ask the client to come back.
const (
	Shutdown          Code = 3001 // the server drains: reconnect at once and resume
	ServerError       Code = 3004 // our fault
	Expired           Code = 3005 // the token ran out: get a new one and resume
	SlowConsumer      Code = 3008 // the client read too slowly: resume
	WriteError        Code = 3009 // a write made no progress in time
	InsufficientState Code = 3010 // a gap was seen: resume from the store
	NoPong            Code = 3012 // no pong within 10 s
	TooManyRequests   Code = 3013 // over the message rate: back off
)

// The codes of Centrifugo's ranges that ask the client to stay away.
const (
	InvalidToken     Code = 3500 // sign in again
	BadRequest       Code = 3501 // a message that cannot be understood
	Stale            Code = 3502 // nothing was said in time after connecting
	ForceNoReconnect Code = 3503 // kicked or banned
	ConnectionLimit  Code = 3504 // too many connections of this user
	PermissionDenied Code = 3507 // no right to the room
)

// Reconnect reports whether a client that gets the code should come back with backoff.
func (c Code) Reconnect() bool {
	return c < 3500 && c != Normal && c != ProtocolError && c != Unsupported && c != BadText && c != TooBig ||
		c >= 4000 && c < 4500
}

package chat

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"uniqverse/internal/api"
	"uniqverse/internal/web"
	"uniqverse/services/chat/people"
)

// actForOthers is the scope with which a token may name somebody else.
const actForOthers = people.ActForOthers

// Sent is where a line was stored.
type Sent struct {
	ID  int64
	Seq int64
	// Print is a hash of the parameters, by which a repeat is told from another line with the same key.
	Print string
}

// SendKey is an Idempotency-Key of one caller; the zero value is none.
type SendKey struct {
	Caller string
	Key    string
}

// sendKey returns the key of a call: its Idempotency-Key, or the nonce that came with the line.
func sendKey(c *web.Call, nonce string) SendKey {
	key := nonce
	if key == "" {
		key = c.Request.Header.Get("Idempotency-Key")
	}
	if key == "" {
		return SendKey{}
	}
	return SendKey{Caller: c.Caller.Server + "/" + c.Caller.Email, Key: key}
}

// messageCreated is the payload of chat.message.created.
type messageCreated struct {
	MessageID int64           `json:"message_id"`
	UserID    int64           `json:"user_id"`
	Handle    string          `json:"handle"`
	Text      string          `json:"text"`
	Flags     json.RawMessage `json:"flags"`
	ReplyTo   int64           `json:"reply_to,omitempty"`
	Mentions  []int64         `json:"mentions,omitempty"`

	Attachments []api.ChatAttachment `json:"attachments,omitempty"`

	Nonce string `json:"nonce,omitempty"` // that came with the line
}

// print hashes the parameters of a send as they were given, without the key.
func (in sendIn) print() string {
	in.Nonce = ""
	raw, _ := json.Marshal(in) // plain strings and numbers: cannot fail
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16])
}

// noFlags marks nothing.
func noFlags() json.RawMessage { return json.RawMessage("{}") }

// newMessage is a line before it has an id and a place.
func newMessage(room int64, author people.Person, line string, at api.Time) api.ChatMessage {
	return api.ChatMessage{RoomID: room, UserID: author.ID, Handle: author.Handle, Text: line, CreatedAt: at, Flags: noFlags()}
}

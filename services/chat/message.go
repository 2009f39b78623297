package chat

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

const (
	maxText   = 4000 // characters of a line
	maxHandle = 80   // characters of a handle, @ included

	// actForOthers is the scope with which a token may name somebody else.
	actForOthers = "chat.moderate"
)

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

// cleanText returns a line as it is stored: the line ends of forms become \n. Nothing else is changed;
// what is empty, too long or holds control characters is errs.Invalid.
func cleanText(text string) (string, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	switch {
	case !shows(text):
		return "", errs.BadField("text", "is required and must not be empty")
	case utf8.RuneCountInString(text) > maxText:
		return "", errs.BadField("text", "must be at most %d characters", maxText)
	case strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }):
		return "", errs.BadField("text", "must not hold control characters other than line ends and tabs")
	}
	return text, nil
}

// cleanHandle returns the name in a handle: "@pilot" and "pilot" are the same, and so is
// an address in the domain. "" stays "".
func cleanHandle(handle, domain string) (string, error) {
	name := strings.TrimSpace(handle)
	if local, host, ok := strings.Cut(name, "@"); ok && local != "" && strings.EqualFold(host, domain) {
		name = local
	}
	name = strings.TrimPrefix(name, "@")
	switch {
	case name == "" && strings.TrimSpace(handle) == "":
		return "", nil
	case !shows(name) || name != strings.TrimSpace(name):
		return "", errs.BadField("handle", "must be a name such as @pilot")
	case utf8.RuneCountInString(name) >= maxHandle:
		return "", errs.BadField("handle", "must be at most %d characters", maxHandle)
	case strings.ContainsFunc(name, func(r rune) bool { return r == '@' || !unicode.IsGraphic(r) || r != ' ' && unicode.IsSpace(r) }):
		return "", errs.BadField("handle", "must be a name such as @pilot, on one line and without another @")
	}
	return name, nil
}

// author decides who a line is from. Left out, it is the caller. A user's token names nobody
// else; one with the scope names users who exist; the demo identity names whomever it likes.
func (s *Service) author(c *web.Call, id int64, handle string) (int64, string, error) {
	who := c.Caller
	if err := who.ActAsID(id, actForOthers); err != nil {
		return 0, "", err
	}
	if err := who.ActAs(strings.TrimSpace(handle), actForOthers); err != nil {
		return 0, "", err
	}
	name, err := cleanHandle(handle, s.opts.Domain)
	if err != nil {
		return 0, "", err
	}
	own := who.User
	if own == "" {
		own = who.Server
	}
	if (id == 0 || id == who.ID) && (name == "" || strings.EqualFold(name, own)) {
		return who.ID, "@" + own, nil
	}
	if who.Demo {
		return s.anyAuthor(c.Context(), who, id, name)
	}
	return s.knownAuthor(c.Context(), id, name)
}

// anyAuthor takes what the demo identity says as given and fills in what it left out.
func (s *Service) anyAuthor(ctx context.Context, who web.Caller, id int64, name string) (int64, string, error) {
	if id != 0 && name != "" {
		return id, "@" + name, nil
	}
	if id == 0 {
		u, err := s.opts.Users.UserByName(ctx, strings.ToLower(name))
		if errs.Is(err, errs.NotFound) {
			return who.ID, "@" + name, nil
		}
		return u.ID, "@" + name, err
	}
	u, err := s.opts.Users.UserByID(ctx, id)
	if errs.Is(err, errs.NotFound) {
		return id, fmt.Sprintf("@user%d", id), nil
	}
	return id, "@" + u.Name, err
}

func (s *Service) knownAuthor(ctx context.Context, id int64, name string) (int64, string, error) {
	if id == 0 {
		u, err := s.opts.Users.UserByName(ctx, strings.ToLower(name))
		if errs.Is(err, errs.NotFound) {
			return 0, "", errs.BadField("handle", "names nobody who is known here")
		}
		return u.ID, "@" + u.Name, err
	}
	u, err := s.opts.Users.UserByID(ctx, id)
	switch {
	case errs.Is(err, errs.NotFound):
		return 0, "", errs.BadField("user_id", "names nobody who is known here")
	case err == nil && name != "" && !strings.EqualFold(name, u.Name):
		return 0, "", errs.BadField("handle", "is not the name of user %d; leave one of the two out", id)
	}
	return u.ID, "@" + u.Name, err
}

// moderate refuses a text that the moderator labels. When nobody can say, the text passes: a
// broken engine must not silence the rooms.
func (s *Service) moderate(c *web.Call, text string) error {
	if s.opts.Moderator == nil {
		return nil
	}
	labels, err := s.opts.Moderator.Moderate(c.Context(), text)
	if err != nil {
		if c.Context().Err() == nil {
			c.Log.Warn("moderation did not answer; the line passes", "err", err.Error())
		}
		return nil
	}
	if len(labels) == 0 {
		return nil
	}
	return &errs.Error{Kind: errs.Invalid, Detail: "Toxic content", Fields: []errs.Field{
		{Field: "text", Detail: "is refused (" + strings.Join(labels, ", ") + "); say it in other words"},
	}}
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
	Nonce     string          `json:"nonce,omitempty"` // that came with the line
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
func newMessage(room, user int64, handle, text string, at api.Time) api.ChatMessage {
	return api.ChatMessage{RoomID: room, UserID: user, Handle: handle, Text: text, CreatedAt: at, Flags: noFlags()}
}

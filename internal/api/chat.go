package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"uniqverse/internal/errs"
)

// ChatRoom is one room as a list shows it.
type ChatRoom struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
	Kind string `json:"kind"` // global, guild, party, dm or support
}

// ChatRoomInfo is one room with its place in time: Seq and Epoch are where a reader begins who
// loads the messages first and listens then.
type ChatRoomInfo struct {
	ChatRoom
	CreatedBy int64  `json:"created_by"` // user_id; 0 for a service
	CreatedAt Time   `json:"created_at"`
	Seq       int64  `json:"seq"` // of the newest event, 0 for none
	Epoch     string `json:"epoch"`
	Topic     string `json:"topic"`
	SlowMode  int    `json:"slow_mode_s"` // seconds between two lines of one person; 0 for none
	Archived  bool   `json:"archived"`    // nothing can be said in it
	Role      string `json:"role"`        // of the caller; "" for who is no member

	Horizon    int64          `json:"horizon,omitempty"` // seq up to which the log was removed, because its time was over
	Retention  int            `json:"retention_days"`    // how long lines are kept; 0 for ever
	Perm       ChatPerm       `json:"perm"`
	Moderation ChatModeration `json:"moderation"`
}

// ChatPerm is who may do what in a room.
type ChatPerm struct {
	Join    string `json:"join"`    // open, request or invite
	History string `json:"history"` // all, or joined: what was said since one came
	Write   string `json:"write"`   // all who may read, members or moderators
	Invite  string `json:"invite"`  // members or moderators
	Pin     string `json:"pin"`     // members or moderators
}

// ChatModeration is how a room's lines are moderated, beside its rules.
type ChatModeration struct {
	Closed bool `json:"fail_closed,omitempty"` // lines wait for the external engine: when it does not answer they are refused
	Engine bool `json:"engine,omitempty"`      // of a direct room: its lines may be sent to the external engine
}

// ChatMember is somebody who belongs to a room.
type ChatMember struct {
	UserID     int64  `json:"user_id"`
	Handle     string `json:"handle"` // "@pilot"
	Role       string `json:"role"`   // owner, moderator, member or guest
	JoinedAt   Time   `json:"joined_at"`
	Muted      bool   `json:"muted"`
	MutedUntil Time   `json:"muted_until"` // null when not muted, or muted for good
}

// ChatAction is what a moderator did to somebody in a room.
type ChatAction struct {
	ID        int64  `json:"id"`
	Action    string `json:"action"` // kick, ban, unban, mute, unmute, or delete for a line of theirs
	UserID    int64  `json:"user_id"`
	Handle    string `json:"handle"`
	Until     Time   `json:"until"` // null where it has no end
	Reason    string `json:"reason"`
	ByID      int64  `json:"by_id"` // 0 for a service
	ByHandle  string `json:"by_handle"`
	CreatedAt Time   `json:"created_at"`
}

// ChatMessage is one line of a room.
type ChatMessage struct {
	ID        int64           `json:"id"`
	RoomID    int64           `json:"room_id"`
	UserID    int64           `json:"user_id"` // 0 for a service
	Handle    string          `json:"handle"`  // "@pilot"
	Text      string          `json:"text"`    // plain text as it was sent, never HTML
	CreatedAt Time            `json:"created_at"`
	Seq       int64           `json:"seq"`   // place in the room's order, from 1
	Flags     json.RawMessage `json:"flags"` // an object; {} when nothing is marked

	ReplyTo   int64          `json:"reply_to,omitempty"`  // id of the line that it answers
	EditedAt  Time           `json:"edited_at,omitempty"` // absent when it never was
	Deleted   bool           `json:"deleted,omitempty"`   // taken away: Text is ""
	Mentions  []int64        `json:"mentions,omitempty"`  // user_ids
	Reactions []ChatReaction `json:"reactions,omitempty"`

	Attachments []ChatAttachment `json:"attachments,omitempty"`
}

// ChatAttachment is a file that goes with a line. It is at /rooms/{room}/attachments/{id}.
type ChatAttachment struct {
	ID     int64  `json:"id"`
	Name   string `json:"name"`
	Type   string `json:"type"`            // as the bytes look, "image/png"
	Size   int64  `json:"size"`            // bytes
	Width  int    `json:"width,omitempty"` // of a picture that pages show, absent for what is to be saved
	Height int    `json:"height,omitempty"`
}

// OK is the answer where there is nothing else to say.
type OK struct {
	OK bool `json:"ok"` // always true
}

// ChatPin is a line that its room holds up.
type ChatPin struct {
	Message  ChatMessage `json:"message"`
	ByID     int64       `json:"by_id"` // 0 for a service
	ByHandle string      `json:"by_handle"`
	PinnedAt Time        `json:"pinned_at"`
}

// ChatRequest is somebody who asks to come into a room.
type ChatRequest struct {
	UserID    int64  `json:"user_id"`
	Handle    string `json:"handle"`
	Text      string `json:"text"` // what they say to it
	CreatedAt Time   `json:"created_at"`
}

// ChatCase is something that moderators decide: a line that a rule, a person or the engine held to be out of order.
type ChatCase struct {
	ID        int64  `json:"id"`
	RoomID    int64  `json:"room_id"`
	RoomName  string `json:"room_name"`
	MessageID int64  `json:"message_id"` // 0 for a line that was refused
	Seq       int64  `json:"seq"`
	UserID    int64  `json:"user_id"` // who said it
	Handle    string `json:"handle"`
	Text      string `json:"text"`   // as it was when the case was opened
	Source    string `json:"source"` // rule, report or engine
	Reason    string `json:"reason"`
	Reports   int    `json:"reports"` // how many people reported it
	State     string `json:"state"`   // open, or what was decided: approve, remove, warn, timeout or ban
	Note      string `json:"note"`    // of who decided
	ByID      int64  `json:"by_id"`
	ByHandle  string `json:"by_handle"`
	CreatedAt Time   `json:"created_at"`
	DecidedAt Time   `json:"decided_at"` // null while it is open

	Context []ChatMessage `json:"context"` // the lines around it, the oldest first
}

// ChatFound is a line that was searched for, with its room and what of it was found.
type ChatFound struct {
	ChatMessage
	RoomName string     `json:"room_name"`
	RoomKind string     `json:"room_kind"`
	Parts    []ChatPart `json:"parts"`
}

// ChatPart is a part of a line; Hit marks what was searched for.
type ChatPart struct {
	Text string `json:"text"`
	Hit  bool   `json:"hit,omitempty"`
}

// ChatReaction is one emoji under a line.
type ChatReaction struct {
	Emoji string `json:"emoji"`
	Count int    `json:"count"`
	Mine  bool   `json:"mine"` // the caller is among them
}

// ChatVersion is a text that a line has or had.
type ChatVersion struct {
	Text string `json:"text"`
	At   Time   `json:"at"` // when it was written
}

// ChatUnread is what somebody has not read in one room.
type ChatUnread struct {
	RoomID   int64  `json:"room_id"`
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	Seq      int64  `json:"seq"`      // of the room's newest event
	ReadSeq  int64  `json:"read_seq"` // how far they have read
	Unread   int    `json:"unread"`   // lines of others, counted up to 100
	Mentions int    `json:"mentions"` // of those, lines that mention them
	Notify   string `json:"notify"`   // of what they want to hear: all, mentions or none
}

// ChatReport is a line that somebody holds to be out of order.
type ChatReport struct {
	ID        int64  `json:"id"`
	MessageID int64  `json:"message_id"`
	UserID    int64  `json:"user_id"` // who reports
	Handle    string `json:"handle"`
	Reason    string `json:"reason"`
	CreatedAt Time   `json:"created_at"`
}

// ChatPresence is who is in a room now.
type ChatPresence struct {
	Online int              `json:"online"`
	Users  []ChatPresentOne `json:"users"` // empty when more than 100 are online
}

// ChatPresentOne is somebody who is in a room now.
type ChatPresentOne struct {
	UserID int64  `json:"user_id"`
	Handle string `json:"handle"`
	State  string `json:"state"` // online or away
}

// ChatSent is the answer to a line that was stored.
type ChatSent struct {
	ID  int64 `json:"id"`
	Seq int64 `json:"seq"`
}

// ChatNewRoom asks for a room; Kind "" is global.
type ChatNewRoom struct {
	Name string `json:"name"`
	Kind string `json:"kind,omitempty"`
}

// ChatNewMessage is a line to send. Who sends it is the caller where UserID and Handle are
// left out; naming others takes the scope chat.moderate.
type ChatNewMessage struct {
	UserID int64  `json:"user_id,omitempty"`
	Handle string `json:"handle,omitempty"`
	Text   string `json:"text"`
	// ReplyTo is the id of the line that this one answers; 0 is none.
	ReplyTo int64 `json:"reply_to,omitempty"`
	// Attachments are the ids of files that the sender uploaded to this room, at most 10.
	Attachments []int64 `json:"attachments,omitempty"`
}

// Chat is a client of the chat service.
type Chat struct{ call caller }

// NewChat returns a client over registry.Client("chat"); authorize puts a token on each
// request, nil sends none. Its methods return the errors that NewEmail describes.
func NewChat(client *http.Client, authorize func(*http.Request) error) *Chat {
	return &Chat{call: caller{service: "chat", client: client, authorize: authorize}}
}

// CreateRoom opens a room; errs.Conflict when the name is taken. With a key a repeat answers as
// the first call did.
func (c *Chat) CreateRoom(ctx context.Context, room ChatNewRoom, key string) (ChatRoom, error) {
	var out ChatRoom
	err := c.call.post(ctx, "/rooms", room, key, &out)
	return out, err
}

// Room returns one room; errs.NotFound when there is none.
func (c *Chat) Room(ctx context.Context, id int64) (ChatRoomInfo, error) {
	var out ChatRoomInfo
	err := c.call.get(ctx, "/rooms/"+strconv.FormatInt(id, 10), &out)
	return out, err
}

// Rooms returns up to 200 rooms in the order of their ids, those after the given id, of one kind or
// of all ("").
func (c *Chat) Rooms(ctx context.Context, after int64, kind string) ([]ChatRoom, error) {
	q := url.Values{"limit": {"200"}, "after": {strconv.FormatInt(after, 10)}}
	if kind != "" {
		q.Set("kind", kind)
	}
	out := []ChatRoom{}
	err := c.call.get(ctx, "/rooms?"+q.Encode(), &out)
	return out, err
}

// Send stores a line; errs.Invalid when it is refused. With a key it is stored once however
// often it is sent.
func (c *Chat) Send(ctx context.Context, room int64, m ChatNewMessage, key string) (ChatSent, error) {
	var out ChatSent
	err := c.call.post(ctx, "/rooms/"+strconv.FormatInt(room, 10)+"/messages", m, key, &out)
	return out, err
}

// FindRoom returns the room with exactly this name that the caller may find, or errs.NotFound.
func (c *Chat) FindRoom(ctx context.Context, name string) (ChatRoom, error) {
	all := []ChatRoom{}
	if err := c.call.get(ctx, "/rooms?limit=200&q="+url.QueryEscape(name), &all); err != nil {
		return ChatRoom{}, err
	}
	for _, r := range all {
		if r.Name == name {
			return r, nil
		}
	}
	return ChatRoom{}, errs.New(errs.NotFound, "there is no room with this name")
}

// AddMember makes somebody a member of a room; one who is a member stays it.
func (c *Chat) AddMember(ctx context.Context, room int64, handle string) error {
	return c.call.post(ctx, "/rooms/"+strconv.FormatInt(room, 10)+"/members", map[string]string{"handle": handle}, "", &ChatMember{})
}

// Archive closes a room for new lines.
func (c *Chat) Archive(ctx context.Context, room int64) error {
	return c.call.post(ctx, "/rooms/"+strconv.FormatInt(room, 10)+"/settings", map[string]bool{"archived": true}, "", &ChatRoomInfo{})
}

// Messages returns up to 200 lines of a room, newest first: those before the line with the
// given id, or the newest when it is 0.
func (c *Chat) Messages(ctx context.Context, room, before int64) ([]ChatMessage, error) {
	path := "/rooms/" + strconv.FormatInt(room, 10) + "/messages?limit=200"
	if before > 0 {
		path += "&before=" + strconv.FormatInt(before, 10)
	}
	out := []ChatMessage{}
	err := c.call.get(ctx, path, &out)
	return out, err
}

package chat

import (
	"context"
	"log/slog"
	"time"

	"uniqverse/hub"
	"uniqverse/internal/api"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/internal/ws"
	"uniqverse/services/chat/centrifugo"
	"uniqverse/services/chat/live"
	"uniqverse/services/chat/pace"
	"uniqverse/services/chat/people"
	"uniqverse/services/chat/sockets"
	"uniqverse/services/chat/text"
	"uniqverse/services/chat/veze"
	"uniqverse/templates"
)

// Store is what chat asks of the store. Rows that do not exist are errs.NotFound.
type Store interface {
	web.Transactor[Tx]
	live.Log
	Lines

	Room(ctx context.Context, id int64) (Room, error)
	// Entry returns a room with a user's standing in it, read as one.
	Entry(ctx context.Context, room, user int64) (Room, Standing, error)
	// Rooms returns the rooms that the filter and the viewer leave, in the order of their ids.
	Rooms(ctx context.Context, v Viewer, f RoomFilter, page web.Paging, limit int) ([]Room, error)
	// RecentRooms returns the rooms that were used last, then the newest others; of those that ban the viewer at now without the last line.
	RecentRooms(ctx context.Context, v Viewer, now time.Time, limit int) ([]RoomRow, error)
	// Totals returns how many rooms and lines there are for the viewer.
	Totals(ctx context.Context, v Viewer) (rooms, lines int64, err error)
	// Standing returns a user's place in a room; the zero value for who has none.
	Standing(ctx context.Context, room, user int64) (Standing, error)
	// Members returns a room's members in the order of their ids, and who of them is muted at now (unix ms).
	Members(ctx context.Context, room, now int64, page web.Paging, limit int) ([]Member, error)
	// Actions returns what moderators did in a room, the newest first.
	Actions(ctx context.Context, room int64, page web.Paging, limit int) ([]Action, error)
}

// Lines is what was said, and who has read it.
type Lines interface {
	// Messages returns lines of a room with a seq above since, newest first.
	Messages(ctx context.Context, room, since int64, page web.Paging, limit int) ([]Line, error)
	Message(ctx context.Context, room, id int64) (Line, error)
	// Following returns the lines of a room that follow a seq at once, newest first.
	Following(ctx context.Context, room, seq int64, limit int) ([]Line, error)
	// Versions returns the texts that a line had before, the oldest first.
	Versions(ctx context.Context, message int64) ([]api.ChatVersion, error)
	// Reactions returns the reactions to lines by the lines' ids; those of the user are theirs.
	Reactions(ctx context.Context, user int64, ids []int64) (map[int64][]api.ChatReaction, error)
	// Attachments returns the files of lines by the lines' ids, each in the order in which they were given.
	Attachments(ctx context.Context, ids []int64) (map[int64][]api.ChatAttachment, error)
	// Unread returns the rooms that the viewer is a member of or has read in, with what they have not read.
	Unread(ctx context.Context, v Viewer, limit int) ([]api.ChatUnread, error)
}

// Tx is what chat changes inside one transaction.
type Tx interface {
	Now() time.Time
	Emit(stream string, ev event.Event)
	RoomTx
	MemberTx
	LineTx
	CaseTx

	// Sent returns the line that the caller sent with the key, and whether there is one.
	Sent(key SendKey) (Sent, bool, error)
	// KeepSent remembers for good what was sent with the key.
	KeepSent(key SendKey, sent Sent) error
}

// LineTx changes what was said.
type LineTx interface {
	// AddMessage stores a line and returns its id.
	AddMessage(m Line) (int64, error)
	Message(room, id int64) (Line, error)
	// EditMessage stores the new text, time, mentions and flags of a line, and the text that it had, written at was.
	EditMessage(m Line, before string, was api.Time) error
	// NoteEdit remembers the seq of the event that told of an edit.
	NoteEdit(message, seq int64) error
	// DeleteMessage marks a line as taken away and its files as gone, and takes its texts out of the log.
	DeleteMessage(m api.ChatMessage) error
	// Mention replaces whom the line with the seq mentions.
	Mention(room, seq int64, before, users []int64) error
	// Attach gives files of the owner to a line of their room and returns them; errs.Invalid names the one that is not there for it.
	Attach(m api.ChatMessage, owner string, files []int64) ([]api.ChatAttachment, error)
	// React adds a reaction or takes it away; count is of its emoji and kinds of all emoji after that.
	React(message, user int64, emoji string, on bool) (count, kinds int, changed bool, err error)
	// HideLine leaves a line to its author and moderators, with its flags, and takes its texts out of the log.
	HideLine(l Line) error
	// ShowLine gives a line back that was taken away or hidden.
	ShowLine(m api.ChatMessage) error
	// AddReport stores a report; errs.Conflict when this person reported the line before.
	AddReport(room int64, r api.ChatReport) (int64, error)
	// SetNotify stores of what in a room somebody wants to hear: all, mentions or none.
	SetNotify(room, user int64, level string) error
	// SetRead moves how far somebody has read, never back, and returns how far that is.
	SetRead(room, user, seq int64) (int64, error)
	// Pace returns when somebody last spoke in a room with slow mode (unix ms, 0 for never) and notes that they do now.
	Pace(room, user int64) (int64, error)
}

// RoomTx changes rooms and their logs.
type RoomTx interface {
	Room(id int64) (Room, error)
	// RoomByName returns the room with exactly this name, or errs.NotFound.
	RoomByName(name string) (Room, error)
	// RoomOf returns the direct room of these people (Room.People), or errs.NotFound.
	RoomOf(people string) (Room, error)
	AddRoom(r Room) (Room, error)
	// SaveRoom stores a room's name and settings; a name that is taken is errs.Conflict. A room with DeletedAt gives its name free.
	SaveRoom(r Room) error
	// NextSeq takes the room's next seq; errs.NotFound when there is no such room.
	NextSeq(room int64) (int64, error)
	// Log writes an event of a room, with its Room and Seq, into the room's log and emits it.
	Log(ev event.Event) error
}

// MemberTx changes who is in a room, and as what.
type MemberTx interface {
	// Entry returns a room with a user's standing in it; errs.NotFound when there is no such room.
	Entry(room, user int64) (Room, Standing, error)
	// Standing returns a user's place in a room; the zero value for who has none.
	Standing(room, user int64) (Standing, error)
	// Member returns a member of the room, or errs.NotFound.
	Member(room, user int64) (Member, error)
	// Heir returns the highest in rank, among equals who is there the longest; errs.NotFound for an empty room.
	Heir(room int64) (Member, error)
	// PutMember stores a member, or the new role of one.
	PutMember(m Member) error
	RemoveMember(room, user int64) error
	// PutSanction stores a sanction of the kind "ban" or "mute", or lifts it when it is not On.
	PutSanction(room, user int64, kind string, s Sanction) error
	// AddAction writes down what a moderator did and returns its id.
	AddAction(a Action) (int64, error)
}

// Options make a Service. Store, Hub, Users and Domain are required.
type Options struct {
	Store     Store
	Hub       hub.Hub
	Users     people.Users
	Domain    string    // the mail domain, for direct rooms
	Moderator Moderator // nil lets everything pass
	// Tickets returns the newest open tickets that the caller may see, for the start page; may be nil.
	Tickets func(c *web.Call) ([]templates.TicketRow, error)
	// SocketsPerUser bounds the open sockets of one user; 0 means 20. Servers and the demo identity have no bound.
	SocketsPerUser int
	Edge           ws.EdgeOptions   // for tests: shorter times
	Log            *slog.Logger     // nil is silent
	Now            func() time.Time // nil means time.Now
}

// Service is the chat. Make one with New.
type Service struct {
	opts    Options
	store   Store
	sockets *sockets.Server
	veze    *veze.Server
	clients *centrifugo.Server
	pace    *pace.Limiter // of lines
	typists *pace.Limiter // of notices that somebody types
	people  people.Finder
}

// New returns a chat that serves; its sockets wait for Run.
func New(opts Options) *Service {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.SocketsPerUser == 0 {
		opts.SocketsPerUser = 20
	}
	if opts.Edge.Log == nil {
		opts.Edge.Log = opts.Log
	}
	s := &Service{opts: opts, store: opts.Store}
	s.sockets = sockets.New(sockets.Options{Log: opts.Store, Hub: opts.Hub, Enter: s.enter, Removed: removed, Concerns: concerns,
		PerUser: opts.SocketsPerUser, Edge: opts.Edge, Logger: opts.Log, Now: opts.Now})
	s.veze, s.clients = veze.New(s.sockets, opts.Now), centrifugo.New(s.sockets, opts.Now)
	s.pace, s.typists = pace.New(), pace.New()
	s.people = people.Finder{Users: opts.Users, Domain: opts.Domain}
	return s
}

// Run carries events to the sockets until ctx ends; then it closes them (3001) and writes down
// what is left to write, so the store must stay open until it returns.
func (s *Service) Run(ctx context.Context) error { return s.sockets.Run(ctx) }

// Stats returns counts of the sockets.
func (s *Service) Stats() ws.Stats { return s.sockets.Stats() }

// LogReads returns how often a room's log was read from the store for a socket.
func (s *Service) LogReads() int64 { return s.sockets.LogReads() }

// Discovery is chat's entry for directories, after the seed; the desk is part of it.
func (s *Service) Discovery() web.Discovery {
	return web.Discovery{
		Name: "VEZEPyChat", Category: "communication",
		Routes: []web.Route{{Label: "Chat Rooms", Href: "/rooms"}, {Label: "Inbox", Href: "/inbox"}},
		Scopes: []string{"chat.read", "chat.write", "chat.moderate", "ticket.manage"},
		Events: []string{
			event.ChatRoomCreated, event.ChatRoomUpdated, event.ChatRoomArchived, event.ChatMessageCreated, event.ChatMessageEdited, event.ChatMessageDeleted,
			event.ChatMessageReacted, event.ChatPresence, event.ModerationActioned,
			event.TicketCreated, event.TicketAssigned, event.TicketCommented, event.TicketSolved, event.TicketReopened,
		},
		Limits: map[string]any{"text": text.MaxLine, "handle": text.MaxHandle, "room_name": text.MaxRoomName, "mentions": people.MaxMentions, "reactions": maxReactions,
			"send_per_s": 5, "send_burst": 10, "global_send_per_s": 1, "typing_s": typingEvery, "socket": s.sockets.Limits()},
	}
}

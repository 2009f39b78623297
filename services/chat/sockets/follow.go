package sockets

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"uniqverse/hub"
	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
)

// Beside rooms a session may follow `me`, what concerns its user wherever it happens, and `ticket:<id>`. These have no
// order of their own and no replay: they say that something happened, GET /unread and GET /tickets/{id} say what is.

// follower is one session that follows one channel.
type follower struct {
	id    int64  // of the user; 0 for a service
	name  string // of the user, local part
	agent bool   // carries ticket.manage
	push  func(data []byte)
	lost  func()
	rooms map[int64]bool // whose lines are news to them; only for me
}

// followers are all who follow something; the relay of rooms knows nothing of them.
type followers struct {
	mu    sync.Mutex // guards what follows
	me    map[int64]map[*follower]bool
	desk  map[int64]map[*follower]bool // by ticket
	rooms map[int64]map[*follower]bool // of those who follow me, by the rooms that they are in
	fresh map[int64]int64              // rooms with lines that were not told yet, and their newest seq
}

const tellNews = time.Second // how often followers of me are told of rooms with new lines

// follow listens to the hub for the followers until ctx ends. What it misses, because it was too slow, it says.
func (s *Server) follow(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { s.followers.news(ctx) })
	for ctx.Err() == nil {
		sub, err := s.opts.Hub.Subscribe(ctx, event.StreamChat, nil)
		if err != nil {
			return // the hub is closed
		}
		for err == nil {
			var m hub.Message
			if m, err = sub.Next(ctx); err == nil {
				s.followers.hear(m)
			}
		}
		sub.Close()
		if errors.Is(err, hub.ErrSlow) {
			s.followers.losing()
		}
	}
}

// subject is what a payload says of whom and what.
type subject struct {
	TicketID   int64   `json:"ticket_id"`
	AssigneeID int64   `json:"assignee_id"`
	UserID     int64   `json:"user_id"`
	Mentions   []int64 `json:"mentions"`
	Member     *struct {
		UserID int64  `json:"user_id"`
		Role   string `json:"role"`
	} `json:"member"`
}

// hear hands an event to those whom it concerns.
func (f *followers) hear(m hub.Message) {
	ticket := m.Room == 0 && strings.HasPrefix(m.Type, "ticket.")
	f.mu.Lock()
	idle := len(f.me) == 0 && (!ticket || len(f.desk) == 0)
	f.mu.Unlock()
	var s subject
	if idle || m.Ephemeral || json.Unmarshal(m.Payload, &s) != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case ticket:
		for one := range f.desk[s.TicketID] {
			if one.agent || one.name == m.User {
				one.push(m.Data)
			}
		}
		for _, all := range f.me {
			for one := range all {
				if one.name != "" && one.name == m.User || one.id != 0 && one.id == s.AssigneeID {
					one.push(m.Data)
				}
			}
		}
	case m.Type == event.ChatMessageCreated:
		if len(f.rooms[m.Room]) > 0 {
			f.fresh[m.Room] = m.Seq
		}
		for _, user := range s.Mentions {
			f.tell(user, m.Data)
		}
	case m.Type == event.ChatRoomUpdated && s.Member != nil:
		f.tell(s.Member.UserID, m.Data)
		for one := range f.me[s.Member.UserID] {
			f.belongs(one, m.Room, s.Member.Role != "")
		}
	case m.Type == event.ModerationActioned:
		f.tell(s.UserID, m.Data)
	}
}

// tell pushes to those who follow me as the user; f.mu is held.
func (f *followers) tell(user int64, data []byte) {
	if user == 0 {
		return
	}
	for one := range f.me[user] {
		one.push(data)
	}
}

// belongs notes whether a follower is in a room; f.mu is held.
func (f *followers) belongs(one *follower, room int64, in bool) {
	if in {
		one.rooms[room] = true
		put(f.rooms, room, one)
		return
	}
	delete(one.rooms, room)
	take(f.rooms, room, one)
}

func put(m map[int64]map[*follower]bool, key int64, one *follower) {
	if m[key] == nil {
		m[key] = map[*follower]bool{}
	}
	m[key][one] = true
}

func take(m map[int64]map[*follower]bool, key int64, one *follower) {
	if delete(m[key], one); len(m[key]) == 0 {
		delete(m, key)
	}
}

// freshRoom is a room with new lines.
type freshRoom struct {
	RoomID int64 `json:"room_id"`
	Seq    int64 `json:"seq"`
}

// news tells, now and then, who is in which rooms with new lines, until ctx ends.
func (f *followers) news(ctx context.Context) {
	tick := time.NewTicker(tellNews)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		f.mu.Lock()
		for one, rooms := range f.freshByFollower() {
			raw, _ := json.Marshal(struct { // plain values: cannot fail
				Type  string      `json:"type"`
				Rooms []freshRoom `json:"rooms"`
			}{"me.unread", rooms})
			one.push(raw)
		}
		f.mu.Unlock()
	}
}

// freshByFollower takes what is fresh; f.mu is held.
func (f *followers) freshByFollower() map[*follower][]freshRoom {
	out := map[*follower][]freshRoom{}
	for room, seq := range f.fresh {
		for one := range f.rooms[room] {
			out[one] = append(out[one], freshRoom{room, seq})
		}
	}
	clear(f.fresh)
	return out
}

// losing tells every follower that something was missed.
func (f *followers) losing() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range []map[int64]map[*follower]bool{f.me, f.desk} {
		for _, all := range m {
			for one := range all {
				one.lost()
			}
		}
	}
}

// Follow has the session hear of a channel, `me` or `ticket:<id>`: push gets each event as one line of JSON, lost says that
// some were missed. Both are called with a lock held and must not wait. Only onMessage may call it.
func (x *Session) Follow(channel string, push func(data []byte), lost func()) error {
	if x.follows[channel] != nil {
		return errs.New(errs.Conflict, "this connection has the channel already")
	}
	if most := x.srv.Limits().Rooms; len(x.follows) >= most {
		return errs.New(errs.Conflict, "too_many_channels: a connection has at most %d; leave one, or open another connection", most)
	}
	c := x.Visitor.Caller
	one := &follower{id: c.ID, name: c.User, agent: c.Has("ticket.manage"), push: push, lost: lost, rooms: map[int64]bool{}}
	f := &x.srv.followers
	var leave func()
	switch id, isTicket := strings.CutPrefix(channel, "ticket:"); {
	case channel == "me" && c.ID != 0:
		f.mu.Lock()
		put(f.me, c.ID, one)
		f.mu.Unlock()
		leave = func() { f.leaveMe(one) }
		if err := x.mine(one); err != nil {
			leave()
			return err
		}
	case isTicket:
		ticket, err := strconv.ParseInt(id, 10, 64)
		if err != nil || ticket < 1 || strconv.FormatInt(ticket, 10) != id {
			return noChannel()
		}
		f.mu.Lock()
		put(f.desk, ticket, one)
		f.mu.Unlock()
		leave = func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			take(f.desk, ticket, one)
		}
		if _, err := x.Do("ticket", map[string]json.RawMessage{"ticket_id": json.RawMessage(id)}); err != nil {
			leave()
			return err
		}
	default:
		return noChannel()
	}
	if x.follows == nil {
		x.follows = map[string]func(){}
	}
	x.follows[channel] = leave
	return nil
}

func noChannel() error {
	return errs.New(errs.NotFound, "there is no such channel; there are room:<id>, ticket:<id> and, for people, me")
}

func (f *followers) leaveMe(one *follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
	take(f.me, one.id, one)
	for room := range one.rooms {
		take(f.rooms, room, one)
	}
}

// mine notes the rooms that the user is in.
func (x *Session) mine(one *follower) error {
	f := &x.srv.followers
	for after := int64(0); ; {
		reply, err := x.Do("rooms", map[string]json.RawMessage{"member": json.RawMessage(`"me"`), "limit": json.RawMessage("200"), "after": json.RawMessage(strconv.FormatInt(after, 10))})
		var page []api.ChatRoom
		if err == nil {
			err = json.Unmarshal(reply.Body, &page)
		}
		if err != nil {
			return err
		}
		f.mu.Lock()
		for _, r := range page {
			f.belongs(one, r.ID, true)
			after = r.ID
		}
		f.mu.Unlock()
		if len(page) < 200 {
			return nil
		}
	}
}

// Unfollow ends Follow; false when the session does not follow the channel. Only onMessage may call it.
func (x *Session) Unfollow(channel string) bool {
	leave := x.follows[channel]
	delete(x.follows, channel)
	if leave != nil {
		leave()
	}
	return leave != nil
}

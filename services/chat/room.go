package chat

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
)

// The kinds of rooms.
const (
	KindGlobal  = "global"  // for everybody
	KindGuild   = "guild"   // of a guild
	KindParty   = "party"   // of the players of one match
	KindDM      = "dm"      // between people of the domain
	KindSupport = "support" // of a ticket
)

// Kinds returns all kinds, in the order in which pages show them.
func Kinds() []string { return []string{KindGlobal, KindGuild, KindParty, KindDM, KindSupport} }

// Room is a place to talk.
type Room struct {
	api.ChatRoom
	CreatedBy int64 // user_id; 0 for a service
	CreatedAt api.Time
	Head      int64 // seq of the newest event, 0 for none

	Topic      string
	SlowMode   int      // seconds between two lines of one person; 0 for none
	ArchivedAt api.Time // 0 while it is in use
	DeletedAt  api.Time // 0 while it is there
	Horizon    int64    // seq up to which its log was removed
	Retention  int      // days that lines are kept; Forever, or AsItsKind
	Perm       Perm     // what differs from its kind
	Moderation api.ChatModeration
	People     string // of a direct room: the sorted ids of its two people, "1 2"; "" for others
}

// RoomFilter narrows a list of rooms; the zero value leaves them all.
type RoomFilter struct {
	Kind string
	Name string // a part of the name, whatever its case
	Mine bool   // only rooms of which the viewer is a member
}

// RoomRow is a room with its last line, for lists that people read.
type RoomRow struct {
	Room
	LastHandle, LastText string    // of the last line; "" for none
	LastAt               time.Time // zero for none
}

// cleanKind returns the kind of a new room, global when none was given.
func cleanKind(kind string) (string, error) {
	if kind == "" {
		return KindGlobal, nil
	}
	if !slices.Contains(Kinds(), kind) {
		return "", errs.BadField("kind", "must be one of %s", strings.Join(Kinds(), ", "))
	}
	return kind, nil
}

func roomPath(id int64) string { return fmt.Sprintf("/rooms/%d", id) }

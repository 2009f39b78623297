package chat

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

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

const maxRoomName = 120 // characters

// Room is a place to talk.
type Room struct {
	api.ChatRoom
	CreatedBy int64 // user_id; 0 for a service
	CreatedAt api.Time
	Head      int64 // seq of the newest event, 0 for none

	Topic      string
	SlowMode   int      // seconds between two lines of one person; 0 for none
	ArchivedAt api.Time // 0 while it is in use
	People     string   // of a direct room: the sorted ids of its two people, "1 2"; "" for others
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

// cleanRoomName trims a room's name; one that is empty, longer than 120 characters or holds
// characters that show nothing is errs.Invalid.
func cleanRoomName(name string) (string, error) {
	name = strings.TrimSpace(name)
	switch {
	case !shows(name):
		return "", errs.BadField("name", "is required and must not be empty")
	case utf8.RuneCountInString(name) > maxRoomName:
		return "", errs.BadField("name", "must be at most %d characters", maxRoomName)
	case notOneLine(name):
		return "", errs.BadField("name", "must be one line without control characters")
	}
	return name, nil
}

// notOneLine reports line ends and control characters.
func notOneLine(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' })
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

// shows reports whether a text has anything to see: a letter, digit, sign or symbol.
func shows(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.Is(unicode.Mn, r)
	})
}

// InDomain reports whether an address is <local part>@<domain>, exactly: it is parsed, so that
// x@evil@domain, a quoted local part, a longer domain and a dot at the end do not pass. The
// domain is compared in its ASCII form, whatever its case.
func InDomain(address, domain string) bool {
	local, host, ok := strings.Cut(address, "@")
	if !ok || local == "" || host == "" || domain == "" || strings.ContainsFunc(local, notInLocalPart) ||
		local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, "..") {
		return false
	}
	got, err := idna.Lookup.ToASCII(host)
	if err != nil {
		return false
	}
	want, err := idna.Lookup.ToASCII(domain)
	return err == nil && strings.EqualFold(got, want)
}

// notInLocalPart refuses what is no dot-atom of RFC 5322, section 3.2.3 (RFC 6531 adds what is not ASCII).
func notInLocalPart(r rune) bool {
	return r <= ' ' || r == 0x7f || r == utf8.RuneError || unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`()<>[]:;@\,"`, r)
}

func roomPath(id int64) string { return fmt.Sprintf("/rooms/%d", id) }

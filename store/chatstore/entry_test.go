package chatstore_test

import (
	"context"
	"reflect"
	"testing"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/services/chat"
	"uniqverse/store"
	"uniqverse/store/chatstore"
)

// A room with a standing, read as one, is what the two are when they are read one by one: outside and inside of a transaction.
func TestEntryIsRoomAndStanding(t *testing.T) {
	ctx := context.Background()
	db, err := store.Open(ctx, store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s := chatstore.New(db)
	var room chat.Room
	err = s.Update(ctx, nil, func(tx chat.Tx) (err error) {
		if room, err = tx.AddRoom(chat.Room{ChatRoom: api.ChatRoom{Name: "hall", Kind: "guild"}, CreatedBy: 1}); err != nil {
			return err
		}
		room.Topic, room.SlowMode, room.Moderation.Closed = "docking", 5, true
		if err := tx.SaveRoom(room); err != nil {
			return err
		}
		for user, role := range map[int64]string{1: chat.RoleOwner, 2: chat.RoleMember, 3: chat.RoleGuest} {
			if err := tx.PutMember(chat.Member{ChatMember: api.ChatMember{UserID: user, Handle: "@u", Role: role}, Room: room.ID, Since: 10 * user}); err != nil {
				return err
			}
		}
		for _, p := range []struct {
			user  int64
			kind  string
			until api.Time
		}{{2, "mute", 0}, {3, "mute", 1_800_000_000_000}, {3, "ban", 1_900_000_000_000}, {4, "ban", 0}} {
			if err := tx.PutSanction(room.ID, p.user, p.kind, chat.Sanction{On: true, Until: p.until}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	standings := map[chat.Standing]bool{}
	for user := int64(0); user <= 5; user++ {
		wantRoom, err1 := s.Room(ctx, room.ID)
		want, err2 := s.Standing(ctx, room.ID, user)
		gotRoom, got, err3 := s.Entry(ctx, room.ID, user)
		if err1 != nil || err2 != nil || err3 != nil || !reflect.DeepEqual(gotRoom, wantRoom) || got != want {
			t.Errorf("user %d: %+v %+v %v, want %+v %+v (%v, %v)", user, gotRoom, got, err3, wantRoom, want, err1, err2)
		}
		standings[got] = true
		err = s.Update(ctx, nil, func(tx chat.Tx) error {
			inRoom, in, err := tx.Entry(room.ID, user)
			if !reflect.DeepEqual(inRoom, wantRoom) || in != want {
				t.Errorf("user %d in a transaction: %+v %+v, want %+v %+v", user, inRoom, in, wantRoom, want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if len(standings) != 5 { // users 0 and 5 have the same: none
		t.Errorf("%d different standings: %v", len(standings), standings)
	}
	if _, _, err := s.Entry(ctx, room.ID+1, 1); !errs.Is(err, errs.NotFound) {
		t.Errorf("a room that is not: %v", err)
	}
}

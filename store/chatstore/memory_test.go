package chatstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"time"

	"uniqverse/internal/api"
	"uniqverse/services/chat"
	"uniqverse/services/chat/moderation"
	"uniqverse/store"
	"uniqverse/store/chatstore"
)

func openHall(t *testing.T) (*store.DB, chatstore.Store, chat.Room) {
	t.Helper()
	db, err := store.Open(context.Background(), store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s := chatstore.New(db)
	var room chat.Room
	err = s.Update(context.Background(), nil, func(tx chat.Tx) (err error) {
		room, err = tx.AddRoom(chat.Room{ChatRoom: api.ChatRoom{Name: "hall", Kind: "guild"}, CreatedBy: 1})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return db, s, room
}

// change is something that happens to a room or to who is in it.
func change(tx chat.Tx, room chat.Room, user int64, what int) error {
	switch what % 8 {
	case 0:
		return tx.PutMember(chat.Member{ChatMember: api.ChatMember{UserID: user, Handle: "@u", Role: chat.RoleMember}, Room: room.ID, Since: user})
	case 1:
		return tx.PutMember(chat.Member{ChatMember: api.ChatMember{UserID: user, Handle: "@u", Role: chat.RoleModerator}, Room: room.ID})
	case 2:
		return tx.RemoveMember(room.ID, user)
	case 3:
		return tx.PutSanction(room.ID, user, "ban", chat.Sanction{On: true})
	case 4:
		return tx.PutSanction(room.ID, user, "ban", chat.Sanction{})
	case 5:
		return tx.PutSanction(room.ID, user, "mute", chat.Sanction{On: true, Until: 1_900_000_000_000})
	case 6:
		r, err := tx.Room(room.ID)
		if err != nil {
			return err
		}
		r.Topic, r.ArchivedAt = r.Topic+"x", 1-r.ArchivedAt
		return tx.SaveRoom(r)
	}
	_, err := tx.NextSeq(room.ID)
	return err
}

// What is answered from memory is what the tables say, whatever was changed, by whomever, and whether or not it was undone: outside of
// transactions, and inside of one that changed it itself.
func TestEntryIsNeverStale(t *testing.T) {
	ctx := context.Background()
	db, s, room := openHall(t)
	other := chatstore.NewModeration(db) // another holder of the same database
	undone := errors.New("undone")
	same := func(what string, user int64, r chat.Room, st chat.Standing) {
		t.Helper()
		wantRoom, err1 := s.Room(ctx, room.ID)
		want, err2 := s.Standing(ctx, room.ID, user)
		if err1 != nil || err2 != nil || !reflect.DeepEqual(r, wantRoom) || st != want {
			t.Fatalf("%s: user %d: %+v %+v, want %+v %+v (%v %v)", what, user, r, st, wantRoom, want, err1, err2)
		}
	}
	dice := rand.New(rand.NewPCG(1, 2))
	for i := range 120 {
		user, what, fails := dice.Int64N(5)+1, dice.IntN(8), dice.IntN(4) == 0
		var in chat.Room
		var inSt chat.Standing
		do := func(tx chat.Tx) error {
			if _, _, err := tx.Entry(room.ID, user); err != nil {
				return err
			}
			if err := change(tx, room, user, what); err != nil {
				return err
			}
			var err error
			if in, inSt, err = tx.Entry(room.ID, user); err == nil && fails {
				return undone
			}
			return err
		}
		err := s.Update(ctx, nil, do)
		if i%2 == 0 {
			err = errors.Join(err, other.Update(ctx, nil, func(tx moderation.Tx) error { return do(tx) }))
		}
		if fails != errors.Is(err, undone) || err != nil && !fails {
			t.Fatal(err)
		}
		step := fmt.Sprintf("step %d, change %d, undone %v", i, what, fails)
		if !fails {
			same(step+", inside", user, in, inSt)
		}
		for u := int64(0); u <= 6; u++ {
			r, st, err := s.Entry(ctx, room.ID, u)
			if err != nil {
				t.Fatal(err)
			}
			same(step, u, r, st)
		}
	}
}

// Whoever changed a standing sees it at once, whatever others read meanwhile.
func TestEntryFollowsAChangeAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	_, s, room := openHall(t)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for ctx.Err() == nil {
				s.Entry(context.Background(), room.ID, 7)
				runtime.Gosched()
			}
		})
	}
	defer wg.Wait()
	defer cancel()
	for i := range 40 {
		on := i%2 == 0
		err := s.Update(context.Background(), nil, func(tx chat.Tx) error {
			return tx.PutSanction(room.ID, 7, "ban", chat.Sanction{On: on})
		})
		if _, st, err2 := s.Entry(context.Background(), room.ID, 7); err != nil || err2 != nil || st.Ban.On != on {
			t.Fatalf("round %d: %+v, want a ban %v (%v %v)", i, st, on, err, err2)
		}
	}
}

// Seqs have no gap, whatever fails beside them in the same transaction, and the room's row has the last.
func TestSeqsHaveNoGap(t *testing.T) {
	ctx := context.Background()
	db, s, room := openHall(t)
	var mu sync.Mutex
	seen := map[int64]bool{}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 20 {
				var got []int64
				err := s.Update(ctx, nil, func(tx chat.Tx) error {
					for range 1 + j%3 {
						seq, err := tx.NextSeq(room.ID)
						if err != nil {
							return err
						}
						got = append(got, seq)
					}
					if (i+j)%4 == 0 {
						return errors.New("undone")
					}
					if (i+j)%7 == 0 {
						panic("undone")
					}
					return nil
				})
				if err == nil {
					mu.Lock()
					for _, seq := range got {
						if seen[seq] {
							t.Errorf("seq %d was given twice", seq)
						}
						seen[seq] = true
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	for seq := int64(1); seq <= int64(len(seen)); seq++ {
		if !seen[seq] {
			t.Errorf("there is no seq %d of %d", seq, len(seen))
		}
	}
	r, _, err := s.Entry(ctx, room.ID, 1)
	var stored int64
	if err2 := db.QueryRow(ctx, `SELECT head FROM chat_rooms WHERE id = $1`, room.ID).Scan(&stored); err != nil || err2 != nil || r.Head != int64(len(seen)) || stored != r.Head {
		t.Errorf("the room's head is %d, its row has %d, of %d (%v %v)", r.Head, stored, len(seen), err, err2)
	}
}

// A crowd that comes at once, each of them somebody else, reads a room once.
func TestACrowdReadsARoomOnce(t *testing.T) {
	ctx := context.Background()
	db, s, room := openHall(t)
	err := s.Update(ctx, nil, func(tx chat.Tx) error {
		for user := int64(1); user <= 300; user++ {
			if err := change(tx, room, user, 0); err != nil {
				return err
			}
		}
		return tx.PutSanction(room.ID, 300, "ban", chat.Sanction{On: true})
	})
	if err != nil {
		t.Fatal(err)
	}
	before := db.Reads()
	var wg sync.WaitGroup
	for user := int64(1); user <= 400; user++ {
		wg.Go(func() {
			_, st, err := s.Entry(ctx, room.ID, user)
			if err != nil || (st.Role != "") != (user <= 300) || st.Banned(time.Now()) != (user == 300) {
				t.Errorf("user %d: %+v %v", user, st, err)
			}
		})
	}
	wg.Wait()
	if n := db.Reads() - before; n > 2 { // the room, and its people
		t.Errorf("%d reads", n)
	}
}

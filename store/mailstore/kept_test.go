package mailstore_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/rules"
	"uniqverse/services/email/spam"
	"uniqverse/store"
	"uniqverse/store/mailstore"
	"uniqverse/store/storetest"
)

// settled is everything that mail which arrives asks again and again.
type settled struct {
	route     mailbox.Route
	rules     map[string]rules.Standing
	profiles  map[string]spam.Profile
	standings map[int64]map[string]spam.Standing
}

func settledFor(t *testing.T, s mailstore.Store, box int64) (out settled) {
	t.Helper()
	ctx := context.Background()
	var err error
	ask := func(e error) { err = errors.Join(err, e) }
	var e error
	out.route, e = s.RouteOf(ctx, "gate")
	ask(e)
	out.rules, e = s.RulesFor(ctx, []string{"pilot"})
	ask(e)
	out.profiles, e = s.SpamProfiles(ctx, []string{"pilot"})
	ask(e)
	out.standings, e = s.SpamStandings(ctx, []int64{0, box}, []string{"a.test"})
	ask(e)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What mail that arrives asks again and again is answered from memory, and every change takes the answers back: also one that is under way
// keeps nobody's older answer, and one that comes to nothing leaves the old.
func TestSettingsAreKept(t *testing.T) {
	db := storetest.Open(t)
	s, ctx := mailstore.New(db), context.Background()
	var box int64
	changes := []struct {
		name string
		do   func(tx mailbox.Tx) error
	}{
		{"a mailbox", func(tx mailbox.Tx) error {
			b, _, err := tx.EnsureMailbox("pilot", mailbox.MadeByMail)
			box = b.ID
			return err
		}},
		{"an alias", func(tx mailbox.Tx) error { return tx.SetAlias("gate", []string{"pilot"}) }},
		{"an address of one's own", func(tx mailbox.Tx) error {
			return tx.SaveAddress(mailbox.Address{Local: "gate", Mailbox: box, User: "pilot", Kind: "alias", Enabled: true, Created: time.Now()})
		}},
		{"one that is switched off", func(tx mailbox.Tx) error {
			return tx.SaveAddress(mailbox.Address{Local: "gate", Mailbox: box, User: "pilot", Kind: "alias", Created: time.Now()})
		}},
		{"a rule", func(tx mailbox.Tx) error {
			_, err := tx.SaveUserRule(rules.Rule{Mailbox: box, Name: "r", Enabled: true})
			return err
		}},
		{"an answer while away", func(tx mailbox.Tx) error {
			return tx.SaveVacation(rules.Vacation{Mailbox: box, Enabled: true, Text: "away"})
		}},
		{"a threshold", func(tx mailbox.Tx) error { return tx.SetJunkAt(box, 7) }},
		{"a sender on the list", func(tx mailbox.Tx) error {
			_, err := tx.ListSender(box, spam.Listed{Sender: "a.test", Allow: true}, 10)
			return err
		}},
		{"what was learnt", func(tx mailbox.Tx) error {
			return tx.CountSpam(box, spam.Spam, 1, []string{"warp"}, []string{"a.test"})
		}},
		{"what was seen", func(tx mailbox.Tx) error {
			return tx.SeeSpam([]spam.Seen{{User: "pilot", Source: "a.test", All: 1, First: time.Now()}})
		}},
	}
	nothing := errors.New("nothing of it")
	for _, c := range changes {
		before := settledFor(t, s, box)
		reads := db.Reads()
		if again := settledFor(t, s, box); !reflect.DeepEqual(again, before) || db.Reads() != reads {
			t.Fatalf("before %s: %+v then %+v, after %d reads", c.name, before, again, db.Reads()-reads)
		}
		was := box
		err := s.Update(ctx, nil, func(tx mailbox.Tx) error {
			if err := c.do(tx); err != nil {
				return err
			}
			return nothing
		})
		if box = was; !errors.Is(err, nothing) {
			t.Fatalf("%s: %v", c.name, err)
		}
		if again := settledFor(t, s, box); !reflect.DeepEqual(again, before) {
			t.Fatalf("%s that came to nothing: %+v, want %+v", c.name, again, before)
		}
		err = s.Update(ctx, nil, func(tx mailbox.Tx) error {
			if err := c.do(tx); err != nil {
				return err
			}
			if during := settledFor(t, s, was); !reflect.DeepEqual(during, before) { // nothing is stored yet
				t.Errorf("%s: %+v during the change, want %+v", c.name, during, before)
			}
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if after := settledFor(t, s, box); reflect.DeepEqual(after, before) {
			t.Errorf("%s changes nothing: %+v", c.name, after)
		} else if fresh := readAnew(t, db, box); !reflect.DeepEqual(after, fresh) {
			t.Errorf("after %s: %+v, want %+v", c.name, after, fresh)
		}
	}
}

// readAnew reads the same without what is in memory: a change, of whatever kind, takes that back.
func readAnew(t *testing.T, db *store.DB, box int64) settled {
	t.Helper()
	s := mailstore.New(db)
	if err := s.Update(context.Background(), nil, func(tx mailbox.Tx) error { return tx.SetAlias("nobody", nil) }); err != nil {
		t.Fatal(err)
	}
	return settledFor(t, s, box)
}

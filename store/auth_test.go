package store_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"uniqverse/internal/auth"
	"uniqverse/internal/errs"
	"uniqverse/store"
	"uniqverse/store/storetest"
)

// authClock is a clock that a test moves.
type authClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *authClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *authClock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

func openAuth(t *testing.T) (auth.Store, *authClock) {
	t.Helper()
	c := &authClock{at: time.UnixMilli(1_767_366_245_123).UTC()}
	return store.NewAuth(storetest.Open(t, func(o *store.Options) { o.Now = c.now })), c
}

func inAuth(t *testing.T, s auth.Store, fn func(tx auth.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), nil, fn); err != nil {
		t.Fatal(err)
	}
}

func addUser(t *testing.T, s auth.Store, n auth.NewUser) (u auth.User) {
	t.Helper()
	inAuth(t, s, func(tx auth.Tx) error {
		var err error
		var added bool
		if u, added, err = tx.AddUser(n); err == nil && !added {
			err = fmt.Errorf("%s was there", n.Name)
		}
		return err
	})
	return u
}

func TestAuthUsers(t *testing.T) {
	s, clock := openAuth(t)
	u := addUser(t, s, auth.NewUser{Name: "ada", Display: "Ada Ä_%", Roles: []string{"user", "admin"}, Password: "$x"})
	want := auth.User{ID: u.ID, Name: "ada", Display: "Ada Ä_%", Roles: []string{"user", "admin"}, Password: true, Created: clock.now()}
	for name, get := range map[string]func(context.Context) (auth.User, error){
		"by id":   func(ctx context.Context) (auth.User, error) { return s.UserByID(ctx, u.ID) },
		"by name": func(ctx context.Context) (auth.User, error) { return s.UserByName(ctx, "ada") },
	} {
		if got, err := get(t.Context()); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, want)
		}
	}
	if phc, err := s.Password(t.Context(), u.ID); phc != "$x" || err != nil {
		t.Errorf("password %q, %v", phc, err)
	}
	// The name is there already: nothing changes.
	inAuth(t, s, func(tx auth.Tx) error {
		got, added, err := tx.AddUser(auth.NewUser{Name: "ada", Display: "another", Roles: nil, Password: ""})
		if added || got.ID != u.ID || got.Display != "Ada Ä_%" {
			t.Errorf("added %v %+v", added, got)
		}
		return err
	})
	// Each field by itself.
	display, roles, off, phc := "A", []string{}, true, "$y"
	for _, c := range []struct {
		change auth.UserChange
		done   func(*auth.User)
	}{
		{auth.UserChange{}, func(*auth.User) {}},
		{auth.UserChange{Display: &display}, func(u *auth.User) { u.Display = "A" }},
		{auth.UserChange{Roles: &roles}, func(u *auth.User) { u.Roles = roles }},
		{auth.UserChange{Disabled: &off}, func(u *auth.User) { u.Disabled = true }},
		{auth.UserChange{Password: &phc}, func(*auth.User) {}},
		{auth.UserChange{EndTokens: true}, func(u *auth.User) { u.Generation++ }},
	} {
		c.done(&want)
		inAuth(t, s, func(tx auth.Tx) error {
			got, err := tx.UpdateUser(u.ID, c.change)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%+v: %+v, want %+v", c.change, got, want)
			}
			return err
		})
	}
	for _, missing := range []error{
		func() error { _, err := s.UserByID(t.Context(), 99); return err }(),
		func() error { _, err := s.UserByName(t.Context(), "Ada"); return err }(),
		func() error { _, err := s.Password(t.Context(), 99); return err }(),
		s.Update(t.Context(), nil, func(tx auth.Tx) error {
			_, err := tx.UpdateUser(99, auth.UserChange{Display: &display})
			return err
		}),
	} {
		if !errs.Is(missing, errs.NotFound) {
			t.Errorf("%v, want not found", missing)
		}
	}
}

func TestAuthUserList(t *testing.T) {
	s, _ := openAuth(t)
	for _, n := range []string{"ada", "bob", "a_b", "axb", "carol"} {
		addUser(t, s, auth.NewUser{Name: n, Display: "The " + n, Roles: []string{"user"}})
	}
	for _, c := range []struct {
		q     auth.UserQuery
		want  []string
		total int
	}{
		{auth.UserQuery{Limit: 10}, []string{"carol", "axb", "a_b", "bob", "ada"}, 5},
		{auth.UserQuery{Limit: 2}, []string{"carol", "axb"}, 5},
		{auth.UserQuery{Limit: 2, Offset: 4}, []string{"ada"}, 5},
		{auth.UserQuery{Limit: 2, Before: 3}, []string{"bob", "ada"}, 5},
		{auth.UserQuery{Limit: 9, After: 3}, []string{"carol", "axb"}, 5},
		{auth.UserQuery{Limit: 9, Match: "a_b"}, []string{"a_b"}, 1},
		{auth.UserQuery{Limit: 9, Match: "%"}, nil, 0},
		{auth.UserQuery{Limit: 9, Match: `\`}, nil, 0},
		{auth.UserQuery{Limit: 9, Match: "THE C"}, []string{"carol"}, 1},
		{auth.UserQuery{Limit: 9, Match: "'; DROP"}, nil, 0},
	} {
		us, total, err := s.Users(t.Context(), c.q)
		var got []string
		for _, u := range us {
			got = append(got, u.Name)
		}
		if err != nil || total != c.total || !slices.Equal(got, c.want) {
			t.Errorf("%+v: %q of %d, %v; want %q of %d", c.q, got, total, err, c.want, c.total)
		}
	}
}

func TestAuthAdmins(t *testing.T) {
	s, _ := openAuth(t)
	addUser(t, s, auth.NewUser{Name: "a", Roles: []string{"user"}})
	if has, err := s.HasAdmin(t.Context()); has || err != nil {
		t.Fatal(has, err)
	}
	u := addUser(t, s, auth.NewUser{Name: "b", Roles: []string{"admin"}})
	if has, err := s.HasAdmin(t.Context()); !has || err != nil {
		t.Fatal(has, err)
	}
	off := true
	inAuth(t, s, func(tx auth.Tx) error {
		if _, err := tx.UpdateUser(u.ID, auth.UserChange{Disabled: &off}); err != nil {
			return err
		}
		n, err := tx.CountAdmins()
		if n != 0 {
			t.Errorf("%d administrators, although the only one is disabled", n)
		}
		return err
	})
}

func TestAuthSessions(t *testing.T) {
	s, clock := openAuth(t)
	u := addUser(t, s, auth.NewUser{Name: "ada", Roles: []string{"user"}})
	other := addUser(t, s, auth.NewUser{Name: "bob", Roles: []string{"user"}})
	begin := clock.now()
	hash := func(n int) []byte { return fmt.Appendf(nil, "%032d", n) }
	for n := range 5 {
		clock.set(begin.Add(time.Duration(n) * time.Hour))
		inAuth(t, s, func(tx auth.Tx) error {
			_, err := tx.AddSession(auth.Session{User: u.ID, Device: fmt.Sprint("device ", n), Address: "::1"}, hash(n), 3)
			return err
		})
	}
	devices := func(id int64) (got []string) {
		list, err := s.Sessions(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range list {
			got = append(got, x.Device)
		}
		return got
	}
	if got := devices(u.ID); !slices.Equal(got, []string{"device 4", "device 3", "device 2"}) {
		t.Fatalf("the three used last stay: %q", got)
	}
	two, err := s.SessionByHash(t.Context(), hash(2))
	if err != nil || two.User != u.ID || two.Address != "::1" || !two.Created.Equal(begin.Add(2*time.Hour)) || !two.LastSeen.Equal(two.Created) {
		t.Fatalf("%+v, %v", two, err)
	}
	clock.set(begin.Add(9 * time.Hour))
	inAuth(t, s, func(tx auth.Tx) error { return tx.Seen(u.ID, two.ID, 0) })
	if got := devices(u.ID); got[0] != "device 2" {
		t.Fatalf("the last used comes first: %q", got)
	}
	if got, err := s.UserByID(t.Context(), u.ID); err != nil || !got.LastSeen.Equal(clock.now()) {
		t.Fatalf("%+v, %v", got, err)
	}
	// Not used since; except one; one; somebody else's.
	inAuth(t, s, func(tx auth.Tx) error { return tx.DeleteSessions(u.ID, 0, begin.Add(4*time.Hour)) })
	if got := devices(u.ID); !slices.Equal(got, []string{"device 2", "device 4"}) {
		t.Fatalf("%q", got)
	}
	if err := s.Update(t.Context(), nil, func(tx auth.Tx) error { return tx.DeleteSession(other.ID, two.ID) }); !errs.Is(err, errs.NotFound) {
		t.Fatal(err)
	}
	inAuth(t, s, func(tx auth.Tx) error { return tx.DeleteSessions(other.ID, 0, time.Time{}) })
	inAuth(t, s, func(tx auth.Tx) error { return tx.DeleteSessions(u.ID, two.ID, time.Time{}) })
	if got := devices(u.ID); !slices.Equal(got, []string{"device 2"}) {
		t.Fatalf("%q", got)
	}
	inAuth(t, s, func(tx auth.Tx) error { return tx.DeleteSession(u.ID, two.ID) })
	if _, err := s.SessionByHash(t.Context(), hash(2)); !errs.Is(err, errs.NotFound) {
		t.Fatal(err)
	}
}

func TestAuthAppPasswordsAndSetup(t *testing.T) {
	s, clock := openAuth(t)
	u := addUser(t, s, auth.NewUser{Name: "ada", Roles: []string{"user"}})
	one, two := []byte("one............................."), []byte("two.............................")
	var ap auth.AppPassword
	inAuth(t, s, func(tx auth.Tx) error {
		var err error
		if ap, err = tx.AddAppPassword(u.ID, "phone", one); err != nil {
			return err
		}
		_, err = tx.AddAppPassword(u.ID, "laptop", two)
		return err
	})
	if err := s.Update(t.Context(), nil, func(tx auth.Tx) error { _, err := tx.AddAppPassword(u.ID, "again", one); return err }); !errs.Is(err, errs.Conflict) {
		t.Errorf("the same hash twice: %v", err)
	}
	inAuth(t, s, func(tx auth.Tx) error { return tx.Seen(u.ID, 0, ap.ID) })
	got, err := s.AppPasswordByHash(t.Context(), u.ID, one)
	if err != nil || got.Label != "phone" || !got.LastUsed.Equal(clock.now()) {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := s.AppPasswordByHash(t.Context(), u.ID+1, one); !errs.Is(err, errs.NotFound) {
		t.Error(err)
	}
	list, err := s.AppPasswords(t.Context(), u.ID)
	if err != nil || len(list) != 2 || list[0].Label != "laptop" || !list[0].LastUsed.IsZero() {
		t.Fatalf("%+v, %v", list, err)
	}

	kept := func() string {
		b, err := s.Setup(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		inAuth(t, s, func(tx auth.Tx) error {
			inside, err := tx.Setup()
			if string(inside) != string(b) {
				t.Errorf("inside %q, outside %q", inside, b)
			}
			return err
		})
		return string(b)
	}
	for _, h := range [][]byte{nil, one, two, nil, nil} {
		inAuth(t, s, func(tx auth.Tx) error { return tx.SetSetup(h) })
		if got := kept(); got != string(h) {
			t.Errorf("setup %q, want %q", got, h)
		}
	}
}

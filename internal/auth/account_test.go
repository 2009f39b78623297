package auth_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"uniqverse/internal/auth"
	"uniqverse/internal/config"
	"uniqverse/internal/errs"
)

const phrase = "warp gate online"

func peer(n int) auth.Peer { return auth.Peer{Address: fmt.Sprintf("192.0.%d.%d", n/256, n%256)} }

// browser is one that has a session's cookie.
type browser struct{ session auth.SessionToken }

func withCookie(s auth.SessionToken) browser { return browser{s} }

// ask returns who the browser is at chat.
func (b browser) ask(w *world) string {
	w.t.Helper()
	r := httptest.NewRequest("GET", "http://hub.example.org/", nil)
	r.AddCookie(b.session.Cookie(r))
	c, err := w.ask("chat", r)
	if err != nil {
		w.t.Fatal(err)
	}
	return c.User
}

func TestSignIn(t *testing.T) {
	w := open(t, noDemo)
	u, _ := w.signUp("pilot", phrase)
	for _, name := range []string{"pilot", "Pilot", "pilot@" + domain, "PILOT@VezeUniqverse.com", "@pilot", " pilot "} {
		if got, err := w.SignIn(t.Context(), name, phrase, peer(1)); err != nil || got.ID != u.ID {
			t.Errorf("%q: %v", name, err)
		}
	}
	// What is wrong does not say which part, and takes the same way through the hash.
	var said []string
	for i, c := range [][2]string{{"pilot", phrase + "!"}, {"pilot", ""}, {"nobody", phrase}, {"pilot@example.org", phrase}, {"", phrase}, {"../x", phrase}, {"pilot", strings.Repeat("x", 100_000)}} {
		_, err := w.SignIn(t.Context(), c[0], c[1], peer(10+i))
		if !errs.Is(err, errs.Unauthenticated) {
			t.Errorf("%q: %v", c[0], err)
		}
		said = append(said, err.Error())
	}
	if len(slices.Compact(said)) != 1 {
		t.Errorf("the refusals differ: %q", said)
	}
	// A user without a password cannot sign in with an empty one.
	if _, err := w.Ensure(t.Context(), "ghost"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.SignIn(t.Context(), "ghost", "", peer(30)); !errs.Is(err, errs.Unauthenticated) {
		t.Errorf("no password: %v", err)
	}
	w.disable(u)
	if _, err := w.SignIn(t.Context(), "pilot", phrase, peer(31)); !errs.Is(err, errs.Denied) {
		t.Errorf("disabled: %v", err)
	}
}

// Guessing is slow per account and per address; what succeeds costs nothing, and time heals.
func TestGuessingIsSlow(t *testing.T) {
	w := open(t, noDemo)
	w.signUp("pilot", phrase)
	guess := func(name, password string, from int) error {
		_, err := w.SignIn(t.Context(), name, password, peer(from))
		return err
	}
	for range 12 {
		if err := guess("pilot", phrase, 1); err != nil {
			t.Fatalf("a right one is counted: %v", err)
		}
	}
	for n := range 10 {
		if err := guess("pilot", "wrong", 7); !errs.Is(err, errs.Unauthenticated) {
			t.Fatalf("guess %d: %v", n, err)
		}
	}
	err := guess("pilot", phrase, 7)
	var e *errs.Error
	if !errors.As(err, &e) || e.Kind != errs.Limited || e.RetryAfter <= 0 || e.RetryAfter > 30*time.Second {
		t.Fatalf("the account after ten wrong guesses: %v", err)
	}
	if err := guess("pilot", phrase, 8); err != nil {
		t.Fatalf("its owner elsewhere: %v", err)
	}
	w.clock.pass(31 * time.Second)
	if err := guess("pilot", phrase, 7); err != nil {
		t.Fatalf("after a pause: %v", err)
	}
	// One address, many accounts.
	limited := 0
	for n := range 45 {
		if errs.Is(guess(fmt.Sprint("user", n), "wrong", 200), errs.Limited) {
			limited++
		}
	}
	if limited != 5 {
		t.Fatalf("%d of 45 guesses from one address were held back, want 5", limited)
	}
	if err := guess("pilot", phrase, 201); err != nil {
		t.Fatalf("another address: %v", err)
	}
	// One account, many addresses.
	limited = 0
	for n := range 65 {
		if errs.Is(guess("ada", "wrong", 300+n), errs.Limited) {
			limited++
		}
	}
	if limited != 5 {
		t.Fatalf("%d of 65 guesses for one account were held back, want 5", limited)
	}
	// A customer's whole network is one address.
	limited = 0
	for n := range 45 {
		_, err := w.SignIn(t.Context(), fmt.Sprint("user", n), "wrong", auth.Peer{Address: fmt.Sprintf("2001:db8:1:2::%x", n)})
		if errs.Is(err, errs.Limited) {
			limited++
		}
	}
	if limited != 5 {
		t.Fatalf("%d of 45 guesses from one network were held back, want 5", limited)
	}
}

// More sign-ins at once than there is memory for are told to come back.
func TestCrowdAtTheHash(t *testing.T) {
	w := open(t, noDemo)
	w.signUp("pilot", phrase)
	leave := auth.Crowd(w.Auth)
	_, err := w.SignIn(t.Context(), "pilot", phrase, peer(1))
	var e *errs.Error
	if !errors.As(err, &e) || e.Kind != errs.Unavailable || e.RetryAfter == 0 {
		t.Fatalf("in a crowd: %v", err)
	}
	leave()
	if _, err := w.SignIn(t.Context(), "pilot", phrase, peer(1)); err != nil {
		t.Fatal(err)
	}
}

func TestSignUp(t *testing.T) {
	w := open(t, noDemo)
	u, s := w.signUp("ada", phrase)
	if u.Email != "ada@"+domain || !slices.Equal(u.Roles, []string{"user"}) || !u.Password {
		t.Fatalf("%+v", u)
	}
	if withCookie(s).ask(w) != "ada" {
		t.Fatal("signing up signs in")
	}
	n, err := w.PrepareSignUp(t.Context(), auth.Account{User: "ada", Password: phrase}, peer(1))
	if err != nil {
		t.Fatal(err)
	}
	err = w.Store().Update(t.Context(), nil, func(tx auth.Tx) error { _, _, err := w.SignUp(t.Context(), tx, n, peer(1)); return err })
	if !errs.Is(err, errs.Invalid) {
		t.Fatalf("a name that is taken: %v", err)
	}
	for _, c := range []struct {
		acc   auth.Account
		field string
	}{
		{auth.Account{User: "", Password: phrase}, "user"},
		{auth.Account{User: "a b", Password: phrase}, "user"},
		{auth.Account{User: ".a", Password: phrase}, "user"},
		{auth.Account{User: "a..b", Password: phrase}, "user"},
		{auth.Account{User: "ü", Password: phrase}, "user"},
		{auth.Account{User: strings.Repeat("a", 65), Password: phrase}, "user"},
		{auth.Account{User: "bob@example.org", Password: phrase}, "user"},
		{auth.Account{User: "bob", Display: "a\nb", Password: phrase}, "name"},
		{auth.Account{User: "bob", Display: strings.Repeat("x", 81), Password: phrase}, "name"},
		{auth.Account{User: "bob", Password: ""}, "password"},
		{auth.Account{User: "bob", Password: "too short"}, "password"},
		{auth.Account{User: "bob", Password: strings.Repeat("x", 257)}, "password"},
		{auth.Account{User: "bob", Password: "password123"}, "password"},
		{auth.Account{User: "bob", Password: "1234567890"}, "password"},
		{auth.Account{User: "bob", Password: "bob-bob-2026"}, "password"},
		{auth.Account{User: "bob", Password: "aaaaaaaaaaaa"}, "password"},
		{auth.Account{User: "bob", Password: "ab\xffcdefghijkl"}, "password"},
	} {
		_, err := w.PrepareSignUp(t.Context(), c.acc, peer(2))
		var e *errs.Error
		if !errors.As(err, &e) || e.Kind != errs.Invalid || len(e.Fields) != 1 || e.Fields[0].Field != c.field {
			t.Errorf("%+v: %v", c.acc, err)
		}
		if err != nil && c.acc.Password != "" && strings.Contains(err.Error(), c.acc.Password) {
			t.Errorf("the password is repeated: %v", err)
		}
	}
}

// Where another program issues the tokens nobody can take a name here before its owner's first call.
func TestNoSignUpBesideAnotherIssuer(t *testing.T) {
	for _, change := range []func(*config.Config){withSecret, withKeysAt("http://127.0.0.1:1/")} {
		w := open(t, change)
		if _, err := w.PrepareSignUp(t.Context(), auth.Account{User: "ada", Password: phrase}, peer(1)); !errs.Is(err, errs.Denied) || w.SignUpOpen() {
			t.Errorf("%v", err)
		}
	}
}

func TestSessions(t *testing.T) {
	w := open(t, noDemo)
	u, first := w.signUp("pilot", phrase)
	w.clock.pass(time.Second)
	second, err := w.OpenSession(t.Context(), u, auth.Peer{Address: "192.0.2.7", Device: "curl"})
	if err != nil || second == first {
		t.Fatal("a sign-in has a session of its own", err)
	}
	list, err := w.Sessions(t.Context(), u.ID)
	if err != nil || len(list) != 2 || list[0].Device != "curl" || list[1].Device != "Firefox on Linux" {
		t.Fatalf("%+v, %v", list, err)
	}
	// One is ended, at once although it was used a moment ago.
	if withCookie(second).ask(w) != "pilot" || withCookie(first).ask(w) != "pilot" {
		t.Fatal("both sign in")
	}
	w.change(u, func(tx auth.Tx) error { return w.EndSession(tx, u.ID, list[0].ID) })
	if withCookie(second).ask(w) != "" || withCookie(first).ask(w) != "pilot" {
		t.Fatal("the ended one, and only that, is out")
	}
	// Somebody else's cannot be ended.
	err = w.Store().Update(t.Context(), nil, func(tx auth.Tx) error { return w.EndSession(tx, u.ID+1, list[1].ID) })
	if !errs.Is(err, errs.NotFound) {
		t.Fatalf("another user's session: %v", err)
	}
	// All others.
	third, err := w.OpenSession(t.Context(), u, peer(3))
	if err != nil {
		t.Fatal(err)
	}
	w.change(u, func(tx auth.Tx) error { return w.EndOtherSessions(tx, u.ID, list[1].ID) })
	if withCookie(third).ask(w) != "" || withCookie(first).ask(w) != "pilot" {
		t.Fatal("all but one are out")
	}
	// It slides: used every 29 days it lives on, unused for 30 it is over.
	for range 3 {
		w.clock.pass(29 * 24 * time.Hour)
		if withCookie(first).ask(w) != "pilot" {
			t.Fatal("a session in use ended")
		}
	}
	w.clock.pass(30*24*time.Hour + time.Second)
	if withCookie(first).ask(w) != "" {
		t.Fatal("a session that was not used for 30 days")
	}
	if list, err := w.Sessions(t.Context(), u.ID); err != nil || len(list) != 0 {
		t.Fatalf("%+v, %v", list, err)
	}
}

func TestCookie(t *testing.T) {
	r := httptest.NewRequest("GET", "http://localhost/", nil)
	c := auth.SessionToken("x").Cookie(r).String()
	for _, part := range []string{"uniq_session=x", "Path=/", "HttpOnly", "SameSite=Lax"} {
		if !strings.Contains(c, part) {
			t.Errorf("%s lacks %s", c, part)
		}
	}
	if strings.Contains(c, "Secure") || strings.Contains(c, "Domain") {
		t.Errorf("over plain HTTP: %s", c)
	}
	if c := auth.SessionToken("x").Cookie(httptest.NewRequest("GET", "https://localhost/", nil)).String(); !strings.Contains(c, "Secure") {
		t.Errorf("over TLS: %s", c)
	}
}

func TestChangePassword(t *testing.T) {
	w := open(t, noDemo)
	u, s := w.signUp("pilot", phrase)
	token, err := w.IssueTo(u, auth.Grant{})
	if err != nil {
		t.Fatal(err)
	}
	w.mustBe("pilot", "chat", bearer(token.Text))
	if _, err := w.PrepareChange(t.Context(), u.ID, "not it at all", "a new and better one", peer(1)); !errs.Is(err, errs.Invalid) {
		t.Fatalf("a wrong current password: %v", err)
	}
	if _, err := w.PrepareChange(t.Context(), u.ID, phrase, "short", peer(1)); !errs.Is(err, errs.Invalid) {
		t.Fatalf("a bad new password: %v", err)
	}
	change, err := w.PrepareChange(t.Context(), u.ID, phrase, "a new and better one", peer(1))
	if err != nil {
		t.Fatal(err)
	}
	other, err := w.OpenSession(t.Context(), u, peer(2))
	if err != nil {
		t.Fatal(err)
	}
	list, err := w.Sessions(t.Context(), u.ID)
	if err != nil {
		t.Fatal(err)
	}
	keep := list[len(list)-1].ID
	w.change(u, func(tx auth.Tx) error { _, err := w.ChangePassword(tx, change, keep); return err })
	if withCookie(s).ask(w) != "pilot" || withCookie(other).ask(w) != "" {
		t.Fatal("this session stays, others end")
	}
	w.mustRefuse(errs.Unauthenticated, "chat", bearer(token.Text))
	if _, err := w.SignIn(t.Context(), "pilot", phrase, peer(1)); !errs.Is(err, errs.Unauthenticated) {
		t.Fatalf("the old password: %v", err)
	}
	fresh, err := w.SignIn(t.Context(), "pilot", "a new and better one", peer(1))
	if err != nil {
		t.Fatal(err)
	}
	token, err = w.IssueTo(fresh, auth.Grant{})
	if err != nil {
		t.Fatal(err)
	}
	w.mustBe("pilot", "chat", bearer(token.Text))
	// Two changes at the same moment: one counts.
	err = w.Store().Update(t.Context(), nil, func(tx auth.Tx) error { _, err := w.ChangePassword(tx, change, keep); return err })
	if !errs.Is(err, errs.Conflict) {
		t.Fatalf("the second change: %v", err)
	}
}

// The same password typed with composed and decomposed accents is the same password.
func TestPasswordAccents(t *testing.T) {
	w := open(t, noDemo)
	w.signUp("pilot", "caf\u00e9 au lait")
	if _, err := w.SignIn(t.Context(), "pilot", "cafe\u0301 au lait", peer(1)); err != nil {
		t.Fatal(err)
	}
}

// A hash made with other parameters is good, and made anew at the next sign-in.
func TestPasswordHashIsRenewed(t *testing.T) {
	w := open(t, noDemo)
	u, _ := w.signUp("pilot", phrase)
	w.Auth = w.onSameStore() // with the parameters of the product
	stored := func() string {
		phc, err := w.Store().Password(t.Context(), u.ID)
		if err != nil {
			t.Fatal(err)
		}
		return phc
	}
	if !strings.HasPrefix(stored(), "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Fatal(stored())
	}
	if _, err := w.SignIn(t.Context(), "pilot", phrase+"!", peer(1)); !errs.Is(err, errs.Unauthenticated) {
		t.Fatalf("a wrong password at an old hash: %v", err)
	}
	for range 2 {
		if _, err := w.SignIn(t.Context(), "pilot", phrase, peer(1)); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(stored(), "$argon2id$v=19$m=19456,t=2,p=1$") {
			t.Fatal(stored())
		}
	}
	// A row that another hand wrote cannot make us take all memory.
	for _, bad := range []string{"$argon2id$v=19$m=4000000,t=2,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "$2a$10$x", "plain"} {
		w.change(u, func(tx auth.Tx) error {
			_, err := tx.UpdateUser(u.ID, auth.UserChange{Password: &bad})
			return err
		})
		if _, err := w.SignIn(t.Context(), "pilot", phrase, peer(1)); errs.KindOf(err) != errs.Internal {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestAppPasswords(t *testing.T) {
	w := open(t, noDemo)
	u, _ := w.signUp("pilot", phrase)
	ap, secret, err := w.NewAppPassword(t.Context(), u.ID, "Thunderbird")
	if err != nil || len(secret) != 27 {
		t.Fatalf("%q, %v", secret, err)
	}
	for _, name := range []string{"pilot", "pilot@" + domain, "Pilot@" + domain} {
		for _, typed := range []string{secret, strings.ReplaceAll(secret, "-", ""), strings.ToUpper(strings.ReplaceAll(secret, "-", " "))} {
			if got, err := w.AppLogin(t.Context(), name, typed); err != nil || got.ID != u.ID {
				t.Errorf("%s, %s: %v", name, typed, err)
			}
		}
	}
	list, err := w.AppPasswords(t.Context(), u.ID)
	if err != nil || len(list) != 1 || list[0].Label != "Thunderbird" || !list[0].LastUsed.Equal(w.clock.now()) {
		t.Fatalf("%+v, %v", list, err)
	}
	w.signUp("ada", phrase)
	for _, c := range [][2]string{{"pilot", phrase}, {"pilot", ""}, {"pilot", strings.Repeat("a", 24)}, {"ada", secret}, {"nobody", secret}, {"pilot@example.org", secret}, {"", secret}, {"demo", "demo"}} {
		if _, err := w.AppLogin(t.Context(), c[0], c[1]); !errs.Is(err, errs.Unauthenticated) {
			t.Errorf("%q with %q: %v", c[0], c[1], err)
		}
	}
	// It opens mail programs and nothing else.
	if _, err := w.SignIn(t.Context(), "pilot", secret, peer(1)); !errs.Is(err, errs.Unauthenticated) {
		t.Errorf("an app password at the sign-in: %v", err)
	}
	w.disable(u)
	if _, err := w.AppLogin(t.Context(), "pilot", secret); !errs.Is(err, errs.Unauthenticated) {
		t.Errorf("disabled: %v", err)
	}
	w.change(u, func(tx auth.Tx) error { _, err := w.SetDisabled(tx, u.ID, false); return err })
	if _, err := w.AppLogin(t.Context(), "pilot", secret); err != nil {
		t.Errorf("enabled again: %v", err)
	}
	err = w.Store().Update(t.Context(), nil, func(tx auth.Tx) error { return w.RevokeAppPassword(tx, u.ID+1, ap.ID) })
	if !errs.Is(err, errs.NotFound) {
		t.Fatalf("another user's app password: %v", err)
	}
	w.change(u, func(tx auth.Tx) error { return w.RevokeAppPassword(tx, u.ID, ap.ID) })
	if _, err := w.AppLogin(t.Context(), "pilot", secret); !errs.Is(err, errs.Unauthenticated) {
		t.Errorf("revoked: %v", err)
	}
	for _, label := range []string{"", "  ", strings.Repeat("x", 61), "a\nb"} {
		if _, _, err := w.NewAppPassword(t.Context(), u.ID, label); !errs.Is(err, errs.Invalid) {
			t.Errorf("label %q: %v", label, err)
		}
	}
	for range 25 {
		if _, _, err = w.NewAppPassword(t.Context(), u.ID, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err = w.NewAppPassword(t.Context(), u.ID, "x"); !errs.Is(err, errs.Conflict) {
		t.Errorf("the 26th: %v", err)
	}
}

func TestSetup(t *testing.T) {
	w := open(t, noDemo)
	old, needed, err := w.SetupLink(t.Context())
	if err != nil || !needed {
		t.Fatal(needed, err)
	}
	link, _, err := w.SetupLink(t.Context()) // the next start
	if err != nil || link == old {
		t.Fatal("each start has its own link", err)
	}
	admin := auth.Account{User: "captain", Display: "Captain", Password: phrase}
	for _, wrong := range []string{old, "", "x", strings.ToLower(link)} {
		if ok, err := w.SetupWorks(t.Context(), wrong); ok || err != nil {
			t.Errorf("%q works: %v", wrong, err)
		}
		if _, err := w.PrepareSetup(t.Context(), wrong, admin); !errs.Is(err, errs.Denied) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	n, err := w.PrepareSetup(t.Context(), link, admin)
	if err != nil {
		t.Fatal(err)
	}
	var s auth.SessionToken
	use := func() error {
		return w.Store().Update(t.Context(), nil, func(tx auth.Tx) error {
			_, s, err = w.Setup(t.Context(), tx, link, n, peer(1))
			return err
		})
	}
	if err := use(); err != nil {
		t.Fatal(err)
	}
	if withCookie(s).ask(w) != "captain" {
		t.Fatal("the administrator is signed in")
	}
	if err := use(); !errs.Is(err, errs.Denied) {
		t.Fatalf("the link used twice: %v", err)
	}
	if _, needed, err := w.SetupLink(t.Context()); needed || err != nil {
		t.Fatal("a link although there is an administrator", err)
	}
	u, err := w.UserByName(t.Context(), "captain")
	if err != nil || !slices.Equal(u.Roles, []string{"user", "admin"}) {
		t.Fatalf("%+v, %v", u, err)
	}
	// The only administrator stays one.
	for name, fn := range map[string]func(tx auth.Tx) error{
		"role taken": func(tx auth.Tx) error { _, err := w.SetRoles(tx, u.ID, []string{"user"}); return err },
		"disabled":   func(tx auth.Tx) error { _, err := w.SetDisabled(tx, u.ID, true); return err },
	} {
		if err := w.Store().Update(t.Context(), nil, fn); !errs.Is(err, errs.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if u, err := w.UserByName(t.Context(), "captain"); err != nil || u.Disabled || !u.Has("admin") {
		t.Fatalf("%+v, %v", u, err)
	}
}

// What a role may do, as the contract and the documentation have it.
func TestRoles(t *testing.T) {
	user := "chat.read chat.write email.read email.send game.play game.read_mail portal.provision"
	for _, c := range []struct {
		roles []string
		want  string
	}{
		{nil, ""},
		{[]string{"user"}, user},
		{[]string{"agent"}, "chat.moderate chat.read chat.write email.read email.send ticket.manage"},
		{[]string{"admin"}, "chat.moderate chat.read chat.write email.admin email.read email.send game.play game.read_mail portal.admin portal.provision ticket.manage"},
		{[]string{"user", "stranger"}, user},
	} {
		if got := strings.Join(auth.ScopesOf(c.roles), " "); got != c.want {
			t.Errorf("%q: %s, want %s", c.roles, got, c.want)
		}
	}
	w := open(t, noDemo)
	u, s := w.signUp("pilot", phrase)
	token, err := w.IssueTo(u, auth.Grant{})
	if err != nil {
		t.Fatal(err)
	}
	w.mustBe("pilot", "chat", bearer(token.Text))
	w.change(u, func(tx auth.Tx) error { _, err := w.SetRoles(tx, u.ID, []string{"agent", "agent", "user"}); return err })
	r := httptest.NewRequest("GET", "http://hub.example.org/", nil)
	r.AddCookie(s.Cookie(r))
	if c, err := w.ask("chat", r); err != nil || !c.Has("ticket.manage") {
		t.Fatalf("the session has the new role at once: %+v, %v", c, err)
	}
	w.mustRefuse(errs.Unauthenticated, "chat", bearer(token.Text)) // it carries the old ones
	err = w.Store().Update(t.Context(), nil, func(tx auth.Tx) error { _, err := w.SetRoles(tx, u.ID, []string{"emperor"}); return err })
	if !errs.Is(err, errs.Invalid) {
		t.Fatalf("a role that is none: %v", err)
	}
}

func TestNames(t *testing.T) {
	w := open(t)
	for name, want := range map[string]string{"pilot": "pilot", "@pilot": "pilot", "pilot@" + domain: "pilot", "Pilot": "pilot", "a.b-c_d": "a.b-c_d", "7": "7",
		"": "", "@": "", "pilot@": "", "@" + domain: domain, "pilot@example.org": "", "pilot@x@" + domain: "", "pilot+x": "", "a b": "", "a@b": "", "<script>": "", "a/b": "", "-a": "", "a.": ""} {
		if got := w.LocalPart(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if _, err := w.Ensure(t.Context(), "bad id"); !errs.Is(err, errs.Invalid) {
		t.Errorf("%v", err)
	}
	if _, err := w.UserByID(t.Context(), 99); !errs.Is(err, errs.NotFound) {
		t.Errorf("%v", err)
	}
}

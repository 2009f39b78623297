package auth

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"uniqverse/internal/errs"
)

// The throttles of guessing; what succeeds is not counted. One address may try an account a few times, and several
// accounts a little more often. An account may be tried from many addresses more often than from one, so that a
// stranger at one address cannot shut its owner out.
const (
	pairBurst, pairEvery       = 10, 30 * time.Second
	accountBurst, accountEvery = 60, 30 * time.Second
	addressBurst, addressEvery = 40, 3 * time.Second
	signupBurst, signupEvery   = 30, 30 * time.Second
)

// Peer is who is at the other end of a sign-in.
type Peer struct {
	Address string // host without port
	Device  string // for the list of sessions: "Firefox on Linux"
}

// PeerOf describes the browser behind a request.
func PeerOf(r *http.Request) Peer {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		// A call inside this process: only our own proxy makes those, so its word is good.
		// What it wrote stands at the end; what came before it was the browser's own word.
		f := r.Header.Get("X-Forwarded-For")
		host = strings.TrimSpace(f[strings.LastIndex(f, ",")+1:])
	}
	return Peer{Address: host, Device: device(r.UserAgent())}
}

// network is what the throttles count an address as: all of a /64 is one customer's.
func (p Peer) network() string {
	ip, err := netip.ParseAddr(p.Address)
	if err != nil || ip.Unmap().Is4() {
		return p.Address
	}
	return netip.PrefixFrom(ip.WithZone(""), 64).Masked().String()
}

// device names a browser for people from its User-Agent.
func device(ua string) string {
	pick := func(pairs ...string) string {
		for i := 0; i < len(pairs); i += 2 {
			if strings.Contains(ua, pairs[i]) {
				return pairs[i+1]
			}
		}
		return ""
	}
	browser := pick("Edg/", "Edge", "OPR/", "Opera", "Firefox/", "Firefox", "Chromium/", "Chromium", "Chrome/", "Chrome", "Safari/", "Safari", "curl/", "curl")
	system := pick("Android", "Android", "iPhone", "iPhone", "iPad", "iPad", "Windows", "Windows", "Mac OS X", "macOS", "CrOS", "ChromeOS", "Linux", "Linux")
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser != "":
		return browser
	case system != "":
		return "A browser on " + system
	}
	return "Unknown device"
}

// SignIn checks a name (local part, address or handle) and a password. Wrong ones are
// errs.Unauthenticated and do not say which of the two was wrong; too many of them are errs.Limited.
func (a *Auth) SignIn(ctx context.Context, name, password string, peer Peer) (User, error) {
	local := a.LocalPart(name)
	account := local
	if account == "" {
		account = "?" // no such account can be; all of them count together
	}
	release, err := a.throttled(account, peer)
	if err != nil {
		return User{}, err
	}
	u, phc, err := a.passwordOf(ctx, local)
	if err != nil {
		return User{}, err
	}
	ok, stale, err := a.hasher.matches(ctx, phc, password)
	if err != nil {
		release() // it was not tried
		return User{}, err
	}
	if !ok {
		a.log.Info("sign-in refused", "user", local, "peer", peer.Address)
		return User{}, errs.New(errs.Unauthenticated, "the user name or the password is wrong")
	}
	release()
	if u.Disabled {
		return User{}, errs.New(errs.Denied, "this account is disabled; ask an administrator to enable it")
	}
	if stale {
		a.renewHash(ctx, u, phc, password)
	}
	return u, nil
}

// throttled counts an attempt; release takes it back.
func (a *Auth) throttled(account string, peer Peer) (release func(), err error) {
	now, from := a.now(), peer.network()
	var undo []func()
	for _, l := range []struct {
		*throttle
		key, what string
	}{
		{a.byAddress, from, "from your address"},
		{a.byPair, account + "\x00" + from, "for this account"},
		{a.byAccount, account, "for this account"},
	} {
		wait, ok := l.take(l.key, now)
		if !ok {
			for _, fn := range undo {
				fn()
			}
			return nil, errs.Limit(wait, "too many attempts %s; wait %d s", l.what, seconds(wait))
		}
		undo = append(undo, func() { l.giveBack(l.key, now) })
	}
	return func() {
		for _, fn := range undo {
			fn()
		}
	}, nil
}

func seconds(d time.Duration) int { return int(d.Seconds()) + 1 }

// passwordOf returns the user and their hash; nobody and "" when there is no such user.
func (a *Auth) passwordOf(ctx context.Context, local string) (User, string, error) {
	if local == "" {
		return User{}, "", nil
	}
	u, err := a.store.UserByName(ctx, local) // past the cache: a sign-in must see a change made by another process
	if errs.Is(err, errs.NotFound) {
		return User{}, "", nil
	}
	if err != nil {
		return User{}, "", err
	}
	phc, err := a.store.Password(ctx, u.ID)
	return a.dress(u), phc, err
}

// renewHash stores a hash with today's parameters. The sign-in holds without it, so a failure is logged.
func (a *Auth) renewHash(ctx context.Context, u User, old, password string) {
	phc, err := a.hasher.hash(ctx, password)
	if err == nil {
		err = a.store.Update(ctx, nil, func(tx Tx) error {
			_, err := tx.UpdateUser(u.ID, UserChange{Password: &phc, PasswordWas: &old})
			return err
		})
	}
	if err != nil {
		a.log.Warn("password hash not renewed", "user", u.Name, "err", err.Error())
	}
}

// Account is what a new account is made from.
type Account struct {
	User     string // local part
	Display  string // name for people, may be ""
	Password string
}

// check validates a new account and returns it cleaned.
func (acc Account) check() (Account, error) {
	acc.User = strings.ToLower(strings.TrimSpace(acc.User))
	bad := &errs.Error{Kind: errs.Invalid}
	note := func(err error) {
		if e, ok := err.(*errs.Error); ok {
			bad.Fields = append(bad.Fields, e.Fields...)
		}
	}
	if !ValidName(acc.User) {
		note(errs.BadField("user", "must be 1 to 64 of a-z, 0-9, dot, hyphen and underscore, with a letter or digit at both ends"))
	}
	var err error
	if acc.Display, err = cleanDisplay(acc.Display); err != nil {
		note(err)
	}
	if err := CheckPassword("password", acc.Password, acc.User); err != nil {
		note(err)
	}
	if len(bad.Fields) > 0 {
		bad.Detail = bad.Fields[0].Field + " " + bad.Fields[0].Detail
		return acc, bad
	}
	return acc, nil
}

// taken is the answer to a name that somebody has, or that nobody can have.
func taken(name string) error {
	return errs.BadField("user", "%s is taken; choose another", name)
}

// SignUpOpen reports whether people can make accounts themselves: only where the portal is the issuer of
// tokens. Where another program issues them, a name could be taken here before its owner's first call.
func (a *Auth) SignUpOpen() bool { return a.external == "" }

// PrepareSignUp does the slow part of a sign-up: it checks the account and hashes its password. Wrong
// fields are errs.Invalid, too many accounts from an address errs.Limited.
func (a *Auth) PrepareSignUp(ctx context.Context, acc Account, peer Peer) (NewUser, error) {
	if !a.SignUpOpen() {
		return NewUser{}, errs.New(errs.Denied, "accounts of this installation come from %s; sign in there", a.external)
	}
	acc, err := acc.check()
	if err != nil {
		return NewUser{}, err
	}
	if Reserved(acc.User) {
		return NewUser{}, taken(acc.User)
	}
	if wait, ok := a.signups.take(peer.network(), a.now()); !ok {
		return NewUser{}, errs.Limit(wait, "too many new accounts from your address; wait %d s", seconds(wait))
	}
	phc, err := a.hasher.hash(ctx, acc.Password)
	return NewUser{Name: acc.User, Display: acc.Display, Roles: []string{RoleUser}, Password: phc}, err
}

// SignUp makes the prepared user inside the caller's transaction, with their first session; the user's name must
// be free (errs.Invalid).
func (a *Auth) SignUp(ctx context.Context, tx Tx, n NewUser, peer Peer) (User, SessionToken, error) {
	u, added, err := a.add(ctx, tx, n)
	if err != nil {
		return User{}, "", err
	}
	if !added {
		return User{}, "", taken(n.Name)
	}
	token, err := a.openSession(tx, u, peer)
	return u, token, err
}

// PasswordChange is a change of password that was checked and hashed, ready for a transaction.
type PasswordChange struct {
	user     int64
	was, phc string
}

// PrepareChange does the slow part of a change of password: it checks the current one and hashes the next. A wrong
// one is errs.Invalid and names the field; too many wrong ones are errs.Limited.
func (a *Auth) PrepareChange(ctx context.Context, id int64, current, next string, peer Peer) (PasswordChange, error) {
	u, err := a.store.UserByID(ctx, id)
	if err != nil {
		return PasswordChange{}, err
	}
	if err := CheckPassword("password", next, u.Name); err != nil {
		return PasswordChange{}, err
	}
	release, err := a.throttled(u.Name, peer)
	if err != nil {
		return PasswordChange{}, err
	}
	was, err := a.store.Password(ctx, id)
	if err != nil {
		return PasswordChange{}, err
	}
	ok, _, err := a.hasher.matches(ctx, was, current)
	if err != nil {
		return PasswordChange{}, err
	}
	if !ok {
		return PasswordChange{}, errs.BadField("current", "is not your password")
	}
	release()
	phc, err := a.hasher.hash(ctx, next)
	return PasswordChange{user: id, was: was, phc: phc}, err
}

// ChangePassword sets the prepared password inside a transaction and ends every session of the user but keep, and all tokens
// that the portal handed out. Call Changed after the commit.
func (a *Auth) ChangePassword(tx Tx, p PasswordChange, keep int64) (User, error) {
	u, err := tx.UpdateUser(p.user, UserChange{Password: &p.phc, PasswordWas: &p.was, EndTokens: true})
	if err != nil {
		return u, err
	}
	return a.dress(u), tx.DeleteSessions(p.user, keep, time.Time{})
}

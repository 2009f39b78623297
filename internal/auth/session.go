package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// CookieName is the session cookie's name. Cookies know no ports, so that it signs in on the port
// of every service of the host.
const CookieName = "uniq_session"

// SessionLife is how long a session lasts after its last use.
const SessionLife = 30 * 24 * time.Hour

// cookieLife is how long a browser keeps the cookie: the longest that browsers take. The server
// decides when the session ends; were the cookie shorter, it would have to be sent anew with every answer.
const cookieLife = 400 * 24 * time.Hour

// seenEvery is how exact last uses are: each costs a write.
const seenEvery = time.Hour

// maxSessions bounds the sessions of one user; a sign-in beyond it ends the ones used longest ago.
const maxSessions = 100

// SessionToken is the secret in the cookie; the store has its SHA-256 only.
type SessionToken string

// Session is one browser that is signed in.
type Session struct {
	ID       int64
	User     int64
	Device   string
	Address  string
	Created  time.Time
	LastSeen time.Time // to the hour

	key [32]byte // what the cache knows it by
}

func hashOf(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// openSession makes a session with a new id and secret inside a transaction.
func (a *Auth) openSession(tx Tx, u User, peer Peer) (SessionToken, error) {
	if err := tx.DeleteSessions(u.ID, 0, tx.Now().Add(-SessionLife)); err != nil {
		return "", err
	}
	token := rand.Text()
	_, err := tx.AddSession(Session{User: u.ID, Device: peer.Device, Address: peer.Address}, hashOf(token), maxSessions)
	return SessionToken(token), err
}

// OpenSession signs the user in on a browser: a new session, whatever cookie it had before.
func (a *Auth) OpenSession(ctx context.Context, u User, peer Peer) (SessionToken, error) {
	var token SessionToken
	err := a.store.Update(ctx, nil, func(tx Tx) error {
		var err error
		if token, err = a.openSession(tx, u, peer); err != nil {
			return err
		}
		return tx.Seen(u.ID, 0, 0)
	})
	return token, err
}

// Cookie returns the cookie that carries the session.
func (t SessionToken) Cookie(r *http.Request) *http.Cookie {
	return &http.Cookie{Name: CookieName, Value: string(t), Path: "/", MaxAge: int(cookieLife.Seconds()),
		HttpOnly: true, Secure: web.Secure(r), SameSite: http.SameSiteLaxMode}
}

// NoCookie returns the cookie that removes the session's.
func NoCookie(r *http.Request) *http.Cookie {
	return &http.Cookie{Name: CookieName, Path: "/", MaxAge: -1, HttpOnly: true, Secure: web.Secure(r), SameSite: http.SameSiteLaxMode}
}

// sessionIn returns the session that the request's cookie names; found is false without one, and for a cookie
// whose session has ended.
func (a *Auth) sessionIn(r *http.Request) (s Session, found bool, err error) {
	for _, ck := range r.CookiesNamed(CookieName) {
		if len(ck.Value) < 20 || len(ck.Value) > 64 {
			continue
		}
		s, err := a.session(r.Context(), ck.Value)
		if err == nil {
			return s, true, nil
		}
		if !errs.Is(err, errs.NotFound) {
			return Session{}, false, err
		}
	}
	return Session{}, false, nil
}

func (a *Auth) session(ctx context.Context, token string) (Session, error) {
	key := sha256.Sum256([]byte(token))
	s, err := a.sessions.load(key, func() (Session, error) {
		s, err := a.store.SessionByHash(ctx, key[:])
		s.key = key
		return s, err
	})
	if err != nil {
		return s, err
	}
	if a.now().Sub(s.LastSeen) > SessionLife {
		return s, errs.New(errs.NotFound, "the session has ended; sign in again")
	}
	return s, nil
}

// SessionOf returns the session of the request, or errs.Denied: the account's own settings are not for
// tokens, which may carry less than the account.
func (a *Auth) SessionOf(r *http.Request, c web.Caller) (Session, error) {
	if c.Via == web.SessionCookie {
		s, found, err := a.sessionIn(r)
		if err != nil || found {
			return s, err
		}
	}
	if c.Demo {
		return Session{}, errs.New(errs.Denied, "the demo identity has no account to change; sign up for one of your own")
	}
	return Session{}, errs.New(errs.Denied, "an account is changed by its owner at the portal's pages, not with a token; sign in there")
}

// Sessions returns the sessions of a user that have not ended, the last used first.
func (a *Auth) Sessions(ctx context.Context, user int64) ([]Session, error) {
	all, err := a.store.Sessions(ctx, user)
	live := all[:0]
	for _, s := range all {
		if a.now().Sub(s.LastSeen) <= SessionLife {
			live = append(live, s)
		}
	}
	return live, err
}

// EndSession ends one session of the user inside a transaction; errs.NotFound when it is not theirs. Call
// Changed after the commit.
func (a *Auth) EndSession(tx Tx, user, id int64) error { return tx.DeleteSession(user, id) }

// EndOtherSessions ends every session of the user but one (0 for none), and all tokens that the portal handed out.
// Call Changed after the commit.
func (a *Auth) EndOtherSessions(tx Tx, user, keep int64) error {
	if _, err := tx.UpdateUser(user, UserChange{EndTokens: true}); err != nil {
		return err
	}
	return tx.DeleteSessions(user, keep, time.Time{})
}

// seen notes the use of a user, and of one of their sessions, at most once an hour. The call goes on without it.
func (a *Auth) seen(ctx context.Context, u User, s *Session) {
	now := a.now()
	last, session := u.LastSeen, int64(0)
	if s != nil {
		last, session = s.LastSeen, s.ID
	}
	if now.Sub(last) < seenEvery {
		return
	}
	// Many requests of one page arrive together: one of them writes.
	if _, ok := a.noted.take(fmt.Sprintf("%d/%d", u.ID, session), now); !ok {
		return
	}
	err := a.store.Update(ctx, nil, func(tx Tx) error { return tx.Seen(u.ID, session, 0) })
	if err != nil {
		a.log.Warn("last use not noted", "user", u.Name, "err", err.Error())
		return
	}
	a.forget(u)
	if s != nil {
		a.sessions.drop(s.key)
	}
}

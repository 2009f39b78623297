package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"

	"uniqverse/internal/errs"
)

// SetupLink makes the secret of the one-time link with which the first administrator is made, for
// node to print at a start; needed is false once there is an administrator. Links of earlier starts
// work no more.
func (a *Auth) SetupLink(ctx context.Context) (token string, needed bool, err error) {
	has, err := a.store.HasAdmin(ctx)
	if err != nil || has {
		return "", false, err
	}
	token = rand.Text()
	err = a.store.Update(ctx, nil, func(tx Tx) error { return tx.SetSetup(hashOf(token)) })
	if err != nil {
		return "", false, err
	}
	return token, true, nil
}

// setupGone is the answer to a setup link that was used, replaced or never existed.
func setupGone() error {
	return errs.New(errs.Denied, "this setup link does not work any more; the program prints a new one at each start until there is an administrator")
}

func setupMatches(kept []byte, token string) bool {
	return len(kept) > 0 && subtle.ConstantTimeCompare(kept, hashOf(token)) == 1
}

// SetupWorks reports whether the token is that of the current setup link.
func (a *Auth) SetupWorks(ctx context.Context, token string) (bool, error) {
	kept, err := a.store.Setup(ctx)
	return err == nil && setupMatches(kept, token), err
}

// PrepareSetup does the slow part of making the first administrator: it checks the account and hashes its
// password. Wrong fields are errs.Invalid, a link that does not work is errs.Denied.
func (a *Auth) PrepareSetup(ctx context.Context, token string, acc Account) (NewUser, error) {
	ok, err := a.SetupWorks(ctx, token)
	if err != nil {
		return NewUser{}, err
	}
	if !ok {
		return NewUser{}, setupGone() // before the hash: strangers make us hash nothing
	}
	acc, err = acc.check()
	if err != nil {
		return NewUser{}, err
	}
	if acc.User == DemoName {
		return NewUser{}, taken(acc.User)
	}
	phc, err := a.hasher.hash(ctx, acc.Password)
	return NewUser{Name: acc.User, Display: acc.Display, Roles: []string{RoleUser, RoleAdmin}, Password: phc}, err
}

// Setup makes the prepared administrator inside the caller's transaction and uses the link up. A user of
// that name who has no password (mail or a token made them) is taken over: whoever has the link runs
// the installation. Call Changed after the commit.
func (a *Auth) Setup(ctx context.Context, tx Tx, token string, n NewUser, peer Peer) (User, SessionToken, error) {
	kept, err := tx.Setup()
	if err != nil {
		return User{}, "", err
	}
	if !setupMatches(kept, token) {
		return User{}, "", setupGone()
	}
	u, added, err := a.add(ctx, tx, n)
	if err != nil {
		return User{}, "", err
	}
	if !added {
		if u.Password {
			return User{}, "", taken(n.Name)
		}
		enabled := false
		u, err = tx.UpdateUser(u.ID, UserChange{Display: &n.Display, Roles: &n.Roles, Password: &n.Password, Disabled: &enabled})
		if err != nil {
			return User{}, "", err
		}
		u = a.dress(u)
	}
	if err := tx.SetSetup(nil); err != nil {
		return User{}, "", err
	}
	session, err := a.openSession(tx, u, peer)
	return u, session, err
}

package auth

import (
	"context"
	"crypto/rand"
	"strings"
	"time"
	"unicode/utf8"

	"uniqverse/internal/errs"
)

// AppPassword is a password for one mail program. It is random, so a fast hash protects it, and it
// signs in to mail only: SMTP, POP3, JMAP and the API.
type AppPassword struct {
	ID       int64
	Label    string
	Created  time.Time
	LastUsed time.Time // to the hour; zero is never
}

// maxAppPasswords bounds the app passwords of one user.
const maxAppPasswords = 25

// NewAppPassword makes an app password and returns its secret, the one time that it can be read: 24 letters and
// digits of base32 in groups, 120 bits. The label says which program it is for.
func (a *Auth) NewAppPassword(ctx context.Context, user int64, label string) (AppPassword, string, error) {
	var (
		ap     AppPassword
		secret string
	)
	err := a.store.Update(ctx, nil, func(tx Tx) (err error) {
		ap, secret, err = a.AddAppPassword(tx, user, label)
		return err
	})
	return ap, secret, err
}

// AddAppPassword is NewAppPassword inside the caller's transaction. An error leaves nothing that could be used.
func (a *Auth) AddAppPassword(tx Tx, user int64, label string) (AppPassword, string, error) {
	label = strings.TrimSpace(label)
	if n := utf8.RuneCountInString(label); n < 1 || n > 60 || strings.ContainsFunc(label, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return AppPassword{}, "", errs.BadField("label", "must be 1 to 60 characters that name the program it is for")
	}
	secret := strings.ToLower(rand.Text()[:24])
	n, err := tx.CountAppPasswords(user)
	if err != nil {
		return AppPassword{}, "", err
	}
	if n >= maxAppPasswords {
		return AppPassword{}, "", errs.New(errs.Conflict, "an account has at most %d app passwords; revoke one that is not used any more", maxAppPasswords)
	}
	ap, err := tx.AddAppPassword(user, label, hashOf(secret))
	if err != nil {
		return AppPassword{}, "", err
	}
	return ap, strings.Join([]string{secret[:6], secret[6:12], secret[12:18], secret[18:]}, "-"), nil
}

// AppPasswords returns the app passwords of a user, the newest first, without their secrets.
func (a *Auth) AppPasswords(ctx context.Context, user int64) ([]AppPassword, error) {
	return a.store.AppPasswords(ctx, user)
}

// RevokeAppPassword removes an app password inside the caller's transaction; errs.NotFound when it is not the user's.
func (a *Auth) RevokeAppPassword(tx Tx, user, id int64) error { return tx.DeleteAppPassword(user, id) }

// AppLogin signs a mail program in (SMTP AUTH, JMAP with Basic): name is the address or its local part, password one of the user's
// app passwords; the account's own password is not taken. Wrong ones and disabled users are
// errs.Unauthenticated. The caller limits how often an address may try.
func (a *Auth) AppLogin(ctx context.Context, name, password string) (User, error) {
	refused := errs.New(errs.Unauthenticated, "the user name or the app password is wrong; make an app password at the portal's account page")
	local := a.LocalPart(name)
	secret := strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(password))
	if local == "" || len(secret) != 24 {
		return User{}, refused
	}
	u, err := a.UserByName(ctx, local)
	if errs.Is(err, errs.NotFound) {
		return User{}, refused
	}
	if err != nil {
		return User{}, err
	}
	// The lookup compares hashes of 120 random bits: its time tells nothing that helps to guess.
	ap, err := a.store.AppPasswordByHash(ctx, u.ID, hashOf(secret))
	if errs.Is(err, errs.NotFound) || err == nil && u.Disabled {
		return User{}, refused
	}
	if err != nil {
		return User{}, err
	}
	if a.now().Sub(ap.LastUsed) > seenEvery {
		if err := a.store.Update(ctx, nil, func(tx Tx) error { return tx.Seen(u.ID, 0, ap.ID) }); err != nil {
			a.log.Warn("last use not noted", "user", u.Name, "err", err.Error())
		}
	}
	return u, nil
}

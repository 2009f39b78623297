package auth

import "uniqverse/internal/errs"

// AddAccount makes an account for programs inside a transaction: it belongs to a user, who reads its mail as their own, signs
// in with app passwords alone, and has no role. A name that is taken is errs.Conflict. Call Changed for its owner after the
// commit.
func (a *Auth) AddAccount(tx Tx, owner int64, name, display string) (User, error) {
	if !ValidName(name) || Reserved(name) {
		return User{}, errs.New(errs.Conflict, "this name is taken or reserved; choose another one")
	}
	u, added, err := tx.AddUser(NewUser{Name: name, Display: display, Owner: owner})
	if err == nil && !added {
		err = errs.New(errs.Conflict, "this name is taken or reserved; choose another one")
	}
	return a.dress(u), err
}

// AccountAgain enables an account that CloseAccount closed, as AddAccount makes one.
func (a *Auth) AccountAgain(tx Tx, id int64) (User, error) {
	on := false
	u, err := tx.UpdateUser(id, UserChange{Disabled: &on})
	return a.dress(u), err
}

// CloseAccount takes an account's app passwords back and disables it; call Changed for it and its owner after the commit.
func (a *Auth) CloseAccount(tx Tx, id int64) (User, error) {
	if err := tx.DeleteAppPasswords(id); err != nil {
		return User{}, err
	}
	return a.SetDisabled(tx, id, true)
}

// RenewAppPassword takes all app passwords of a user back and makes one, inside a transaction.
func (a *Auth) RenewAppPassword(tx Tx, user int64, label string) (secret string, err error) {
	if err := tx.DeleteAppPasswords(user); err != nil {
		return "", err
	}
	_, secret, err = a.AddAppPassword(tx, user, label)
	return secret, err
}

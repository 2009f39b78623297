package auth

import (
	"context"
	"time"

	"uniqverse/internal/event"
	"uniqverse/internal/web"
)

// Store is what auth asks of the store outside of transactions. Rows that do not exist are
// errs.NotFound. Hashes are SHA-256, 32 bytes.
type Store interface {
	web.Transactor[Tx]

	UserByID(ctx context.Context, id int64) (User, error)
	UserByName(ctx context.Context, name string) (User, error)
	// Password returns the user's password hash (PHC string), "" when they have none.
	Password(ctx context.Context, user int64) (string, error)
	// Users returns a page of users, newest first, and how many match in all.
	Users(ctx context.Context, q UserQuery) ([]User, int, error)
	// HasAdmin reports whether an administrator exists who is not disabled.
	HasAdmin(ctx context.Context) (bool, error)
	AppPasswords(ctx context.Context, user int64) ([]AppPassword, error)
	AppPasswordByHash(ctx context.Context, user int64, hash []byte) (AppPassword, error)
	// Sessions returns the user's sessions, the last used first.
	Sessions(ctx context.Context, user int64) ([]Session, error)
	SessionByHash(ctx context.Context, hash []byte) (Session, error)
	// Setup returns what Tx.SetSetup kept, nil when there is none.
	Setup(ctx context.Context) ([]byte, error)
}

// Tx is what auth changes inside one transaction.
type Tx interface {
	Now() time.Time
	Emit(stream string, ev event.Event)

	// AddUser makes a user, or returns the one of that name with added false.
	AddUser(u NewUser) (user User, added bool, err error)
	// UpdateUser changes the given fields and returns the user as they are now.
	UpdateUser(id int64, change UserChange) (User, error)
	// CountAdmins returns the number of administrators who are not disabled.
	CountAdmins() (int, error)
	// Seen notes Now as the last use of a user and, where they are not 0, of one of their
	// sessions and app passwords.
	Seen(user, session, appPassword int64) error

	AddAppPassword(user int64, label string, hash []byte) (AppPassword, error)
	CountAppPasswords(user int64) (int, error)
	DeleteAppPassword(user, id int64) error
	// DeleteAppPasswords removes all of a user's.
	DeleteAppPasswords(user int64) error

	// AddSession makes a session, and ends those of the user used longest ago beyond most.
	AddSession(s Session, hash []byte, most int) (Session, error)
	DeleteSession(user, id int64) error
	// DeleteSessions ends the sessions of a user except one (0 for none): all of them with a zero
	// before, else those not used since.
	DeleteSessions(user, except int64, before time.Time) error

	// SetSetup keeps the hash of the one setup link that works; nil removes it.
	SetSetup(hash []byte) error
	// Setup returns what SetSetup kept, nil when there is none.
	Setup() ([]byte, error)
}

// NewUser is what a user is made from.
type NewUser struct {
	Name     string // local part
	Display  string
	Roles    []string
	Password string // PHC string, "" for none
	Owner    int64  // the user whose account it is, 0 for people
}

// UserChange names what UpdateUser changes; nil fields stay.
type UserChange struct {
	Display  *string
	Roles    *[]string
	Disabled *bool
	Password *string // PHC string
	// PasswordWas makes the change conditional: errs.Conflict when the hash is another by now.
	PasswordWas *string
	EndTokens   bool // tokens of our own issue that were handed out before stop working
}

// UserQuery is a page of the list of users.
type UserQuery struct {
	Match  string // part of the name or display name; "" is everybody
	Limit  int
	Offset int
	Before int64 // only ids below; 0 is no bound
	After  int64 // only ids above; 0 is no bound
}

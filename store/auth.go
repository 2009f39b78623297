package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"uniqverse/internal/auth"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// Auth is the store of package auth: users, app passwords, sessions and the setup link.
type Auth struct{ db *DB }

// NewAuth returns the auth tables of the database.
func NewAuth(db *DB) Auth { return Auth{db: db} }

var (
	_ auth.Store = Auth{}
	_ auth.Tx    = authTx{}
)

type authTx struct{ *Tx }

// AuthIn returns the auth tables as a transaction sees them, for tables of others that are written with them.
func AuthIn(tx *Tx) auth.Tx { return authTx{tx} }

// Update runs fn in one durable transaction.
func (s Auth) Update(ctx context.Context, once *web.Once, fn func(auth.Tx) error) error {
	return s.db.Write(ctx, once, func(tx *Tx) error { return fn(authTx{tx}) })
}

const authUserColumns = `id, name, display, roles, CASE WHEN password = '' THEN 0 ELSE 1 END, disabled, generation, created_at, seen_at,
	COALESCE((SELECT GROUP_CONCAT(w.name, ' ') FROM auth_users w WHERE w.owner = auth_users.id AND w.owner <> 0 AND w.disabled = 0), '')`

func scanAuthUser(row RowScanner) (auth.User, error) {
	var (
		u             auth.User
		roles, wards  string
		created, seen int64
	)
	err := row.Scan(&u.ID, &u.Name, &u.Display, &roles, &u.Password, &u.Disabled, &u.Generation, &created, &seen, &wards)
	if errors.Is(err, sql.ErrNoRows) {
		return auth.User{}, errs.New(errs.NotFound, "there is no such user")
	}
	if err != nil {
		return auth.User{}, dbError(err)
	}
	u.Roles, u.Created, u.LastSeen, u.Wards = strings.Fields(roles), authTime(created), authTime(seen), strings.Fields(wards)
	return u, nil
}

// authTime turns unix milliseconds into a time; 0 is the zero time.
func authTime(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// authRoles is how roles are stored, so that ' admin ' can be looked for.
func authRoles(roles []string) string { return " " + strings.Join(roles, " ") + " " }

// UserByID returns the user with the row id, or errs.NotFound.
func (s Auth) UserByID(ctx context.Context, id int64) (auth.User, error) {
	return scanAuthUser(s.db.QueryRow(ctx, `SELECT `+authUserColumns+` FROM auth_users WHERE id = $1`, id))
}

// UserByName returns the user with the local part, or errs.NotFound.
func (s Auth) UserByName(ctx context.Context, name string) (auth.User, error) {
	return scanAuthUser(s.db.QueryRow(ctx, `SELECT `+authUserColumns+` FROM auth_users WHERE name = $1`, name))
}

// Password returns the user's password hash, "" for none; errs.NotFound without the user.
func (s Auth) Password(ctx context.Context, user int64) (string, error) {
	var phc string
	err := s.db.QueryRow(ctx, `SELECT password FROM auth_users WHERE id = $1`, user).Scan(&phc)
	if errors.Is(err, sql.ErrNoRows) {
		return "", errs.New(errs.NotFound, "there is no such user")
	}
	return phc, dbError(err)
}

// Users returns a page of users, newest first, and how many match in all.
func (s Auth) Users(ctx context.Context, q auth.UserQuery) ([]auth.User, int, error) {
	match := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(q.Match)) + "%"
	const where = ` FROM auth_users WHERE (name LIKE $1 ESCAPE '\' OR LOWER(display) LIKE $1 ESCAPE '\')`
	var total int
	if err := s.db.QueryRow(ctx, `SELECT COUNT(*)`+where, match).Scan(&total); err != nil {
		return nil, 0, dbError(err)
	}
	order := ` ORDER BY id DESC`
	forward := q.After > 0 && q.Before == 0 // those just after one, not the newest of all
	if forward {
		order = ` ORDER BY id`
	}
	rows, err := s.db.Query(ctx, `SELECT `+authUserColumns+where+` AND ($2 = 0 OR id < $2) AND ($3 = 0 OR id > $3)`+order+` LIMIT $4 OFFSET $5`,
		match, q.Before, q.After, q.Limit, q.Offset)
	users, err := CollectRows(rows, err, scanAuthUser)
	if forward {
		slices.Reverse(users)
	}
	return users, total, err
}

const countAuthAdmins = `SELECT COUNT(*) FROM auth_users WHERE roles LIKE '% admin %' AND disabled = 0`

// HasAdmin reports whether an administrator exists who is not disabled.
func (s Auth) HasAdmin(ctx context.Context) (bool, error) {
	var n int
	err := s.db.QueryRow(ctx, countAuthAdmins).Scan(&n)
	return n > 0, dbError(err)
}

func scanAppPassword(row RowScanner) (auth.AppPassword, error) {
	var (
		p             auth.AppPassword
		created, used int64
	)
	err := row.Scan(&p.ID, &p.Label, &created, &used)
	if errors.Is(err, sql.ErrNoRows) {
		return auth.AppPassword{}, errs.New(errs.NotFound, "there is no such app password")
	}
	p.Created, p.LastUsed = authTime(created), authTime(used)
	return p, dbError(err)
}

// AppPasswords returns the user's app passwords, newest first.
func (s Auth) AppPasswords(ctx context.Context, user int64) ([]auth.AppPassword, error) {
	rows, err := s.db.Query(ctx, `SELECT id, label, created_at, used_at FROM auth_app_passwords WHERE user_id = $1 ORDER BY id DESC`, user)
	return CollectRows(rows, err, scanAppPassword)
}

// AppPasswordByHash returns the user's app password with that hash, or errs.NotFound.
func (s Auth) AppPasswordByHash(ctx context.Context, user int64, hash []byte) (auth.AppPassword, error) {
	return scanAppPassword(s.db.QueryRow(ctx, `SELECT id, label, created_at, used_at FROM auth_app_passwords WHERE user_id = $1 AND hash = $2`, user, hash))
}

func scanSession(row RowScanner) (auth.Session, error) {
	var (
		s             auth.Session
		created, seen int64
	)
	err := row.Scan(&s.ID, &s.User, &s.Device, &s.Address, &created, &seen)
	if errors.Is(err, sql.ErrNoRows) {
		return auth.Session{}, errs.New(errs.NotFound, "there is no such session")
	}
	s.Created, s.LastSeen = authTime(created), authTime(seen)
	return s, dbError(err)
}

// Sessions returns the user's sessions, the last used first.
func (s Auth) Sessions(ctx context.Context, user int64) ([]auth.Session, error) {
	rows, err := s.db.Query(ctx, `SELECT id, user_id, device, address, created_at, seen_at FROM auth_sessions WHERE user_id = $1 ORDER BY seen_at DESC, id DESC`, user)
	return CollectRows(rows, err, scanSession)
}

// SessionByHash returns the session whose secret has that hash, or errs.NotFound.
func (s Auth) SessionByHash(ctx context.Context, hash []byte) (auth.Session, error) {
	return scanSession(s.db.QueryRow(ctx, `SELECT id, user_id, device, address, created_at, seen_at FROM auth_sessions WHERE hash = $1`, hash))
}

// AddUser makes a user, or returns the one of that name with added false.
func (tx authTx) AddUser(n auth.NewUser) (u auth.User, added bool, err error) {
	u, err = scanAuthUser(tx.QueryRow(`INSERT INTO auth_users (name, display, roles, password, created_at, owner) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (name) DO NOTHING RETURNING `+authUserColumns, n.Name, n.Display, authRoles(n.Roles), n.Password, tx.Now().UnixMilli(), n.Owner))
	if errs.Is(err, errs.NotFound) { // nothing was inserted, so nothing was returned
		u, err = scanAuthUser(tx.QueryRow(`SELECT `+authUserColumns+` FROM auth_users WHERE name = $1`, n.Name))
		return u, false, err
	}
	return u, err == nil, err
}

// UpdateUser changes the given fields and returns the user as they are now.
func (tx authTx) UpdateUser(id int64, c auth.UserChange) (auth.User, error) {
	if c.PasswordWas != nil {
		var now string
		err := tx.QueryRow(`SELECT password FROM auth_users WHERE id = $1`, id).Scan(&now)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return auth.User{}, dbError(err)
		}
		if err == nil && now != *c.PasswordWas {
			return auth.User{}, errs.New(errs.Conflict, "the password was changed by somebody else at the same moment; try again")
		}
	}
	var roles *string
	if c.Roles != nil {
		text := authRoles(*c.Roles)
		roles = &text
	}
	var disabled *int
	if c.Disabled != nil {
		n := 0
		if *c.Disabled {
			n = 1
		}
		disabled = &n
	}
	more := 0
	if c.EndTokens {
		more = 1
	}
	return scanAuthUser(tx.QueryRow(`UPDATE auth_users SET display = COALESCE($2, display), roles = COALESCE($3, roles), disabled = COALESCE($4, disabled),
		password = COALESCE($5, password), generation = generation + $6 WHERE id = $1 RETURNING `+authUserColumns,
		id, c.Display, roles, disabled, c.Password, more))
}

// CountAdmins returns the number of administrators who are not disabled.
func (tx authTx) CountAdmins() (int, error) {
	var n int
	err := tx.QueryRow(countAuthAdmins).Scan(&n)
	return n, dbError(err)
}

// Seen notes the transaction's time as the last use of what is not 0.
func (tx authTx) Seen(user, session, appPassword int64) error {
	now := tx.Now().UnixMilli()
	if _, err := tx.Exec(`UPDATE auth_users SET seen_at = $2 WHERE id = $1`, user, now); err != nil {
		return err
	}
	if session != 0 {
		if _, err := tx.Exec(`UPDATE auth_sessions SET seen_at = $3 WHERE id = $1 AND user_id = $2`, session, user, now); err != nil {
			return err
		}
	}
	if appPassword == 0 {
		return nil
	}
	_, err := tx.Exec(`UPDATE auth_app_passwords SET used_at = $3 WHERE id = $1 AND user_id = $2`, appPassword, user, now)
	return err
}

// AddAppPassword makes an app password.
func (tx authTx) AddAppPassword(user int64, label string, hash []byte) (auth.AppPassword, error) {
	return scanAppPassword(tx.QueryRow(`INSERT INTO auth_app_passwords (user_id, label, hash, created_at) VALUES ($1, $2, $3, $4)
		RETURNING id, label, created_at, used_at`, user, label, hash, tx.Now().UnixMilli()))
}

// CountAppPasswords returns how many app passwords the user has.
func (tx authTx) CountAppPasswords(user int64) (int, error) {
	var n int
	err := tx.QueryRow(`SELECT COUNT(*) FROM auth_app_passwords WHERE user_id = $1`, user).Scan(&n)
	return n, dbError(err)
}

// DeleteAppPassword removes an app password of the user, or errs.NotFound.
func (tx authTx) DeleteAppPassword(user, id int64) error {
	return tx.deleteOne(`DELETE FROM auth_app_passwords WHERE id = $1 AND user_id = $2`, "there is no such app password", id, user)
}

// DeleteAppPasswords removes all app passwords of a user.
func (tx authTx) DeleteAppPasswords(user int64) error {
	_, err := tx.Exec(`DELETE FROM auth_app_passwords WHERE user_id = $1`, user)
	return err
}

func (tx authTx) deleteOne(query, missing string, args ...any) error {
	res, err := tx.Exec(query, args...)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return errs.New(errs.NotFound, "%s", missing)
}

// AddSession makes a session, and ends those of the user used longest ago beyond most.
func (tx authTx) AddSession(s auth.Session, hash []byte, most int) (auth.Session, error) {
	s, err := scanSession(tx.QueryRow(`INSERT INTO auth_sessions (user_id, hash, device, address, created_at, seen_at) VALUES ($1, $2, $3, $4, $5, $5)
		RETURNING id, user_id, device, address, created_at, seen_at`, s.User, hash, s.Device, s.Address, tx.Now().UnixMilli()))
	if err != nil {
		return s, err
	}
	_, err = tx.Exec(`DELETE FROM auth_sessions WHERE user_id = $1 AND id NOT IN
		(SELECT id FROM auth_sessions WHERE user_id = $1 ORDER BY seen_at DESC, id DESC LIMIT $2)`, s.User, most)
	return s, err
}

// DeleteSession ends one session of the user, or errs.NotFound.
func (tx authTx) DeleteSession(user, id int64) error {
	return tx.deleteOne(`DELETE FROM auth_sessions WHERE id = $1 AND user_id = $2`, "there is no such session", id, user)
}

// DeleteSessions ends the user's sessions except one; with a time, only those not used since.
func (tx authTx) DeleteSessions(user, except int64, before time.Time) error {
	if before.IsZero() {
		_, err := tx.Exec(`DELETE FROM auth_sessions WHERE user_id = $1 AND id <> $2`, user, except)
		return err
	}
	_, err := tx.Exec(`DELETE FROM auth_sessions WHERE user_id = $1 AND id <> $2 AND seen_at < $3`, user, except, before.UnixMilli())
	return err
}

// SetSetup keeps the hash of the setup link; nil removes it.
func (tx authTx) SetSetup(hash []byte) error {
	if hash == nil {
		_, err := tx.Exec(`DELETE FROM auth_setup`)
		return err
	}
	_, err := tx.Exec(`INSERT INTO auth_setup (id, hash) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET hash = excluded.hash`, hash)
	return err
}

const authSetup = `SELECT hash FROM auth_setup WHERE id = 1`

// Setup returns the hash of the setup link, nil when there is none.
func (s Auth) Setup(ctx context.Context) ([]byte, error) {
	return scanSetup(s.db.QueryRow(ctx, authSetup))
}

// Setup returns the hash of the setup link, nil when there is none.
func (tx authTx) Setup() ([]byte, error) { return scanSetup(tx.QueryRow(authSetup)) }

func scanSetup(row *sql.Row) ([]byte, error) {
	var hash []byte
	err := row.Scan(&hash)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return hash, dbError(err)
}

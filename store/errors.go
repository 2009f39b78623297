package store

// IsFull reports whether the disk (or the database's own bound) is full.
func IsFull(err error) bool { return false }

// dbError turns an error of the driver into one of a kind of errs; nil, sql.ErrNoRows,
// context errors and errors that have a kind already pass unchanged. Everything in this
// package that returns an error of database/sql passes it through here.
func dbError(err error) error { return err }

package store

import (
	"database/sql"
	"math"
)

// RowScanner is a row or rows.
type RowScanner interface{ Scan(dest ...any) error }

// CollectRows scans and closes rows; err is that of the query. What it returns is never nil without an error.
func CollectRows[T any](rows *sql.Rows, err error, scan func(RowScanner) (T, error)) ([]T, error) {
	if err != nil {
		return nil, dbError(err)
	}
	defer rows.Close()
	out := []T{}
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, dbError(err)
		}
		out = append(out, v)
	}
	return out, dbError(rows.Err())
}

// Below is the bound of a page: rows with an id below it.
func Below(before int64) int64 {
	if before <= 0 {
		return math.MaxInt64
	}
	return before
}

// Failed turns an error that came straight from database/sql into one of a kind of errs; nil and
// sql.ErrNoRows pass unchanged.
func Failed(err error) error { return dbError(err) }

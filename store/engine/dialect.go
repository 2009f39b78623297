// Package engine is the database engine beneath package store: how it is opened, what its
// errors mean, how its schema is brought up to date, and the few things that one engine does
// differently from another (Dialect). SQLite is the engine of this release.
//
// Only package store imports it; it knows no table but schema_migrations. A Dialect is
// immutable; an Engine is as safe for concurrent use as the database/sql values in it.
package engine

import (
	"context"
	"database/sql"
)

// Dialect is what differs between the database engines; everything else is SQL that both
// read alike. SQLite is the engine of this release. PostgreSQL comes as a second value of this type
// (and a folder of migrations) through pgx's database/sql adapter: $1, RETURNING, ON CONFLICT
// and the integer times are the same there, and an advisory lock takes the place of the
// single writer's file.
type Dialect struct {
	// Name is the folder below migrations.
	Name string
	// Open returns the connection that writes and the pool that reads; both are whole: every
	// setting of the engine is made. An error is a sentence for the person who starts the program.
	Open func(ctx context.Context, dir string) (*Engine, error)
	// Inspect tells whether the database holds our schema_migrations, and whether it holds
	// any table at all.
	Inspect func(ctx context.Context, c *sql.Conn) (ours, others bool, err error)
	// Settle is run once on the connection that writes, after the migrations; "" for nothing.
	Settle string
	// Begin starts a transaction that is sure to be able to write.
	Begin string
	// Claim ends a SELECT that takes rows of a queue for one worker. One writer at a time
	// needs nothing; PostgreSQL says FOR UPDATE SKIP LOCKED.
	Claim string
	// FullText is the condition that a text-search table matches the parameter, and QuoteText
	// turns a person's words into what that parameter must be.
	FullText  func(table, param string) string
	QuoteText func(words string) string
	// Classify says what sort of failure a driver's error is.
	Classify func(err error) Class
	// CopyTo writes a consistent copy of the whole database into a new file; nil where
	// backups are made by the server.
	CopyTo func(ctx context.Context, c *sql.Conn, path string) error
	// Tidy bounds the log of changes, when nothing waits to be written.
	Tidy func(ctx context.Context, c *sql.Conn) error
}

// Engine is an opened database.
type Engine struct {
	Conn *sql.Conn // the connection that writes
	Read *sql.DB   // a bounded pool that cannot write
	File string    // for messages; "" for a server

	write *sql.DB // of Conn alone
}

// Close closes everything. Statements prepared on it must be closed before.
func (e *Engine) Close() error {
	var first error
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	if e.Read != nil {
		keep(e.Read.Close())
	}
	if e.Conn != nil {
		keep(e.Conn.Close())
	}
	keep(e.write.Close())
	return first
}

// Class sorts the errors of a driver.
type Class int

// The classes.
const (
	Other      Class = iota // a mistake in the SQL, or not the driver's
	Unique                  // a unique constraint
	Constraint              // not null, check, foreign key, wrong type
	TooBig                  // a value beyond the engine's size
	Busy                    // locked by another process, or interrupted
	Full                    // the disk or the database's bound is full
	IO                      // reading, writing, opening or permission
	Corrupt                 // the file is damaged or no database
)

// Lost reports whether the engine may have undone the whole transaction with the error.
func (c Class) Lost() bool { return c >= Busy }

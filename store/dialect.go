package store

import (
	"context"
	"database/sql"
)

// dialect is what differs between the database engines; everything else is SQL that both
// read alike. SQLite is the engine of this release. PostgreSQL comes as a second value of this type
// (and a folder of migrations) through pgx's database/sql adapter: $1, RETURNING, ON CONFLICT
// and the integer times are the same there, and an advisory lock takes the place of the
// single writer's file.
type dialect struct {
	// name is the folder below migrations.
	name string
	// open returns the connection that writes and the pool that reads; both are whole: every
	// setting of the engine is made. An error is a sentence for the person who starts the program.
	open func(ctx context.Context, opts Options) (*engine, error)
	// inspect tells whether the database holds our schema_migrations, and whether it holds
	// any table at all.
	inspect func(ctx context.Context, c *sql.Conn) (ours, others bool, err error)
	// begin starts a transaction that is sure to be able to write.
	begin string
	// claim ends a SELECT that takes rows of a queue for one worker. One writer at a time
	// needs nothing; PostgreSQL says FOR UPDATE SKIP LOCKED.
	claim string
	// fullText is the condition that a text-search table matches the parameter, and quoteText
	// turns a person's words into what that parameter must be.
	fullText  func(table, param string) string
	quoteText func(words string) string
	// classify says what sort of failure a driver's error is.
	classify func(err error) class
	// copyTo writes a consistent copy of the whole database into a new file; nil where
	// backups are made by the server.
	copyTo func(ctx context.Context, c *sql.Conn, path string) error
	// tidy bounds the log of changes, when nothing waits to be written.
	tidy func(ctx context.Context, c *sql.Conn) error
}

// engine is an opened database.
type engine struct {
	write *sql.DB   // one connection
	conn  *sql.Conn // that one
	read  *sql.DB   // bounded, and cannot write
	file  string    // for messages; "" for a server
	fresh bool      // there was nothing before
}

func (e *engine) close() error {
	var first error
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	if e.read != nil {
		keep(e.read.Close())
	}
	if e.conn != nil {
		keep(e.conn.Close())
	}
	keep(e.write.Close())
	return first
}

// class sorts the errors of a driver.
type class int

const (
	classOther      class = iota // a mistake in the SQL, or not the driver's
	classUnique                  // a unique constraint
	classConstraint              // not null, check, foreign key, wrong type
	classTooBig                  // a value beyond the engine's size
	classBusy                    // locked by another process, or interrupted
	classFull                    // the disk or the database's bound is full
	classIO                      // reading, writing, opening or permission
	classCorrupt                 // the file is damaged or no database
)

// lost reports whether the engine may have undone the whole transaction with the error.
func (c class) lost() bool { return c >= classBusy }

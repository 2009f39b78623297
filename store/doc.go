// Package store keeps everything that UniQVerse remembers: one SQLite file, one goroutine
// that writes it, and a pool of readers. All SQL of the tree is in this package (a file per
// table group: auth.go, email.go, …) and in chatstore beside it; services declare the small Store interface
// that they use, and the types here satisfy it.
//
// It is not an ORM and no cache, and it knows nothing of HTTP beyond web.Once, the memory of
// a repeated request.
//
// # What is promised
//
//   - DB.Write returns nil only when what its function did is committed and fsynced
//     (WAL, synchronous=FULL). Anything else leaves nothing behind.
//   - Group commit: functions that wait at the same time share one transaction and one fsync,
//     each in a savepoint of its own. One that fails or panics is rolled back alone.
//   - Functions run one after the other, on one goroutine, in the order in which they came. A
//     function sees what all before it did.
//   - Events emitted by a function are published after the commit, in the order of commits,
//     before its Write returns; those of a function that failed never are.
//   - A read that begins after Write returned sees what was written.
//
// # Rules for the files beside this one
//
//   - SQL that runs on SQLite and PostgreSQL alike: $1 parameters, explicit columns,
//     RETURNING, ON CONFLICT, times as INTEGER unix milliseconds, booleans as 0 and 1,
//     JSON as TEXT, STRICT tables. What cannot be the same is a field of
//     engine.Dialect.
//   - Rows and errors that come straight from database/sql go through dbError, so that a
//     caller gets kinds of package errs. sql.ErrNoRows passes unchanged.
//   - A function given to Write touches the transaction and memory, nothing else: no network,
//     no locks that are held during other writes, no reads through DB.
//   - What is kept in memory of tables (DB.Beside) is taken away by every transaction that changes them, before it does,
//     and not read anew before it is over (Tx.AtEnd): an answer is never older than the question.
//   - Scan every QueryRow, close every Rows.
//
// A DB is safe for concurrent use; a Tx belongs to the function that it was given to.
package store

package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/store/engine"
)

//go:embed migrations
var embedded embed.FS

// FileName is the name of the database in the data folder.
const FileName = engine.FileName

// Options say where the store is and what it tells others.
type Options struct {
	// Dir is the data folder; it is made (0700) when it does not exist. The database is
	// FileName (0600) in it.
	Dir string
	// Log hears of slow, failed and background work; nil is silent.
	Log *slog.Logger
	// Now is the clock of transactions; nil means time.Now.
	Now func() time.Time
	// Publish takes the events of committed functions, on the writer's goroutine: it must not
	// block and must not write. nil drops them. It is not called before the first Write that
	// emits, so it may close over a hub that is made from this DB's Epoch and ReserveIDs.
	Publish func(stream string, evs []event.Event)
	// BusyWait is how long a write waits for another process that holds the database; 0 is engine.BusyWait.
	BusyWait time.Duration
	// Migrations replaces the embedded ones, for tests of migrating; nil is the usual.
	Migrations fs.FS
}

// DB is the open store.
type DB struct {
	engine *engine.Engine
	w      *writer
	log    *slog.Logger
	now    func() time.Time
	epoch  string
	reads  atomic.Int64

	stop context.CancelFunc // ends the background work
	wg   sync.WaitGroup     // background work

	mu    sync.RWMutex         // guards stmts
	stmts map[string]*sql.Stmt // for the readers, by text; each prepares itself on every connection
}

// Open opens the database, makes it when there is none, and brings its schema up to date. An
// error is one sentence for the person who starts the program: which file, what, and the mend.
func Open(ctx context.Context, opts Options) (*DB, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Migrations == nil {
		opts.Migrations = embedded
	}
	d := engine.SQLite()
	e, err := d.Open(ctx, opts.Dir)
	if err != nil {
		return nil, err
	}
	if err := engine.Migrate(ctx, d, e, engine.MigrateOptions{Files: opts.Migrations, Now: opts.Now, Log: opts.Log}); err != nil {
		e.Close()
		return nil, err
	}
	if d.Settle != "" {
		if _, err := e.Conn.ExecContext(ctx, d.Settle); err != nil {
			e.Close()
			return nil, engine.StartError(e.File, err)
		}
	}
	if opts.BusyWait > 0 {
		if err := e.Wait(ctx, opts.BusyWait); err != nil {
			e.Close()
			return nil, engine.StartError(e.File, err)
		}
	}
	db := &DB{engine: e, w: newWriter(d, e.Conn, opts), log: opts.Log, now: opts.Now, stmts: map[string]*sql.Stmt{}}
	ctx2, stop := context.WithCancel(context.Background())
	db.stop = stop
	db.wg.Go(db.w.run)
	if err := db.identify(ctx); err != nil {
		db.Close()
		return nil, engine.StartError(e.File, err)
	}
	db.wg.Go(func() { db.sweep(ctx2) })
	return db, nil
}

// identify reads who this database is, and gives a new one its name. It writes at every
// start, so that a disk that cannot be written is noticed before anything is served.
func (db *DB) identify(ctx context.Context) error {
	run, replaced, err := db.lineage()
	if err != nil {
		return err
	}
	return db.Write(ctx, nil, func(tx *Tx) error {
		if replaced {
			db.log.Warn("the database was put in the place of another one, by a restore say: every client loads anew")
			if _, err := tx.Exec(`DELETE FROM meta WHERE key = 'epoch'`); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(`INSERT INTO meta (key, value) VALUES ('epoch', $1), ('next_event_id', '1') ON CONFLICT (key) DO NOTHING`, rand.Text()[:16]); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO meta (key, value) VALUES ('run', $1) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, run); err != nil {
			return err
		}
		if err := touch(tx, "opened_at"); err != nil {
			return err
		}
		return tx.QueryRow(`SELECT value FROM meta WHERE key = 'epoch'`).Scan(&db.epoch)
	})
}

func touch(tx *Tx, key string) error {
	_, err := tx.Exec(`INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
		key, tx.Now().UTC().Format(event.TimeLayout))
	return err
}

// Write runs fn in a durable transaction, together with whatever else waits, and returns
// after the commit. fn runs on the writer's goroutine and must not wait for anything but tx.
// An error of fn rolls back what it did and is returned as it is (driver errors become
// kinds of errs). A ctx that ends before fn's turn gives errs.Unavailable with the context's
// error as its cause, and fn never runs; once it is fn's turn, Write waits for the outcome.
// errs.Unavailable always means that nothing was changed.
//
// With once, an earlier answer under the same caller and key is put into once, Replayed is
// set and fn is not run; with another fingerprint the error is errs.Invalid. Otherwise the
// answer that fn puts into once is stored with its effect.
func (db *DB) Write(ctx context.Context, once *web.Once, fn func(tx *Tx) error) error {
	return db.w.do(ctx, once, fn)
}

// Query reads on the pool of readers; close the rows, and soon: an open read keeps the log
// of changes growing. Errors are kinds of errs; pass those of Scan and Rows.Err through dbError.
func (db *DB) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	db.reads.Add(1)
	if st := db.prepared(ctx, query); st != nil {
		rows, err := st.QueryContext(ctx, args...)
		return rows, dbError(err)
	}
	rows, err := db.engine.Read.QueryContext(ctx, query, args...)
	return rows, dbError(err)
}

// Reads returns how many queries went to the pool of readers.
func (db *DB) Reads() int64 { return db.reads.Load() }

// QueryRow reads one row on the pool of readers; Scan gives sql.ErrNoRows when there is none.
func (db *DB) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	db.reads.Add(1)
	if st := db.prepared(ctx, query); st != nil {
		return st.QueryRowContext(ctx, args...)
	}
	return db.engine.Read.QueryRowContext(ctx, query, args...)
}

// prepared returns the statement for the text; nil when it cannot be kept.
func (db *DB) prepared(ctx context.Context, query string) *sql.Stmt {
	db.mu.RLock()
	st, n := db.stmts[query], len(db.stmts)
	db.mu.RUnlock()
	if st != nil || n >= maxPrepared {
		return st
	}
	st, err := db.engine.Read.PrepareContext(ctx, query)
	if err != nil {
		return nil // running the text tells what is wrong with it
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if other := db.stmts[query]; other != nil {
		st.Close()
		return other
	}
	db.stmts[query] = st
	return st
}

// Beside returns what is kept in memory beside this database under a key, made by make when nothing is: one for all who
// hold the same DB. What is read from tables may be kept so as long as every change of them says so with Tx.AtEnd.
func (db *DB) Beside(key any, make func() any) any { return db.w.beside.of(key, make) }

// beside is what is kept beside a database.
type beside struct{ all sync.Map }

func (b *beside) of(key any, make func() any) any {
	if v, ok := b.all.Load(key); ok {
		return v
	}
	v, _ := b.all.LoadOrStore(key, make())
	return v
}

// Epoch returns the random name of this database, made with it.
func (db *DB) Epoch() string { return db.epoch }

// ReserveIDs durably sets aside n event ids (at least 1) and returns the first; ids only
// grow, also over restarts. It is what hub.LocalOptions.Reserve asks for.
func (db *DB) ReserveIDs(ctx context.Context, n int64) (first int64, err error) {
	if n < 1 || n > 1<<40 {
		return 0, errs.New(errs.Invalid, "%d event ids cannot be reserved at once", n)
	}
	err = db.Write(ctx, nil, func(tx *Tx) error {
		var next string
		if err := tx.QueryRow(`SELECT value FROM meta WHERE key = 'next_event_id'`).Scan(&next); err != nil {
			return err
		}
		if first, err = strconv.ParseInt(next, 10, 64); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE meta SET value = $1 WHERE key = 'next_event_id'`, strconv.FormatInt(first+n, 10))
		return err
	})
	return first, err
}

// Check reports within ctx whether the store reads and its writer lives; /health asks it.
// After a transaction that could not be stored it tries to write, so that a disk with new
// space is well again without a restart.
func (db *DB) Check(ctx context.Context) error {
	var epoch string
	if err := db.QueryRow(ctx, `SELECT value FROM meta WHERE key = 'epoch'`).Scan(&epoch); err != nil {
		return errs.Wrap(errs.Unavailable, dbError(err), "the database cannot be read")
	}
	select {
	case <-db.w.finished:
		return errs.New(errs.Unavailable, "the database's writer has ended; start the program again")
	default:
	}
	if since := db.w.busySince.Load(); since != 0 {
		if stuck := time.Since(time.Unix(0, since)); stuck > 15*time.Second {
			return errs.New(errs.Unavailable, "the database's writer has been busy with one transaction for %s", stuck.Round(time.Second))
		}
	}
	if !db.w.failing.Load() {
		return nil
	}
	return db.Write(ctx, nil, func(tx *Tx) error { return touch(tx, "checked_at") })
}

// Close runs what waits, refuses what comes later with errs.Unavailable, moves the log into
// the database file and closes everything. Closing twice does nothing more.
func (db *DB) Close() error {
	db.stop()
	db.w.close()
	db.wg.Wait()
	db.mu.Lock()
	defer db.mu.Unlock()
	var errsOf []error
	for _, st := range db.stmts {
		errsOf = append(errsOf, st.Close())
	}
	for _, st := range db.w.stmts {
		errsOf = append(errsOf, st.Close())
	}
	db.stmts, db.w.stmts = map[string]*sql.Stmt{}, nil
	err := db.engine.Close()
	if errors.Is(err, sql.ErrConnDone) {
		err = nil // closed before
	}
	return errors.Join(append(errsOf, err)...)
}

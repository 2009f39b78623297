package engine

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"uniqverse/internal/errs"
)

// FileName is the name of the database in the data folder.
const FileName = "uniqverse.db"

// SQLite is the dialect of SQLite in one file.
func SQLite() Dialect {
	return Dialect{
		Name:    "sqlite",
		Open:    openSQLite,
		Inspect: inspectSQLite,
		// What a savepoint may have to give back is kept in memory: in a file each page of it is a write to the disk. Only
		// after the migrations, which may sort whole tables.
		Settle:    "PRAGMA temp_store = MEMORY",
		Begin:     "BEGIN IMMEDIATE",
		Claim:     "",
		FullText:  func(table, param string) string { return table + " MATCH " + param },
		QuoteText: quoteFTS5,
		Classify:  classifySQLite,
		CopyTo:    copySQLite,
		Tidy:      tidySQLite,
	}
}

// BusyWait is how long a statement waits for another process that holds the database.
const BusyWait = 5 * time.Second

// Wait has the connection that writes wait so long instead of BusyWait.
func (e *Engine) Wait(ctx context.Context, d time.Duration) error {
	return waitFor(ctx, e.Conn, int(d.Milliseconds()))
}

// sqliteDSN is the address of a database file. Settings stand here and not in statements,
// because a PRAGMA that is executed reaches one pooled connection only.
func sqliteDSN(path string, readOnly bool) string {
	p := filepath.ToSlash(path)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // a Windows drive: file:///C:/…
	}
	q := url.Values{}
	for _, pragma := range []string{"busy_timeout(" + strconv.FormatInt(BusyWait.Milliseconds(), 10) + ")", "foreign_keys(1)", "synchronous(FULL)", "mmap_size(" + mmapSize() + ")", "trusted_schema(0)"} {
		q.Add("_pragma", pragma)
	}
	q.Set("_dqs", "0")                          // "text" is a column, never a string
	q.Set("_time_integer_format", "unix_milli") // a time.Time that slips in is stored like all others
	if readOnly {
		q.Set("mode", "ro")
		q.Set("_query_only", "1")
	} else {
		q.Add("_pragma", "wal_autocheckpoint(4000)")
		q.Add("_pragma", "journal_size_limit(67108864)")
		q.Set("_journal_mode", "WAL") // after the list, which is sorted by name: see the driver's documentation
		q.Set("_txlock", "immediate")
	}
	return "file://" + (&url.URL{Path: p}).EscapedPath() + "?" + q.Encode()
}

// mmapSize maps up to 256 MiB of the file for readers; less where addresses are scarce.
func mmapSize() string {
	if ^uint(0)>>32 == 0 {
		return "33554432"
	}
	return "268435456"
}

func openSQLite(ctx context.Context, dir string) (*Engine, error) {
	given := dir
	dir, err := filepath.Abs(given)
	if err != nil {
		return nil, errs.Wrap(errs.Unavailable, err, "the data folder %s cannot be found; name another with VEZE_DATA_DIR or --data", given)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, errs.Wrap(errs.Unavailable, err, "the data folder %s cannot be made; name one that can be written with VEZE_DATA_DIR or --data", dir)
	}
	e := &Engine{File: filepath.Join(dir, FileName)}
	if err := makeFile(e.File); err != nil {
		return nil, errs.Wrap(errs.Unavailable, err, "the database file %s cannot be written; give this user the right to write it and its folder, or name another folder with VEZE_DATA_DIR or --data", e.File)
	}
	if foreign, err := foreignFile(e.File); err != nil {
		return nil, StartError(e.File, err)
	} else if foreign {
		return nil, errForeign(e.File)
	}
	if e.write, err = sql.Open("sqlite", sqliteDSN(e.File, false)); err != nil {
		return nil, StartError(e.File, err)
	}
	e.write.SetMaxOpenConns(1)
	if e.Conn, err = e.write.Conn(ctx); err != nil {
		e.Close()
		return nil, StartError(e.File, err)
	}
	if e.Read, err = sql.Open("sqlite", sqliteDSN(e.File, true)); err != nil {
		e.Close()
		return nil, StartError(e.File, err)
	}
	readers := min(max(2*runtime.NumCPU(), 4), 16)
	e.Read.SetMaxOpenConns(readers)
	e.Read.SetMaxIdleConns(readers)
	return e, nil
}

// makeFile makes an empty file that only its owner reads, which SQLite then fills: the files
// that SQLite makes beside it take over its mode.
func makeFile(path string) error {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return errors.New("it is a folder")
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	now, err := f.Stat()
	if err == nil && now.Mode().Perm()&0o077 != 0 {
		err = f.Chmod(0o600)
	}
	return errors.Join(err, f.Close())
}

// applicationID marks our files in the header of SQLite; the first migration writes it.
const applicationID = 0x554E4951 // "UNIQ"

// foreignFile reports whether the file is another program's database, or fails with errCut,
// without SQLite: opening it would turn its journal into ours. A file in WAL mode is left to migrate, which finds
// out without a change, because its newest header may be in the log.
func foreignFile(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, 100)
	if _, err := io.ReadFull(f, head); err != nil {
		return false, nil // new, or damaged: SQLite says which
	}
	inWAL := head[18] == 2 && head[19] == 2
	if string(head[:16]) == "SQLite format 3\x00" && cutWithinPage(f, head) {
		return false, errCut
	}
	return string(head[:16]) == "SQLite format 3\x00" && !inWAL && binary.BigEndian.Uint32(head[68:]) != applicationID, nil
}

// errCut is why a file is damaged that SQLite would take: it reads the missing end as zeros.
var errCut = errors.New("the file ends within a page")

// cutWithinPage reports whether the file is not made of whole pages while no log lies beside
// it. With a log it may be that a crash came in the middle of moving the log into the file;
// the log is still whole then, and SQLite mends it.
func cutWithinPage(f *os.File, head []byte) bool {
	page := int64(binary.BigEndian.Uint16(head[16:]))
	if page == 1 {
		page = 65536
	}
	st, err := f.Stat()
	if err != nil || page < 512 || st.Size()%page == 0 {
		return false
	}
	for _, log := range []string{"-wal", "-journal"} {
		if beside, err := os.Stat(f.Name() + log); err == nil && beside.Size() > 0 {
			return false
		}
	}
	return true
}

func errForeign(file string) error {
	return errs.New(errs.Unavailable, "the database file %s belongs to another program; nothing was changed. Move it away, or name another folder with VEZE_DATA_DIR or --data", file)
}

// StartError words an error of opening or migrating for the person who starts the program.
func StartError(file string, err error) error {
	switch classifySQLite(err) {
	case Corrupt:
		return errs.Wrap(errs.Unavailable, err, "the database file %s is damaged or not a database; nothing was changed. Put a good copy in its place (copies from before a migration lie beside it), or move it away to start empty", file)
	case Full:
		return errs.Wrap(errs.Unavailable, err, "the disk with the database file %s is full; free some space and start again", file)
	case Busy:
		return errs.Wrap(errs.Unavailable, err, "the database file %s is locked by another program; stop that program and start again", file)
	case IO:
		return errs.Wrap(errs.Unavailable, err, "the database file %s cannot be read and written; check the disk, and that this user may write the file and its folder", file)
	}
	return errs.Wrap(errs.Internal, err, "the database file %s cannot be opened", file)
}

func classifySQLite(err error) Class {
	if errors.Is(err, errCut) {
		return Corrupt
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return Other
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return Unique
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH:
		return Constraint
	case sqlite3.SQLITE_TOOBIG:
		return TooBig
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_PROTOCOL:
		return Busy
	case sqlite3.SQLITE_FULL:
		return Full
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_NOLFS:
		return IO
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		return Corrupt
	}
	return Other
}

func inspectSQLite(ctx context.Context, c *sql.Conn) (ours, others bool, err error) {
	err = c.QueryRowContext(ctx, `SELECT count(*) > 0, coalesce(sum(name = 'schema_migrations'), 0) > 0 FROM sqlite_schema WHERE type = 'table'`).Scan(&others, &ours)
	return ours, others, err
}

// copySQLite takes the copy beside the target and renames it, so that a copy is whole or absent.
func copySQLite(ctx context.Context, c *sql.Conn, path string) error {
	part := path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) // VACUUM INTO fills an empty file and leaves its mode
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if _, err := c.ExecContext(ctx, "VACUUM INTO $1", part); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return os.Rename(part, path)
}

// tidySQLite moves the write-ahead log into the database file and empties it. A reader that
// still needs the log is not waited for: a write may come at any moment.
func tidySQLite(ctx context.Context, c *sql.Conn) error {
	var busy, inLog, moved int
	if err := c.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &inLog, &moved); err != nil {
		return err
	}
	if busy != 0 || inLog != moved || inLog <= 0 {
		return nil
	}
	var wait int
	if err := c.QueryRowContext(ctx, "PRAGMA busy_timeout").Scan(&wait); err != nil {
		return err
	}
	if err := waitFor(ctx, c, 0); err != nil {
		return err
	}
	err := c.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &inLog, &moved)
	back := waitFor(ctx, c, wait)
	if classifySQLite(err) == Busy {
		err = nil
	}
	return errors.Join(err, back)
}

// waitFor sets how many milliseconds the connection waits for another one that holds the database.
func waitFor(ctx context.Context, c *sql.Conn, ms int) error {
	_, err := c.ExecContext(ctx, "PRAGMA busy_timeout = "+strconv.Itoa(ms))
	return err
}

// quoteFTS5 makes each word a quoted term: a person's text is never query syntax.
func quoteFTS5(words string) string {
	fields := strings.Fields(words)
	for i, f := range fields {
		fields[i] = `"` + strings.ReplaceAll(f, `"`, `""`) + `"`
	}
	return strings.Join(fields, " ")
}

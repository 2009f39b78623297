package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	_ "modernc.org/sqlite"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/store"
	"uniqverse/store/storetest"
)

func open(t *testing.T, opts store.Options) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestSQLiteKeepsThePromises(t *testing.T) { storetest.Run(t, open) }

func write(t *testing.T, db *store.DB, query string, args ...any) error {
	t.Helper()
	return db.Write(t.Context(), nil, func(tx *store.Tx) error {
		_, err := tx.Exec(query, args...)
		return err
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, db *store.DB, query string, args ...any) int {
	t.Helper()
	var n int
	must(t, db.QueryRow(t.Context(), query, args...).Scan(&n))
	return n
}

// copyFiles copies the database as a crash would leave it: nothing is closed or flushed.
func copyFiles(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	for _, name := range []string{store.FileName, store.FileName + "-wal", "uniqverse.run"} {
		b, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		must(t, err)
		must(t, os.WriteFile(filepath.Join(to, name), b, 0o600))
	}
	return to
}

func TestAcknowledgedWritesSurviveACrash(t *testing.T) {
	dir := t.TempDir()
	db := open(t, store.Options{Dir: dir})
	must(t, write(t, db, `CREATE TABLE item (name TEXT NOT NULL)`))
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 10 {
				if err := write(t, db, `INSERT INTO item (name) VALUES ($1)`, fmt.Sprint(w, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	started, release := make(chan struct{}), make(chan struct{})
	wg.Go(func() {
		db.Write(context.Background(), nil, func(tx *store.Tx) error {
			_, err := tx.Exec(`INSERT INTO item (name) VALUES ('not acknowledged')`)
			close(started)
			<-release
			return err
		})
	})
	<-started
	crashed := open(t, store.Options{Dir: copyFiles(t, dir)})
	close(release)
	wg.Wait()
	if n := count(t, crashed, `SELECT count(*) FROM item`); n != 80 {
		t.Errorf("%d rows after the crash, 80 were acknowledged", n)
	}
	if crashed.Epoch() != db.Epoch() {
		t.Error("the epoch changed with a crash")
	}
}

func TestDurableSettingsAreInForce(t *testing.T) {
	db := open(t, store.Options{Dir: t.TempDir()})
	must(t, db.Write(t.Context(), nil, func(tx *store.Tx) error {
		var mode string
		var sync, fk int
		if err := errors.Join(tx.QueryRow(`PRAGMA journal_mode`).Scan(&mode), tx.QueryRow(`PRAGMA synchronous`).Scan(&sync), tx.QueryRow(`PRAGMA foreign_keys`).Scan(&fk)); err != nil {
			return err
		}
		if mode != "wal" || sync != 2 || fk != 1 {
			t.Errorf("journal %s, synchronous %d, foreign keys %d", mode, sync, fk)
		}
		return nil
	}))
	_, err := db.Query(t.Context(), `INSERT INTO meta (key, value) VALUES ('x', 'y')`)
	if !errs.Is(err, errs.Unavailable) {
		t.Errorf("a reader writes: %v", err)
	}
}

func TestFullDisk(t *testing.T) {
	db := open(t, store.Options{Dir: t.TempDir()})
	must(t, write(t, db, `CREATE TABLE item (body BLOB NOT NULL)`))
	must(t, db.Write(t.Context(), nil, func(tx *store.Tx) error {
		var pages int
		return tx.QueryRow(`PRAGMA page_count`).Scan(&pages)
	}))
	pages := count(t, db, `SELECT page_count FROM pragma_page_count()`)
	setMax := func(n int) {
		must(t, db.Write(t.Context(), nil, func(tx *store.Tx) error {
			return tx.QueryRow(fmt.Sprintf(`PRAGMA max_page_count = %d`, n)).Scan(&n)
		}))
	}
	setMax(pages + 4)
	body := make([]byte, 16<<10)
	var err error
	stored := 0
	for err == nil && stored < 100 {
		if err = write(t, db, `INSERT INTO item (body) VALUES ($1)`, body); err == nil {
			stored++
		}
	}
	if !store.IsFull(err) || !errs.Is(err, errs.Unavailable) {
		t.Fatalf("after %d rows: %v", stored, err)
	}
	if store.IsFull(errs.New(errs.Unavailable, "other")) {
		t.Error("any error counts as full")
	}
	if n := count(t, db, `SELECT count(*) FROM item`); n != stored {
		t.Errorf("%d rows, %d were acknowledged", n, stored)
	}
	// Several at once: nobody is told of success who is not stored, and the writer lives on.
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range 8 {
		wg.Go(func() {
			if write(t, db, `INSERT INTO item (body) VALUES ($1)`, body) == nil {
				mu.Lock()
				stored++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if n := count(t, db, `SELECT count(*) FROM item`); n != stored {
		t.Errorf("%d rows, %d were acknowledged", n, stored)
	}
	// A function that hides the error is not acknowledged either.
	err = db.Write(t.Context(), nil, func(tx *store.Tx) error {
		tx.Exec(`INSERT INTO item (body) VALUES ($1)`, body)
		tx.Exec(`INSERT INTO item (body) VALUES ($1)`, []byte("small"))
		return nil
	})
	if !store.IsFull(err) || count(t, db, `SELECT count(*) FROM item`) != stored {
		t.Errorf("hidden error: %v", err)
	}
	setMax(1 << 20)
	must(t, write(t, db, `INSERT INTO item (body) VALUES ($1)`, body))
	must(t, db.Check(t.Context()))
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no file modes")
	}
	dir := filepath.Join(t.TempDir(), "new", "data")
	db := open(t, store.Options{Dir: dir})
	must(t, write(t, db, `CREATE TABLE item (name TEXT)`))
	for path, mode := range map[string]os.FileMode{"": 0o700, store.FileName: 0o600, store.FileName + "-wal": 0o600, store.FileName + "-shm": 0o600} {
		st, err := os.Stat(filepath.Join(dir, path))
		must(t, err)
		if st.Mode().Perm() != mode {
			t.Errorf("%q has mode %o", path, st.Mode().Perm())
		}
	}
}

func TestFoldersWithOddNames(t *testing.T) {
	for _, name := range []string{"with space", "100%25", "a?mode=ro&x", "a#b", "ünïcode ✓", "plus+and;semi", "'quote'"} {
		if runtime.GOOS == "windows" && strings.ContainsAny(name, "?") {
			continue
		}
		dir := filepath.Join(t.TempDir(), name)
		db := open(t, store.Options{Dir: dir})
		must(t, write(t, db, `CREATE TABLE item (name TEXT)`))
		count(t, db, `SELECT count(*) FROM item`)
		if _, err := os.Stat(filepath.Join(dir, store.FileName)); err != nil {
			t.Errorf("%q: the file is elsewhere: %v", name, err)
		}
	}
}

// steps are migrations as a later release would have them.
func steps(names ...string) fstest.MapFS {
	fs := fstest.MapFS{}
	base, err := os.ReadFile("migrations/sqlite/0001_base.sql")
	if err != nil {
		panic(err)
	}
	fs["migrations/sqlite/0001_base.sql"] = &fstest.MapFile{Data: base}
	for i := 0; i < len(names); i += 2 {
		fs["migrations/sqlite/"+names[i]] = &fstest.MapFile{Data: []byte(names[i+1])}
	}
	return fs
}

func refused(t *testing.T, opts store.Options, words ...string) {
	t.Helper()
	file := filepath.Join(opts.Dir, store.FileName)
	before, _ := os.ReadFile(file)
	db, err := store.Open(t.Context(), opts)
	if err == nil {
		db.Close()
		t.Fatal("it opens")
	}
	for _, w := range append(words, file) {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
	var e *errs.Error
	if !errors.As(err, &e) {
		t.Errorf("%v has no kind", err)
	}
	if after, _ := os.ReadFile(file); string(after) != string(before) {
		t.Error("the file was changed")
	}
}

func TestMigrationKeepsACopy(t *testing.T) {
	dir := t.TempDir()
	db := open(t, store.Options{Dir: dir, Migrations: steps("0002_a.sql", `CREATE TABLE a (x TEXT)`)})
	must(t, write(t, db, `INSERT INTO a (x) VALUES ('old')`))
	must(t, db.Close())
	later := steps("0002_a.sql", `CREATE TABLE a (x TEXT)`, "0003_b.sql", `CREATE TABLE b (y TEXT); INSERT INTO b (y) SELECT x FROM a; DROP TABLE a;`, "0004_c.sql", `ALTER TABLE b ADD COLUMN z TEXT`)
	db = open(t, store.Options{Dir: dir, Migrations: later})
	if count(t, db, `SELECT count(*) FROM b WHERE y = 'old' AND z IS NULL`) != 1 {
		t.Error("the migration lost a row")
	}
	must(t, db.Close())
	copied := filepath.Join(dir, store.FileName+".before-0003")
	old, err := sql.Open("sqlite", copied)
	must(t, err)
	defer old.Close()
	var x string
	must(t, old.QueryRow(`SELECT x FROM a`).Scan(&x))
	must(t, os.MkdirAll(filepath.Join(dir, "restored"), 0o700))
	bytes, err := os.ReadFile(copied)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "restored", store.FileName), bytes, 0o600))
	must(t, open(t, store.Options{Dir: filepath.Join(dir, "restored"), Migrations: later}).Close())
	if st, err := os.Stat(copied); err != nil || x != "old" || (runtime.GOOS != "windows" && st.Mode().Perm() != 0o600) {
		t.Errorf("copy: %q, %v %v", x, st.Mode(), err)
	}
	// Opening again migrates nothing and copies nothing.
	must(t, os.Remove(copied))
	must(t, open(t, store.Options{Dir: dir, Migrations: later}).Close())
	left, _ := filepath.Glob(filepath.Join(dir, "*before*"))
	if len(left) != 0 {
		t.Errorf("copies without a migration: %v", left)
	}
}

func TestFailedMigrationIsUndone(t *testing.T) {
	dir := t.TempDir()
	must(t, open(t, store.Options{Dir: dir, Migrations: steps()}).Close())
	bad := steps("0002_a.sql", `CREATE TABLE a (x TEXT)`, "0003_b.sql", `CREATE TABLE b (y TEXT); INSERT INTO nowhere VALUES (1);`)
	if _, err := store.Open(t.Context(), store.Options{Dir: dir, Migrations: bad}); err == nil || !strings.Contains(err.Error(), "0003_b.sql") {
		t.Fatalf("it opens: %v", err)
	}
	db := open(t, store.Options{Dir: dir, Migrations: steps("0002_a.sql", `CREATE TABLE a (x TEXT)`)})
	if n := count(t, db, `SELECT count(*) FROM sqlite_schema WHERE name IN ('a', 'b')`); n != 1 {
		t.Errorf("%d of the tables are there", n)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	dir := t.TempDir()
	must(t, open(t, store.Options{Dir: dir, Migrations: steps("9000_future.sql", `CREATE TABLE future (x TEXT)`)}).Close())
	refused(t, store.Options{Dir: dir}, "newer", "9000_future.sql", "nothing was changed")
}

func TestChangedMigrationIsRefused(t *testing.T) {
	dir := t.TempDir()
	must(t, open(t, store.Options{Dir: dir, Migrations: steps("0002_a.sql", `CREATE TABLE a (x TEXT)`)}).Close())
	refused(t, store.Options{Dir: dir, Migrations: steps("0002_a.sql", `CREATE TABLE a (x TEXT, y TEXT)`)}, "0002_a.sql", "nothing was changed")
	must(t, open(t, store.Options{Dir: dir, Migrations: steps("0002_a.sql", "CREATE TABLE a (x TEXT)")}).Close())
}

func TestDamagedAndForeignFilesAreRefused(t *testing.T) {
	file := func(t *testing.T, b []byte) string {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, store.FileName), b, 0o600))
		return dir
	}
	t.Run("not a database", func(t *testing.T) {
		refused(t, store.Options{Dir: file(t, []byte(strings.Repeat("this is no database\n", 500)))}, "damaged or not a database", "nothing was changed")
	})
	t.Run("cut off", func(t *testing.T) {
		dir := t.TempDir()
		must(t, open(t, store.Options{Dir: dir}).Close())
		whole, err := os.ReadFile(filepath.Join(dir, store.FileName))
		must(t, err)
		refused(t, store.Options{Dir: file(t, whole[:len(whole)/2])}, "damaged")
	})
	t.Run("cut within a page", func(t *testing.T) {
		dir := t.TempDir()
		must(t, open(t, store.Options{Dir: dir}).Close())
		whole, err := os.ReadFile(filepath.Join(dir, store.FileName))
		must(t, err)
		refused(t, store.Options{Dir: file(t, whole[:len(whole)-100])}, "damaged", "nothing was changed")
	})
	t.Run("a crash in the middle of moving the log is no damage", func(t *testing.T) {
		dir := t.TempDir()
		db := open(t, store.Options{Dir: dir})
		must(t, write(t, db, `CREATE TABLE item (name TEXT NOT NULL)`))
		must(t, write(t, db, `INSERT INTO item (name) VALUES ('kept')`))
		crashed := copyFiles(t, dir)
		f, err := os.OpenFile(filepath.Join(crashed, store.FileName), os.O_WRONLY|os.O_APPEND, 0)
		must(t, err)
		_, err = f.Write(make([]byte, 1000))
		must(t, errors.Join(err, f.Close()))
		if n := count(t, open(t, store.Options{Dir: crashed}), `SELECT count(*) FROM item`); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
	})
	t.Run("another program's", func(t *testing.T) {
		dir := t.TempDir()
		other, err := sql.Open("sqlite", filepath.Join(dir, store.FileName))
		must(t, err)
		_, err = other.Exec(`CREATE TABLE theirs (x TEXT)`)
		must(t, err)
		must(t, other.Close())
		refused(t, store.Options{Dir: dir}, "another program")
	})
	t.Run("another program's, in WAL mode", func(t *testing.T) {
		dir := t.TempDir()
		other, err := sql.Open("sqlite", "file:"+filepath.Join(dir, store.FileName)+"?_journal_mode=WAL")
		must(t, err)
		_, err = other.Exec(`CREATE TABLE theirs (x TEXT)`)
		must(t, err)
		must(t, other.Close())
		refused(t, store.Options{Dir: dir}, "another program")
	})
	t.Run("a folder", func(t *testing.T) {
		dir := t.TempDir()
		must(t, os.Mkdir(filepath.Join(dir, store.FileName), 0o700))
		refused(t, store.Options{Dir: dir}, "cannot be written")
	})
	t.Run("the data folder is a file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "data")
		must(t, os.WriteFile(path, nil, 0o600))
		if _, err := store.Open(t.Context(), store.Options{Dir: path}); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "VEZE_DATA_DIR") {
			t.Error(err)
		}
	})
}

func TestOldAnswersAreSwept(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	db := open(t, store.Options{Dir: t.TempDir(), Now: func() time.Time { return now }})
	for i := range 3 {
		once := &web.Once{Caller: "pilot", Key: fmt.Sprint(i), Fingerprint: "f"}
		must(t, db.Write(t.Context(), once, func(*store.Tx) error { once.Status = 200; return nil }))
		now = now.Add(30 * time.Hour)
	}
	n, err := store.SweepOnce(t.Context(), db) // ages 90, 60 and 30 hours
	if err != nil || n != 1 {
		t.Errorf("swept %d, %v", n, err)
	}
	once := &web.Once{Caller: "pilot", Key: "1", Fingerprint: "f"}
	must(t, db.Write(t.Context(), once, func(*store.Tx) error { return nil }))
	if !once.Replayed {
		t.Error("an answer of 60 hours ago is gone")
	}
}

func TestLogIsMovedIntoTheFileOnClose(t *testing.T) {
	dir := t.TempDir()
	db := open(t, store.Options{Dir: dir})
	must(t, write(t, db, `CREATE TABLE item (name TEXT)`))
	must(t, db.Close())
	for _, suffix := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(filepath.Join(dir, store.FileName+suffix)); err == nil {
			t.Errorf("%s is left", suffix)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprint(writers, "writers"), func(b *testing.B) {
			db := storetest.Open(b)
			if err := db.Write(b.Context(), nil, func(tx *store.Tx) error {
				_, err := tx.Exec(`CREATE TABLE item (id INTEGER PRIMARY KEY, body TEXT NOT NULL)`)
				return err
			}); err != nil {
				b.Fatal(err)
			}
			body := strings.Repeat("x", 200)
			todo := make(chan struct{}, writers)
			var wg sync.WaitGroup
			b.ResetTimer()
			for range writers {
				wg.Go(func() {
					for range todo {
						if err := db.Write(context.Background(), nil, func(tx *store.Tx) error {
							_, err := tx.Exec(`INSERT INTO item (body) VALUES ($1)`, body)
							return err
						}); err != nil {
							b.Error(err)
						}
					}
				})
			}
			for range b.N {
				todo <- struct{}{}
			}
			close(todo)
			wg.Wait()
		})
	}
}

// Package storetest opens stores for tests and holds the suite that every engine passes.
package storetest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"uniqverse/store"
)

// Open opens a new store in a folder of the test's own and closes it when the test ends.
// Each change is applied to the options first, for a clock or to hear events.
func Open(t testing.TB, change ...func(*store.Options)) *store.DB {
	t.Helper()
	opts := store.Options{Dir: Dir(t)}
	for _, c := range change {
		c(&opts)
	}
	db, err := store.Open(context.Background(), opts)
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return db
}

// Dir returns a folder of the test's own with a database that has its tables and nothing else, as a first start leaves
// it: the first to open it gives it its epoch. The tables are made once for all tests of a package, because making them
// takes most of the time of a short test.
func Dir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	data, err := empty()
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, file), data, 0o600)
	}
	if err != nil {
		t.Fatalf("an empty database: %v", err)
	}
	return dir
}

const file = "uniqverse.db"

// empty is the bytes of a database with its tables.
var empty = sync.OnceValues(func() (data []byte, err error) {
	dir, err := os.MkdirTemp("", "storetest")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	db, err := store.Open(context.Background(), store.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	err = db.Write(context.Background(), nil, func(tx *store.Tx) error {
		_, err := tx.Exec(`DELETE FROM meta WHERE key IN ('epoch', 'next_event_id', 'opened_at', 'run')`)
		return err
	})
	if err = errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	if log, err := os.Stat(filepath.Join(dir, file+"-wal")); !errors.Is(err, fs.ErrNotExist) && (err != nil || log.Size() > 0) {
		return nil, errors.New("the database was closed with rows in its log")
	}
	return os.ReadFile(filepath.Join(dir, file))
})

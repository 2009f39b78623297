package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"uniqverse/store"
)

// A database keeps its epoch from start to start, also when a start is cut off; one that takes its place, as a backup that is put
// back does, has a new one, and keeps that.
func TestRestoreBeginsAnotherEpoch(t *testing.T) {
	dir := t.TempDir()
	epoch := func(dir string) string {
		t.Helper()
		db := open(t, store.Options{Dir: dir})
		defer db.Close()
		return db.Epoch()
	}
	copyFile := func(from, to string) {
		t.Helper()
		b, err := os.ReadFile(from)
		must(t, err)
		must(t, os.WriteFile(to, b, 0o600))
	}
	file, run := filepath.Join(dir, store.FileName), filepath.Join(dir, "uniqverse.run")
	first := epoch(dir)
	backup := filepath.Join(t.TempDir(), "backup")
	copyFile(file, backup)
	if again := epoch(dir); again != first {
		t.Errorf("a restart makes %s of the epoch %s", again, first)
	}
	// Cut off after the file was written and before the database was.
	before := filepath.Join(t.TempDir(), "before")
	copyFile(file, before)
	epoch(dir)
	copyFile(before, file)
	if again := epoch(dir); again != first {
		t.Errorf("a start that was cut off makes %s of the epoch %s", again, first)
	}
	epoch(dir)

	copyFile(backup, file)
	second := epoch(dir)
	if second == first {
		t.Error("the backup has the epoch of what it replaced")
	}
	if again := epoch(dir); again != second {
		t.Errorf("a restart after the restore makes %s of the epoch %s", again, second)
	}
	fresh := t.TempDir()
	copyFile(backup, filepath.Join(fresh, store.FileName))
	if third := epoch(fresh); third == first || third == second {
		t.Error("a backup in an empty folder has the epoch of what it was taken from")
	}
	if st, err := os.Stat(run); err != nil || st.Size() > 100 {
		t.Errorf("%v, %v", st, err)
	}
}

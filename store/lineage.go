package store

import (
	"crypto/rand"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A backup that takes the database's place is another database from then on: what clients saw of the lost time must not be taken
// for what comes in its stead. Each start therefore leaves a random word in the database and in a file beside it, which a backup
// of the database does not hold. Where they are at odds the database has a new epoch, and every client loads anew.

// runFile is the file beside the database. It holds the word of the last start, and of the one before: that is the database's own
// when a start ends between the two.
const runFile = "uniqverse.run"

// lineage prepares a start: its word, and whether the database is not the one that was here last.
func (db *DB) lineage() (run string, replaced bool, err error) {
	run = rand.Text()[:16]
	was := ""
	err = db.engine.Read.QueryRow(`SELECT value FROM meta WHERE key = 'run'`).Scan(&was)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", false, err
	}
	path := filepath.Join(filepath.Dir(db.engine.File), runFile)
	beside, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", false, err
	}
	// A database without a word is new, or of a version that left none.
	replaced = was != "" && !slices.Contains(strings.Fields(string(beside)), was)
	text := run + "\n"
	if was != "" && !replaced {
		text += was + "\n"
	}
	return run, replaced, writeWhole(path, text)
}

// writeWhole writes a file of its owner alone, whole or not at all.
func writeWhole(path, text string) error {
	part := path + ".part"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(part, path)
}

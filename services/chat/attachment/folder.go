package attachment

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"uniqverse/internal/errs"
)

const unfinished = ".part" // ends the name of a file that is being written

// Folder keeps the bytes of attachments, a file each.
type Folder struct {
	dir   string
	found []string // the files that were there when it was opened
}

// OpenFolder returns the folder, made (0700) when it is not there.
func OpenFolder(dir string) (Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Folder{}, err
	}
	entries, err := os.ReadDir(dir)
	f := Folder{dir: dir}
	for _, e := range entries {
		if e.Type().IsRegular() {
			f.found = append(f.found, e.Name())
		}
	}
	return f, err
}

// Kept is a file that is on disk.
type Kept struct {
	Name string
	Size int64  // bytes
	Sum  string // SHA-256 of the bytes, in hex
}

// Keep writes a file under a new random name. When it returns without an error the file is on disk. An error
// of r is returned as it is; a full disk is errs.Unavailable.
func (f Folder) Keep(r io.Reader) (kept Kept, err error) {
	kept.Name = strings.ToLower(rand.Text())
	path := filepath.Join(f.dir, kept.Name)
	file, err := os.OpenFile(path+unfinished, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return Kept{}, diskError(err)
	}
	sum := sha256.New()
	kept.Size, err = io.Copy(disk{file}, io.TeeReader(r, sum))
	if err == nil {
		err = diskError(file.Sync())
	}
	err = errors.Join(err, diskError(file.Close()))
	if err == nil {
		err = diskError(os.Rename(path+unfinished, path))
	}
	if err == nil {
		err = f.sync()
	}
	if err != nil {
		os.Remove(path + unfinished)
		os.Remove(path)
		return Kept{}, err
	}
	kept.Sum = hex.EncodeToString(sum.Sum(nil))
	return kept, nil
}

// disk tells what went wrong in writing from what went wrong in reading.
type disk struct{ file *os.File }

func (d disk) Write(b []byte) (int, error) {
	n, err := d.file.Write(b)
	return n, diskError(err)
}

func diskError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return errs.Wrap(errs.Unavailable, err, "the disk is full; try again when there is room")
	}
	return errs.Wrap(errs.Internal, err, "the file could not be kept")
}

// sync makes the names in the folder last.
func (f Folder) sync() error {
	d, err := os.Open(f.dir)
	if err != nil {
		return diskError(err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) {
		return diskError(err)
	}
	return nil
}

// Open opens a file that Keep named.
func (f Folder) Open(name string) (*os.File, error) {
	if strings.ContainsAny(name, "/\\.") { // no name of ours
		return nil, fmt.Errorf("open attachment %q: %w", name, fs.ErrInvalid)
	}
	return os.Open(filepath.Join(f.dir, name))
}

// Remove removes a file; one that is gone already is no error.
func (f Folder) Remove(name string) error {
	err := os.Remove(filepath.Join(f.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

package mailbox

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// Files keeps messages that are too large for a row: <dir>/ab/abcdef….eml, each written once and
// never changed. Safe for concurrent use.
type Files struct {
	dir string

	mu      sync.Mutex
	writing map[string]bool // names whose transaction is not decided yet: the sweep leaves them alone
}

// NewFiles returns the files of a folder, which is made when the first is written.
func NewFiles(dir string) *Files { return &Files{dir: dir, writing: map[string]bool{}} }

// nameOK reports whether a name has the form that newName gives: no path can hide in it.
func nameOK(name string) bool {
	stem, ok := strings.CutSuffix(name, ".eml")
	if !ok || len(stem) != 26 {
		return false
	}
	for _, c := range stem {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func newName() string { return strings.ToLower(rand.Text()) + ".eml" }

func (f *Files) path(name string) string { return filepath.Join(f.dir, name[:2], name) }

// Write stores what src holds in a new file that is on disk when write returns: its bytes,
// its name, and its folder. The caller calls settle when the transaction is decided.
func (f *Files) Write(src io.Reader, sum hash.Hash) (name string, size int64, err error) {
	name = newName()
	f.mu.Lock()
	f.writing[name] = true
	f.mu.Unlock()
	defer func() {
		if err != nil {
			f.Settle(name, false)
		}
	}()
	folder := filepath.Dir(f.path(name))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return name, 0, err
	}
	out, err := os.OpenFile(f.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return name, 0, err
	}
	size, err = io.Copy(io.MultiWriter(out, sum), src)
	if err == nil {
		err = out.Sync()
	}
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	for _, d := range []string{folder, f.dir, filepath.Dir(f.dir)} {
		if err == nil {
			err = syncFolder(d)
		}
	}
	return name, size, err
}

// syncFolder makes the names in a folder durable. Windows has no such call: there NTFS keeps
// its own journal of names.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Settle ends the writing of a file: one that no row keeps is removed.
func (f *Files) Settle(name string, kept bool) {
	if !kept {
		_ = os.Remove(f.path(name)) // what stays is swept at the next start
	}
	f.mu.Lock()
	delete(f.writing, name)
	f.mu.Unlock()
}

// Remove removes the files of messages that are gone, unless the transaction failed. What stays is swept at the next start.
func (f *Files) Remove(names []string, failed error) {
	for _, name := range names {
		if failed == nil && nameOK(name) {
			_ = os.Remove(f.path(name))
		}
	}
}

func (f *Files) isWriting(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writing[name]
}

// Open opens a file for reading at any place.
func (f *Files) Open(name string) (*os.File, error) {
	if !nameOK(name) {
		return nil, fmt.Errorf("%q is not the name of a stored message", name)
	}
	return os.Open(f.path(name))
}

// Sweep removes the files that known does not know: what a crash left between a file and its
// row. A file whose delivery is under way is left alone: it is looked for in writing first
// and in the store after, so that its row cannot be missed in between.
func (f *Files) Sweep(ctx context.Context, known func(context.Context, string) (bool, error)) (removed int, err error) {
	err = filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if d.IsDir() || !nameOK(d.Name()) || path != f.path(d.Name()) || f.isWriting(d.Name()) {
			return nil
		}
		ok, err := known(ctx, d.Name())
		if err != nil || ok {
			return err
		}
		removed++
		return os.Remove(path)
	})
	return removed, err
}

// Content is a message's bytes, in memory or in a file. Close it.
type Content struct {
	io.ReaderAt
	Size int64    // bytes
	file *os.File // nil in memory
}

// InMemory is content that is held in memory.
func InMemory(b []byte) *Content { return &Content{ReaderAt: bytes.NewReader(b), Size: int64(len(b))} }

// InFile is content that is read from a file, which Close closes.
func InFile(f *os.File, size int64) *Content { return &Content{ReaderAt: f, Size: size, file: f} }

// Close frees the file, if there is one.
func (c *Content) Close() error {
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}

// All returns a reader over the whole message.
func (c *Content) All() io.Reader { return io.NewSectionReader(c, 0, c.Size) }

// Hash returns the SHA-256 of b.
func Hash(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}

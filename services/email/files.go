package email

import (
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

// files keeps messages that are too large for a row: <dir>/ab/abcdef….eml, each written once and
// never changed. Safe for concurrent use.
type files struct {
	dir string

	mu      sync.Mutex
	writing map[string]bool // names whose transaction is not decided yet: the sweep leaves them alone
}

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

func (f *files) path(name string) string { return filepath.Join(f.dir, name[:2], name) }

// write stores what src holds in a new file that is on disk when write returns: its bytes,
// its name, and its folder. The caller calls settle when the transaction is decided.
func (f *files) write(src io.Reader, sum hash.Hash) (name string, size int64, err error) {
	name = newName()
	f.mu.Lock()
	f.writing[name] = true
	f.mu.Unlock()
	defer func() {
		if err != nil {
			f.settle(name, false)
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

// settle ends the writing of a file: one that no row keeps is removed.
func (f *files) settle(name string, kept bool) {
	if !kept {
		_ = os.Remove(f.path(name)) // what stays is swept at the next start
	}
	f.mu.Lock()
	delete(f.writing, name)
	f.mu.Unlock()
}

func (f *files) isWriting(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writing[name]
}

// open opens a file for reading at any place.
func (f *files) open(name string) (*os.File, error) {
	if !nameOK(name) {
		return nil, fmt.Errorf("%q is not the name of a stored message", name)
	}
	return os.Open(f.path(name))
}

// sweep removes the files that known does not know: what a crash left between a file and its
// row. A file whose delivery is under way is left alone: it is looked for in writing first
// and in the store after, so that its row cannot be missed in between.
func (f *files) sweep(ctx context.Context, known func(context.Context, string) (bool, error)) (removed int, err error) {
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

// content is a message's bytes, in memory or in a file.
type content struct {
	io.ReaderAt
	size int64
	file *os.File // nil in memory
}

// Close frees the file, if there is one.
func (c *content) Close() error {
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}

// all returns a reader over the whole message.
func (c *content) all() io.Reader { return io.NewSectionReader(c, 0, c.size) }

// hashed returns the SHA-256 of b.
func hashed(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}

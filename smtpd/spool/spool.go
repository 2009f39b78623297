// Package spool holds a message while it is received: its beginning in memory, the rest in a file.
//
// It is not storage: what it holds is gone when the message was delivered or refused, and what a
// crash leaves is removed by Prepare at the next start. A Spool belongs to one goroutine.
package spool

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
)

const pattern = "smtp-*.spool"

// firstSize is how much memory a message gets at first, in bytes.
const firstSize = 8 << 10

// Prepare makes the folder and removes what a crash left in it; "" is the system's temporary folder, which
// is left alone.
func Prepare(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("smtpd: spool folder: %w", err)
	}
	old, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		return fmt.Errorf("smtpd: spool folder: %w", err)
	}
	for _, f := range old {
		os.Remove(f)
	}
	return nil
}

// Spool is one message. Make it with New and end it with Remove.
type Spool struct {
	dir  string
	max  int // bytes in memory
	mem  []byte
	file *os.File
	more int64 // bytes in file
	sum  hash.Hash
}

// New returns an empty spool that keeps up to max bytes in memory and the rest in a file in dir.
func New(dir string, max int) *Spool {
	return &Spool{dir: dir, max: max, sum: sha256.New()}
}

// Write keeps p.
func (s *Spool) Write(p []byte) (int, error) {
	s.sum.Write(p)
	n := min(len(p), s.max-len(s.mem))
	if s.mem == nil {
		s.mem = make([]byte, 0, min(s.max, max(2*n, firstSize))) // a message of usual size fits at once
	}
	s.mem = append(s.mem, p[:n]...)
	if n == len(p) {
		return n, nil
	}
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, pattern)
		if err != nil {
			return n, err
		}
		s.file = f
	}
	k, err := s.file.Write(p[n:])
	s.more += int64(k)
	return n + k, err
}

// Head returns the beginning of the message: all of it unless File is set.
func (s *Spool) Head() []byte { return s.mem }

// File returns the file with the rest of the message and how many bytes that is; nil when Head is all.
func (s *Spool) File() (*os.File, int64) { return s.file, s.more }

// Sum returns the SHA-256 of the message.
func (s *Spool) Sum() (sum [sha256.Size]byte) {
	s.sum.Sum(sum[:0])
	return sum
}

// Reader returns a new reader over the message as it came.
func (s *Spool) Reader() io.Reader {
	if s.file == nil {
		return bytes.NewReader(s.mem)
	}
	return io.MultiReader(bytes.NewReader(s.mem), io.NewSectionReader(s.file, 0, s.more))
}

// Remove ends the spool and its file.
func (s *Spool) Remove() {
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
	}
}

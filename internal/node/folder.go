package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"uniqverse/internal/config"
)

// openFolder makes the data folder, sees that it can be written, and locks each service that
// this process runs, so that no second process runs the same one on the same data. The locks
// go with the process, however it ends.
func openFolder(cfg config.Config) (unlock func(), err error) {
	refused := func(err error) error {
		return fmt.Errorf("VEZE_DATA_DIR (--data) is %q, which cannot be used: %w; name a folder that this user may write", cfg.DataDir, cause(err))
	}
	locks := filepath.Join(cfg.DataDir, "locks")
	if err := os.MkdirAll(locks, 0o700); err != nil {
		return nil, refused(err)
	}
	probe, err := os.CreateTemp(cfg.DataDir, ".writable-*")
	if err != nil {
		return nil, refused(err)
	}
	probe.Close()
	os.Remove(probe.Name())
	var held []*flock.Flock
	unlock = func() {
		for _, l := range held {
			l.Unlock()
		}
	}
	for _, service := range cfg.Services {
		l := flock.New(filepath.Join(locks, service), flock.SetPermissions(0o600))
		ok, err := l.TryLock()
		if err != nil {
			unlock()
			return nil, refused(err)
		}
		if !ok {
			unlock()
			return nil, fmt.Errorf("VEZE_DATA_DIR (--data) is %q, and another process already runs the service %s on it; stop that one, or give this one a folder of its own", cfg.DataDir, service)
		}
		held = append(held, l)
	}
	return unlock, nil
}

// cause strips the path from a file error, which the caller's message names already.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

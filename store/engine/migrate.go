package engine

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"uniqverse/internal/errs"
)

// migration is one step of the schema: NNNN_name.sql, run once, in one transaction, never undone.
type migration struct {
	version  int
	name     string // the file's name
	checksum string // of the text with line ends as \n
	sql      string
}

var migrationName = regexp.MustCompile(`^([0-9]{4})_[a-z0-9_]+\.sql$`)

// migrations reads the steps of a dialect in order.
func migrations(files fs.FS, dialect string) ([]migration, error) {
	entries, err := fs.ReadDir(files, path.Join("migrations", dialect))
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	var all []migration
	for _, e := range entries {
		m := migrationName.FindStringSubmatch(e.Name())
		if m == nil {
			return nil, fmt.Errorf("migration %s is not named NNNN_name.sql", e.Name())
		}
		text, err := fs.ReadFile(files, path.Join("migrations", dialect, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read migration %s: %w", e.Name(), err)
		}
		clean := strings.ReplaceAll(string(text), "\r\n", "\n")
		sum := sha256.Sum256([]byte(clean))
		version, _ := strconv.Atoi(m[1])
		if len(all) > 0 && all[len(all)-1].version == version {
			return nil, fmt.Errorf("migrations %s and %s have one number", all[len(all)-1].name, e.Name())
		}
		all = append(all, migration{version: version, name: e.Name(), checksum: hex.EncodeToString(sum[:16]), sql: clean})
	}
	return all, nil
}

// applied is a row of schema_migrations.
type applied struct {
	version        int
	name, checksum string
}

// MigrateOptions are what Migrate needs besides the engine.
type MigrateOptions struct {
	Files fs.FS            // holds migrations/<dialect>/NNNN_name.sql
	Now   func() time.Time // when a step was applied
	Log   *slog.Logger
}

// Migrate brings the schema up to date: it refuses a database of a newer program or with
// another history, keeps a copy of an existing one, and then runs each missing step.
func Migrate(ctx context.Context, d Dialect, e *Engine, opts MigrateOptions) error {
	known, err := migrations(opts.Files, d.Name)
	if err != nil {
		return errs.Wrap(errs.Internal, err, "the program's own migrations cannot be read")
	}
	done, err := history(ctx, d, e)
	if err != nil {
		return err
	}
	missing, err := compare(e, known, done)
	if err != nil || len(missing) == 0 {
		return err
	}
	if len(done) > 0 && d.CopyTo != nil {
		to := fmt.Sprintf("%s.before-%04d", e.File, missing[0].version)
		if err := d.CopyTo(ctx, e.Conn, to); err != nil {
			return errs.Wrap(errs.Unavailable, err, "the copy %s, which is kept before a migration, cannot be written; nothing was changed. Free some space or mend the folder's rights, and start again", to)
		}
		opts.Log.Info("store: a copy from before the migration is kept", "file", to)
	}
	for _, m := range missing {
		if err := step(ctx, d, e.Conn, m, opts); err != nil {
			if d.Classify(err) == Other {
				return errs.Wrap(errs.Internal, err, "migration %s of the database file %s failed and was undone; the file is as before it", m.name, e.File)
			}
			return StartError(e.File, err)
		}
		opts.Log.Debug("store: migrated", "step", m.name)
	}
	return nil
}

// history reads what was applied; nothing for a new database. A file with tables that are
// not ours is refused.
func history(ctx context.Context, d Dialect, e *Engine) ([]applied, error) {
	ours, others, err := d.Inspect(ctx, e.Conn)
	if err != nil {
		return nil, StartError(e.File, err)
	}
	if !ours && others {
		return nil, errForeign(e.File)
	}
	if !ours {
		return nil, nil
	}
	rows, err := e.Conn.QueryContext(ctx, `SELECT version, name, checksum FROM schema_migrations ORDER BY version`)
	if err != nil {
		return nil, StartError(e.File, err)
	}
	defer rows.Close()
	var all []applied
	for rows.Next() {
		var a applied
		if err := rows.Scan(&a.version, &a.name, &a.checksum); err != nil {
			return nil, StartError(e.File, err)
		}
		all = append(all, a)
	}
	if err := rows.Err(); err != nil {
		return nil, StartError(e.File, err)
	}
	return all, nil
}

// compare returns the steps that are missing, or why this program must leave the file alone.
func compare(e *Engine, known []migration, done []applied) ([]migration, error) {
	missing := slices.Clone(known)
	for _, a := range done {
		i := slices.IndexFunc(known, func(m migration) bool { return m.version == a.version })
		if i < 0 {
			return nil, errs.New(errs.Unavailable, "the database file %s was written by a newer UniQVerse (its step %s is not known here); nothing was changed. Start that version or a later one, or put back the copy from before its migration", e.File, a.name)
		}
		if known[i].checksum != a.checksum {
			return nil, errs.New(errs.Unavailable, "the database file %s was made with another text of the step %s than this program has; nothing was changed. Start the version that made it, or move the file away to start empty", e.File, a.name)
		}
		missing = slices.DeleteFunc(missing, func(m migration) bool { return m.version == a.version })
	}
	return missing, nil
}

// step runs one migration in a transaction of its own.
func step(ctx context.Context, d Dialect, conn *sql.Conn, m migration, opts MigrateOptions) (err error) {
	if _, err := conn.ExecContext(ctx, d.Begin); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, back := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
			if back != nil && d.Classify(back) != Other {
				err = errors.Join(err, back)
			}
		}
	}()
	const table = `CREATE TABLE IF NOT EXISTS schema_migrations (version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)`
	if _, err := conn.ExecContext(ctx, table); err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, m.sql); err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, `INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)`,
		m.version, m.name, m.checksum, opts.Now().UnixMilli()); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return err
}

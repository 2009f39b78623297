package engine_test

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"uniqverse/store/engine"
)

func TestAddressOfAFile(t *testing.T) {
	for path, want := range map[string]string{
		"/srv/data/uniqverse.db":              "/srv/data/uniqverse.db",
		"/srv/a b%20c/x?mode=ro#y.db":         "/srv/a b%20c/x?mode=ro#y.db",
		"C:/Program Files/UniQVerse/data.db":  "/C:/Program Files/UniQVerse/data.db", // as Windows has it, after ToSlash
		"//server/share/data/uniqverse.db":    "//server/share/data/uniqverse.db",
		"/srv/ünï/✓.db":                       "/srv/ünï/✓.db",
		"/srv/with+plus&and;semicolon=eq@.db": "/srv/with+plus&and;semicolon=eq@.db",
	} {
		for _, readOnly := range []bool{false, true} {
			dsn := engine.DSN(path, readOnly)
			u, err := url.Parse(dsn)
			if err != nil || u.Scheme != "file" || u.Path != want || u.Fragment != "" {
				t.Errorf("%s: %s (%v) names %q", path, dsn, err, u.Path)
				continue
			}
			if q := u.Query(); (q.Get("mode") == "ro") != readOnly || (q.Get("_txlock") == "immediate") == readOnly || !slices.Contains(q["_pragma"], "synchronous(FULL)") {
				t.Errorf("%s: settings %v", path, q)
			}
		}
	}
}

// A person's words are never query syntax.
func TestQuoteText(t *testing.T) {
	d := engine.SQLite()
	e, err := d.Open(t.Context(), filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := e.Conn.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`CREATE VIRTUAL TABLE words USING fts5 (body)`)
	exec(`INSERT INTO words (body) VALUES ('warp "gate" online OR not'), ('something else')`)
	for words, want := range map[string]int{"warp": 1, "gate warp": 1, `foo" OR (`: 0, "OR": 1, "warp*": 1, "NOT something": 0, `"`: 0, "body:warp": 0, "nothing": 0} {
		var n int
		err := e.Conn.QueryRowContext(t.Context(), `SELECT count(*) FROM words WHERE `+d.FullText("words", "$1"), d.QuoteText(words)).Scan(&n)
		if err != nil {
			t.Errorf("%s: %v", words, err)
		} else if n != want {
			t.Errorf("%s: %d rows, want %d", words, n, want)
		}
	}
	if strings.TrimSpace(d.QuoteText("  ")) != "" {
		t.Error("no words are not nothing")
	}
}

func TestClassesOfErrors(t *testing.T) {
	d := engine.SQLite()
	e, err := d.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	run := func(query string) error {
		_, err := e.Conn.ExecContext(t.Context(), query)
		return err
	}
	if err := run(`CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER NOT NULL UNIQUE CHECK (n < 9)) STRICT; CREATE TABLE b (a INTEGER REFERENCES a (id)) STRICT; INSERT INTO a VALUES (1, 1)`); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]engine.Class{
		`INSERT INTO a VALUES (2, 1)`:         engine.Unique,
		`INSERT INTO a VALUES (1, 2)`:         engine.Unique,
		`INSERT INTO a VALUES (2, NULL)`:      engine.Constraint,
		`INSERT INTO a VALUES (2, 9)`:         engine.Constraint,
		`INSERT INTO a VALUES (2, 'x')`:       engine.Constraint,
		`INSERT INTO b VALUES (77)`:           engine.Constraint,
		`INSERT INTO a VALUES ("text", 1)`:    engine.Other, // double quotes name columns here
		`SELECT zeroblob(2000000000)`:         engine.TooBig,
		`INSERT INTO nowhere VALUES (1)`:      engine.Other,
		`ATTACH '/nowhere/at/all.db' AS away`: engine.IO,
	} {
		err := run(query)
		if got := d.Classify(err); err == nil || got != want {
			t.Errorf("%s: class %d, want %d (%v)", query, got, want, err)
		}
	}
	if err := run(`SELECT 1`); err != nil || d.Classify(err) != engine.Other || engine.Other.Lost() || engine.Unique.Lost() || !engine.Full.Lost() {
		t.Error("what is no error counts as one, or the wrong ones lose a transaction")
	}
}

// Package main_test holds the rules of the house: which floor a package stands on, where SQL
// may be written, how long a file may be. docs/architecture.md describes them; here they run.
package main_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "uniqverse"

// floors says on which floor each folder stands; what is below a folder stands there too.
// A package imports lower floors and its own, so that it can be read without what is above it.
func floors() map[string]int {
	return map[string]int{
		"internal/config": 0, "internal/errs": 0, "internal/event": 0,
		"hub": 1, "smtpd": 1, "templates": 1, "static": 1,
		"internal/registry": 1, "internal/web": 1, "internal/ws": 1, "internal/api": 1, "internal/otlp": 1, "internal/reach": 1, "internal/webhook": 1,
		"internal/auth": 2,
		"services":      3,
		"store":         4,
		"internal/node": 5,
		".":             6, "e2e": 6, "bench": 6, "examples": 6,
	}
}

// goFile is one parsed Go file of the tree.
type goFile struct {
	path   string // slash-separated, from the root
	dir    string
	isTest bool
	isMain bool // package main may end the process
	lines  int
	fset   *token.FileSet
	ast    *ast.File
}

func (f goFile) at(p token.Pos) string {
	return fmt.Sprintf("%s:%d", f.path, f.fset.Position(p).Line)
}

func (f goFile) imports(p string) bool {
	return slices.ContainsFunc(f.ast.Imports, func(spec *ast.ImportSpec) bool { return importPath(spec) == p })
}

func tree(t *testing.T) []goFile {
	t.Helper()
	var all []goFile
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			skip := p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || p == "data" || p == "bin")
			if skip {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		src, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, p, src, parser.ParseComments)
		if err != nil {
			return err
		}
		slash := filepath.ToSlash(p)
		all = append(all, goFile{
			path: slash, dir: path.Dir(slash), fset: fset, ast: file,
			isTest: strings.HasSuffix(p, "_test.go"),
			isMain: file.Name.Name == "main",
			lines:  strings.Count(string(src), "\n"),
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("found only %d Go files; the walk is wrong", len(all))
	}
	return all
}

// sources is the tree without its tests.
func sources(t *testing.T) []goFile {
	return slices.DeleteFunc(tree(t), func(f goFile) bool { return f.isTest })
}

// folder returns the entry of floors that dir stands under.
func folder(dir string) (string, bool) {
	for d := dir; ; d = path.Dir(d) {
		if _, ok := floors()[d]; ok && (d != "." || dir == ".") {
			return d, true
		}
		if d == "." {
			return "", false
		}
	}
}

// service returns the first folder under services/ that dir lies in, "" outside of them.
func service(dir string) string {
	rest, ok := strings.CutPrefix(dir, "services/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

func TestFloors(t *testing.T) {
	for _, f := range sources(t) {
		home, ok := folder(f.dir)
		if !ok {
			t.Errorf("%s: no floor is known for its folder; say in floors() what it may import", f.path)
			continue
		}
		for _, spec := range f.ast.Imports {
			imported, ok := strings.CutPrefix(importPath(spec), module+"/")
			if !ok {
				continue
			}
			there, ok := folder(imported)
			if !ok {
				t.Errorf("%s imports %s, whose floor is not known", f.at(spec.Pos()), imported)
				continue
			}
			if own, other := floors()[home], floors()[there]; other > own {
				t.Errorf("%s: %s (floor %d) imports %s (floor %d); a package that knows the floor above it cannot be understood or tested alone: declare a small interface where it is used and let the upper floor satisfy it",
					f.at(spec.Pos()), f.dir, own, imported, other)
			}
			if a, b := service(f.dir), service(imported); a != "" && b != "" && a != b {
				t.Errorf("%s: service %s imports service %s; a service tells by an event and asks through internal/api, or it could not be moved to another process",
					f.at(spec.Pos()), a, b)
			}
		}
	}
}

func importPath(spec *ast.ImportSpec) string {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return ""
	}
	return p
}

func TestSQLOnlyInStore(t *testing.T) {
	statement := regexp.MustCompile(`(?is)^\s*(select\s.+\sfrom\s|insert\s+(or\s+\w+\s+)?into\s|update\s+\w+\s+set\s|delete\s+from\s|create\s+(unique\s+)?(table|index|trigger|virtual)\s|pragma\s+\w)`)
	const reason = "all SQL is in store: one place knows the tables, one writer commits, and one suite tests every statement on every database"
	seen := false
	for _, f := range sources(t) {
		inStore := strings.HasPrefix(f.dir+"/", "store/") || strings.HasPrefix(f.dir+"/", "bench/")
		for _, spec := range f.ast.Imports {
			p := importPath(spec)
			isSQL := p == "database/sql" || p == "database/sql/driver" || strings.HasPrefix(p, "modernc.org/sqlite") || strings.HasPrefix(p, "github.com/jackc/pgx")
			seen = seen || isSQL
			if isSQL && !inStore {
				t.Errorf("%s imports %s; %s", f.at(spec.Pos()), p, reason)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING || inStore {
				return true
			}
			if text, err := strconv.Unquote(lit.Value); err == nil && statement.MatchString(text) {
				t.Errorf("%s holds an SQL statement; %s", f.at(lit.Pos()), reason)
			}
			return true
		})
	}
	if !seen {
		t.Error("nothing imports database/sql at all; the rule looks in the wrong place")
	}
}

func TestSizes(t *testing.T) {
	packages := make(map[string]int)
	for _, f := range tree(t) {
		if f.lines > 600 {
			t.Errorf("%s has %d lines, more than 600; nobody reads such a file whole: split it by noun", f.path, f.lines)
		}
		if f.path == "main.go" && f.lines > 150 {
			t.Errorf("main.go has %d lines, more than 150; it shows the subcommands at a glance, the rest belongs to node", f.lines)
		}
		if f.isTest {
			continue
		}
		packages[f.dir] += f.lines
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := f.fset.Position(fn.End()).Line - f.fset.Position(fn.Pos()).Line + 1; n > 80 {
				t.Errorf("%s: func %s has %d lines, more than 80; it does not fit on a screen: split it by step", f.at(fn.Pos()), fn.Name.Name, n)
			}
		}
	}
	for dir, n := range packages {
		if n > 3000 {
			t.Errorf("package %s has %d lines without tests, more than 3000; split it by noun, not by layer", dir, n)
		}
	}
}

func TestSmallInterfaces(t *testing.T) {
	for _, f := range sources(t) {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if i, ok := spec.Type.(*ast.InterfaceType); ok && i.Methods.NumFields() > 15 {
				t.Errorf("%s: interface %s has %d methods, more than 15; nobody can write a second one: ask for what one noun needs", f.at(spec.Pos()), spec.Name.Name, i.Methods.NumFields())
			}
			if spec.Name.Name == "App" {
				t.Errorf("%s: a type that everything can reach grows a field for every feature; name it for what it does", f.at(spec.Pos()))
			}
			return true
		})
	}
}

func TestNames(t *testing.T) {
	vague := []string{"util", "utils", "common", "models", "core", "helpers", "helper", "misc"}
	for _, f := range tree(t) {
		base := strings.TrimSuffix(strings.TrimSuffix(path.Base(f.path), ".go"), "_test")
		for _, name := range append(strings.Split(f.dir, "/"), base, strings.TrimSuffix(f.ast.Name.Name, "_test")) {
			if slices.Contains(vague, name) {
				t.Errorf("%s: %q says nothing about what is inside, so everything ends up there; name it for its noun", f.path, name)
			}
		}
	}
}

func TestNothingHappensByItself(t *testing.T) {
	for _, f := range sources(t) {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: func init runs before anyone asked; wire it in node, where the order can be read", f.at(fn.Pos()))
			}
		}
		for _, spec := range f.ast.Imports {
			if importPath(spec) == "C" {
				t.Errorf("%s: cgo; one file that runs anywhere needs CGO_ENABLED=0", f.at(spec.Pos()))
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || f.isMain || f.imports("testing") { // a suite such as storetest may panic to see it caught
				return true
			}
			if what := endsProcess(call); what != "" {
				t.Errorf("%s: %s outside main; return the error, the edge knows what to answer", f.at(call.Pos()), what)
			}
			return true
		})
	}
}

// endsProcess names a call that ends the process or the goroutine. The one panic that is
// taken is panic(http.ErrAbortHandler), net/http's only way to break off an answer.
func endsProcess(call *ast.CallExpr) string {
	switch fn := call.Fun.(type) {
	case *ast.Ident:
		if fn.Name == "panic" && fn.Obj == nil {
			if arg, ok := call.Args[0].(*ast.SelectorExpr); ok && arg.Sel.Name == "ErrAbortHandler" {
				return ""
			}
			return "panic"
		}
	case *ast.SelectorExpr:
		pkg, ok := fn.X.(*ast.Ident)
		if !ok || pkg.Obj != nil {
			return ""
		}
		name := pkg.Name + "." + fn.Sel.Name
		if name == "os.Exit" || pkg.Name == "log" && (strings.HasPrefix(fn.Sel.Name, "Fatal") || strings.HasPrefix(fn.Sel.Name, "Panic")) {
			return name
		}
	}
	return ""
}

// A variable of a package that some function writes is state that two servers in one test
// would share.
func TestNoMutablePackageState(t *testing.T) {
	files := sources(t)                                     // parsed once: declarations are compared by identity
	variables := make(map[string]map[string]*ast.ValueSpec) // by folder and name
	for _, f := range files {
		for _, d := range f.ast.Decls {
			gen, ok := d.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, s := range gen.Specs {
				spec := s.(*ast.ValueSpec)
				for _, name := range spec.Names {
					if name.Name == "_" { // a check by the compiler, not a variable
						continue
					}
					if variables[f.dir] == nil {
						variables[f.dir] = make(map[string]*ast.ValueSpec)
					}
					variables[f.dir][name.Name] = spec
				}
				if sel, ok := spec.Type.(*ast.SelectorExpr); ok {
					if pkg, ok := sel.X.(*ast.Ident); ok && (pkg.Name == "sync" || pkg.Name == "atomic") {
						t.Errorf("%s: a package-level %s.%s guards package-level state; make it a field of what owns it", f.at(spec.Pos()), pkg.Name, sel.Sel.Name)
					}
				}
			}
		}
	}
	for _, f := range files {
		written := func(e ast.Expr) {
			id := rootIdent(e)
			if id == nil {
				return
			}
			spec, ok := variables[f.dir][id.Name]
			// The parser resolves a name to a local variable or to this file's; a name that
			// is another file's of the package stays unresolved.
			if ok && (id.Obj == nil || id.Obj.Decl == spec) {
				t.Errorf("%s writes the package-level variable %s; make it a field of what owns it, or two of them in one process share it", f.at(e.Pos()), id.Name)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch s := n.(type) {
			case *ast.AssignStmt:
				if s.Tok != token.DEFINE {
					for _, e := range s.Lhs {
						written(e)
					}
				}
			case *ast.IncDecStmt:
				written(s.X)
			}
			return true
		})
	}
}

// rootIdent returns a of a, a[i], a.b and *a.
func rootIdent(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

func TestEverythingPublicIsDocumented(t *testing.T) {
	documented := make(map[string]bool)
	for _, f := range sources(t) {
		documented[f.dir] = documented[f.dir] || f.ast.Doc.Text() != ""
		if ast.IsGenerated(f.ast) {
			continue
		}
		for _, d := range f.ast.Decls {
			for _, name := range undocumented(d) {
				t.Errorf("%s: exported %s has no comment; one sentence says what it is, its unit, range and errors", f.at(name.Pos()), name.Name)
			}
		}
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no comment; say what it is, what it is not, and what it guarantees under concurrency", dir)
		}
	}
}

// undocumented returns the exported names of a declaration that no comment is about. A
// comment on a group of constants or variables counts for each of them.
func undocumented(d ast.Decl) []*ast.Ident {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if !d.Name.IsExported() || d.Doc.Text() != "" {
			return nil
		}
		if d.Recv != nil {
			if recv := rootIdent(d.Recv.List[0].Type); recv == nil || !recv.IsExported() {
				return nil
			}
		}
		return []*ast.Ident{d.Name}
	case *ast.GenDecl:
		var missing []*ast.Ident
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && s.Doc.Text() == "" && (d.Lparen.IsValid() || d.Doc.Text() == "") {
					missing = append(missing, s.Name)
				}
			case *ast.ValueSpec:
				if d.Doc.Text() != "" || s.Doc.Text() != "" || s.Comment.Text() != "" {
					continue
				}
				for _, name := range s.Names {
					if name.IsExported() {
						missing = append(missing, name)
					}
				}
			}
		}
		return missing
	}
	return nil
}

// The SQLite that is a translation to Go works with exactly the libc that it was made with;
// another module that asks for a newer one would lift it silently.
func TestLibcIsTheOneSQLiteWants(t *testing.T) {
	version := func(file, wanted string) string {
		out, err := exec.Command("go", "mod", "edit", "-json", file).Output()
		if err != nil {
			t.Fatalf("go mod edit %s: %v", file, err)
		}
		var mod struct {
			Require []struct{ Path, Version string }
		}
		if err := json.Unmarshal(out, &mod); err != nil {
			t.Fatal(err)
		}
		for _, r := range mod.Require {
			if r.Path == wanted {
				return r.Version
			}
		}
		return "not required"
	}
	file, err := exec.Command("go", "list", "-m", "-f", "{{.GoMod}}", "modernc.org/sqlite").Output()
	if err != nil {
		t.Fatalf("go list modernc.org/sqlite: %v", err)
	}
	ours, theirs := version("go.mod", "modernc.org/libc"), version(strings.TrimSpace(string(file)), "modernc.org/libc")
	if ours != theirs {
		t.Errorf("modernc.org/libc is %s here and %s in modernc.org/sqlite's go.mod; pin theirs", ours, theirs)
	}
}

// A link in a document that leads nowhere sends the reader away.
func TestLinksInDocuments(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	pages := make(map[string][]string)
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/adr/*.md", "bench/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range found {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range link.FindAllStringSubmatch(string(text), -1) {
				pages[page] = append(pages[page], m[1])
			}
		}
	}
	for _, page := range slices.Sorted(maps.Keys(pages)) {
		for _, target := range pages[page] {
			file, _, _ := strings.Cut(target, "#")
			if file == "" || strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), filepath.FromSlash(file))); err != nil {
				t.Errorf("%s links to %s, which is not there", page, target)
			}
		}
	}
}

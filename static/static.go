// Package static holds what browsers fetch beside the pages: style sheets, scripts, icons and the one vendored library.
//
// Every file is embedded in the executable and has two addresses: its plain name, which a browser must ask about again,
// and a name with the hash of its content in it (Path), which it may keep for ever. The style sheets of css/ are served
// as one, app.css; htmx and its event streams as one, htmx.js. The room's page and those of mail are made of modules,
// js/room/ and js/mail/, which import each other by their plain names. There is no build step: what is in the folders is what is served.
//
// It is not a file server for anything outside this folder. Floor F1; imports nothing of the tree. The table of files is
// made once and never changes, so everything here is safe for concurrent use.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"sort"
	"strconv"
	"strings"
	"sync"
)

//go:embed css/*.css js/*.js js/room/*.js js/mail/*.js icons/*.svg vendor/*.js
var files embed.FS

// Prefix is the path under which Handler expects to be mounted.
const Prefix = "/static/"

type file struct {
	body   []byte
	hash   string
	ctype  string
	hashed string        // name with the hash in it
	gzip   func() []byte // packed at the first request: start-up pays nothing
}

type index struct {
	byName map[string]*file // plain name → file
	byHash map[string]*file // name with the hash → file
}

// load reads and hashes the embedded files once; what it returns is never written again.
var load = sync.OnceValue(func() *index {
	ix := &index{byName: map[string]*file{}, byHash: map[string]*file{}}
	var sheets []string
	_ = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if strings.HasPrefix(name, "css/") {
			sheets = append(sheets, name)
			return nil
		}
		body, err := files.ReadFile(name)
		if err == nil {
			ix.add(name, body)
		}
		return err
	})
	sort.Strings(sheets) // their names begin with a number: the order of the cascade
	var css bytes.Buffer
	for _, name := range sheets {
		body, _ := files.ReadFile(name)
		css.Write(body)
		css.WriteByte('\n')
	}
	ix.add("app.css", css.Bytes())
	// htmx begins in the first task after its own file: an extension that came in a later file, over a slow line,
	// would be too late, and the page never live.
	var htmx bytes.Buffer
	for _, name := range []string{"vendor/htmx.min.js", "vendor/hx-sse.min.js"} {
		htmx.Write(ix.byName[name].body)
		htmx.WriteString("\n;\n")
	}
	ix.add("htmx.js", htmx.Bytes())
	return ix
})

func (ix *index) add(name string, body []byte) {
	sum := sha256.Sum256(body)
	f := &file{body: body, hash: hex.EncodeToString(sum[:])[:12], ctype: contentType(name)}
	ext := path.Ext(name)
	f.hashed = strings.TrimSuffix(name, ext) + "." + f.hash + ext
	f.gzip = sync.OnceValue(func() []byte { return pack(body) })
	ix.byName[name], ix.byHash[f.hashed] = f, f
}

func contentType(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return "application/octet-stream"
}

func pack(body []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is a constant that gzip knows
	_, _ = w.Write(body)                                  // a bytes.Buffer takes every write
	_ = w.Close()
	return b.Bytes()
}

// Path returns the address of a file with the hash of its content in it: "app.css" → "/static/app.3f2a….css",
// "js/app.js" → "/static/js/app.91bc….js". An unknown name comes back under Prefix unchanged, which answers 404.
func Path(name string) string {
	if f, ok := load().byName[name]; ok {
		return Prefix + f.hashed
	}
	return Prefix + name
}

// Names returns the plain names of all files, sorted.
func Names() []string {
	ix := load()
	out := make([]string, 0, len(ix.byName))
	for n := range ix.byName {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

// Read returns the content of a file by its plain name, for tests and for pages that inline a drawing.
func Read(name string) ([]byte, bool) {
	f, ok := load().byName[name]
	if !ok {
		return nil, false
	}
	return bytes.Clone(f.body), true
}

// Handler serves the files under Prefix to GET and HEAD. A name with the right hash may be kept for a year without
// asking; a plain name, and one whose hash is of another version, is answered with today's content and an ETag.
func Handler() http.Handler { return http.HandlerFunc(serve) }

func serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "static files are read with GET", http.StatusMethodNotAllowed)
		return
	}
	name, under := strings.CutPrefix(r.URL.Path, Prefix)
	f, immutable := load().find(name)
	if !under || f == nil {
		http.Error(w, "no such file", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.ctype)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	if immutable {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	body, tag := f.body, `"`+f.hash+`"`
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		body, tag = f.gzip(), `"`+f.hash+`-gz"`
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", tag)
	if matches(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // a browser that went away needs no answer
	}
}

// find returns the file and whether the name carries its present hash.
func (ix *index) find(name string) (*file, bool) {
	if f, ok := ix.byHash[name]; ok {
		return f, true
	}
	if f, ok := ix.byName[name]; ok {
		return f, false
	}
	// "app.000000000000.css" of another version: the file without the hash
	ext := path.Ext(name)
	stem := strings.TrimSuffix(name, ext)
	if old := path.Ext(stem); len(old) == 13 {
		if f, ok := ix.byName[strings.TrimSuffix(stem, old)+ext]; ok {
			return f, false
		}
	}
	return nil, false
}

func acceptsGzip(header string) bool {
	for _, part := range strings.Split(header, ",") {
		enc, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(enc, "gzip") {
			q := strings.ReplaceAll(params, " ", "")
			return q != "q=0" && !strings.HasPrefix(q, "q=0.000")
		}
	}
	return false
}

func matches(header, tag string) bool {
	for _, t := range strings.Split(header, ",") {
		t = strings.TrimPrefix(strings.TrimSpace(t), "W/")
		if t == tag || t == "*" {
			return true
		}
	}
	return false
}

package templates

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"path"
	"strings"
	"sync"
	"time"

	"uniqverse/static"
)

//go:embed *.html
var files embed.FS

// Options are what New needs; the zero value works.
type Options struct {
	Version string           // shown in the footer, for example "0.1.0"; "" shows none
	Now     func() time.Time // the clock of relative times; nil is time.Now
}

// Set is all templates. What the pages share is parsed by New, a page when it is first asked for: parsing all
// of them would be most of what a start takes. A Set is safe for concurrent use.
type Set struct {
	pages     map[string]func() (*template.Template, error)
	fragments func() (*template.Template, error)
	version   string
}

// The services a page can belong to, for Page.Service.
const (
	Portal = "portal"
	Game   = "game"
	Email  = "email"
	Chat   = "chat"
	Desk   = "desk"
)

// Page is what every template is executed with: the frame around the content, and in Data the
// view of the page (see views_*.go). The zero value is a signed-out page of the portal.
type Page struct {
	Title   string // text of <title> and, unless the template has a better one, of the h1
	Service string // portal|game|email|chat|desk; "" is portal
	Prefix  string // X-Forwarded-Prefix ("/proxy/chat") or ""; anything but a clean path is ignored
	Path    string // path of the request without Prefix, with its query: where a sign-in comes back to
	// PortalBase is where the portal answers, without a slash at the end: "" when it is the same origin (behind its
	// proxy, and in the portal itself), "http://127.0.0.1:8000" for a page on the service's own port.
	PortalBase string
	Standalone bool    // no portal is known: no links to it, and no sign-in
	Nav        []Link  // the service's own pages; Current marks the open one; nil takes DefaultNav
	User       User    // who is signed in; the zero value is nobody
	Notice     *Notice // said once at the top of the page, after a redirect for example
	Data       any     // the view struct that the template's constant names

	version string
}

// User is the person a page is shown to; an empty Email means signed out.
type User struct {
	ID    int64
	Name  string // display name; "" shows the local part of Email
	Email string
	Demo  bool // the demo identity, which the page says
	Admin bool // shows the links to administration
}

// Notice is one sentence at the top of a page.
type Notice struct {
	Kind string // ok|info|warn|error
	Text string
}

// New parses what the pages share. An error, here or at the first use of a page, means that the binary was built from
// broken files.
func New(o Options) (*Set, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	icons, err := newIconSet()
	if err != nil {
		return nil, err
	}
	shared := template.New("").Funcs(funcs(o.Now, icons))
	names, err := files.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("list templates: %w", err)
	}
	var pages []string
	for _, f := range names {
		if strings.HasPrefix(f.Name(), "_") {
			if err := parse(shared, f.Name()); err != nil {
				return nil, err
			}
		} else {
			pages = append(pages, f.Name())
		}
	}
	// shared itself is never executed: html/template allows no clone of it afterwards.
	s := &Set{pages: make(map[string]func() (*template.Template, error), len(pages)), fragments: sync.OnceValues(shared.Clone), version: o.Version}
	for _, file := range pages {
		s.pages[strings.TrimSuffix(file, ".html")] = sync.OnceValues(func() (*template.Template, error) {
			t, err := shared.Clone()
			if err != nil {
				return nil, fmt.Errorf("clone layout for %s: %w", file, err)
			}
			return t, parse(t, file)
		})
	}
	return s, nil
}

func parse(t *template.Template, file string) error {
	src, err := files.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read template %s: %w", file, err)
	}
	if _, err := t.New(file).Parse(string(src)); err != nil {
		return fmt.Errorf("parse template %s: %w", file, err)
	}
	return nil
}

// Names returns the names that Render knows, in no order.
func (s *Set) Names() []string {
	out := make([]string, 0, len(s.pages))
	for n := range s.pages {
		out = append(out, n)
	}
	return out
}

// Render writes one whole page. The page is built in memory first, so an error (an unknown name, a Data of the
// wrong type) writes nothing and the caller can still answer with an error page.
func (s *Set) Render(w io.Writer, name string, page Page) error {
	get, ok := s.pages[name]
	if !ok {
		return fmt.Errorf("render page: no template %q", name)
	}
	t, err := get()
	if err != nil {
		return err
	}
	return s.execute(w, t, "base", page)
}

// Fragment writes one fragment (the Frag… constants) without the layout, for htmx. The page's Prefix and User
// count, its Data is the same view as that of the page which holds the fragment. Nothing is written on an error.
func (s *Set) Fragment(w io.Writer, name string, page Page) error {
	t, err := s.fragments()
	if err != nil {
		return fmt.Errorf("clone fragments: %w", err)
	}
	if t.Lookup(name) == nil {
		return fmt.Errorf("render fragment: no template %q", name)
	}
	return s.execute(w, t, name, page)
}

func (s *Set) execute(w io.Writer, t *template.Template, name string, page Page) error {
	page.version = s.version
	page.Prefix = cleanPrefix(page.Prefix)
	if page.Service == "" {
		page.Service = Portal
	}
	var buf bytes.Buffer
	if err := t.ExecuteTemplate(&buf, name, page); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	if _, err := w.Write(buf.Bytes()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// cleanPrefix keeps only a prefix that is a plain absolute path: the header comes from outside, and a
// value such as "//evil.example" would turn every link of the page into a link to somebody else.
func cleanPrefix(p string) string {
	p = strings.TrimRight(p, "/")
	if p == "" || p[0] != '/' || path.Clean(p) != p {
		return ""
	}
	for _, c := range p {
		ok := c == '/' || c == '-' || c == '_' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !ok {
			return ""
		}
	}
	return p
}

// URL returns the address of a path of this service as the browser must ask for it, under Prefix. An address with
// a scheme is returned as it is; html/template refuses the dangerous ones.
func (p Page) URL(to string) string {
	if strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "//") {
		return p.Prefix + to
	}
	return to
}

// Asset returns the address of a static file with the hash of its content in it, under Prefix.
func (p Page) Asset(name string) string { return p.URL(static.Path(name)) }

// ToPortal returns the address of a path of the portal.
func (p Page) ToPortal(to string) string { return p.PortalBase + to }

// With returns the page with other Data, so that a template can hand one row to another template.
func (p Page) With(data any) Page {
	p.Data = data
	return p
}

// Version returns the version from Options.
func (p Page) Version() string { return p.version }

// SignedIn reports whether there is a user.
func (u User) SignedIn() bool { return u.Email != "" }

// Label returns the display name, else the local part of the address.
func (u User) Label() string {
	if u.Name != "" {
		return u.Name
	}
	local, _, _ := strings.Cut(u.Email, "@")
	return local
}

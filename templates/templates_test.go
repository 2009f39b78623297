package templates_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"uniqverse/templates"
)

var update = flag.Bool("update", false, "write the golden pages anew")

// render draws a sample and fails the test when that fails.
func render(t *testing.T, set *templates.Set, s sample) string {
	t.Helper()
	var b strings.Builder
	if err := set.Render(&b, s.name, s.page); err != nil {
		t.Fatalf("%s %s: %v", s.name, s.kind, err)
	}
	return b.String()
}

func TestEveryPageHasASample(t *testing.T) {
	set := newSet(t)
	seen := map[string]bool{}
	for _, s := range samples() {
		seen[s.name] = true
		if out := render(t, set, s); !strings.HasSuffix(strings.TrimSpace(out), "</html>") {
			t.Errorf("%s %s is not a whole page", s.name, s.kind)
		}
	}
	for _, n := range set.Names() {
		if !seen[n] {
			t.Errorf("page %s has no sample in sample_test.go", n)
		}
	}
	if len(seen) != len(set.Names()) {
		t.Errorf("%d pages have samples, %d exist", len(seen), len(set.Names()))
	}
}

// A live page takes the fragment's element out of the page itself, so both must have the same root.
func TestFragmentsAreParts(t *testing.T) {
	set := newSet(t)
	root := regexp.MustCompile(`^<[a-z]+ [^>]*\bid="([a-z-]+)"`)
	for _, s := range samples() {
		frag, ok := map[string]string{
			templates.PageHelm: templates.FragHelm, templates.PageInbox: templates.FragInbox, templates.PageMessage: templates.FragMessage,
			templates.PageRooms: templates.FragRooms, templates.PageTickets: templates.FragTickets, templates.PageTicket: templates.FragTicket,
			templates.PageGameHome: templates.FragGame, templates.PageLeaderboard: templates.FragLeaderboard,
		}[s.name]
		if !ok {
			continue
		}
		var b strings.Builder
		if err := set.Fragment(&b, frag, s.page); err != nil {
			t.Errorf("%s: %v", frag, err)
			continue
		}
		m := root.FindStringSubmatch(strings.TrimSpace(b.String()))
		if m == nil {
			t.Errorf("%s has no root with an id: %.80s", frag, b.String())
			continue
		}
		page := render(t, set, s)
		if !strings.Contains(page, strings.TrimSpace(b.String())) {
			t.Errorf("%s is not a part of %s", frag, s.name)
		}
		if !strings.Contains(page, `hx-select="#`+m[1]+`"`) {
			t.Errorf("%s does not select its own root #%s", frag, m[1])
		}
	}
}

func TestErrorsWriteNothing(t *testing.T) {
	set := newSet(t)
	var b bytes.Buffer
	for name, err := range map[string]error{
		"unknown page":     set.Render(&b, "none", templates.Page{}),
		"shared file":      set.Render(&b, "_base", templates.Page{}),
		"wrong data":       set.Render(&b, templates.PageInbox, templates.Page{Data: 7}),
		"no data":          set.Render(&b, templates.PageRoom, templates.Page{}),
		"unknown fragment": set.Fragment(&b, "none", templates.Page{}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if b.Len() != 0 {
		t.Errorf("%d bytes were written before an error", b.Len())
	}
	broken := errors.New("pipe is broken")
	if err := set.Render(failing{broken}, templates.PageComponents, templates.Page{}); !errors.Is(err, broken) {
		t.Errorf("a failing writer gave %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// Whatever a peer writes anywhere, it stays text.
func TestHostileDataStaysText(t *testing.T) {
	set := newSet(t)
	for _, evil := range []string{
		`"><script>alert(1)</script><img src=x onerror=alert(2)>`,
		`' onmouseover='alert(3)' x='</textarea></title></style><svg onload=alert(4)>`,
		`javascript:alert(5)//`,
		"data:text/html,<script>alert(6)</script>",
		"\u202e\u2066gnp.exe\u0000\ufeff &amp;&#60;b&#62;",
		"https://example.org/\"onclick=alert(7)<b>",
		strings.Repeat("W", 5000),
		"مرحبا بالعالم 你好 🚀 \u200f",
		"{{.Page}}{{template \"base\"}}",
	} {
		for _, s := range samples() {
			s.page.Data = poison(reflect.ValueOf(s.page.Data), evil)
			s.page.Title, s.page.Path = evil, "/x?"+evil
			s.page.User.Name, s.page.User.Email = evil, evil+"@example.org"
			s.page.Notice = &templates.Notice{Kind: "ok", Text: evil}
			s.page.Prefix, s.page.PortalBase = evil, evil
			out := render(t, set, s)
			if problem := unsafe(parse(t, out)); problem != "" {
				t.Errorf("%s %s with %.40q: %s", s.name, s.kind, evil, problem)
			}
		}
	}
}

// poison copies a view with every text in it replaced.
func poison(v reflect.Value, evil string) any {
	if !v.IsValid() {
		return nil
	}
	return poisonValue(v, evil).Interface()
}

func poisonValue(v reflect.Value, evil string) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.String:
		out.SetString(evil)
	case reflect.Slice:
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			out.Index(i).Set(poisonValue(v.Index(i), evil))
		}
	case reflect.Map:
		out.Set(reflect.MakeMap(v.Type()))
		for _, k := range v.MapKeys() {
			out.SetMapIndex(k, poisonValue(v.MapIndex(k), evil))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(poisonValue(v.Elem(), evil))
		}
	case reflect.Struct:
		out.Set(v) // keeps the unexported parts of a time
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out.Field(i).Set(poisonValue(v.Field(i), evil))
			}
		}
	default:
		out.Set(v)
	}
	return out
}

// A page under a prefix never leads around it, and a prefix that is not a plain path counts for nothing.
func TestPrefix(t *testing.T) {
	set := newSet(t)
	for given, want := range map[string]string{
		"": "", "/": "", "/proxy/chat": "/proxy/chat", "/proxy/chat/": "/proxy/chat", "/a-b_c.d": "/a-b_c.d",
		"//evil.example": "", "https://evil.example": "", "/a/../b": "", "/a b": "", "proxy": "", `/"x`: "", "/a//b": "", "/ä": "",
	} {
		var b strings.Builder
		err := set.Render(&b, templates.PageError, templates.Page{Prefix: given, Data: templates.ErrorView{Status: 404, Title: "x"}})
		if err != nil {
			t.Fatal(err)
		}
		if got := regexp.MustCompile(`data-prefix="([^"]*)"`).FindStringSubmatch(b.String())[1]; got != want {
			t.Errorf("prefix %q became %q, want %q", given, got, want)
		}
		if !strings.Contains(b.String(), `href="`+want+`/docs"`) {
			t.Errorf("prefix %q: the link to the reference is not under %q", given, want)
		}
	}
}

// Who is looking decides what the frame offers.
func TestFrame(t *testing.T) {
	set := newSet(t)
	draw := func(p templates.Page) string {
		p.Data = templates.ErrorView{Status: 404, Title: "x", Detail: "y"}
		return render(t, set, sample{name: templates.PageError, page: p})
	}
	demo := templates.User{Email: "demo@x.org", Demo: true}
	for _, c := range []struct {
		name string
		page templates.Page
		has  []string
		not  []string
	}{
		{"signed out", templates.Page{Path: "/rooms?x=1", Prefix: "/proxy/chat"}, []string{`href="/login?next=%2fproxy%2fchat%2frooms%3fx%3d1"`}, []string{"Sign out"}},
		{"signed out, on the service's own port", templates.Page{Path: "/rooms", PortalBase: "http://127.0.0.1:8000"}, []string{`href="http://127.0.0.1:8000/login"`, `href="http://127.0.0.1:8000/proxy/chat/rooms"`}, []string{"next="}},
		{"signed in", templates.Page{User: templates.User{Email: "a@x.org"}}, []string{`<form method="post" action="/logout">`, `href="/account"`}, []string{"/admin/users", "Sign in<"}},
		{"admin", templates.Page{User: pilot}, []string{`href="/admin/users"`}, nil},
		{"signed in elsewhere", templates.Page{User: pilot, PortalBase: "http://p"}, []string{`href="http://p/account"`}, []string{`action="/logout"`}},
		{"demo", templates.Page{User: demo}, []string{">demo<", "Sign in", `href="/signup"`}, []string{"Sign out"}},
		{"no portal", templates.Page{Standalone: true, Service: templates.Chat}, nil, []string{"Sign in", `class="switcher"`, "/helm"}},
		{"own links", templates.Page{Service: templates.Email, Prefix: "/p", Path: "/sent", Nav: []templates.Link{{Label: "Sent", Href: "/sent"}}}, []string{`href="/p/sent" aria-current="page"`}, []string{"/p/inbox"}},
	} {
		out := strings.ToLower(draw(c.page))
		for _, s := range c.has {
			if !strings.Contains(out, strings.ToLower(s)) {
				t.Errorf("%s: no %s", c.name, s)
			}
		}
		for _, s := range c.not {
			if strings.Contains(out, strings.ToLower(s)) {
				t.Errorf("%s: has %s", c.name, s)
			}
		}
	}
}

// Two whole pages as they were last looked at; a change is seen in review. -update writes them anew.
func TestGolden(t *testing.T) {
	set := newSet(t)
	hash := regexp.MustCompile(`\.[0-9a-f]{12}\.(css|js|svg)`)
	for _, s := range samples() {
		if s.kind != "" || s.name != templates.PageInbox && s.name != templates.PageRoom {
			continue
		}
		got := hash.ReplaceAllString(render(t, set, s), ".HASH.$1")
		file := filepath.Join("..", "testdata", "golden", s.name+".html")
		if *update {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got == string(want) {
			continue
		}
		g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
		for i := range min(len(g), len(w)) {
			if g[i] != w[i] {
				t.Errorf("%s line %d:\n got %s\nwant %s\n(go test ./templates -run TestGolden -update, then look at the difference)", file, i+1, g[i], w[i])
				break
			}
		}
		if len(g) != len(w) {
			t.Errorf("%s: %d lines, want %d", file, len(g), len(w))
		}
	}
}

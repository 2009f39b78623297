package templates_test

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"uniqverse/static"
)

func parse(t *testing.T, page string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// elements returns every element beneath n, in order.
func elements(n *html.Node) []*html.Node {
	var out []*html.Node
	for d := range n.Descendants() {
		if d.Type == html.ElementNode {
			out = append(out, d)
		}
	}
	return out
}

func attr(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.TrimSpace(b.String())
}

// unsafe says what in a page could run or style something that the policy forbids; "" is nothing.
func unsafe(doc *html.Node) string {
	allowed := map[string]bool{}
	for _, e := range strings.Fields("html head meta title link script body a header div nav ul ol li button span svg path circle ellipse rect main p h1 h2 h3 " +
		"form input label textarea select option details summary dialog dl dt dd footer section article aside small strong b i kbd code pre table caption thead tbody tr th td " +
		"time mark iframe hr output progress img") {
		allowed[e] = true
	}
	for _, e := range elements(doc) {
		if !allowed[e.Data] {
			return "has <" + e.Data + ">, which no template writes"
		}
		src, hasSrc := attr(e, "src")
		if e.Data == "script" && (!hasSrc || !strings.Contains(src, "/static/") || text(e) != "") {
			return "has an inline or foreign <script>: " + src
		}
		for _, a := range e.Attr {
			k, v := strings.ToLower(a.Key), strings.ToLower(strings.TrimSpace(a.Val))
			if strings.HasPrefix(k, "on") || k == "style" || k == "srcdoc" || strings.HasPrefix(k, "hx-on") {
				return "has the attribute " + k
			}
			if k == "href" || k == "src" || k == "action" || k == "formaction" {
				if strings.HasPrefix(v, "javascript:") || strings.HasPrefix(v, "data:") || strings.HasPrefix(v, "vbscript:") {
					return "leads to " + v
				}
			}
			if k == "hx-trigger" && strings.Contains(v, "[") {
				return "has a trigger that needs eval"
			}
		}
	}
	return ""
}

func TestPagesKeepThePolicy(t *testing.T) {
	set := newSet(t)
	for _, s := range samples() {
		if problem := unsafe(parse(t, render(t, set, s))); problem != "" {
			t.Errorf("%s %s %s", s.name, s.kind, problem)
		}
		for _, e := range elements(parse(t, render(t, set, s))) {
			if src, _ := attr(e, "src"); e.Data == "img" && !strings.Contains(src, "/attachments/") {
				t.Errorf("%s %s shows a picture that is no attachment: %s", s.name, s.kind, src)
			}
		}
	}
}

// One h1, a language, a title, landmarks, labels: what a screen reader needs on every page.
func TestPagesAreAccessible(t *testing.T) {
	set := newSet(t)
	for _, s := range samples() {
		doc := parse(t, render(t, set, s))
		fail := func(format string, args ...any) {
			t.Helper()
			t.Errorf(s.name+" "+s.kind+": "+format, args...)
		}
		ids, count, labelled := map[string]int{}, map[string]int{}, map[string]bool{}
		for _, e := range elements(doc) {
			count[e.Data]++
			if id, ok := attr(e, "id"); ok {
				ids[id]++
			}
			if f, ok := attr(e, "for"); ok && e.Data == "label" && text(e) != "" {
				labelled[f] = true
			}
		}
		for _, e := range []string{"h1", "main", "title", "header", "footer"} {
			if n := count[e]; e != "header" && n != 1 || n == 0 {
				fail("%d <%s>", n, e)
			}
		}
		for id, n := range ids {
			if n > 1 {
				fail("id %q is used %d times", id, n)
			}
		}
		for _, e := range elements(doc) {
			checkElement(e, ids, labelled, fail)
		}
	}
}

func checkElement(e *html.Node, ids map[string]int, labelled map[string]bool, fail func(string, ...any)) {
	name, _ := attr(e, "aria-label")
	id, _ := attr(e, "id")
	kind, _ := attr(e, "type")
	switch e.Data {
	case "html":
		if lang, _ := attr(e, "lang"); lang != "en" {
			fail("lang is %q", lang)
		}
	case "title", "h1":
		if text(e) == "" {
			fail("empty <%s>", e.Data)
		}
	case "input", "select", "textarea":
		wrapped := e.Parent != nil && e.Parent.Data == "label" && text(e.Parent) != ""
		if kind != "hidden" && !labelled[id] && !wrapped && name == "" {
			n, _ := attr(e, "name")
			fail("<%s name=%q> has no label", e.Data, n)
		}
	case "button":
		if name == "" && text(e) == "" {
			fail("a button without words")
		}
		if kind == "" && (e.Parent == nil || e.Parent.Data != "form") {
			fail("button %q has no type", text(e))
		}
	case "a":
		if href, ok := attr(e, "href"); !ok || href == "" {
			fail("link %q leads nowhere", text(e))
		}
		if name == "" && text(e) == "" {
			fail("a link without words")
		}
	case "nav":
		if name == "" {
			fail("a nav without a name")
		}
	case "iframe":
		if title, _ := attr(e, "title"); title == "" {
			fail("an iframe without a title")
		}
		box, ok := attr(e, "sandbox")
		if !ok || strings.Contains(box, "allow-scripts") || strings.Contains(box, "allow-same-origin") {
			fail("an iframe with sandbox %q", box)
		}
	case "svg":
		hidden, _ := attr(e, "aria-hidden")
		if role, _ := attr(e, "role"); hidden != "true" && (role != "img" || name == "") {
			fail("a drawing that is neither hidden nor named")
		}
	case "img":
		if alt, _ := attr(e, "alt"); alt == "" {
			fail("a picture without words")
		}
	case "form":
		if m, _ := attr(e, "method"); m != "post" && m != "get" && m != "dialog" {
			fail("a form with method %q", m)
		}
	}
	for _, ref := range []string{"aria-labelledby", "aria-describedby", "for"} {
		if to, ok := attr(e, ref); ok && ids[to] == 0 {
			fail("%s names #%s, which is not there", ref, to)
		}
	}
	if href, _ := attr(e, "href"); len(href) > 1 && href[0] == '#' && ids[href[1:]] == 0 {
		fail("a link to %s, which is not there", href)
	}
}

// Every file that a page asks for is there, under the page's prefix and by its hash; nothing comes from elsewhere.
func TestAssetsExist(t *testing.T) {
	set := newSet(t)
	for _, s := range samples() {
		for _, e := range elements(parse(t, render(t, set, s))) {
			ref, _ := attr(e, "src")
			if e.Data == "link" {
				ref, _ = attr(e, "href")
			} else if e.Data != "script" {
				continue
			}
			path, under := strings.CutPrefix(ref, s.page.Prefix)
			if !under || !strings.HasPrefix(path, static.Prefix) {
				t.Errorf("%s %s: %s is not under %s", s.name, s.kind, ref, s.page.Prefix+static.Prefix)
				continue
			}
			w := httptest.NewRecorder()
			static.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			if w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
				t.Errorf("%s %s: %s answers %d, %q", s.name, s.kind, ref, w.Code, w.Header().Get("Cache-Control"))
			}
		}
	}
}

// A link, a form or a live address of a service behind the proxy never leaves out the prefix, unless it is the portal's.
func TestAddressesAreUnderThePrefix(t *testing.T) {
	set := newSet(t)
	portal := regexp.MustCompile(`^/(helm|login|signup|account|logout|admin/users|proxy/(game|email|chat)/.*)?(\?.*)?$`)
	for _, s := range samples() {
		if s.page.Prefix == "" {
			continue
		}
		for _, e := range elements(parse(t, render(t, set, s))) {
			for _, a := range e.Attr {
				switch a.Key {
				case "href", "src", "action", "hx-get", "hx-sse:connect", "data-live-ws", "data-socket":
				default:
					continue
				}
				if strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, s.page.Prefix+"/") && !portal.MatchString(a.Val) {
					t.Errorf("%s %s: %s=%q is not under %s", s.name, s.kind, a.Key, a.Val, s.page.Prefix)
				}
			}
		}
	}
}

// Every class in the pages and scripts is styled (or is a hook of the scripts): a misspelt one is seen here.
func TestClassesAreStyled(t *testing.T) {
	set := newSet(t)
	css, _ := static.Read("app.css")
	known := map[string]bool{}
	for _, m := range regexp.MustCompile(`\.([a-zA-Z_][\w-]*)`).FindAllStringSubmatch(string(css), -1) {
		known[m[1]] = true
	}
	bare := map[string]bool{"tone-none": true} // has no look of its own, on purpose
	missing := map[string]string{}
	for _, s := range samples() {
		for _, e := range elements(parse(t, render(t, set, s))) {
			classes, _ := attr(e, "class")
			for _, c := range strings.Fields(classes) {
				if !known[c] && !bare[c] {
					missing[c] = s.name
				}
			}
		}
	}
	for c, where := range missing {
		t.Errorf("class %q of %s has no style", c, where)
	}
}

func TestIconsAreDrawn(t *testing.T) {
	set := newSet(t)
	for _, s := range samples() {
		if strings.Contains(render(t, set, s), `<circle cx="12" cy="12" r="3"/></svg>`) {
			t.Errorf("%s %s asks for an icon that does not exist", s.name, s.kind)
		}
	}
}

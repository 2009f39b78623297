package email_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"uniqverse/smtpd/senderauth"
)

// dot is a picture of one dot.
func dot() []byte {
	b, _ := base64.StdEncoding.DecodeString("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
	return b
}

// gallery is a host elsewhere with pictures that strangers put into mail.
type gallery struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func newGallery(t *testing.T) *gallery {
	g := &gallery{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.asked = append(g.asked, r.URL.Path)
		g.mu.Unlock()
		if r.Header.Get("Cookie") != "" || r.Header.Get("Referer") != "" || r.Header.Get("Authorization") != "" {
			t.Errorf("the host was told %v", r.Header)
		}
		switch r.URL.Path {
		case "/dot":
			w.Header().Set("Set-Cookie", "who=you")
			w.Header().Set("Content-Type", "text/html") // counts for nothing
			w.Write(dot())
		case "/hop":
			http.Redirect(w, r, "/dot", http.StatusFound)
		case "/ring":
			http.Redirect(w, r, "/ring", http.StatusFound)
		case "/inward":
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusFound)
		case "/private":
			http.Redirect(w, r, "http://10.0.0.1/x", http.StatusFound)
		case "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case "/svg":
			w.Header().Set("Content-Type", "image/svg+xml")
			fmt.Fprint(w, `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`)
		case "/page":
			w.Header().Set("Content-Type", "image/png")
			fmt.Fprint(w, `<html><script>alert(1)</script></html>`)
		case "/large":
			w.Write(dot())
			for range 6 {
				w.Write(bytes.Repeat([]byte{0}, 1<<20))
			}
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(g.Close)
	return g
}

func (g *gallery) visits() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string{}, g.asked...)
}

// illustrated is a mail that shows pictures of these addresses.
func illustrated(addresses ...string) string {
	out := "From: Orbit <orbit@example.org>\r\nTo: pilot@" + domain + "\r\nSubject: Pictures\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<p>See:</p>"
	for _, a := range addresses {
		out += `<img src="` + a + `">` + "\r\n"
	}
	return out
}

// pictures are the addresses of the images in a document.
func pictures(doc string) (out []string) {
	for _, m := range regexp.MustCompile(`<img src="([^"]*)">`).FindAllStringSubmatch(doc, -1) {
		out = append(out, html.UnescapeString(m[1]))
	}
	return out
}

// shown is the address at which a message's page has its HTML.
func shown(t *testing.T, page string) string {
	t.Helper()
	m := regexp.MustCompile(`<iframe class="msg-html"[^>]* src="([^"]*)"`).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("the page has no frame: %.2000s", page)
	}
	return html.UnescapeString(m[1])
}

// Nothing is fetched until its reader asks; then by this server alone, what is a picture alone, and never from inside.
func TestPicturesFromElsewhere(t *testing.T) {
	w, g := start(t, ""), newGallery(t)
	all := []string{"/dot", "/hop", "/ring", "/inward", "/private", "/file", "/svg", "/page", "/large", "/gone"}
	var addresses []string
	for _, p := range all {
		addresses = append(addresses, g.URL+p)
	}
	never := []string{"ftp://example.org/x", "http://169.254.169.254/x", "http://10.0.0.1/x", "https://ann:pw@example.org/x", "http://example.org/" + strings.Repeat("x", 5000)}
	w.receive(illustrated(append(addresses, never...)...), "pilot@"+domain)
	id := w.list("pilot", "pilot").Messages[0].ID
	path := fmt.Sprintf("/messages/%d", id)

	page := w.page(200, path, "pilot")
	if !strings.Contains(page, "Pictures from elsewhere are not shown") {
		t.Error("the page says nothing of pictures")
	}
	_, doc, h := w.call("GET", shown(t, page), "pilot", "")
	if got := pictures(doc); len(got) != 0 || strings.Contains(h.Get("Content-Security-Policy"), "'self';") && strings.Contains(h.Get("Content-Security-Policy"), "img-src data: 'self'") {
		t.Errorf("without being asked the document has %v and %v", got, h)
	}
	if _, doc, _ := w.call("GET", fmt.Sprintf("/api/messages/%d/html?images=9999999999.AAAA", id), "pilot", ""); len(pictures(doc)) != 0 {
		t.Error("whoever says so has asked")
	}

	next := w.form(path+"/images", "pilot", url.Values{"do": {"once"}})
	page = w.page(200, next, "pilot")
	_, doc, h = w.call("GET", shown(t, page), "pilot", "")
	got := pictures(doc)
	if len(got) != len(all) || !strings.Contains(h.Get("Content-Security-Policy"), "img-src data: 'self'") || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") {
		t.Fatalf("%d pictures, policy %q:\n%s", len(got), h.Get("Content-Security-Policy"), doc)
	}
	if v := g.visits(); len(v) != 0 {
		t.Errorf("the document was enough to fetch %v", v)
	}
	for i, want := range []int{200, 200, 502, 403, 403, 403, 502, 502, 502, 502} {
		status, body, h := w.call("GET", got[i], "", "", "Cookie", "uq_session=x", "Referer", "https://here.example/")
		if status != want {
			t.Errorf("%s: %d, want %d: %.200s", all[i], status, want, body)
		}
		if status == 200 && (h.Get("Content-Type") != "image/png" || body != string(dot()) || !strings.HasPrefix(h.Get("Cache-Control"), "private") || h.Get("Set-Cookie") != "" || h.Get("X-Content-Type-Options") != "nosniff") {
			t.Errorf("%s: %v", all[i], h)
		}
	}
	// The mark is for one message, one address and a time.
	u, _ := url.Parse(got[0])
	for name, change := range map[string]func(q url.Values, path *string){
		"address": func(q url.Values, _ *string) { q.Set("url", g.URL+"/hop") },
		"message": func(_ url.Values, p *string) { *p = fmt.Sprintf("/api/messages/%d/image", id+1) },
		"time":    func(q url.Values, _ *string) { q.Set("until", "99999999999") },
		"mark":    func(q url.Values, _ *string) { q.Set("mark", "") },
	} {
		q, p := u.Query(), u.Path
		change(q, &p)
		if status, _, _ := w.call("GET", p+"?"+q.Encode(), "pilot", ""); status != 403 && status != 422 {
			t.Errorf("another %s: %d", name, status)
		}
	}
	w.now.Store(time.Now().Add(13 * time.Hour).UnixMilli())
	if status, _, _ := w.call("GET", got[0], "", ""); status != 403 {
		t.Errorf("thirteen hours later: %d", status)
	}
	if status, _, _ := w.call("POST", path+"/images", "mallory", url.Values{"do": {"once"}}.Encode()); status != 404 {
		t.Errorf("somebody else asks: %d", status)
	}
}

// A sender whose address is proven can be chosen for always, and not a forged one, nor junk.
func TestPicturesAlways(t *testing.T) {
	w, g := start(t, ""), newGallery(t)
	w.receive(illustrated(g.URL+"/dot"), "pilot@"+domain)
	proven := w.list("pilot", "pilot").Messages[0].ID
	path := func(id int64) string { return fmt.Sprintf("/messages/%d", id) }
	if next := w.form(path(proven)+"/images", "pilot", url.Values{"do": {"always"}}); next != path(proven) {
		t.Errorf("it leads to %s", next)
	}
	env := envelope("pilot@" + domain)
	env.ID, env.Auth.DMARC = "FORGED2345678901", senderauth.Fail
	w.bring(env, illustrated(g.URL+"/hop"))
	forged := w.list("pilot", "pilot").Messages[0].ID
	has := func(id int64) int {
		_, doc, _ := w.call("GET", shown(t, w.page(200, path(id), "pilot")), "pilot", "")
		return len(pictures(doc))
	}
	if has(proven) != 1 || has(forged) != 0 {
		t.Errorf("pictures: proven %d, forged %d", has(proven), has(forged))
	}
	if status, body, _ := w.call("POST", path(forged)+"/images", "pilot", url.Values{"do": {"always"}}.Encode()); status != 409 {
		t.Errorf("a forged sender for always: %d %s", status, body)
	}
	w.form(path(proven)+"/images", "pilot", url.Values{"do": {"never"}})
	if has(proven) != 0 {
		t.Error("they are still shown")
	}
	if v := g.visits(); len(v) != 0 {
		t.Errorf("opening pages fetched %v", v)
	}
}

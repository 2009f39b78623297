package static_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"uniqverse/static"
)

func get(t *testing.T, method, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	static.Handler().ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, res *http.Response) []byte {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEveryFileIsServedUnderItsHash(t *testing.T) {
	types := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	for _, name := range static.Names() {
		p := static.Path(name)
		if !regexp.MustCompile(`^/static/.+\.[0-9a-f]{12}\.[a-z]+$`).MatchString(p) {
			t.Errorf("Path(%q) = %q, which has no hash", name, p)
		}
		res := get(t, "GET", p)
		want, _ := static.Read(name)
		if res.StatusCode != 200 || !bytes.Equal(body(t, res), want) {
			t.Errorf("%s: status %d or other content", p, res.StatusCode)
		}
		if got := res.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("%s: Cache-Control %q", p, got)
		}
		if got := res.Header.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("%s: X-Content-Type-Options %q", p, got)
		}
		if got := res.Header.Get("Content-Type"); got != types[name[strings.LastIndexByte(name, '.'):]] {
			t.Errorf("%s: Content-Type %q", p, got)
		}
	}
}

func TestAnswers(t *testing.T) {
	hashed := static.Path("app.css")
	stale := regexp.MustCompile(`\.[0-9a-f]{12}\.`).ReplaceAllString(hashed, ".000000000000.")
	etag := get(t, "GET", "/static/app.css").Header.Get("ETag")
	for _, c := range []struct {
		name, method, path string
		header             []string
		status             int
		cache              string
	}{
		// names
		{"plain name is asked about again", "GET", "/static/app.css", nil, 200, "no-cache"},
		{"the hash of another version gives today's file, not kept", "GET", stale, nil, 200, "no-cache"},
		{"unknown file", "GET", "/static/none.css", nil, 404, ""},
		{"a folder", "GET", "/static/js/", nil, 404, ""},
		{"the style sheets are one file", "GET", "/static/css/10-tokens.css", nil, 404, ""},
		{"way out", "GET", "/static/../static.go", nil, 404, ""},
		{"not under the prefix", "GET", "/app.css", nil, 404, ""},
		// methods and conditions
		{"head", "HEAD", hashed, nil, 200, "public, max-age=31536000, immutable"},
		{"post", "POST", "/static/app.css", nil, 405, ""},
		{"not changed", "GET", "/static/app.css", []string{"If-None-Match", etag}, 304, "no-cache"},
		{"not changed, weak and among others", "GET", "/static/app.css", []string{"If-None-Match", `"x", W/` + etag}, 304, "no-cache"},
		{"changed", "GET", "/static/app.css", []string{"If-None-Match", `"x"`}, 200, "no-cache"},
		{"the packed form has a tag of its own", "GET", "/static/app.css", []string{"If-None-Match", etag, "Accept-Encoding", "gzip"}, 200, "no-cache"},
	} {
		res := get(t, c.method, c.path, c.header...)
		if res.StatusCode != c.status || res.Header.Get("Cache-Control") != c.cache {
			t.Errorf("%s: %d %q, want %d %q", c.name, res.StatusCode, res.Header.Get("Cache-Control"), c.status, c.cache)
		}
		if b := body(t, res); (c.method == "HEAD" || c.status == 304) && len(b) != 0 {
			t.Errorf("%s: %d bytes of body", c.name, len(b))
		}
		if c.status == 405 && res.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: Allow %q", c.name, res.Header.Get("Allow"))
		}
	}
}

func TestPacked(t *testing.T) {
	want, _ := static.Read("app.css")
	for accept, packed := range map[string]bool{"gzip": true, "br, gzip;q=0.5": true, "GZIP": true, "": false, "br": false, "gzip;q=0": false, "gzip; q=0.000": false, "xgzip": false} {
		res := get(t, "GET", "/static/app.css", "Accept-Encoding", accept)
		got := body(t, res)
		if (res.Header.Get("Content-Encoding") == "gzip") != packed {
			t.Errorf("Accept-Encoding %q: Content-Encoding %q", accept, res.Header.Get("Content-Encoding"))
			continue
		}
		if packed {
			z, err := gzip.NewReader(bytes.NewReader(got))
			if err != nil {
				t.Fatal(err)
			}
			if got, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, want) || res.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: other content, or Vary %q", accept, res.Header.Get("Vary"))
		}
	}
}

// The vendored files are what the package's authors published: a changed byte is a change to review.
func TestVendoredFilesAreUntouched(t *testing.T) {
	sums := map[string]string{
		"vendor/htmx.min.js":   "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
		"vendor/hx-sse.min.js": "18ef2761356ec1fe0bb6d92612315b37517a7c1e9856b661c5ae81fef239d103",
		"vendor/hx-ws.min.js":  "a7c11e4eca05417d6299bb40aaacca01572e44605389fc4d5ef12be408a4d03b",
	}
	for _, name := range static.Names() {
		if !strings.HasPrefix(name, "vendor/") {
			continue
		}
		b, _ := static.Read(name)
		sum := sha256.Sum256(b)
		if got := hex.EncodeToString(sum[:]); got != sums[name] {
			t.Errorf("%s: sha256 %s, want %s (see vendor/VENDOR.md)", name, got, sums[name])
		}
		delete(sums, name)
	}
	for name := range sums {
		t.Errorf("%s is gone", name)
	}
}

// What the pages' Content-Security-Policy forbids, and what would load something from elsewhere, is not written at all.
func TestOwnCodeKeepsThePolicy(t *testing.T) {
	banned := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\.style\b|setAttribute\("style|https?://`)
	elsewhere := regexp.MustCompile(`@import|url\(|@font-face|https?://`)
	total, room := 0, 0
	for _, name := range static.Names() {
		b, _ := static.Read(name)
		switch {
		case strings.HasPrefix(name, "js/"):
			if strings.HasPrefix(name, "js/room/") {
				room += len(b)
			} else {
				total += len(b)
			}
			if !bytes.HasPrefix(b, []byte("// ")) {
				t.Errorf("%s has no header comment", name)
			}
			if m := banned.Find(b); m != nil {
				t.Errorf("%s: %s", name, m)
			}
		case name == "app.css":
			if m := elsewhere.Find(b); m != nil {
				t.Errorf("%s: %s", name, m)
			}
		}
	}
	if total > 36_000 || room > 60_000 {
		t.Errorf("our own scripts have %d bytes, the agreed limit is 36000; the room's modules %d, the limit is 60000", total, room)
	}
}

package registry_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// mode is one way to reach a service; every test of the table runs in both.
type mode struct {
	name string
	open func(t *testing.T, opts registry.Options, h http.Handler) *registry.Registry
}

var modes = []mode{
	{"near", func(t *testing.T, opts registry.Options, h http.Handler) *registry.Registry {
		r := newRegistry(t, opts)
		if err := r.SetNear("svc", h); err != nil {
			t.Fatal(err)
		}
		r.Seal()
		return r
	}},
	{"far", func(t *testing.T, opts registry.Options, h http.Handler) *registry.Registry {
		s := httptest.NewUnstartedServer(h)
		s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		s.Start()
		t.Cleanup(s.Close)
		opts.Far = map[string]string{"svc": s.URL}
		return newRegistry(t, opts)
	}},
}

func newRegistry(t *testing.T, opts registry.Options) *registry.Registry {
	t.Helper()
	r, err := registry.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.Close(ctx); err != nil {
			t.Errorf("a handler still runs: %v", err)
		}
	})
	return r
}

func both(t *testing.T, opts registry.Options, h http.Handler, run func(t *testing.T, c *http.Client)) {
	t.Helper()
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) { run(t, m.open(t, opts, h).Client("svc")) })
	}
}

func request(t *testing.T, method, target string, body io.Reader) *http.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func do(t *testing.T, c *http.Client, r *http.Request) *http.Response {
	t.Helper()
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

func text(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAnswers(t *testing.T) {
	tests := []struct {
		name    string
		method  string
		target  string
		body    string
		handler http.HandlerFunc
		status  int
		header  string // "Name: value" that must be there
		length  int64  // of the answer; -2 says any
		want    string
	}{
		{"plain", "GET", "http://svc/a%2Fb?x=1&y=%20", "", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Method, " ", r.URL.EscapedPath(), " ", r.RequestURI, " ", r.URL.Query().Get("y"), r.Proto)
		}, 200, "Content-Type: text/plain; charset=utf-8", -2, "GET /a%2Fb /a%2Fb?x=1&y=%20  HTTP/1.1"},
		{"no path", "GET", "http://svc", "", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) }, 200, "", -2, "/"},
		{"body and length", "POST", "http://svc/", "hello", func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s%d%v", b, r.ContentLength, err)
		}, 200, "", -2, "hello5<nil>"},
		{"nothing written", "GET", "http://svc/", "", func(http.ResponseWriter, *http.Request) {}, 200, "", 0, ""},
		{"status and header", "PUT", "http://svc/", "x", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-A", "1")
			w.WriteHeader(418)
			w.Header().Set("X-A", "too late")
			w.WriteHeader(200)
			io.WriteString(w, "tea")
		}, 418, "X-A: 1", -2, "tea"},
		{"no content", "DELETE", "http://svc/", "", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(204)
			if _, err := w.Write([]byte("x")); !errors.Is(err, http.ErrBodyNotAllowed) {
				w.Header().Set("X", "y")
			}
		}, 204, "", 0, ""},
		{"head", "HEAD", "http://svc/", "", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "12345")
		}, 200, "Content-Length: 5", 5, ""},
		{"declared length", "GET", "http://svc/", "", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "2")
			io.WriteString(w, "ab")
			if _, err := io.WriteString(w, "c"); !errors.Is(err, http.ErrContentLength) {
				w.(http.Flusher).Flush()
			}
		}, 200, "Content-Length: 2", 2, "ab"},
		{"redirects are returned", "GET", "http://svc/", "", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusSeeOther)
		}, 303, "Location: /elsewhere", -2, "<a href=\"/elsewhere\">See Other</a>.\n\n"},
		{"early hints are skipped", "GET", "http://svc/", "", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(201)
		}, 201, "", 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			both(t, registry.Options{}, tt.handler, func(t *testing.T, c *http.Client) {
				var body io.Reader
				if tt.body != "" {
					body = strings.NewReader(tt.body)
				}
				res := do(t, c, request(t, tt.method, tt.target, body))
				if res.StatusCode != tt.status {
					t.Errorf("status %d, want %d", res.StatusCode, tt.status)
				}
				if name, want, _ := strings.Cut(tt.header, ": "); name != "" && res.Header.Get(name) != want {
					t.Errorf("%s is %q, want %q", name, res.Header.Get(name), want)
				}
				if tt.length != -2 && res.ContentLength != tt.length {
					t.Errorf("content length %d, want %d", res.ContentLength, tt.length)
				}
				if got := text(t, res); got != tt.want {
					t.Errorf("body %q, want %q", got, tt.want)
				}
			})
		})
	}
}

func TestEventStream(t *testing.T) {
	next := make(chan string)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		rc := http.NewResponseController(w)
		if err := rc.Flush(); err != nil {
			t.Error(err)
		}
		for s := range next {
			rc.SetWriteDeadline(time.Now().Add(patience))
			fmt.Fprintf(w, "data: %s\n\n", s)
			rc.Flush()
		}
	})
	both(t, registry.Options{}, h, func(t *testing.T, c *http.Client) {
		res := do(t, c, request(t, "GET", "http://svc/events", nil)) // headers come before any event
		br := bufio.NewReader(res.Body)
		for _, want := range []string{"one", "two", "three"} {
			next <- want
			line, err := br.ReadString('\n')
			if err != nil || line != "data: "+want+"\n" {
				t.Fatalf("got %q, %v, want %q", line, err, want)
			}
			br.ReadString('\n')
		}
		next <- "last"
		res.Body.Close() // the handler's context ends; let it leave its loop
		select {
		case next <- "to nobody":
		case <-time.After(patience):
			t.Error("the handler is stuck in a write to a client that is gone")
		}
		close(next)
		next = make(chan string)
	})
}

func TestBigBodiesBothWays(t *testing.T) {
	const size = 8 << 20
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Content-Type", "application/octet-stream")
		if n, err := io.Copy(w, r.Body); err != nil || n != size {
			t.Errorf("handler copied %d: %v", n, err)
		}
	})
	both(t, registry.Options{}, h, func(t *testing.T, c *http.Client) {
		block := bytes.Repeat([]byte("0123456789abcdef"), 1024)
		sent, got := sha256.New(), sha256.New()
		pr, pw := io.Pipe()
		go func() {
			for n := 0; n < size; n += len(block) {
				block[0] = byte(n >> 14)
				sent.Write(block)
				if _, err := pw.Write(block); err != nil {
					t.Error(err)
					break
				}
			}
			pw.Close()
		}()
		res := do(t, c, request(t, "POST", "http://svc/", pr))
		if n, err := io.Copy(got, res.Body); err != nil || n != size {
			t.Fatalf("read %d: %v", n, err)
		}
		if !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
			t.Error("the body changed on its way")
		}
	})
}

func TestBackPressure(t *testing.T) {
	// A client that does not read holds the handler: it must not write without bound.
	var mu sync.Mutex
	written := 0
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		rc.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		b := make([]byte, 64<<10)
		for {
			n, err := w.Write(b)
			mu.Lock()
			written += n
			mu.Unlock()
			if err != nil {
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("write: %v, want a deadline", err)
				}
				return
			}
		}
	})
	r := modes[0].open(t, registry.Options{}, h)
	res := do(t, r.Client("svc"), request(t, "GET", "http://svc/", nil))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := r.Close(ctx); err != nil { // waits for the handler
		t.Fatal(err)
	}
	if written == 0 || written > 1<<20 {
		t.Errorf("%d bytes were taken from the handler without a reader", written)
	}
	res.Body.Close()
}

// dropper takes connections and drops the first few after it read a request.
func TestTraceTravels(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("traceparent"), "|", r.Header.Get("X-QNetworks-Hops"))
		if event.TraceOf(r.Context()) != nil {
			t.Error("a context value of the caller reached the handler")
		}
	})
	both(t, registry.Options{}, h, func(t *testing.T, c *http.Client) {
		tr := event.NewTrace().Step("portal", 400*time.Microsecond)
		req := request(t, "GET", "http://svc/", nil)
		req = req.WithContext(event.WithTrace(req.Context(), tr))
		parent, hops, _ := strings.Cut(text(t, do(t, c, req)), "|")
		got, ok := event.ParseTraceparent(parent)
		if !ok || got.ID != tr.ID || got.Span != tr.Span { // the caller's own span: a span that nobody records would part the two
			t.Errorf("traceparent %q of trace %s-%s", parent, tr.ID, tr.Span)
		}
		if hops != "portal;0.4" {
			t.Errorf("hops %q", hops)
		}
		if req.Header.Get("traceparent") != "" {
			t.Error("the caller's request was changed")
		}
	})
}

func TestNames(t *testing.T) {
	r := newRegistry(t, registry.Options{Far: map[string]string{"email": "http://h:1/base/", "chat": "https://c"}})
	early := r.Client("game") // made before the service is there
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for _, name := range []string{"game", "chat"} {
		if err := r.SetNear(name, h); err != nil {
			t.Fatal(err)
		}
	}
	if r.SetNear("game", h) == nil || r.SetNear("x", nil) == nil || r.SetNear("", h) == nil {
		t.Error("a name twice, no handler or no name was taken")
	}
	r.Seal()
	if r.SetNear("late", h) == nil {
		t.Error("registered after Seal")
	}
	do(t, early, request(t, "GET", "http://game/", nil))
	for _, tt := range []struct {
		name        string
		known, near bool
		base        string
	}{
		{"game", true, true, ""}, {"email", true, false, "http://h:1/base"},
		{"chat", true, false, "https://c"}, // a setting goes before what is in the process
		{"none", false, false, ""},
	} {
		if r.Known(tt.name) != tt.known || r.Near(tt.name) != tt.near || r.BaseURL(tt.name) != tt.base {
			t.Errorf("%s: known %v, near %v, at %q", tt.name, r.Known(tt.name), r.Near(tt.name), r.BaseURL(tt.name))
		}
	}
	if got := fmt.Sprint(r.Names()); got != "[chat email game]" {
		t.Errorf("names %s", got)
	}
}

func TestBaseURLs(t *testing.T) {
	for _, bad := range []string{"", "email:8004", "//host", "ftp://host", "http://", "http://u:p@host", "http://host?x=1", "http://host#x", "http://[::1"} {
		if _, err := registry.New(registry.Options{Far: map[string]string{"email": bad}}); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v, want errs.Invalid", bad, err)
		}
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Host == r.Header.Get("Want"), r.RequestURI)
	}))
	defer s.Close()
	r := newRegistry(t, registry.Options{Far: map[string]string{"svc": s.URL + "/pre%2Ffix/"}})
	req := request(t, "GET", "http://svc/a%2Fb?q", nil)
	req.Header.Set("Want", strings.TrimPrefix(s.URL, "http://"))
	if got := text(t, do(t, r.Client("svc"), req)); got != "true/pre%2Ffix/a%2Fb?q" {
		t.Errorf("got %q", got)
	}
	req = request(t, "GET", "http://svc/x", nil)
	req.Host = "public.example"
	req.Header.Set("Want", "public.example")
	if got := text(t, do(t, r.Client("svc"), req)); got != "true/pre%2Ffix/x" {
		t.Errorf("got %q", got)
	}
}

func TestCloseWaitsAndRefuses(t *testing.T) {
	inside, leave := make(chan bool), make(chan bool)
	r, err := registry.New(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r.SetNear("svc", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		inside <- true
		select {
		case <-leave:
		case <-r.Context().Done():
		}
	}))
	res := do(t, r.Client("svc"), request(t, "GET", "http://svc/", nil))
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Close(ctx); !errors.Is(err, context.Canceled) { // cuts the handler off
		t.Errorf("close with a running call: %v", err)
	}
	if err := r.Close(t.Context()); err != nil {
		t.Errorf("close again: %v", err)
	}
	res.Body.Close()
	if _, err := r.Client("svc").Do(request(t, "GET", "http://svc/", nil)); !errs.Is(err, errs.Unavailable) {
		t.Errorf("after close: %v", err)
	}
}

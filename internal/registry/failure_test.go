package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/registry"
)

func TestCancelReachesTheHandler(t *testing.T) {
	started, ended := make(chan bool), make(chan error)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/headers" {
			w.(http.Flusher).Flush()
		}
		started <- true
		<-r.Context().Done()
		ended <- r.Context().Err()
	})
	both(t, registry.Options{}, h, func(t *testing.T, c *http.Client) {
		for _, path := range []string{"/before", "/headers"} {
			ctx, cancel := context.WithCancel(t.Context())
			req, _ := http.NewRequestWithContext(ctx, "GET", "http://svc"+path, nil)
			go func() { <-started; cancel() }()
			res, err := c.Do(req)
			if path == "/headers" && err == nil {
				_, err = io.ReadAll(res.Body)
				res.Body.Close()
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: client got %v", path, err)
			}
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("%s: handler got %v", path, err)
			}
			cancel()
		}
	})
}

func TestBodyOfACancelledCallIsReleased(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	both(t, registry.Options{}, h, func(t *testing.T, c *http.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		pr, pw := io.Pipe()
		go func() {
			pw.Write([]byte("some"))
			cancel()
		}()
		req, _ := http.NewRequestWithContext(ctx, "POST", "http://svc/", pr)
		if _, err := c.Do(req); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		for { // the transport closes the body, so the writer is told
			if _, err := pw.Write([]byte("x")); err != nil {
				return
			}
		}
	})
}

func TestPanics(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/late":
			io.WriteString(w, "part")
			w.(http.Flusher).Flush()
			panic("late")
		case "/abort":
			panic(http.ErrAbortHandler)
		}
		panic("early")
	})
	both(t, registry.Options{}, h, func(t *testing.T, c *http.Client) {
		for _, path := range []string{"/early", "/abort"} {
			if _, err := c.Do(request(t, "GET", "http://svc"+path, nil)); !errs.Is(err, errs.Unavailable) {
				t.Errorf("%s: %v, want errs.Unavailable", path, err)
			}
		}
		res := do(t, c, request(t, "GET", "http://svc/late", nil))
		if b, err := io.ReadAll(res.Body); !errors.Is(err, io.ErrUnexpectedEOF) || string(b) != "part" {
			t.Errorf("late: %q, %v", b, err)
		}
	})
}

func TestShortBody(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		io.WriteString(w, "part")
	})
	both(t, registry.Options{}, h, func(t *testing.T, c *http.Client) {
		res := do(t, c, request(t, "GET", "http://svc/", nil))
		if _, err := io.ReadAll(res.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v", err)
		}
	})
}

func TestTimeouts(t *testing.T) {
	release := make(chan bool)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
	})
	both(t, registry.Options{Timeout: 50 * time.Millisecond}, h, func(t *testing.T, c *http.Client) {
		if _, err := c.Do(request(t, "GET", "http://svc/", nil)); !errs.Is(err, errs.Timeout) {
			t.Errorf("no headers: %v, want errs.Timeout", err)
		}
	})
	both(t, registry.Options{}, h, func(t *testing.T, c *http.Client) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, "GET", "http://svc/", nil)
		if _, err := c.Do(req); !errs.Is(err, errs.Timeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("caller's deadline: %v, want errs.Timeout", err)
		}
	})
	close(release)
}

func TestSlowUploadIsNotATimeout(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%d%v", len(b), err)
	})
	both(t, registry.Options{Timeout: 80 * time.Millisecond}, h, func(t *testing.T, c *http.Client) {
		pr, pw := io.Pipe()
		go func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for range 15 { // about four time-outs long
				<-tick.C
				pw.Write([]byte("x"))
			}
			pw.Close()
		}()
		if got := text(t, do(t, c, request(t, "POST", "http://svc/", pr))); got != "15<nil>" {
			t.Errorf("got %q", got)
		}
	})
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := "http://" + l.Addr().String()
	l.Close()
	r := newRegistry(t, registry.Options{Far: map[string]string{"dead": dead}})
	for _, name := range []string{"dead", "unknown"} {
		start := time.Now()
		_, err := r.Client(name).Do(request(t, "GET", "http://"+name+"/", nil))
		if !errs.Is(err, errs.Unavailable) {
			t.Errorf("%s: %v, want errs.Unavailable", name, err)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
	if _, err := r.Client("dead").Do(request(t, "GET", "http://elsewhere/", nil)); !errs.Is(err, errs.Internal) {
		t.Errorf("another host: %v", err)
	}
}

func dropper(t *testing.T, drops int) (base string, requests func() []string) {
	t.Helper()
	var mu sync.Mutex
	var seen []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		seen = append(seen, r.Method+string(b))
		n := len(seen)
		mu.Unlock()
		if n <= drops {
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				c.Close()
			}
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, func() []string { mu.Lock(); defer mu.Unlock(); return seen }
}

func TestRetry(t *testing.T) {
	tests := []struct {
		name   string
		method string
		body   io.Reader
		key    string
		drops  int
		want   int // requests that the service sees
		ok     bool
	}{
		{"GET once more", "GET", nil, "", 1, 2, true},
		{"GET twice is enough", "GET", nil, "", 2, 2, false},
		{"POST not", "POST", strings.NewReader("x"), "", 1, 1, false},
		{"POST with a key", "POST", strings.NewReader("x"), "k", 1, 2, true},
		{"POST with a key, body gone", "POST", io.MultiReader(strings.NewReader("x")), "k", 1, 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base, seen := dropper(t, tt.drops)
			r := newRegistry(t, registry.Options{Far: map[string]string{"svc": base}})
			req := request(t, tt.method, "http://svc/", tt.body)
			if tt.key != "" {
				req.Header.Set("Idempotency-Key", tt.key)
			}
			res, err := r.Client("svc").Do(req)
			if err == nil {
				res.Body.Close()
			}
			if (err == nil) != tt.ok || (err != nil && !errs.Is(err, errs.Unavailable)) {
				t.Errorf("got %v", err)
			}
			if got := seen(); len(got) != tt.want || (len(got) == 2 && got[0] != got[1]) {
				t.Errorf("the service saw %q, want %d requests", got, tt.want)
			}
		})
	}
}

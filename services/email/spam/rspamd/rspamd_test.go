package rspamd_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"uniqverse/services/email/spam/rspamd"
	"uniqverse/smtpd"
)

const message = "Subject: hi\r\n\r\nbody\r\n"

func TestScan(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		status       int
		score        float64
		detail       string
		fails        bool
	}{
		{"good", `{"action":"no action","score":-1.5,"required_score":15,"symbols":{"DKIM":{"score":-0.5},"NONE":{"score":0}}}`, 200, -0.5, "no action, -1.5 of 15.0, DKIM -0.5", false},
		{"junk", `{"action":"add header","score":7.25,"required_score":15,"symbols":{"A":{"score":1},"B":{"score":5}}}`, 200, 5, "add header, 7.2 of 15.0, B 5.0, A 1.0", false},
		{"bad", `{"action":"reject","score":20,"required_score":15}`, 200, 8, "reject, 20.0 of 15.0", false},
		{"later", `{"action":"greylist","score":5,"required_score":15}`, 200, 2.5, "greylist, 5.0 of 15.0", false},
		{"not looked at", `{"action":"no action","is_skipped":true}`, 200, 0, "", false},
		{"bounded", `{"action":"no action","score":900,"required_score":15}`, 200, 2, "no action, 900.0 of 15.0", false},
		{"an error", `{"error":"x"}`, 500, 0, "", true},
		{"no JSON", `<html>`, 200, 0, "", true},
		{"no action", `{"score":1}`, 200, 0, "", true},
		{"elsewhere", ``, 302, 0, "", true},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			h := r.Header
			if r.Method != "POST" || r.URL.Path != "/checkv2" || string(body) != message || h.Get("IP") != "192.0.2.7" || h.Get("Helo") != "mx" || h.Get("From") != "ann@example.org" ||
				strings.Join(h.Values("Rcpt"), " ") != "one@x.test two@x.test" || h.Get("Queue-Id") != "Q1" || h.Get("User") != "" {
				t.Errorf("%s: asked %s %s %v %q", c.name, r.Method, r.URL, h, body)
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.answer)
		}))
		s, err := rspamd.New(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		env := &smtpd.Envelope{ID: "Q1", ReversePath: "ann@example.org", Recipients: []string{"one@x.test", "two@x.test"}, HELO: "m\r\nx", RemoteIP: netip.MustParseAddr("192.0.2.7")}
		r, err := s.Scan(t.Context(), env, strings.NewReader(message), int64(len(message)))
		if (err != nil) != c.fails || r.Score != c.score || r.Detail != c.detail {
			t.Errorf("%s: %+v, %v", c.name, r, err)
		}
		srv.Close()
	}
}

func TestASilentScanner(t *testing.T) {
	quit := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-quit }))
	defer srv.Close()
	defer close(quit)
	s, err := rspamd.New(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Scan(ctx, &smtpd.Envelope{}, strings.NewReader(message), int64(len(message))); err == nil {
		t.Error("no error")
	}
}

func TestAddresses(t *testing.T) {
	for _, bad := range []string{"", "127.0.0.1:11333", "ftp://x", "http://", "http://%"} {
		if _, err := rspamd.New(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

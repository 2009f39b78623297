package templates_test

import (
	"flag"
	"fmt"
	"html"
	"net/http"
	"strings"
	"testing"
	"time"

	"uniqverse/static"
	"uniqverse/templates"
)

var preview = flag.String("preview", "", "serve every sample page at this address (host:port) until interrupted")

// TestPreview is for eyes: `go test ./templates -run TestPreview -preview 127.0.0.1:9090 -timeout 0` serves the samples with
// the strict policy of the product. ?theme=dark or light fixes a theme; /phone?p=/path&p=… shows pages 390 px wide.
func TestPreview(t *testing.T) {
	if *preview == "" {
		t.Skip("only with -preview host:port")
	}
	noon = time.Now() // the script counts from the browser's clock
	set := newSet(t)
	all := samples()
	mux := http.NewServeMux()
	mux.Handle(static.Prefix, static.Handler())
	mux.HandleFunc("/s/", func(w http.ResponseWriter, r *http.Request) {
		var buf strings.Builder
		for _, s := range all {
			if r.URL.Path != "/s/"+s.name+"."+s.kind {
				continue
			}
			s.page.Prefix = ""
			if err := set.Render(&buf, s.name, s.page); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			break
		}
		out := buf.String()
		if th := r.URL.Query().Get("theme"); th == "dark" || th == "light" {
			out = strings.Replace(out, `<html lang="en"`, `<html lang="en" data-theme="`+th+`"`, 1)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy)
		fmt.Fprint(w, out)
	})
	mux.HandleFunc("/events", stream)
	mux.HandleFunc("/api/events", stream)
	mux.HandleFunc("/phone", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<body style="margin:0;background:#888;white-space:nowrap">`)
		for _, p := range r.URL.Query()["p"] {
			fmt.Fprintf(w, `<iframe style="border:0;margin-right:8px" width=%s height=1150 src="%s"></iframe>`, html.EscapeString(max(r.FormValue("w"), "390")), html.EscapeString(p))
		}
	})
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		for _, s := range all {
			fmt.Fprintf(w, "<a href=\"/s/%s.%s\">%s %s</a><br>", s.name, s.kind, s.name, s.kind)
		}
	})
	srv := &http.Server{Addr: *preview, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	t.Logf("http://%s/", *preview)
	t.Fatal(srv.ListenAndServe())
}

// stream sends an event every few seconds, so that the live parts of a page can be seen at work.
func stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(4 * time.Second)
	defer tick.Stop()
	for id := 1; ; id++ {
		fmt.Fprintf(w, "id: %d\nevent: mail.received\ndata: {\"type\":\"mail.received\",\"id\":%d,\"from\":\"nova@example.org\",\"subject\":\"Mail <b>%d</b>\"}\n\n", id, id, id)
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

// policy is the Content-Security-Policy that every page must live with (frame-ancestors aside, for the phone frame).
const policy = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:"

func newSet(t *testing.T) *templates.Set {
	t.Helper()
	set, err := templates.New(templates.Options{Version: "0.1.0", Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

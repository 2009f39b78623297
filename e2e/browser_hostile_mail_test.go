package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// Every message of testdata/mail/hostile, 5 MB of markup and a very deep one are opened: nothing runs, nothing is fetched, the
// page stays usable, and what is honest can be read.
func TestBrowserHostileMail(t *testing.T) {
	b, s := startBrowser(t), start(t)
	var caught atomic.Int64
	trap := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		caught.Add(1)
		t.Errorf("hostile mail made the browser ask for %s", r.URL)
	}))
	defer trap.Close()
	there := strings.Replace(trap.URL, "127.0.0.1", "localhost", 1)

	files, err := filepath.Glob("../testdata/mail/hostile/*.eml")
	if err != nil || len(files) < 14 {
		t.Fatalf("%d hostile messages: %v", len(files), err)
	}
	all := map[string]string{}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(f)] = strings.ReplaceAll(string(raw), "{trap}", there)
	}
	head := "From: m@evil.example\nTo: demo@vezeuniqverse.com\nSubject: %s\nMIME-Version: 1.0\nContent-Type: text/html\n\n<p>the honest words</p>\n"
	all["large"] = fmt.Sprintf(head, "large") + strings.Repeat("<table><tr><td style='color:red'><b><img src="+there+"/x>x</b></td></tr></table>\n", 5<<20/90)
	all["deep"] = fmt.Sprintf(head, "deep") + strings.Repeat(strings.Repeat("<div><b>", 100)+"\n", 500) + "<img src=" + there + "/deep>\n"
	p := b.tab(t)
	for name, raw := range all {
		s.handIn("m@evil.example", "demo@vezeuniqverse.com", raw)
		var box struct{ Messages []struct{ ID int64 } }
		s.get(200, "email/api/messages?user=demo@vezeuniqverse.com&access_token=demo&limit=1").JSON(t, &box)
		id := box.Messages[0].ID
		for _, view := range []string{"", "?view=text", "?view=source", "?view=lint"} {
			p.open(fmt.Sprintf("%s/messages/%d%s", s.URL("email"), id, view))
			p.until("the page is loaded", `document.readyState === "complete"`)
			if !look[bool](p, `window.hit === undefined && document.querySelectorAll("h1").length === 1 && document.querySelectorAll("main *:is(script, base, meta, object, embed)").length === 0`) {
				t.Errorf("%s%s: something hostile ran, or is an element of the page", name, view)
			}
			p.clean(name+view, "Blocked script execution", "sandbox")
		}
		// The frame's document by itself: nothing in it acts, and the words are there. After it the page still works.
		p.open(fmt.Sprintf("%s/api/messages/%d/html?access_token=demo", s.URL("email"), id))
		p.reads("the honest words")
		p.until("and nothing that acts", `!document.querySelector("script, form, input, iframe, frame, object, embed, svg, math, template, meta[http-equiv], link, base, [onload], [onerror], [onfocus], [ping], [srcset], [background]") && window.hit === undefined`)
		p.clean(name + " alone")
		p.open(fmt.Sprintf("%s/messages/%d", s.URL("email"), id))
		p.click(".msg-bar .star, form[action$='/star'] button")
		p.until("the star is set", `document.querySelector("form[action$='/star'] button")?.getAttribute("aria-pressed") === "true"`)
		p.clean(name+" starred", "Blocked script execution", "sandbox")
	}
	if caught.Load() > 0 {
		t.Errorf("%d requests fell in the trap", caught.Load())
	}
}

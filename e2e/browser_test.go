package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Helpers of the tests that look at the product with a browser, in every browser_*_test.go.

// pagePatience bounds every wait for a page; a browser on a busy machine may be slow.
const pagePatience = 3 * patience

// browser is one Chromium for all the tabs of a test.
type browser struct {
	t   testing.TB
	ctx context.Context
}

// startBrowser starts Chromium, or skips the test where there is none.
func startBrowser(t testing.TB) *browser {
	t.Helper()
	if testing.Short() {
		t.Skip("drives a browser: left out in -short")
	}
	if os.Getenv("UNIQ_REQUIRE_BROWSER") != "" {
		if _, err := os.Stat(tool(requiring{t}, "chromium")); err != nil {
			t.Fatal(err)
		}
	}
	// A profile of its own and nothing that Chromium does by itself: what the tests see on the network is the pages'.
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(tool(t, "chromium")), chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-gpu", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"))
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // Chromium's sandbox does not work for root
	}
	alloc, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, end := chromedp.NewContext(alloc)
	// Without a deadline: that of the first Do would be the browser's.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("chromium does not start: %v", err)
	}
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Logf("chromium: %v", err)
		}
		end()
		stop()
	})
	return &browser{t, ctx}
}

// requiring turns a skip into a failure.
type requiring struct{ testing.TB }

func (r requiring) Skipf(format string, args ...any) { r.TB.Helper(); r.TB.Fatalf(format, args...) }

// tab is a page with a cookie jar of its own. It remembers what it asked the network for and what
// the browser complained about.
type tab struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	requests []string
	problems []string
}

// tab opens an empty page, which closes with the test.
func (b *browser) tab(t testing.TB, opts ...chromedp.ContextOption) *tab {
	t.Helper()
	p := &tab{t: t}
	if len(opts) == 0 {
		opts = append(opts, chromedp.WithNewBrowserContext())
	}
	ctx, end := chromedp.NewContext(b.ctx, append(opts, chromedp.WithListener(p.hear))...)
	p.ctx = ctx
	t.Cleanup(end)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 800)); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, audits.Enable, struct{}{}); err != nil {
		t.Fatal(err)
	}
	return p
}

// hear takes the browser's word of everything that happens in the page and its frames.
func (p *tab) hear(ev any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	problem := func(format string, args ...any) { p.problems = append(p.problems, fmt.Sprintf(format, args...)) }
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, ev.Request.URL)
	case *network.EventWebSocketCreated:
		p.requests = append(p.requests, ev.URL)
	case *runtime.EventExceptionThrown:
		text, _ := json.Marshal(ev.ExceptionDetails)
		problem("exception: %s", text)
	case *runtime.EventConsoleAPICalled:
		if ev.Type == "error" || ev.Type == "warning" || ev.Type == "assert" {
			text, _ := json.Marshal(ev.Args)
			problem("console.%s: %s", ev.Type, text)
		}
	case *log.EventEntryAdded:
		if ev.Entry.Level == "error" || ev.Entry.Source == "security" {
			problem("log: %s %s", ev.Entry.Text, ev.Entry.URL)
		}
	case *audits.EventIssueAdded:
		if g := ev.Issue.Details.GenericIssueDetails; g != nil && g.ErrorType == "NavigationEntryMarkedSkippable" {
			return // that a test clicks faster than a person
		}
		details, _ := json.Marshal(ev.Issue.Details)
		problem("issue %s: %s", ev.Issue.Code, details)
	}
}

// complaints returns and forgets what the browser complained about, except where a complaint has one of these words.
func (p *tab) complaints(except ...string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for _, c := range p.problems {
		if !slices.ContainsFunc(except, func(e string) bool { return strings.Contains(c, e) }) {
			all = append(all, c)
		}
	}
	p.problems = nil
	return all
}

// clean fails the test on anything that the browser complained about since the last call.
func (p *tab) clean(where string, except ...string) {
	p.t.Helper()
	for _, c := range p.complaints(except...) {
		p.t.Errorf("%s: the browser complains: %s", where, c)
	}
	p.ownHosts(where)
}

// ownHosts fails the test if anything was asked of another host than ours.
func (p *tab) ownHosts(where string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.requests {
		u, err := url.Parse(r)
		if err != nil || (u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1" && u.Scheme != "data" && u.Scheme != "about") {
			p.t.Errorf("%s: the page asked for %s", where, r)
		}
	}
	p.requests = nil
}

// do runs steps within a bound.
func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, pagePatience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// open goes to an address and waits until the page is loaded.
func (p *tab) open(address string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, pagePatience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(address)); err != nil {
		p.t.Fatalf("%s: %v", address, err)
	}
}

// noScripts switches JavaScript off, for the pages that come after.
func (p *tab) noScripts() {
	p.t.Helper()
	if _, err := chromedp.Call(p.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		p.t.Fatal(err)
	}
}

// look evaluates an expression in the page; it works with JavaScript off, too.
func look[T any](p *tab, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, pagePatience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// until asks the page again until an expression is true. While a page loads there may be nothing to ask.
func (p *tab) until(what, expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, pagePatience)
	defer cancel()
	var err error
	for ctx.Err() == nil {
		var ok bool
		if ok, err = chromedp.Run(ctx, chromedp.Evaluate[bool](`Boolean(document.body && (`+expression+`))`)); err == nil && ok {
			return
		}
		time.Sleep(15 * time.Millisecond)
	}
	text, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string](`location.href + "\n" + (document.body ? document.body.innerText : "")`))
	p.t.Fatalf("did not happen within %s: %s (%v)\nthe page is %.1500s", pagePatience, what, err, text)
}

// reads waits until a text is on the page.
func (p *tab) reads(text string) {
	p.t.Helper()
	p.until(fmt.Sprintf("the page reads %q", text), `document.body.innerText.includes(`+quote(text)+`)`)
}

// at waits until the address of the page has this path (and query).
func (p *tab) at(path string) {
	p.t.Helper()
	p.until("the page is at "+path, `document.readyState !== "loading" && location.pathname + location.search === `+quote(path))
}

// live waits until the page's connection is open.
func (p *tab) live() {
	p.t.Helper()
	p.until("the page is live", `document.querySelector("[data-live-badge]")?.textContent === "live"`)
}

// fill writes into a field as a person does.
func (p *tab) fill(css, text string) {
	p.t.Helper()
	look[bool](p, `(document.querySelector(`+quote(css)+`).value = "") === ""`)
	p.do(chromedp.SendKeys(chromedp.CSS(css), text))
}

// click clicks the first visible element.
func (p *tab) click(css string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.CSS(css), chromedp.NodeVisible))
}

// quote is a text as a JavaScript literal.
func quote(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}

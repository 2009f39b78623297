package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// shot is one picture of a page.
type shot struct {
	name          string
	width, height int64
	dark, phone   bool
	whole         bool // the whole page, not only what the window shows
}

// TestScreenshots draws every page in the folder that UNIQ_SHOTS names, for people to look at.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("UNIQ_SHOTS")
	if dir == "" {
		t.Skip("UNIQ_SHOTS names no folder to draw the pages in")
	}
	dir, _ = filepath.Abs(dir)
	b, s := startBrowser(t), start(t)
	w := s.populate()
	p := b.tab(t)
	pages := w.pages(s)
	for _, look := range []shot{
		{name: "light-1280", width: 1280, height: 800, whole: true}, {name: "dark-1280", width: 1280, height: 800, dark: true, whole: true},
		{name: "light-1920", width: 1920, height: 1080, whole: true}, {name: "dark-390", width: 390, height: 844, dark: true, phone: true, whole: true},
		{name: "light-390", width: 390, height: 844, phone: true, whole: true},
	} {
		for _, pg := range pages {
			p.open(pg.address)
			p.picture(filepath.Join(dir, pg.name+"-"+look.name+".png"), look)
		}
	}
}

// picture writes what the page looks like to a file.
func (p *tab) picture(path string, s shot) {
	p.t.Helper()
	scheme := "light"
	if s.dark {
		scheme = "dark"
	}
	if _, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}}); err != nil {
		p.t.Fatal(err)
	}
	scale := 1.0
	if s.phone {
		scale = 2
	}
	if _, err := chromedp.Call(p.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: s.width, Height: s.height,
		DeviceScaleFactor: scale, Mobile: s.phone}); err != nil {
		p.t.Fatal(err)
	}
	p.until("the page is drawn", `document.readyState === "complete" && ![...document.querySelectorAll("[data-live-badge]")].some(b => b.textContent === "connecting")`)
	res, err := chromedp.Call(p.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: "png", CaptureBeyondViewport: &s.whole})
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, res.Data, 0o644); err != nil {
		p.t.Fatal(err)
	}
	fmt.Println(path)
}

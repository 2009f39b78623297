package e2e_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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

// TestScreenshots draws the pages in the folder that UNIQ_SHOTS names, for people to look at: every page in five
// sizes (those that UNIQ_SHOTS_ONLY names, with commas, where it is set), or, in a folder that is called img, those of the README, as the usual ports show them.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("UNIQ_SHOTS")
	if dir == "" {
		t.Skip("UNIQ_SHOTS names no folder to draw the pages in")
	}
	ns := startNameServer(t)
	for _, domain := range []string{"crew.example", "kepler.example"} {
		ns.publish(domain, "v=spf1 ip4:127.0.0.1 -all")
		ns.publish("_dmarc."+domain, "v=DMARC1; p=reject")
	}
	ns.publish("guild.example", "v=spf1 ip4:192.0.2.1 ~all")
	settings := []string{"EMAIL_DNS=" + ns.addr}
	readme := filepath.Base(dir) == "img"
	if readme {
		settings = append(settings, "UNI_PORT=8000", "GAME_PORT=8002", "EMAIL_PORT=8004", "CHAT_PORT=8010", "EMAIL_SMTP_25=2525")
	}
	b, s := startBrowser(t), start(t, settings...)
	w := s.populate()
	p := b.tab(t)
	pages := map[string]string{}
	var names []string
	only := strings.Split(os.Getenv("UNIQ_SHOTS_ONLY"), ",")
	for _, pg := range w.pages(s) {
		if only[0] != "" && !slices.Contains(only, pg.name) {
			continue
		}
		pages[pg.name], names = pg.address, append(names, pg.name)
	}
	draw := func(name string, look shot) {
		p.open(pages[name])
		p.picture(filepath.Join(dir, name+look.name+".png"), look)
	}
	if readme {
		for range 40 { // the latency of the services over a little while
			s.get(200, "portal/api/services")
			time.Sleep(500 * time.Millisecond)
		}
		desktop, phone := shot{width: 1280, height: 800}, shot{name: "-phone", width: 390, height: 844, phone: true}
		dark, darkPhone := shot{width: 1280, height: 800, dark: true}, shot{name: "-phone", width: 390, height: 844, phone: true, dark: true}
		draw("helm", desktop)
		draw("inbox", desktop)
		draw("room", dark)
		draw("ticket", desktop)
		draw("leaderboards", darkPhone)
		draw("message-html", phone)
		return
	}
	for _, look := range []shot{
		{name: "-light-1280", width: 1280, height: 800, whole: true}, {name: "-dark-1280", width: 1280, height: 800, dark: true, whole: true},
		{name: "-light-1920", width: 1920, height: 1080, whole: true}, {name: "-dark-390", width: 390, height: 844, dark: true, phone: true, whole: true},
		{name: "-light-390", width: 390, height: 844, phone: true, whole: true},
	} {
		for _, name := range names {
			draw(name, look)
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
}

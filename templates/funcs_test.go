package templates

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestLinkify(t *testing.T) {
	const web = `<a rel="noopener noreferrer nofollow ugc" target="_blank" href="`
	const mail = `<a rel="noopener noreferrer nofollow ugc" href="mailto:`
	for in, want := range map[string]string{
		// plain text
		"":                "",
		"a < b & c":       "a &lt; b &amp; c",
		"line one\ntwo":   "line one\ntwo",
		"javascript:x()":  "javascript:x()",
		"ftp://example.x": "ftp://example.x",
		"data:text/html,": "data:text/html,",
		// addresses of pages
		"see https://x.org/a?b=1&c=2.":    "see " + web + `https://x.org/a?b=1&amp;c=2">https://x.org/a?b=1&amp;c=2</a>.`,
		"(https://x.org/a_(b))":           "(" + web + `https://x.org/a_(b)">https://x.org/a_(b)</a>)`,
		"http://x.org, and http://y.org!": web + `http://x.org">http://x.org</a>, and ` + web + `http://y.org">http://y.org</a>!`,
		`https://x.org/"onclick=alert(1)`: web + `https://x.org/">https://x.org/</a>&#34;onclick=alert(1)`,
		"<https://x.org/>":                "&lt;" + web + `https://x.org/">https://x.org/</a>&gt;`,
		// addresses of people
		"write to ada@x.org.":     "write to " + mail + `ada@x.org">ada@x.org</a>.`,
		"@pilot is not one":       "@pilot is not one",
		"http+a@x.org is a mail ": mail + `http+a@x.org">http+a@x.org</a> is a mail `,
	} {
		if got := string(linkify(in)); got != want {
			t.Errorf("linkify(%q)\n got %s\nwant %s", in, got, want)
		}
	}
}

func TestAgo(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		0: "just now", 44 * time.Second: "just now", -30 * time.Second: "just now", 46 * time.Second: "1 min ago", 59 * time.Minute: "59 min ago",
		time.Hour: "1 h ago", 23*time.Hour + 59*time.Minute: "23 h ago", 24 * time.Hour: "1 day ago", 6 * 24 * time.Hour: "6 days ago",
		7 * 24 * time.Hour: "15 Nov 2026", -2 * time.Hour: "22 Nov 2026, 14:00 UTC",
	} {
		got := string(timeAgo(now, now.Add(-d)))
		if !strings.Contains(got, ">"+want+"</time>") {
			t.Errorf("%v ago: %s, want %s", d, got, want)
		}
	}
	if got := string(timeAbs(time.Date(2026, 11, 22, 13, 33, 42, 291e6, time.FixedZone("", 3600)))); !strings.Contains(got, `datetime="2026-11-22T12:33:42.291Z"`) || !strings.Contains(got, ">22 Nov 2026, 12:33 UTC<") {
		t.Errorf("a time of another zone: %s", got)
	}
	if got := string(timeAbs(time.Time{})); got != `<span class="never">never</span>` {
		t.Errorf("no time: %s", got)
	}
}

func TestWords(t *testing.T) {
	for _, c := range [][2]string{
		{formatBytes(0), "0 B"}, {formatBytes(999), "999 B"}, {formatBytes(4210), "4.2 kB"}, {formatBytes(81200000), "81.2 MB"}, {formatBytes(3e9), "3.0 GB"}, {formatBytes(-1), "?"},
		{formatNumber(0), "0"}, {formatNumber(999), "999"}, {formatNumber(int64(1204511)), "1\u202f204\u202f511"}, {formatNumber(-1200), "−1\u202f200"}, {formatNumber("x"), "x"},
		{formatScore(9100), "9\u202f100"}, {formatScore(1.255), "1.25"}, {plural(1, "day", "days"), "1 day"}, {plural(0, "day", "days"), "0 days"},
		{formatLatency(0), "–"}, {formatLatency(1300 * time.Microsecond), "1.3 ms"}, {formatLatency(640 * time.Millisecond), "640 ms"}, {formatLatency(12 * time.Second), "12 s"},
		{formatWait(14 * time.Second), "14 s"}, {formatWait(3 * time.Minute), "3 min"}, {formatWait(5 * time.Hour), "5 h"},
		{initials("Ada Lovelace King"), "AL"}, {initials("@pilot"), "P"}, {initials("nova@example.org"), "N"}, {initials("ada.pilot@x.org"), "AP"}, {initials(""), "·"}, {initials("🚀"), "·"}, {initials("élan vital"), "ÉV"},
		{handle("pilot"), "@pilot"}, {handle("@@pilot"), "@pilot"}, {handle(""), "@?"},
		{authTone("Pass"), "ok"}, {authTone("fail"), "bad"}, {authTone("softfail"), "warn"}, {authTone(""), "none"},
	} {
		if c[0] != c[1] {
			t.Errorf("got %q, want %q", c[0], c[1])
		}
	}
	if hue("@Pilot") != hue("pilot") || hue("pilot") < 0 || hue("pilot") > 7 {
		t.Errorf("the colour of a name depends on how it is written: %d %d", hue("@Pilot"), hue("pilot"))
	}
}

func TestCharts(t *testing.T) {
	for _, v := range [][]float64{nil, {1}} {
		if got := sparkline("x", v); got != "" {
			t.Errorf("%v drew %s", v, got)
		}
	}
	for _, v := range [][]float64{{1, 2}, {5, 5, 5}, {math.NaN(), math.Inf(1), -3}} {
		got := string(sparkline(`a"<b>`, v))
		if strings.Contains(got, "NaN") || strings.Contains(got, "Inf") || strings.Contains(got, "<b>") || strings.Contains(got, "style=") {
			t.Errorf("%v drew %s", v, got)
		}
	}
	for part, want := range map[float64]string{0: `"0.0%"`, 0.5: `"50.0%"`, 7: `"100.0%"`, -1: `"0.0%"`, math.NaN(): `"0.0%"`} {
		if got := string(bar(part)); !strings.Contains(got, "width="+want) {
			t.Errorf("bar(%v) = %s", part, got)
		}
	}
	if share(3, 0) != 0 || share(1, 4) != 0.25 {
		t.Error("share is wrong")
	}
}

func TestArgs(t *testing.T) {
	if _, err := args("a"); err == nil {
		t.Error("an odd list was taken")
	}
	if _, err := args(1, 2); err == nil {
		t.Error("a name that is no string was taken")
	}
}

func TestWayBack(t *testing.T) {
	for _, c := range []struct {
		page Page
		want string
	}{
		{Page{}, "/login"},
		{Page{Path: "/login?next=%2Fx"}, "/login"},
		{Page{Path: "/inbox"}, "/login?next=%2Finbox"},
		{Page{Path: "/inbox?user=a&access_token=secret", Prefix: "/proxy/email"}, "/login?next=%2Fproxy%2Femail%2Finbox%3Fuser%3Da"},
		{Page{Path: "/inbox?access_token=secret"}, "/login?next=%2Finbox"},
		{Page{Path: "/inbox?%zz"}, "/login?next=%2Finbox"},
		{Page{Path: "/inbox", PortalBase: "http://p"}, "http://p/login"},
	} {
		if got := c.page.SignInURL(); got != c.want {
			t.Errorf("%+v: %s, want %s", c.page, got, c.want)
		}
	}
	for path, want := range map[string]string{"": "/inbox", "/inbox?filter=unread": "/inbox?filter=unread", "/": "/", "/tickets": "/inbox", "/inbox/x": "/inbox"} {
		if got := (Page{Path: path}).Self("/inbox", "/"); got != want {
			t.Errorf("Self at %q is %q, want %q", path, got, want)
		}
	}
}

func TestMarked(t *testing.T) {
	for in, want := range map[string]string{
		"a &lt;b&gt; <mark>c &amp; d</mark> e": "a &lt;b&gt; <mark>c &amp; d</mark> e",
		"<script>x</script><mark>":             "&lt;script&gt;x&lt;/script&gt;",
		"</mark><mark><img src=x></mark>":      "&lt;/mark&gt;<mark>&lt;img src=x&gt;</mark>",
	} {
		if got := string(marked(in)); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
}

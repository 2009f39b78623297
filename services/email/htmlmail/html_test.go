package htmlmail_test

import (
	"bytes"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"uniqverse/services/email/htmlmail"
)

func TestClean(t *testing.T) {
	image := func(id string) string {
		if id == "logo@x" {
			return "data:image/png;base64,AAAA"
		}
		return ""
	}
	for _, c := range []struct{ name, in, want string }{
		{"plain", `<p class="a">Hi <b>you</b> &amp; me</p>`, `<p class="a">Hi <b>you</b> &amp; me</p>`},
		{"script", `a<script>alert(1)</script>b<SCRIPT SRC=//x>c</SCRIPT >d`, `abd`},
		{"event", `<p onclick="x()" ONLOAD=y style="color:red">z</p>`, `<p style="color:red">z</p>`},
		{"link", `<a href="https://example.org/?a=1&b=2">x</a>`, `<a href="https://example.org/?a=1&amp;b=2" target="_blank" rel="noopener noreferrer nofollow">x</a>`},
		{"link by script", "<a href=\"java\nscript:alert(1)\">x</a>", `<a target="_blank" rel="noopener noreferrer nofollow">x</a>`},
		{"link by data", `<a href="data:text/html,x">x</a>`, `<a target="_blank" rel="noopener noreferrer nofollow">x</a>`},
		{"remote image", `<img src="https://t.example.org/p.gif" alt="" width=1>`, `<img alt="" width="1">`},
		{"own image", `<img src="cid:logo@x"><img src="cid:other">`, `<img src="data:image/png;base64,AAAA"><img>`},
		{"image of scripts", `<img src="data:image/svg+xml;base64,AAAA" srcset="https://x 2x">`, `<img>`},
		{"form", `<form action="https://x"><input name=p><button>Go</button></form>`, `Go`},
		{"meta and base", `<meta http-equiv=refresh content="0;url=https://x"><base href="https://x"><link rel=stylesheet href=x>y`, `y`},
		{"frames", `<iframe src=x><p>in</p></iframe><object><p>in</p></object>out`, `out`},
		{"svg", `<svg><svg/><g onload=x></g><style>p{}</style></svg>out`, `out`},
		{"body", `<html><head><title>T</title></head><body bgcolor="#fff" onload=x>in</body></html>`, `<div bgcolor="#fff">in</div>`},
		{"styles", `<style>@import url(x);p{background:URL('https://x/y.png');color:red}</style>`, `<style>x-xt x-x(x);p{background:x-x('https://x/y.png');color:red}</style>`},
		{"escaped style", `<p style="background:u\72l(https://x)">`, `<p style="background:u72l(https://x)">`},
		{"comment", `a<!-- <script>x</script> --><!--[if mso]><p>x</p><![endif]-->b`, `ab`},
		{"textarea trick", `<textarea><img src=x onerror=alert(1)></textarea>b`, `b`},
		{"quotes", `<p title='"><script>x</script>'>y`, `<p title="&#34;&gt;&lt;script&gt;x&lt;/script&gt;">y`},
		{"unclosed", `<p title="x`, ``},
		{"nothing", ``, ``},
	} {
		out := string(htmlmail.Clean(c.in, htmlmail.Images{Held: image}))
		_, body, _ := strings.Cut(out, "<body>\n")
		got, _, _ := strings.Cut(body, "\n</body>")
		if got != c.want {
			t.Errorf("%s: %s\ngives %s\nwant  %s", c.name, c.in, got, c.want)
		}
	}
}

// An image elsewhere gets the address that was given for it, and nothing else on the page one of the web.
func TestImagesElsewhere(t *testing.T) {
	var asked []string
	images := htmlmail.Images{Elsewhere: func(url string) string { asked = append(asked, url); return "/own?n=1" }}
	in := `<img src=" HTTPS://x.example/a.png"><img src=//x.example/b><img src=ftp://x/c><img src=relative><img src=cid:d><p style="background:url(https://x/e)"><img srcset="https://x/f">`
	_, got, _ := strings.Cut(string(htmlmail.Clean(in, images)), "<body>\n")
	if want := `<img src="/own?n=1"><img src="/own?n=1"><img><img><img><p style="background:x-x(https://x/e)"><img>`; !strings.HasPrefix(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if strings.Join(asked, " ") != "HTTPS://x.example/a.png https://x.example/b" {
		t.Errorf("asked for %v", asked)
	}
	for in, want := range map[string]bool{`<p>a<IMG alt=x SRC="http://x/y">`: true, `<img src="//x">`: true, `<img src=cid:a><a href=https://x>`: false, `<img src="https` + "\n" + `://x">`: true, ``: false} {
		if htmlmail.Calls(in) != want {
			t.Errorf("%q calls: want %v", in, want)
		}
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		`<p>Hello <b>wor</b>ld</p><p>again</p>`:                                     "Hello world\nagain",
		`<head><title>no</title><style>p{}</style></head><body>yes &amp; no</body>`: "yes & no",
		`<head><body>never closed`:                                                  "never closed",
		"a\n\n  b<br>c<script>d</script>":                                           "a b\nc",
		`<td>1</td><td>2</td>`:                                                      "1\n2",
		`plain < text`:                                                              "plain < text",
		``:                                                                          "",
	} {
		if got := htmlmail.Text(in, 1<<10); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

// Each of these would take minutes if the work grew with the square of the input.
func TestLarge(t *testing.T) {
	for name, s := range map[string]string{
		"nested":     strings.Repeat("<div>", 200_000),
		"brackets":   strings.Repeat("<", 1_000_000),
		"attributes": "<p " + strings.Repeat("a=b ", 200_000) + ">",
		"comments":   strings.Repeat("<!--", 200_000),
		"entities":   strings.Repeat("&amp", 200_000),
		"css":        "<style>" + strings.Repeat("url(", 200_000),
		"blanks":     strings.Repeat("<b> ", 200_000),
		"dropped":    strings.Repeat("<svg>", 200_000),
	} {
		if out := htmlmail.Clean(s, htmlmail.Images{}); len(out) > 8*len(s)+1024 {
			t.Errorf("%s: %d bytes give %d", name, len(s), len(out))
		}
		htmlmail.Text(s, len(s))
	}
}

// What lies too deep keeps its text, and what follows it is laid out as before.
func TestDeep(t *testing.T) {
	out := string(htmlmail.Clean(strings.Repeat("<div><b>", 50_000)+"words"+strings.Repeat("</b></div>", 50_000)+"<table><tr><td><i>after</i></table>", htmlmail.Images{}))
	if n := strings.Count(out, "<div"); n != 200 || !strings.Contains(out, "words") || !strings.Contains(out, "<table><tr><td><i>after</i></table>") {
		t.Errorf("%d elements of 50,000 are left; the end is %q", n, out[max(0, len(out)-100):])
	}
	if out := string(htmlmail.Clean(strings.Repeat("<p>a<table><tr><td>b</table>", 2000)+"<b>c</b>", htmlmail.Images{})); !strings.Contains(out, "<b>c</b>") || strings.Count(out, "<table") != 2000 {
		t.Error("a long mail whose paragraphs are not closed is taken for a deep one")
	}
}

// Whatever comes in, a browser's parser finds nothing in the result that acts or calls home.
func FuzzHTML(f *testing.F) {
	for _, s := range []string{
		`<p onclick=x style="a:url(b)">`, `<svg><style><img src=x onerror=y>`, `<math><mi><table><mglyph><style><!--</style><img title="--><img src=1 onerror=x>">`,
		`<a href="jav&#x09;ascript:x">`, `<noscript><p title="</noscript><img src=x onerror=x>">`, `<style></sty</style><script>x`, "<a\x00b href=\x01javascript:x>",
		`<form><math><mtext></form><form><mglyph><style></math><img src onerror=x>`, `<plaintext><img src=x>`, `<img src=cid:logo>`, `<template><script>`,
	} {
		f.Add(s)
	}
	bad := map[string]bool{}
	for _, n := range strings.Fields("script iframe frame frameset form input button textarea select meta2 base link object embed applet svg math template noscript audio video portal plaintext xmp") {
		bad[n] = true
	}
	f.Fuzz(func(t *testing.T, in string) {
		out := htmlmail.Clean(in, htmlmail.Images{Held: func(string) string { return "data:image/png;base64,AAAA" }})
		doc, err := html.Parse(bytes.NewReader(out))
		if err != nil {
			t.Skip() // the parser's own bound on depth
		}
		metas := 0
		for n := range doc.Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			if n.Data == "meta" {
				metas++
			}
			if bad[n.Data] || metas > 1 || n.Namespace != "" {
				t.Fatalf("%q gives an element %s: %s", in, n.Data, out)
			}
			for _, a := range n.Attr {
				u, err := url.Parse(strings.TrimSpace(a.Val))
				scheme := ""
				if err == nil {
					scheme = strings.ToLower(u.Scheme)
				}
				switch {
				case strings.HasPrefix(a.Key, "on"), a.Key == "srcset", a.Key == "background", a.Key == "action", a.Key == "http-equiv":
					t.Fatalf("%q gives an attribute %s: %s", in, a.Key, out)
				case a.Key == "src" && scheme != "data", a.Key == "href" && (scheme == "javascript" || scheme == "data" || scheme == "vbscript"):
					t.Fatalf("%q gives %s=%s: %s", in, a.Key, a.Val, out)
				}
			}
		}
	})
}

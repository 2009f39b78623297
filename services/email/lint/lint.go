// Package lint says what about a message other people's mail programs may stumble over: parts that are missing, lines that are too
// long, HTML and CSS that programs do not know, and where its links lead.
//
// It opens no link and fetches nothing. It does not decide whether a message is good. One pass over what it is given, in time linear to
// it; all functions are pure.
package lint

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/html"

	"uniqverse/services/email/mime"
)

// The levels of findings.
const (
	Bad  = "bad"  // many programs get it wrong
	Warn = "warn" // some do
	Fine = "ok"   // looked at, nothing found
)

// Finding is one thing that was looked at.
type Finding struct {
	Level, Title, Detail string
}

// Link is where something in the message leads.
type Link struct {
	Text, URL string
	Odd       string // what is odd about it; "" is nothing
}

// The bounds of what is reported.
const (
	maxLinks = 200
	clipAt   = 102 << 10 // bytes of HTML beyond which large mail services cut a message off
)

// Message is what is looked at.
type Message struct {
	Tree      *mime.Tree
	Raw       io.Reader // the message as it came
	HTML      string    // "" is none
	Plain     bool      // there is a plain text
	Date      time.Time // of the header; zero is none
	Received  time.Time
	Submitted bool // written here
}

// Check looks at a message.
func Check(m Message) (all []Finding, links []Link) {
	add := func(level, title, format string, args ...any) {
		all = append(all, Finding{level, title, fmt.Sprintf(format, args...)})
	}
	switch {
	case m.HTML != "" && !m.Plain:
		add(Bad, "No plain text", "There is HTML alone. Programs without HTML show nothing, and filters count it against the sender.")
	case m.HTML != "":
		add(Fine, "Plain text beside the HTML", "Every program can show it.")
	}
	if n := len(m.HTML); n > clipAt {
		add(Warn, "The HTML is large", "%d kB: large mail services cut a message off at about %d kB, with a link to the rest.", n/1000, clipAt/1000)
	}
	lines(m.Raw, add)
	dates(m, add)
	bulk := m.Tree.Get("List-Id") != "" || strings.EqualFold(m.Tree.Get("Precedence"), "bulk")
	switch unsubscribe := m.Tree.Get("List-Unsubscribe"); {
	case unsubscribe == "" && bulk:
		add(Bad, "No List-Unsubscribe", "It says of itself that it goes to many, but not how to get rid of it. Large mail services want List-Unsubscribe and List-Unsubscribe-Post.")
	case unsubscribe != "" && m.Tree.Get("List-Unsubscribe-Post") == "":
		add(Warn, "List-Unsubscribe without one click", "List-Unsubscribe-Post: List-Unsubscribe=One-Click is missing (RFC 8058).")
	case unsubscribe != "":
		add(Fine, "List-Unsubscribe", "With one click.")
	}
	if m.Tree.Get("Message-ID") == "" {
		add(Warn, "No Message-ID", "Answers cannot be told to belong to it.")
	}
	for _, f := range m.Tree.Faults {
		add(Warn, "Malformed: "+strings.ReplaceAll(f, "_", " "), "Programs read this differently.")
	}
	if m.HTML != "" {
		links = markup(m.HTML, add)
	}
	return all, links
}

type adder func(level, title, format string, args ...any)

// lines looks at the bytes.
func lines(r io.Reader, add adder) {
	b := bufio.NewReaderSize(r, 64<<10)
	longest, line, eight := 0, 0, 0
	for {
		part, err := b.ReadSlice('\n')
		for _, c := range part {
			if c >= 0x80 {
				eight++
			}
		}
		line += len(part)
		if err == nil || errors.Is(err, io.EOF) {
			longest, line = max(longest, line-2), 0
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			break
		}
	}
	if longest > 998 {
		add(Bad, "A line is too long", "%d bytes; a line may have 998 (RFC 5322). Servers on the way may break it, and then signatures with it.", longest)
	} else {
		add(Fine, "Lines", "The longest has %d bytes.", max(longest, 0))
	}
	if eight > 0 {
		add(Warn, "8-bit bytes", "%d bytes are not ASCII. A server without 8BITMIME would have to convert the message, which breaks signatures.", eight)
	}
}

func dates(m Message, add adder) {
	skew := m.Received.Sub(m.Date)
	switch {
	case m.Date.IsZero():
		add(Bad, "No date", "The header has none that can be read; programs sort it anywhere.")
	case skew < -10*time.Minute:
		add(Warn, "Dated ahead", "Its date lies %s after its arrival.", (-skew).Round(time.Minute))
	case skew > 24*time.Hour:
		add(Warn, "Dated back", "Its date lies %s before its arrival.", skew.Round(time.Hour))
	default:
		add(Fine, "Date", "Within the usual of its arrival.")
	}
}

// What programs do not show, or take out.
func elements() map[string]string {
	return map[string]string{"script": "taken out everywhere", "form": "taken out or marked as dangerous by most", "input": "does nothing in most", "iframe": "taken out everywhere", "object": "taken out everywhere",
		"embed": "taken out everywhere", "video": "shown by few; give it a picture with a link", "audio": "shown by few", "svg": "taken out by most; use PNG", "link": "style sheets from elsewhere are not loaded",
		"base": "ignored, so links may lead nowhere", "meta": "refresh and the like are ignored", "picture": "only the img within is shown by some", "canvas": "needs scripts, which never run"}
}

func styles() map[string]string {
	return map[string]string{"display:flex": "not in Outlook; use tables", "display:grid": "not in Outlook or Gmail's apps; use tables", "position:absolute": "taken out by most", "position:fixed": "taken out by most",
		"@import": "not loaded anywhere", "@font-face": "shown by few; name a fallback", "background-image": "not in Outlook", "calc(": "not in Outlook", "var(--": "not in most; write the value", "float:": "unreliable in Outlook",
		"clip-path": "not in most", "transform:": "not in most", "animation": "not in most", "object-fit": "not in Outlook"}
}

// markup looks at the HTML and lists its links.
func markup(src string, add adder) (links []Link) {
	known, seen := elements(), map[string]int{}
	noAlt, images := 0, 0
	var open *Link
	z := html.NewTokenizer(strings.NewReader(src))
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			break
		}
		switch kind {
		case html.TextToken:
			if open != nil && len(open.Text) < 200 {
				open.Text += string(z.Text())
			}
		case html.EndTagToken:
			if n, _ := z.TagName(); string(n) == "a" {
				open = nil
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			raw, more := z.TagName()
			name := string(raw)
			if known[name] != "" {
				seen[name]++
			}
			attrs := map[string]string{}
			for more {
				var k, v []byte
				k, v, more = z.TagAttr()
				attrs[string(k)] = string(v)
			}
			if name == "meta" && attrs["http-equiv"] == "" {
				seen[name]--
			}
			if _, alt := attrs["alt"]; name == "img" {
				if images++; !alt {
					noAlt++
				}
			}
			if href := attrs["href"]; name == "a" && href != "" && len(links) < maxLinks {
				links = append(links, Link{URL: href})
				open = &links[len(links)-1]
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if seen[name] > 0 {
			add(Warn, "<"+name+">", "%d of them: %s.", seen[name], known[name])
		}
	}
	low := strings.ReplaceAll(strings.ToLower(src), " ", "")
	css := styles()
	for _, what := range slices.Sorted(maps.Keys(css)) {
		if n := strings.Count(low, what); n > 0 {
			add(Warn, "CSS "+what, "%d times: %s.", n, css[what])
		}
	}
	if noAlt > 0 {
		add(Warn, "Images without alt", "%d of %d: nothing stands in their place while images are off.", noAlt, images)
	}
	for i := range links {
		links[i].Text = mime.Line(links[i].Text, 100)
		links[i].Odd = odd(links[i])
	}
	return links
}

// odd says what about a link would make a careful reader stop.
func odd(l Link) string {
	u, err := url.Parse(strings.TrimSpace(l.URL))
	switch {
	case err != nil:
		return "cannot be read"
	case u.Scheme == "http":
		return "not encrypted"
	case u.Scheme != "https" && u.Scheme != "mailto" && u.Scheme != "tel":
		return "does not lead to a page"
	case u.User != nil:
		return "carries a user name, which hides the host"
	case strings.Contains(u.Hostname(), "xn--"):
		return "its host looks other than it is written"
	}
	if shown, err := url.Parse(strings.TrimSpace(l.Text)); err == nil && shown.Host != "" && !strings.EqualFold(shown.Hostname(), u.Hostname()) {
		return "shows " + shown.Hostname() + " and leads to " + u.Hostname()
	}
	return ""
}

package spam

import (
	"io"
	"net/netip"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"uniqverse/services/email/htmlmail"
	"uniqverse/services/email/mime"
)

// The bounds of what is read of a message for its words.
const (
	MaxText   = 64 << 10 // bytes of text, and as many of HTML
	MaxTokens = 1000     // different words of one message
	maxWord   = 48       // bytes of a word
	maxLinks  = 100
	maxFields = 100
)

// Sample is what of a message is taken apart into words.
type Sample struct {
	Fields []Field // of the header
	Text   string  // what a person would read
	HTML   string  // the source of the HTML part
	Types  []string
	Files  []string // names of attachments
}

// Field is one field of a header, decoded.
type Field struct{ Name, Value string }

// Read takes a sample of a scanned message; src are its bytes. What cannot be decoded is left out.
func Read(tree *mime.Tree, src io.ReaderAt) Sample {
	var s Sample
	for i, f := range tree.Header {
		if i == maxFields {
			break
		}
		s.Fields = append(s.Fields, Field{strings.ToLower(f.Name), mime.Header(clip(mime.Value(f), 2000))})
	}
	var text strings.Builder
	for i := range tree.Parts {
		p := &tree.Parts[i]
		if i < 50 {
			s.Types = append(s.Types, p.Type)
		}
		if p.IsMultipart() {
			continue
		}
		if p.IsAttachment() {
			if len(s.Files) < 20 && p.Name != "" {
				s.Files = append(s.Files, p.Name)
			}
			continue
		}
		left := MaxText - text.Len()
		if left <= 0 {
			break
		}
		if p.Type == "text/html" {
			if s.HTML == "" {
				s.HTML, _, _ = p.Text(src, MaxText) // half a text is better than none
				s.HTML = clip(s.HTML, MaxText)
				text.WriteString(clip(htmlmail.Text(s.HTML, left), left))
			}
		} else if t, _, err := p.Text(src, int64(left)); err == nil {
			text.WriteString(clip(t, left))
		}
		text.WriteByte('\n')
	}
	s.Text = text.String()
	return s
}

// tokens collects different words, in the order in which they came.
type tokens struct {
	list []string
	seen map[string]bool
}

func (t *tokens) add(prefix, word string) {
	if word == "" || len(t.list) >= MaxTokens {
		return
	}
	w := strings.ToValidUTF8(clip(prefix+word, maxWord), "")
	if w != "" && !t.seen[w] {
		t.seen[w] = true
		t.list = append(t.list, w)
	}
}

// Tokens returns the different words of the sample, at most MaxTokens: those of the header and of links first, for a text
// of any length must not push them out. A prefix says where a word stood.
func (s Sample) Tokens() []string {
	t := &tokens{seen: make(map[string]bool, 256)}
	for _, f := range s.Fields {
		s.field(t, f)
	}
	for _, typ := range s.Types {
		t.add("type:", typ)
	}
	for _, name := range s.Files {
		t.add("file:", strings.ToLower(path.Ext(name)))
	}
	links(t, s.HTML)
	links(t, s.Text)
	structure(t, s.HTML)
	words(s.Text, func(w string) { t.add("", w) })
	return t.list
}

// field adds what one field says.
func (s Sample) field(t *tokens, f Field) {
	switch f.Name {
	case "from", "reply-to", "sender":
		for _, a := range mime.Addresses(f.Value, 3) {
			t.add(f.Name+":", strings.ToLower(a.Addr))
			t.add(f.Name+":", a.Domain())
			words(a.Name, func(w string) { t.add(f.Name+"-name:", w) })
		}
	case "subject":
		before := ""
		words(f.Value, func(w string) {
			t.add("subject:", w)
			if before != "" {
				t.add("subject:", before+" "+w)
			}
			before = w
		})
	case "list-id":
		t.add("list:", strings.ToLower(clip(strings.Trim(f.Value[strings.LastIndexByte(f.Value, '<')+1:], "<> "), 60)))
	case "x-mailer", "user-agent":
		words(f.Value, func(w string) { t.add("mailer:", w) })
	case "content-type", "precedence", "auto-submitted", "mime-version", "content-transfer-encoding":
		t.add(f.Name+":", strings.ToLower(strings.TrimSpace(before(f.Value, ";"))))
	case "received", "to", "cc", "date", "message-id", "dkim-signature", "authentication-results", "delivered-to", "return-path":
		// They tell where a message went rather than what it is.
	default:
		t.add("field:", f.Name)
	}
}

// links adds the hosts that addresses in a text lead to.
func links(t *tokens, text string) {
	for n := 0; n < maxLinks; n++ {
		i := strings.Index(text, "://")
		if i < 0 {
			return
		}
		text = text[i+3:]
		host := clip(text, 300)
		if end := strings.IndexFunc(host, func(r rune) bool { return r <= ' ' || strings.ContainsRune(`/?#"'<>()[]\`, r) }); end >= 0 {
			host = host[:end]
		}
		host = strings.ToLower(host[strings.LastIndexByte(host, '@')+1:])
		host = strings.TrimRight(before(host, ":"), ".,;")
		if host == "" {
			continue
		}
		if _, err := netip.ParseAddr(host); err == nil {
			t.add("link:", "address")
		}
		t.add("link:", host)
		if labels := strings.Split(host, "."); len(labels) > 2 {
			t.add("link:", strings.Join(labels[len(labels)-2:], "."))
		}
	}
}

// structure adds what an HTML source is made of that readers do not see.
func structure(t *tokens, source string) {
	lower := strings.ToLower(source)
	for _, s := range []struct{ word, in string }{
		{"form", "<form"}, {"image", "<img"}, {"script", "<script"}, {"hidden", "display:none"}, {"hidden", "display: none"}, {"tiny", "font-size:0"},
		{"tiny", "font-size:1px"}, {"frame", "<iframe"}, {"data", "src=\"data:"}, {"pixel", "width=\"1\""},
	} {
		if strings.Contains(lower, s.in) {
			t.add("html:", s.word)
		}
	}
}

// words calls yield for each word of a text in lower case: 3 to 24 letters and digits, with $ and ' among them. Scripts that
// put no blanks between words are taken two letters at a time. Letters that are written in another form for their looks
// (NFKC), and marks that nobody sees, do not hide a word.
func words(text string, yield func(string)) {
	text = norm.NFKC.String(clip(text, MaxText))
	var (
		word  []rune
		last  rune // of a script without blanks
		digit bool // only digits so far
	)
	flush := func() {
		if n := len(word); n >= 3 && n <= 24 && !digit {
			yield(string(word))
		}
		word, digit = word[:0], true
	}
	digit = true
	for _, r := range text {
		if r >= utf8.RuneSelf && unicode.Is(unicode.Cf, r) {
			continue
		}
		if r >= utf8.RuneSelf && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai) {
			flush()
			if last != 0 {
				yield(string([]rune{last, r}))
			}
			last = r
			continue
		}
		last = 0
		switch {
		case unicode.IsLetter(r) || unicode.IsMark(r), r == '$', r == '\'' && len(word) > 0:
			digit = false
			word = append(word, unicode.ToLower(r))
		case unicode.IsDigit(r):
			word = append(word, r)
		default:
			flush()
		}
		if len(word) > 64 { // no word: what is left of it is passed over
			word = word[:64]
		}
	}
	flush()
}

// clip cuts s to n bytes at a letter's end.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func before(s, sep string) string {
	b, _, _ := strings.Cut(s, sep)
	return b
}

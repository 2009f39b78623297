package spam

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"uniqverse/services/email/mime"
	"uniqverse/smtpd/senderauth"
)

// sample reads a file of the corpora.
func sample(t *testing.T, path string) Sample {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sampleOf(t, raw)
}

func sampleOf(t testing.TB, raw []byte) Sample {
	t.Helper()
	tree, err := mime.Scan(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return Read(tree, bytes.NewReader(raw))
}

func corpus(t *testing.T, kind string) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/" + kind + "/*.eml")
	if err != nil || len(files) < 12 {
		t.Fatalf("%d files of %s, %v", len(files), kind, err)
	}
	return files
}

// counted counts the first eight messages of each kind.
func counted(t *testing.T) (Count, map[string]Count) {
	t.Helper()
	counts := map[string]Count{}
	for _, kind := range []string{"ham", "spam"} {
		for _, f := range corpus(t, kind)[:8] {
			for _, w := range sample(t, f).Tokens() {
				c := counts[w]
				if kind == "ham" {
					c.Ham++
				} else {
					c.Spam++
				}
				counts[w] = c
			}
		}
	}
	return Count{8, 8}, counts
}

func TestWordsTellSpamFromHam(t *testing.T) {
	total, counts := counted(t)
	for _, kind := range []string{"ham", "spam"} {
		for _, f := range corpus(t, kind)[8:] {
			here := map[string]Count{}
			for _, w := range sample(t, f).Tokens() {
				if c, ok := counts[w]; ok {
					here[w] = c
				}
			}
			p, words := classify(total, here, false)
			if kind == "ham" && p > 0.2 || kind == "spam" && p < 0.8 || len(words) == 0 {
				t.Errorf("%s: %.3f by %v", f, p, words)
			}
		}
	}
}

func TestClassify(t *testing.T) {
	total := Count{Ham: 10, Spam: 10}
	if p, _ := classify(Count{Ham: MinTrained - 1, Spam: 100}, map[string]Count{"a": {0, 100}}, false); p != 0.5 {
		t.Errorf("with too little of one kind: %v", p)
	}
	if p, words := classify(total, map[string]Count{"the": {10, 10}, "rare": {}}, false); p != 0.5 || len(words) != 0 {
		t.Errorf("words that tell nothing: %v by %v", p, words)
	}
	many := map[string]Count{}
	for i := range 500 {
		many[fmt.Sprint("spam", i)] = Count{0, 9}
	}
	if p, words := classify(total, many, false); p < 0.999 || p > 1 || len(words) != mostWords {
		t.Errorf("500 words of spam: %v by %d", p, len(words))
	}
	for i := range 500 {
		many[fmt.Sprint("ham", i)] = Count{9, 0}
	}
	if p, _ := classify(total, many, false); math.IsNaN(p) || p < 0 || p > 1 {
		t.Errorf("both at once: %v", p)
	}
	// Whoever is alone with a word does not teach the others.
	all := Count{Ham: 5, Spam: 5}
	if p, _ := classify(all, map[string]Count{"alone": {0, MinUsers - 1}}, true); p != 0.5 {
		t.Errorf("a word of two people: %v", p)
	}
	if p, _ := classify(all, map[string]Count{"shared": {0, MinUsers}}, true); p < 0.8 {
		t.Errorf("a word of three people: %v", p)
	}
	if p, _ := classify(Count{Ham: 2, Spam: 9}, map[string]Count{"shared": {0, 9}}, true); p != 0.5 {
		t.Errorf("two people's good mail: %v", p)
	}
	one, _ := classify(total, map[string]Count{"a": {0, 1}}, false)
	ten, _ := classify(total, map[string]Count{"a": {0, 10}}, false)
	if one >= ten || one <= 0.5 {
		t.Errorf("once %v, ten times %v", one, ten)
	}
}

func TestTokens(t *testing.T) {
	raw := "From: \"Big Shop\" <Sale@Shop.example>\r\nReply-To: x@other.example\r\nSubject: Free money now\r\nList-Id: News <news.shop.example>\r\nX-Odd: 1\r\nReceived: from a\r\n" +
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>\uff26\uff32\uff25\uff25 ca\u200bsino \u4e2d\u6587\u5b57 it's 2026 ab $100</p><img src=\"https://user@Pix.shop.example:8443/a?b\" width=\"1\">" +
		"<a href=http://192.0.2.1/x>x</a>\r\n--b\r\nContent-Type: application/zip; name=\"A.ZIP\"\r\n\r\nx\r\n--b--\r\n"
	got := sampleOf(t, []byte(raw)).Tokens()
	want := strings.Fields(`from:sale@shop.example from:shop.example from-name:big from-name:shop reply-to:x@other.example reply-to:other.example subject:free subject:money
		subject:free_money subject:now subject:money_now list:news.shop.example field:x-odd content-type:multipart/mixed type:multipart/mixed type:text/html type:application/zip
		file:.zip link:pix.shop.example link:shop.example link:address link:192.0.2.1 link:2.1 html:image html:pixel free casino 中文 文字 it's $100`)
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], "_", " ")
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// The time that a text takes grows with its length and no faster, and what comes of it is bounded.
func TestTokensAreBounded(t *testing.T) {
	for name, s := range map[string]Sample{
		"words":  {Text: strings.Repeat("word another different ", 100_000)},
		"links":  {HTML: strings.Repeat("http://a", 100_000)},
		"tags":   {HTML: strings.Repeat("<form ", 100_000)},
		"one":    {Text: strings.Repeat("a", 1<<20)},
		"zero":   {Text: strings.Repeat("\u200b", 1<<20)},
		"marks":  {Text: "e" + strings.Repeat("\u0301", 1<<19)},
		"han":    {Text: strings.Repeat("中文字", 100_000)},
		"broken": {Text: strings.Repeat("\xff\xfe", 1<<19), HTML: strings.Repeat("://\xff", 1<<17)},
	} {
		if got := s.Tokens(); len(got) > MaxTokens {
			t.Errorf("%s: %d tokens", name, len(got))
		}
	}
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, "word%d%s ", i, string(rune('a'+i%26)))
	}
	s := Sample{Text: b.String(), Fields: []Field{{"subject", "seen first"}}}
	if got := s.Tokens(); len(got) != MaxTokens || got[0] != "subject:seen" {
		t.Errorf("%d tokens, %q first", len(got), got[0])
	}
}

func FuzzTokens(f *testing.F) {
	f.Add([]byte("From: a@b\r\nSubject: x y\r\n\r\nhttp://x.example <form"))
	f.Add([]byte("Content-Type: text/html; charset=utf-7\r\n\r\n<p>\xff://"))
	f.Add([]byte("List-Id: <\r\nSubject: =?utf-8?q?=ff?=\r\n\r\n中文\u200b$"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got := sampleOf(t, raw).Tokens()
		if len(got) > MaxTokens {
			t.Fatalf("%d tokens", len(got))
		}
		seen := map[string]bool{}
		for _, w := range got {
			if w == "" || len(w) > maxWord || !utf8.ValidString(w) || seen[w] {
				t.Fatalf("the token %q", w)
			}
			seen[w] = true
		}
	})
}

func TestSources(t *testing.T) {
	pass := senderauth.SPFResult{Result: senderauth.Pass, Domain: "bounce.example"}
	aligned := senderauth.Results{DMARC: senderauth.Pass, Author: senderauth.DMARCResult{From: "example.org"}}
	for _, c := range []struct {
		f    Facts
		want string
	}{
		{Facts{FromAddress: "Ann@Example.org", Auth: aligned}, "from:ann@example.org domain:example.org"},
		{Facts{FromAddress: "ann@example.org", Auth: senderauth.Results{Author: senderauth.DMARCResult{From: "example.org", DKIMAligned: true}}}, "from:ann@example.org domain:example.org"},
		{Facts{FromAddress: "ann@example.org", ReversePath: "x@bounce.example", Auth: senderauth.Results{DMARC: senderauth.Fail, MailFrom: pass}}, "spf:bounce.example"},
		{Facts{Auth: senderauth.Results{HELO: pass}}, "spf:bounce.example"},
		{Facts{FromAddress: "ann@example.org", RemoteIP: netip.MustParseAddr("192.0.2.77")}, "ip:192.0.2.0/24"},
		{Facts{RemoteIP: netip.MustParseAddr("::ffff:192.0.2.77")}, "ip:192.0.2.0/24"},
		{Facts{RemoteIP: netip.MustParseAddr("2001:db8:1:2::9")}, "ip:2001:db8:1::/48"},
		{Facts{RemoteIP: netip.MustParseAddr("127.0.0.1"), Loopback: true}, ""},
		{Facts{Submitted: true, FromAddress: "Pilot@vezeuniqverse.com"}, "from:pilot@vezeuniqverse.com"},
	} {
		if got := strings.Join(Sources(c.f), " "); got != c.want {
			t.Errorf("%+v: %q, want %q", c.f, got, c.want)
		}
	}
}

func TestStanding(t *testing.T) {
	now := time.Now()
	src := []string{"from:a@b.example", "domain:b.example"}
	for _, c := range []struct {
		name     string
		own, all map[string]Standing
		want     string
	}{
		{"nothing known", nil, nil, ""},
		{"junked once", map[string]Standing{src[0]: {Spam: 1}}, nil, "sender_junked_by_you 2"},
		{"junked often", map[string]Standing{src[0]: {Spam: 9}}, nil, "sender_junked_by_you 4"},
		{"another of the domain junked", map[string]Standing{src[1]: {Spam: 1}}, nil, "sender_junked_by_you 1.2"},
		{"this one kept, the domain junked", map[string]Standing{src[0]: {Ham: 1}, src[1]: {Ham: 1, Spam: 5}}, nil, "sender_kept_by_you -2"},
		{"as many kept as junked", map[string]Standing{src[0]: {Ham: 2, Spam: 2}}, nil, ""},
		{"two people", nil, map[string]Standing{src[0]: {Spam: 2}}, ""},
		{"three people", nil, map[string]Standing{src[0]: {Spam: 3}}, "sender_junked_by_many 2"},
		{"not of one mind", nil, map[string]Standing{src[0]: {Spam: 3, Ham: 1}}, "sender_junked_by_many 1"},
		{"good to many", nil, map[string]Standing{src[1]: {Ham: 5}}, "sender_kept_by_many -1.2"},
		{"known", map[string]Standing{src[0]: {Seen: 5, First: now.Add(-8 * 24 * time.Hour)}}, nil, "sender_known -0.5"},
		{"known for an hour", map[string]Standing{src[0]: {Seen: 50, First: now.Add(-time.Hour)}}, nil, ""},
		{"mostly junk", map[string]Standing{src[0]: {Seen: 5, Junk: 3}}, nil, "sender_often_junk 1"},
	} {
		var got []string
		for _, r := range standing(now, src, c.own, c.all) {
			got = append(got, fmt.Sprint(r.Rule, " ", r.Score))
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestListed(t *testing.T) {
	proven := Facts{FromAddress: "ann@mail.example.org", ReversePath: "bounce@lists.example", Auth: senderauth.Results{DMARC: senderauth.Pass}}
	forged := proven
	forged.Auth = senderauth.Results{DMARC: senderauth.None, SPF: senderauth.Pass}
	allow := func(s string) Listed { return Listed{Sender: s, Allow: true} }
	block := func(s string) Listed { return Listed{Sender: s} }
	for _, c := range []struct {
		name string
		f    Facts
		list []Listed
		want string
	}{
		{"nothing", proven, nil, ""},
		{"somebody else", proven, []Listed{allow("bob@mail.example.org"), block("example.com")}, ""},
		{"the address", proven, []Listed{allow("ann@mail.example.org")}, ruleAllowed},
		{"the domain", proven, []Listed{allow("mail.example.org")}, ruleAllowed},
		{"the domain above", proven, []Listed{allow("example.org")}, ruleAllowed},
		{"forged", forged, []Listed{allow("example.org")}, ruleNotAllowed},
		{"forged and blocked", forged, []Listed{block("example.org")}, ruleBlocked},
		{"the reverse-path blocked", proven, []Listed{block("lists.example")}, ruleBlocked},
		{"the reverse-path does not allow", proven, []Listed{allow("lists.example")}, ""},
		{"the narrower wins", proven, []Listed{block("example.org"), allow("ann@mail.example.org")}, ruleAllowed},
		{"the narrower wins, the other way", proven, []Listed{allow("example.org"), block("ann@mail.example.org")}, ruleBlocked},
	} {
		r, _ := listed(c.f, c.list)
		if r.Rule != c.want {
			t.Errorf("%s: %+v, want %s", c.name, r, c.want)
		}
	}
	for in, want := range map[string]string{" Ann@Example.ORG ": "ann@example.org", "EXAMPLE.org.": "example.org", "b\u00fccher.example": "xn--bcher-kva.example", "@example.org": "example.org",
		"": "", "a b@example.org": "", "a@": "", "no domain": ""} {
		if got, err := CleanSender(in); got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

// Every reason that can be given has a sentence, within its points.
func TestCatalogue(t *testing.T) {
	seen := map[string]Rule{}
	for _, r := range Catalogue() {
		if _, twice := seen[r.Rule]; twice || r.Text == "" || r.Least > r.Most {
			t.Errorf("%+v", r)
		}
		seen[r.Rule] = r
	}
	everything := Facts{Auth: senderauth.Results{DMARC: senderauth.Fail, SPF: senderauth.Fail, DKIM: senderauth.Fail, Author: senderauth.DMARCResult{Policy: "reject"}}, HELO: "x.test", Domain: "x.test",
		Faults: []string{"many_from"}, Subject: "BUY THIS NOW!!!", FromName: "a@b.example", FromAddress: "a@c.example", ReplyDomain: "d.example", HTML: true, Malformed: true,
		Files: []string{"a.EXE"}, Now: time.Now(), Date: time.Unix(0, 0)}
	bare := everything
	bare.HELO, bare.FromAddress = "x", ""
	for _, r := range append(Score(everything), Score(bare)...) {
		if c, ok := seen[r.Rule]; !ok || r.Score < c.Least || r.Score > c.Most {
			t.Errorf("%+v is not in the catalogue as %+v", r, c)
		}
	}
}

func BenchmarkTokens(b *testing.B) {
	raw, err := os.ReadFile("testdata/spam/01.eml")
	if err != nil {
		b.Fatal(err)
	}
	raw = append(raw, bytes.Repeat([]byte("some more words of the text that stand here\r\n"), 80)...)
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		sampleOf(b, raw).Tokens()
	}
}

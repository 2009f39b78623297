package lint_test

import (
	"strings"
	"testing"
	"time"

	"uniqverse/services/email/lint"
	"uniqverse/services/email/mime"
)

func TestCheck(t *testing.T) {
	html := `<script>x</script><div style="display: flex"><img src="cid:a"><a href="http://a.example/">a</a><a href="https://evil.example/">https://bank.example/</a><a href="javascript:x">x</a><meta charset=utf-8>`
	raw := "From: a@b.example\r\nPrecedence: bulk\r\nContent-Type: text/html\r\n\r\n" + html + strings.Repeat("y", 1200) + "\r\nü\r\n"
	tree, err := mime.Scan(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	all, links := lint.Check(lint.Message{Tree: tree, Raw: strings.NewReader(raw), HTML: html, Date: now.Add(-72 * time.Hour), Received: now})
	titles := map[string]string{}
	for _, f := range all {
		titles[f.Title] = f.Level
	}
	for title, level := range map[string]string{"No plain text": "bad", "A line is too long": "bad", "8-bit bytes": "warn", "Dated back": "warn", "No List-Unsubscribe": "bad", "No Message-ID": "warn",
		"<script>": "warn", "CSS display:flex": "warn", "Images without alt": "warn"} {
		if titles[title] != level {
			t.Errorf("%s is %q, want %q in %v", title, titles[title], level, titles)
		}
	}
	if _, ok := titles["<meta>"]; ok {
		t.Error("a charset is held against it")
	}
	if len(links) != 3 || links[0].Odd != "not encrypted" || links[1].Odd != "shows bank.example and leads to evil.example" || links[2].Odd != "does not lead to a page" {
		t.Errorf("the links are %+v", links)
	}
}

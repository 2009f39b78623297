package email_test

import (
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"uniqverse/services/email/htmlmail"
	"uniqverse/services/email/jmap/message"
	"uniqverse/services/email/mime"
	"uniqverse/services/email/search"
	"uniqverse/smtpd/header"
	"uniqverse/smtpd/senderauth"
)

// What reads mail and requests does four times the work for four times the input, whatever that is made of. The work is counted
// by what is allocated, which is the same on every machine; a loop that allocates nothing would still have to end.
func TestWorkGrowsWithTheInput(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector allocates, too")
	}
	readers := map[string]func(s string){
		"mime.Addresses":   func(s string) { mime.Addresses(s, 1<<30) },
		"mime.Header":      func(s string) { mime.Header(s) },
		"mime.MessageIDs":  func(s string) { mime.MessageIDs(s) },
		"mime.BaseSubject": func(s string) { mime.BaseSubject(s) },
		"mime.Scan":        func(s string) { mime.Scan(strings.NewReader(s)) },
		"a multipart": func(s string) {
			mime.Scan(strings.NewReader("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n" + s))
		},
		"Content-Type": func(s string) {
			mime.Scan(strings.NewReader("Content-Type: text/plain" + strings.ReplaceAll(s, "\r\n", "") + "\r\n\r\nx"))
		},
		"jmap/message.Addresses": func(s string) { message.Addresses(s) },
		"jmap/message.Groups":    func(s string) { message.Groups(s) },
		"header.Fields":          func(s string) { b := []byte(s); header.Fields(b[:header.End(b)]) },
		"senderauth.ParseDMARC":  func(s string) { senderauth.ParseDMARC("v=DMARC1; p=none; " + s) },
		"search.Parse":           func(s string) { search.Parse(s, time.Time{}) },
		"htmlmail.Text":          func(s string) { htmlmail.Text(s, 1<<30) },
		"htmlmail.Clean":         func(s string) { htmlmail.Clean(s, htmlmail.Images{}) },
	}
	pieces := []string{"(", "()", "<", ">", `"`, `\`, `"\`, ",", ";", "@", ".", "-", " ", "a@b,", "a:", "a ", `"a" `, "<a@b>", "g:a@b;", "(a)@", "=?", "=?utf-8?q?a?= ", "=?utf-8?b?",
		"\r\n", "\r\n ", "--a\r\n", "A: b\r\n", "; a*0=b", "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n", "or ", "from:", `-("`, "re: ", "p=none;", "rua=mailto:a@b.c,",
		"<a>", "</a>", "<a ", "<a b='c' ", "<font><a>", "<b>", "<table>", "<style>", "a{}", "<p style='background:url(", "<!--", "&", "&amp;"}
	const small, large = 8 << 10, 32 << 10
	for name, read := range readers {
		for _, piece := range pieces {
			few := allocated(read, strings.Repeat(piece, small/len(piece)))
			bound, many := 7*few+256<<10, uint64(math.MaxUint64)
			for try := 0; try < 10 && many > bound; try++ { // what a test before this one left running allocates, too
				many = min(many, allocated(read, strings.Repeat(piece, large/len(piece))))
			}
			if many > bound {
				t.Errorf("%s of %q: %d bytes of work for %d, and %d for %d", name, piece, few, small, many, large)
			}
		}
	}
}

// allocated is how many bytes a reader allocates for an input.
func allocated(read func(string), s string) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	read(s)
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A reader that is asked for a little of a long message reads no more than once through it.
func TestScanReadsOnce(t *testing.T) {
	for _, body := range []string{strings.Repeat("x", 1<<20), strings.Repeat("--a\r\n\r\n", 100_000), strings.Repeat("--a\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n", 20_000)} {
		text := "Content-Type: multipart/mixed; boundary=a\r\n\r\n" + body
		r := &metered{r: strings.NewReader(text)}
		if _, err := mime.Scan(r); err != nil {
			t.Fatal(err)
		}
		if r.n > len(text) {
			t.Errorf("%d bytes were read of %d", r.n, len(text))
		}
	}
}

// metered counts what is read.
type metered struct {
	r io.Reader
	n int
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.n += n
	return n, err
}

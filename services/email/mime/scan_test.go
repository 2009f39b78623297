package mime_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"uniqverse/services/email/mime"
)

var update = flag.Bool("update", false, "write the .want files anew")

const corpus = "../../../testdata/mail"

// describe writes everything that was understood of a message.
func describe(t *testing.T, raw []byte) string {
	t.Helper()
	tree, err := mime.Scan(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "subject: %q\n", mime.Header(tree.Get("Subject")))
	for _, name := range []string{"From", "To", "Cc"} {
		for _, a := range mime.Addresses(tree.Get(name), 10) {
			fmt.Fprintf(&b, "%s: name %q address %q\n", strings.ToLower(name), a.Name, a.Addr)
		}
	}
	if d := mime.Date(tree.Get("Date")); !d.IsZero() {
		fmt.Fprintf(&b, "date: %s\n", d.Format("2006-01-02 15:04:05"))
	}
	src := bytes.NewReader(raw)
	for i, p := range tree.Parts {
		fmt.Fprintf(&b, "part %d in %d: %s", i, p.Parent, p.Type)
		for _, kv := range [][2]string{{"charset", p.Charset}, {"encoding", p.Encoding}, {"disposition", p.Disposition}, {"name", p.Name}, {"id", p.ContentID}} {
			if kv[1] != "" {
				fmt.Fprintf(&b, " %s=%q", kv[0], kv[1])
			}
		}
		fmt.Fprintf(&b, " [%d,%d)\n", p.BodyStart, p.End)
		if p.IsMultipart() {
			continue
		}
		text, faults, err := p.Text(src, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range faults {
			if strings.HasPrefix(p.Type, "text/") {
				tree.Fault(f)
			}
		}
		fmt.Fprintf(&b, "  %q\n", text)
	}
	fmt.Fprintf(&b, "faults: %s\n", strings.Join(tree.Faults, " "))
	return b.String()
}

func TestCorpus(t *testing.T) {
	files, err := filepath.Glob(corpus + "/mime-*.eml")
	if err != nil || len(files) < 20 {
		t.Fatalf("found %d mails, %v", len(files), err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got := describe(t, raw)
		wantFile := strings.TrimSuffix(file, ".eml") + ".want"
		if *update {
			if err := os.WriteFile(wantFile, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(wantFile)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s:\n%s\nwant\n%s", filepath.Base(file), got, want)
		}
	}
}

// The sizes below are such that work which grows with the square of the input would run into
// the time limit of the whole test, not merely be slower.
func TestBombs(t *testing.T) {
	nested := func(n int, closed bool) []byte {
		var b bytes.Buffer
		b.WriteString("Subject: nested\r\nContent-Type: multipart/mixed; boundary=b0\r\n\r\n")
		for i := range n {
			fmt.Fprintf(&b, "--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n", i, i+1)
		}
		fmt.Fprintf(&b, "--b%d\r\n\r\ninnermost\r\n", n)
		for i := n; closed && i >= 0; i-- {
			fmt.Fprintf(&b, "--b%d--\r\n", i)
		}
		return b.Bytes()
	}
	flat := "Content-Type: multipart/mixed; boundary=x\r\n\r\n"
	for _, c := range []struct {
		name  string
		raw   []byte
		parts int
		fault string
	}{
		{"40000 nested multiparts", nested(40_000, false), mime.MaxDepth + 1, mime.FaultDepth},
		{"40000 nested and closed", nested(40_000, true), mime.MaxDepth + 1, mime.FaultDepth},
		{"as deep as allowed", nested(mime.MaxDepth-1, true), mime.MaxDepth + 1, ""},
		{"300000 parts", []byte(flat + strings.Repeat("--x\r\n\r\n\r\n", 300_000) + "--x--\r\n"), mime.MaxParts, mime.FaultParts},
		{"a line of 8 MB", []byte("Subject: long\r\n\r\n" + strings.Repeat("x", 8<<20)), 1, ""},
		{"a field of 8 MB", []byte("Subject: " + strings.Repeat("x", 8<<20) + "\r\n\r\nbody"), 1, mime.FaultHeaderSize},
		{"300000 fields", []byte(strings.Repeat("X: y\r\n", 300_000) + "\r\nbody"), 1, mime.FaultHeaderSize},
		{"300000 part headers", []byte(flat + "--x\r\n" + strings.Repeat("X: y\r\n", 300_000) + "\r\nbody\r\n--x--\r\n"), 2, mime.FaultHeaderSize},
		{"dashes", []byte(flat + strings.Repeat("--\r\n", 1_000_000)), 1, mime.FaultNoParts},
	} {
		tree, err := mime.Scan(bytes.NewReader(c.raw))
		if err != nil {
			t.Fatal(err)
		}
		if len(tree.Parts) != c.parts || tree.Size != int64(len(c.raw)) {
			t.Errorf("%s: %d parts of %d bytes, want %d of %d", c.name, len(tree.Parts), tree.Size, c.parts, len(c.raw))
		}
		if got := strings.Join(tree.Faults, " "); c.fault != "" && !strings.Contains(got, c.fault) || c.fault == "" && got != "" {
			t.Errorf("%s: faults %q, want %q", c.name, got, c.fault)
		}
	}
}

func TestFieldBombs(t *testing.T) {
	for name, s := range map[string]string{
		"words without end": strings.Repeat("=?a?b? ", 1<<20),
		"words":             strings.Repeat("=?utf-8?Q?x?=", 1<<20),
		"brackets":          strings.Repeat("<(\"", 1<<20),
		"commas":            strings.Repeat(",", 2<<20),
		"params":            "text/plain" + strings.Repeat(";a*0*=x;b=y", 1<<20),
		"colons":            strings.Repeat("a:", 1<<20),
	} {
		raw := []byte("Subject: " + s[:min(len(s), 500<<10)] + "\r\nFrom: x\r\n\r\n")
		tree, err := mime.Scan(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if got := mime.Header(tree.Get("Subject")); len(got) > 64<<10 {
			t.Errorf("%s: a value of %d bytes came out", name, len(got))
		}
		mime.Addresses(s, 1000)
		mime.Date(s)
		if _, err := mime.Scan(strings.NewReader("Content-Type: " + s[:min(len(s), 400<<10)] + "\r\n\r\nx")); err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever is in a message, the parts lie within it, in each other, and no fault is a panic.
func FuzzMIME(f *testing.F) {
	files, _ := filepath.Glob(corpus + "/*.eml")
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if len(raw) < 64<<10 {
			f.Add(raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		tree, err := mime.Scan(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if tree.Size != int64(len(raw)) || len(tree.Parts) == 0 || len(tree.Parts) > mime.MaxParts {
			t.Fatalf("%d parts, %d bytes of %d", len(tree.Parts), tree.Size, len(raw))
		}
		src := bytes.NewReader(raw)
		for i, p := range tree.Parts {
			if p.HeaderStart > p.BodyStart || p.BodyStart > p.End || p.End > tree.Size || p.Parent >= i || p.Depth > mime.MaxDepth {
				t.Fatalf("part %d is %+v", i, p)
			}
			if i > 0 {
				if up := tree.Parts[p.Parent]; p.HeaderStart < up.BodyStart || p.End > up.End || !up.IsMultipart() {
					t.Fatalf("part %d %+v is not within %+v", i, p, up)
				}
			}
			text, _, err := p.Text(src, 4096)
			if err != nil {
				t.Fatal(err)
			}
			if strings.ToValidUTF8(text, "") != text || strings.ContainsRune(text, 0) {
				t.Fatalf("part %d is not clean text: %q", i, text)
			}
		}
		for _, field := range tree.Header {
			v := mime.Value(field)
			if h := mime.Header(v); strings.ContainsAny(h, "\r\n\x00") || strings.ToValidUTF8(h, "") != h {
				t.Fatalf("field %q decodes to %q", v, h)
			}
			mime.Addresses(v, 20)
			mime.Date(v)
		}
	})
}

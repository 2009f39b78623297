package ws_test

import (
	"bufio"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"uniqverse/internal/ws"
)

// FuzzFrames sends arbitrary bytes after a valid handshake. Whatever they are, the server
// answers with well-formed frames, tells its handler only whole messages within the limits,
// and lets go of the connection.
func FuzzFrames(f *testing.F) {
	b, err := os.ReadFile("testdata/frames.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if p := strings.Split(line, "|"); len(p) == 3 && line[0] != '#' {
			raw, err := hex.DecodeString(strings.ReplaceAll(p[1], " ", ""))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw)
		}
	}
	o := ws.EdgeOptions{CloseWait: 20 * time.Millisecond, Spread: 1}
	over := make(chan ws.Code, 1000)
	s := serve(f, o, ws.Options{ReadLimit: 1000, Rate: -1}, func(c *ws.Conn) {
		c.Start(func(b []byte) {
			if len(b) > 1000 || !validUTF8(b) {
				f.Errorf("a message of %d bytes reached the handler", len(b))
			}
			c.Push(b)
		}, func(code ws.Code, _ string) { over <- code })
	})
	f.Fuzz(func(t *testing.T, raw []byte) {
		c := s.dialRaw(t)
		c.br = bufio.NewReaderSize(c.br, 512)
		go func() {
			c.Write(raw)
			c.Conn.(interface{ CloseWrite() error }).CloseWrite()
		}()
		for {
			op, p, err := c.frame()
			if err != nil {
				if strings.HasPrefix(err.Error(), "frame") {
					t.Errorf("the server sent nonsense: %v", err)
				}
				break
			}
			switch op {
			case 1:
				if !validUTF8(p) {
					t.Errorf("text that is not UTF-8: %q", p)
				}
			case 8, 9, 10:
				if len(p) > 125 || (op == 8 && len(p) == 1) {
					t.Errorf("control frame %d with %d bytes", op, len(p))
				}
			default:
				t.Errorf("opcode %d", op)
			}
		}
		c.Close()
		select {
		case <-over:
		case <-time.After(patience):
			t.Fatal("the server keeps the connection")
		}
	})
}

func validUTF8(b []byte) bool { return strings.ToValidUTF8(string(b), "") == string(b) }

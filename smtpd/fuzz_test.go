package smtpd_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"uniqverse/smtpd"
)

// script is a peer without a network: each Read gives the next piece of what it has to say,
// so a piece is sent after everything before it was answered.
type script struct {
	pieces [][]byte
	said   bytes.Buffer
	closed chan struct{}
}

func (s *script) Read(p []byte) (int, error) {
	for len(s.pieces) > 0 && len(s.pieces[0]) == 0 {
		s.pieces = s.pieces[1:]
	}
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.pieces[0])
	s.pieces[0] = s.pieces[0][n:]
	return n, nil
}

func (s *script) Write(p []byte) (int, error) { return s.said.Write(p) }

func (s *script) Close() error {
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	return nil
}

func (s *script) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 25} }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000} }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// stage is a listener that scripts walk on.
type stage struct {
	next chan net.Conn
	done chan struct{}
}

func (s *stage) Accept() (net.Conn, error) {
	select {
	case c := <-s.next:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

func (s *stage) Close() error {
	select {
	case <-s.done:
	default:
		close(s.done)
	}
	return nil
}

func (s *stage) Addr() net.Addr { return &net.TCPAddr{} }

// FuzzSession gives a whole session to the server; 0xFE ends a piece. Whatever comes: every
// reply is well formed, what was acknowledged was stored and nothing else, and what was stored
// has CRLF and nothing else for line ends.
func FuzzSession(f *testing.F) {
	const hello = "EHLO x\r\nMAIL FROM:<a@client.test>\r\nRCPT TO:<pilot@mail.test>\r\n"
	f.Add([]byte(hello + "DATA\r\n\xfeSubject: x\r\n\r\n..\r\n.\r\nQUIT\r\n"))
	f.Add([]byte(hello + "DATA\r\n\xfea\n.\r\nMAIL FROM:<b@b.test>\r\n.\r\nNOOP\r\n"))
	f.Add([]byte(hello + "DATA\r\n\xfea\r\n.\r\r\nb\r\n.\xfe\r\nNOOP\r\n"))
	f.Add([]byte(hello + "BDAT 3\r\na\r\n\xfeBDAT 2 LAST\r\n.\rNOOP\r\nRSET\r\n"))
	f.Add([]byte(hello + "BDAT 1\r\naRSET\r\n" + hello))
	f.Add([]byte(hello + "BDAT 9999 LAST\r\nabc"))
	f.Add([]byte(hello + "DATA\r\n\xfe" + strings.Repeat("x", 300) + "\r\n.\r\n" + hello))
	for _, name := range dialogueLines(f) {
		f.Add([]byte(name))
	}
	st := &stage{next: make(chan net.Conn), done: make(chan struct{})}
	be := &backend{}
	srv, err := smtpd.New(smtpd.Options{
		Listeners: []smtpd.Listener{{Listener: st}}, Domain: domain, Backend: be, SpoolDir: f.TempDir(),
		Limits: smtpd.Limits{MessageBytes: 4000, MemoryBytes: 300, HeaderBytes: 200, BodyLine: 200, BannerPause: 1},
	})
	if err != nil {
		f.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- srv.Serve(context.Background()) }()
	f.Cleanup(func() {
		srv.Shutdown(context.Background())
		<-over
	})
	reply := regexp.MustCompile(`^[2-5][0-9][0-9][ -][ -~]*$`)
	f.Fuzz(func(t *testing.T, input []byte) {
		s := &script{pieces: bytes.Split(bytes.Clone(input), []byte{0xfe}), closed: make(chan struct{})}
		be.mu.Lock()
		be.mails = nil
		be.mu.Unlock()
		st.next <- s
		<-s.closed
		text := s.said.String()
		for line := range strings.SplitSeq(strings.TrimSuffix(text, "\r\n"), "\r\n") {
			if !reply.MatchString(line) {
				t.Errorf("reply %q", line)
			}
		}
		mails := be.all()
		if n := strings.Count(text, "250 2.0.0 queued as"); n != len(mails) {
			t.Errorf("%d mails were acknowledged and %d stored", n, len(mails))
		}
		for _, m := range mails {
			rest := strings.ReplaceAll(m.raw, "\r\n", "")
			if strings.ContainsAny(rest, "\r\n\x00") {
				t.Errorf("stored %q", m.raw)
			}
			if len(m.env.Recipients) == 0 || m.size > 4000 {
				t.Errorf("stored for %v, %d bytes", m.env.Recipients, m.size)
			}
		}
	})
}

// dialogueLines takes the client's side of the dialogues as seeds.
func dialogueLines(f *testing.F) []string {
	files, err := filepath.Glob("../testdata/smtp/*.dlg")
	if err != nil {
		f.Fatal(err)
	}
	var seeds []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for part := range strings.SplitSeq(string(text), "\n=== ") {
			var seed strings.Builder
			for line := range strings.SplitSeq(part, "\n") {
				word, rest, _ := strings.Cut(line, " ")
				if word == "HELLO" || word == "START" {
					seed.WriteString("EHLO x\r\n")
				}
				if word == "START" {
					seed.WriteString("MAIL FROM:<a@client.test>\r\nRCPT TO:<pilot@mail.test>\r\n")
				}
				if s, err := strconv.Unquote(`"` + rest + `"`); err == nil && (word == "C:" || word == "C~") {
					seed.WriteString(s)
					if word == "C:" {
						seed.WriteString("\r\n\xfe")
					}
				}
			}
			seeds = append(seeds, seed.String())
		}
	}
	return seeds
}

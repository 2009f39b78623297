package pop3

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"uniqverse/internal/errs"
)

// maxLine is how long a command may be with its line end, in bytes: RFC 2449 allows 255, an AUTH answer more.
const maxLine = 2048

// session is one connection.
type session struct {
	srv      *Server
	conn     net.Conn
	in       *bufio.Reader
	out      *bufio.Writer
	log      *slog.Logger
	secure   bool
	loopback bool
	until    time.Time // the end of the whole session

	name    string // of USER
	user    string // local part, once signed in
	items   []Item
	deleted []bool
	errors  int
	failed  int // wrong passwords
}

func newSession(srv *Server, c net.Conn, addr netip.Addr, secure bool) *session {
	if secure {
		c = tls.Server(c, srv.o.TLS)
	}
	s := &session{srv: srv, secure: secure, loopback: addr.IsLoopback(), until: time.Now().Add(srv.o.Limits.Session), log: srv.o.Log.With("peer", addr.String())}
	s.use(c)
	return s
}

func (s *session) use(c net.Conn) {
	s.conn, s.in, s.out = c, bufio.NewReaderSize(c, maxLine), bufio.NewWriterSize(writer{c, s.srv.o.Limits.Write}, 16<<10)
}

// writer gives each write its time.
type writer struct {
	net.Conn
	time time.Duration
}

func (w writer) Write(b []byte) (int, error) {
	if err := w.SetWriteDeadline(time.Now().Add(w.time)); err != nil {
		return 0, err
	}
	return w.Conn.Write(b)
}

// errBye ends a session that is over.
var errBye = errors.New("bye")

// run speaks with the peer until one of the two has enough.
func (s *session) run(ctx context.Context) {
	defer func() {
		if s.user != "" {
			s.srv.unlock(s.user)
		}
	}()
	if c, ok := s.conn.(*tls.Conn); ok && !s.shakeHands(ctx, c) {
		return
	}
	s.ok("%s POP3 is ready", s.srv.o.Name)
	for {
		if s.in.Buffered() == 0 && s.out.Flush() != nil { // answers to pipelined commands leave together
			return
		}
		line, err := s.line()
		if err != nil {
			var t net.Error
			if errors.Is(err, bufio.ErrBufferFull) {
				s.err("", "the line is too long")
			} else if errors.As(err, &t) && t.Timeout() {
				s.err("SYS/TEMP", "nothing came for too long, or the server goes down")
			}
			s.out.Flush()
			return
		}
		if err := s.command(ctx, line); err != nil {
			s.out.Flush()
			return
		}
		if s.errors > s.srv.o.Limits.Errors {
			s.err("", "too many errors")
			s.out.Flush()
			return
		}
	}
}

// shakeHands begins TLS, within ten seconds.
func (s *session) shakeHands(ctx context.Context, c *tls.Conn) bool {
	hand, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := c.HandshakeContext(hand); err != nil {
		s.log.Debug("POP3: TLS failed", "err", err.Error())
		return false
	}
	return true
}

// line reads a command without its line end.
func (s *session) line() (string, error) {
	s.srv.mu.Lock() // a drain that has begun must not be waited out
	deadline := time.Now().Add(s.srv.o.Limits.Idle)
	if deadline.After(s.until) {
		deadline = s.until
	}
	if s.srv.ending {
		deadline = time.Now()
	}
	err := s.conn.SetReadDeadline(deadline)
	s.srv.mu.Unlock()
	if err != nil {
		return "", err
	}
	b, err := s.in.ReadSlice('\n')
	if err != nil {
		return "", err // half a line is no command
	}
	return string(bytes.TrimRight(b, "\r\n")), nil
}

func (s *session) ok(format string, args ...any) {
	fmt.Fprintf(s.out, "+OK "+format+"\r\n", args...)
}

func (s *session) err(code, format string, args ...any) {
	s.errors++
	if code != "" {
		code = "[" + code + "] "
	}
	fmt.Fprintf(s.out, "-ERR "+code+format+"\r\n", args...)
}

// command answers one command; an error ends the session.
func (s *session) command(ctx context.Context, line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	verb, rest = strings.ToUpper(verb), strings.TrimSpace(rest)
	switch verb {
	case "CAPA":
		s.capabilities()
		return nil
	case "NOOP":
		s.ok("still here")
		return nil
	case "QUIT":
		return s.quit(ctx)
	}
	if s.user == "" {
		return s.authorization(ctx, verb, rest)
	}
	return s.transaction(ctx, verb, rest)
}

func (s *session) capabilities() {
	s.ok("capabilities follow")
	list := []string{"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "UTF8"}
	if s.mayPassword() && s.user == "" {
		list = append(list, "USER", "SASL PLAIN")
	}
	if !s.secure && s.user == "" {
		list = append(list, "STLS")
	}
	list = append(list, "IMPLEMENTATION UniQVerse")
	fmt.Fprintf(s.out, "%s\r\n.\r\n", strings.Join(list, "\r\n"))
}

// mayPassword reports whether a password can be sent without others reading it.
func (s *session) mayPassword() bool { return s.secure || s.loopback }

// authorization answers what may be said before a user is known.
func (s *session) authorization(ctx context.Context, verb, rest string) error {
	switch verb {
	case "STLS":
		return s.startTLS(ctx, rest)
	case "USER":
		switch {
		case !s.mayPassword():
			s.err("", "a password is taken over TLS alone: say STLS first")
		case rest == "":
			s.err("", "USER wants a name: your address, or what stands before its @")
		default:
			s.name = rest
			s.ok("and the app password?")
		}
	case "PASS":
		if s.name == "" {
			s.err("", "say USER first")
			return nil
		}
		name := s.name
		s.name = ""
		return s.login(ctx, name, rest)
	case "AUTH":
		return s.authPlain(ctx, rest)
	case "APOP":
		s.err("", "APOP is not offered; use USER and PASS over TLS")
	case "STAT", "LIST", "RETR", "DELE", "RSET", "UIDL", "TOP":
		s.err("", "sign in first, with USER and PASS")
	case "UTF8":
		s.ok("as you like it")
	default:
		s.err("", "this command is not known; CAPA lists what is")
	}
	return nil
}

func (s *session) startTLS(ctx context.Context, rest string) error {
	if s.secure || rest != "" {
		s.err("", "STLS stands alone, and once")
		return nil
	}
	s.ok("begin TLS")
	if err := s.out.Flush(); err != nil {
		return err
	}
	if s.in.Buffered() > 0 { // said before TLS, to be obeyed after it: somebody in between (CVE-2011-0411 and its kin)
		return errBye
	}
	c := tls.Server(s.conn, s.srv.o.TLS)
	if !s.shakeHands(ctx, c) {
		return errBye
	}
	s.use(c)
	s.secure, s.name = true, ""
	return nil
}

func (s *session) authPlain(ctx context.Context, rest string) error {
	mech, initial, _ := strings.Cut(rest, " ")
	switch {
	case rest == "":
		s.ok("mechanisms follow")
		if s.mayPassword() {
			fmt.Fprint(s.out, "PLAIN\r\n")
		}
		fmt.Fprint(s.out, ".\r\n")
		return nil
	case !strings.EqualFold(mech, "PLAIN"):
		s.err("", "only AUTH PLAIN is offered")
		return nil
	case !s.mayPassword():
		s.err("", "a password is taken over TLS alone: say STLS first")
		return nil
	case initial == "":
		fmt.Fprint(s.out, "+ \r\n")
		if err := s.out.Flush(); err != nil {
			return err
		}
		line, err := s.line()
		if err != nil {
			return err
		}
		initial = line
	}
	raw, err := base64.StdEncoding.DecodeString(initial)
	parts := strings.Split(string(raw), "\x00")
	if err != nil || len(parts) != 3 || parts[0] != "" && parts[0] != parts[1] {
		s.err("AUTH", "that is no AUTH PLAIN answer")
		return nil
	}
	return s.login(ctx, parts[1], parts[2])
}

// login signs the user in and reads their maildrop.
func (s *session) login(ctx context.Context, name, password string) error {
	user, err := s.srv.o.Mail.Login(ctx, name, password)
	switch {
	case errs.Is(err, errs.Unauthenticated) || errs.Is(err, errs.Limited):
		s.srv.failures.Inc()
		s.failed++
		select { // guessing takes its time
		case <-time.After(time.Duration(s.failed) * 300 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
		s.err("AUTH", "the name or the app password is wrong; make an app password at the portal's account page")
		if s.failed >= s.srv.o.Limits.Failures {
			return errBye
		}
		return nil
	case err != nil:
		s.log.Error("POP3: sign-in failed", "err", err.Error())
		s.err("SYS/TEMP", "sign-in is not possible now; try again later")
		return nil
	}
	if !s.srv.lock(user) {
		s.err("IN-USE", "another program reads this maildrop; try again when it is done")
		return nil
	}
	items, err := s.srv.o.Mail.Maildrop(ctx, user)
	if err != nil {
		s.srv.unlock(user)
		s.log.Error("POP3: the maildrop cannot be read", "user", user, "err", err.Error())
		s.err("SYS/TEMP", "the maildrop cannot be read now; try again later")
		return nil
	}
	s.user, s.items, s.deleted = user, items, make([]bool, len(items))
	n, size := s.stat()
	s.ok("%d messages, %d bytes", n, size)
	return nil
}

// stat returns how many messages there are that are not deleted, and their size.
func (s *session) stat() (n int, size int64) {
	for i, it := range s.items {
		if !s.deleted[i] {
			n, size = n+1, size+it.Size
		}
	}
	return n, size
}

// message reads a message number; it answers when there is none.
func (s *session) message(text string) (i int, ok bool) {
	n, err := strconv.Atoi(text)
	switch {
	case err != nil || n < 1 || n > len(s.items):
		s.err("", "there is no such message; there are %d", len(s.items))
	case s.deleted[n-1]:
		s.err("", "message %d is deleted; RSET brings it back", n)
	default:
		return n - 1, true
	}
	return 0, false
}

// transaction answers what a signed-in user may say.
func (s *session) transaction(ctx context.Context, verb, rest string) error {
	switch verb {
	case "STAT":
		n, size := s.stat()
		s.ok("%d %d", n, size)
	case "LIST":
		s.list(rest, func(it Item) string { return strconv.FormatInt(it.Size, 10) })
	case "UIDL":
		s.list(rest, func(it Item) string { return it.UID })
	case "RETR":
		if i, ok := s.message(rest); ok {
			return s.retrieve(ctx, i, -1)
		}
	case "TOP":
		number, lines, _ := strings.Cut(rest, " ")
		n, err := strconv.Atoi(strings.TrimSpace(lines))
		if err != nil || n < 0 {
			s.err("", "TOP wants the number of a message and how many lines of its text")
			return nil
		}
		if i, ok := s.message(number); ok {
			return s.retrieve(ctx, i, n)
		}
	case "DELE":
		if i, ok := s.message(rest); ok {
			s.deleted[i] = true
			s.ok("message %d goes to the trash at QUIT", i+1)
		}
	case "RSET":
		clear(s.deleted)
		s.ok("nothing is deleted")
	case "USER", "PASS", "AUTH", "STLS", "APOP":
		s.err("", "you are signed in")
	default:
		s.err("", "this command is not known; CAPA lists what is")
	}
	return nil
}

// list answers LIST and UIDL.
func (s *session) list(rest string, value func(Item) string) {
	if rest != "" {
		if i, ok := s.message(rest); ok {
			s.ok("%d %s", i+1, value(s.items[i]))
		}
		return
	}
	n, size := s.stat()
	s.ok("%d messages, %d bytes", n, size)
	for i, it := range s.items {
		if !s.deleted[i] {
			fmt.Fprintf(s.out, "%d %s\r\n", i+1, value(it))
		}
	}
	fmt.Fprint(s.out, ".\r\n")
}

// retrieve sends a message, or its header and the first lines of its text.
func (s *session) retrieve(ctx context.Context, i, lines int) error {
	raw, c, err := s.srv.o.Mail.Open(ctx, s.items[i].RawID)
	if err != nil {
		if !errs.Is(err, errs.NotFound) {
			s.log.Error("POP3: a message cannot be read", "user", s.user, "err", err.Error())
		}
		s.err("SYS/TEMP", "the message cannot be read; it may have been deleted elsewhere")
		return nil
	}
	defer c.Close()
	s.ok("%d bytes", s.items[i].Size)
	dots := textproto.NewWriter(s.out).DotWriter()
	src := io.MultiReader(bytes.NewReader(raw.Prepended), c.All())
	if lines >= 0 {
		err = head(dots, src, lines)
	} else {
		_, err = io.Copy(dots, src)
	}
	if e := dots.Close(); err == nil {
		err = e
	}
	if err == nil && lines < 0 {
		s.srv.retrieved.Inc()
	}
	return err // half a message must not look like a whole one: the session ends
}

// head copies a header and the first lines of the text behind it.
func head(dst io.Writer, src io.Reader, lines int) error {
	r := bufio.NewReaderSize(src, 64<<10)
	body, start := false, true // start: at the begin of a line
	for !body || lines > 0 {
		b, err := r.ReadSlice('\n')
		if _, e := dst.Write(b); e != nil {
			return e
		}
		whole := err == nil
		switch {
		case !body && start && len(bytes.TrimRight(b, "\r\n")) == 0:
			body = true
		case body && whole:
			lines--
		}
		start = whole
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
	return nil
}

// quit moves what was deleted to the trash and says good-bye.
func (s *session) quit(ctx context.Context) error {
	var ids []int64
	for i, it := range s.items {
		if s.deleted[i] {
			ids = append(ids, it.ID)
		}
	}
	if len(ids) > 0 {
		if err := s.srv.o.Mail.Discard(ctx, s.user, ids); err != nil {
			s.log.Error("POP3: messages could not be deleted", "user", s.user, "err", err.Error())
			s.err("SYS/TEMP", "some deleted messages were not removed")
			return errBye
		}
	}
	s.ok("good-bye")
	return errBye
}

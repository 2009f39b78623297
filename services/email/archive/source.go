package archive

import (
	"archive/zip"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"os"
	"path"
	"strings"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/services/email"
	"uniqverse/smtpd/header"
)

// Message is one message of a file.
type Message struct {
	Raw      []byte // with CRLF line ends
	Received time.Time
	SaysRead bool // Read is what the file says
	Read     bool
	Starred  bool
	Answered bool
	Labels   []string
}

func (m Message) reader() io.Reader { return bytes.NewReader(m.Raw) }

// fatal is an error after which nothing more can be read from the file.
type fatal struct{ error }

// source gives the messages of a file one after the other, then io.EOF. An error that is not fatal is about one message.
type source interface {
	Next() (Message, error)
	Close() error
}

// open returns the messages of a body.
func open(contentType string, body io.Reader) (source, error) {
	typ, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, errs.New(errs.Unsupported, "Content-Type must be message/rfc822, application/mbox or application/zip")
	}
	switch typ {
	case "message/rfc822":
		return &single{body: body}, nil
	case "application/mbox":
		return newMbox(body), nil
	case "application/zip":
		return openZip(body)
	}
	return nil, errs.New(errs.Unsupported, "Content-Type must be message/rfc822, application/mbox or application/zip")
}

// broken is what a body that cannot be read any further leads to.
func broken(err error) error {
	if errs.Is(err, errs.TooLarge) {
		return &fatal{err}
	}
	return &fatal{errs.Wrap(errs.Malformed, err, "the file ends too early or cannot be read; what was read before is in the folder")}
}

func tooLarge() error {
	return errs.New(errs.TooLarge, "it is larger than %d MB", email.MaxAppend>>20)
}

// single is a body that is one message.
type single struct {
	body io.Reader
	done bool
}

func (s *single) Close() error { return nil }

func (s *single) Next() (Message, error) {
	if s.done {
		return Message{}, io.EOF
	}
	s.done = true
	raw, err := io.ReadAll(io.LimitReader(s.body, email.MaxAppend+1))
	if err != nil {
		return Message{}, broken(err)
	}
	if len(raw) > email.MaxAppend {
		return Message{}, &fatal{tooLarge()}
	}
	if len(raw) == 0 {
		return Message{}, &fatal{errs.New(errs.Malformed, "the body is empty; send the message")}
	}
	m := Message{Raw: crlf(raw)}
	m.date(time.Time{})
	return m, nil
}

// crlf gives every line end the form that mail has.
func crlf(b []byte) []byte {
	if !bytes.Contains(b, []byte("\n")) || bytes.Count(b, []byte("\n")) == bytes.Count(b, []byte("\r\n")) {
		return b
	}
	out := make([]byte, 0, len(b)+bytes.Count(b, []byte("\n")))
	for i, c := range b {
		if c == '\n' && (i == 0 || b[i-1] != '\r') {
			out = append(out, '\r')
		}
		out = append(out, c)
	}
	return out
}

// date finds out when a message arrived: what the file says, else its newest Received field, else its Date.
func (m *Message) date(said time.Time) {
	if m.Received = said; !said.IsZero() {
		return
	}
	head := m.Raw[:header.End(m.Raw)]
	var written time.Time
	for _, f := range header.Fields(head) {
		switch {
		case f.Is("Received"):
			v := f.Value()
			if i := strings.LastIndexByte(v, ';'); i >= 0 {
				if t, err := mail.ParseDate(strings.TrimSpace(v[i+1:])); err == nil {
					m.Received = sane(t)
					return
				}
			}
		case f.Is("Date") && written.IsZero():
			if t, err := mail.ParseDate(strings.TrimSpace(f.Value())); err == nil {
				written = sane(t)
			}
		}
	}
	m.Received = written
}

// sane is a time that a message can have arrived at; the zero time, which stands for now, otherwise.
func sane(t time.Time) time.Time {
	if t.Year() < 1970 || t.After(time.Now().Add(48*time.Hour)) {
		return time.Time{}
	}
	return t.UTC()
}

// zipped are the messages of a zip file.
type zipped struct {
	file  *os.File
	files []*zip.File
	left  int64
}

// openZip keeps the body in a temporary file: a zip file is read from its end.
func openZip(body io.Reader) (*zipped, error) {
	f, err := os.CreateTemp("", "uniqverse-import-*")
	if err != nil {
		return nil, errs.Wrap(errs.Unavailable, err, "there is no room for the file now; try again later")
	}
	z := &zipped{file: f, left: maxUnzipped}
	n, err := io.Copy(f, body)
	if err != nil {
		z.Close()
		return nil, unwrapFatal(broken(err))
	}
	r, err := zip.NewReader(f, n)
	if err != nil {
		z.Close()
		return nil, errs.Wrap(errs.Malformed, err, "this is no zip file")
	}
	for _, e := range r.File {
		if !e.FileInfo().IsDir() && strings.EqualFold(path.Ext(e.Name), ".eml") {
			z.files = append(z.files, e)
		}
	}
	if len(z.files) == 0 {
		z.Close()
		return nil, errs.New(errs.Invalid, "the zip file holds no message: their names end with .eml")
	}
	return z, nil
}

func unwrapFatal(err error) error {
	var f *fatal
	if errors.As(err, &f) {
		return f.error
	}
	return err
}

func (z *zipped) Close() error {
	err := z.file.Close()
	return errors.Join(err, os.Remove(z.file.Name()))
}

func (z *zipped) Next() (Message, error) {
	if len(z.files) == 0 {
		return Message{}, io.EOF
	}
	e := z.files[0]
	z.files = z.files[1:]
	r, err := e.Open()
	if err != nil {
		return Message{}, errs.Wrap(errs.Invalid, err, "it cannot be unpacked")
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, email.MaxAppend+1))
	if err != nil {
		return Message{}, errs.Wrap(errs.Invalid, err, "it cannot be unpacked")
	}
	if z.left -= int64(len(raw)); z.left < 0 {
		return Message{}, &fatal{errs.New(errs.TooLarge, "the messages of a zip file may have at most %d MB together; what came before is in the folder", maxUnzipped>>20)}
	}
	if len(raw) > email.MaxAppend {
		return Message{}, tooLarge()
	}
	m := Message{Raw: crlf(raw)}
	m.date(time.Time{})
	return m, nil
}

// mbox are the messages of an mbox file.
type mbox struct {
	r    *bufio.Reader
	next string // the "From " line of the message to come
	none bool   // nothing was read yet
}

func newMbox(body io.Reader) *mbox { return &mbox{r: bufio.NewReaderSize(body, 64<<10), none: true} }

func (b *mbox) Close() error { return nil }

// ReadMbox calls fn with each message of an mbox file, or with what is wrong with it. The error is why the file could not be
// read to its end.
func ReadMbox(r io.Reader, fn func(Message, error)) error {
	b := newMbox(r)
	for {
		m, err := b.Next()
		var stop *fatal
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &stop):
			return stop.error
		}
		fn(m, err)
	}
}

// line reads a line without its end; whole is false for a piece of one that is longer than the buffer.
func (b *mbox) line() (text []byte, whole bool, err error) {
	text, err = b.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return text, false, nil
	}
	if err != nil && len(text) > 0 && errors.Is(err, io.EOF) {
		return bytes.TrimRight(text, "\r\n"), true, nil
	}
	return bytes.TrimRight(text, "\r\n"), true, err
}

func (b *mbox) Next() (Message, error) {
	for b.none { // up to the first "From "
		line, _, err := b.line()
		if errors.Is(err, io.EOF) {
			return Message{}, &fatal{errs.New(errs.Invalid, `this is no mbox file: no line begins with "From "`)}
		}
		if err != nil {
			return Message{}, broken(err)
		}
		if bytes.HasPrefix(line, []byte("From ")) {
			b.next, b.none = string(line), false
		} else if len(bytes.TrimSpace(line)) > 0 {
			return Message{}, &fatal{errs.New(errs.Invalid, `this is no mbox file: it does not begin with "From "`)}
		}
	}
	if b.next == "" {
		return Message{}, io.EOF
	}
	from := b.next
	b.next = ""
	var raw []byte
	start, size := true, 0
	for {
		line, whole, err := b.line()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Message{}, broken(err)
		}
		if start && whole && bytes.HasPrefix(line, []byte("From ")) {
			b.next = string(line)
			break
		}
		if start && quoted(line) {
			line = line[1:]
		}
		if size += len(line) + 2; size <= email.MaxAppend { // what is too large is read to its end and forgotten
			raw = append(raw, line...)
			if whole {
				raw = append(raw, '\r', '\n')
			}
		}
		start = whole
	}
	if size > email.MaxAppend {
		return Message{}, tooLarge()
	}
	raw = bytes.TrimSuffix(raw, []byte("\r\n")) // the empty line that stands before the next "From "
	if !bytes.HasSuffix(raw, []byte("\r\n")) {
		raw = append(raw, '\r', '\n')
	}
	m := Message{Raw: raw}
	m.status()
	m.date(fromDate(from))
	return m, nil
}

// quoted reports whether a line is ">From ", ">>From " and so on: a quote was put before it.
func quoted(line []byte) bool {
	rest := bytes.TrimLeft(line, ">")
	return len(rest) < len(line) && bytes.HasPrefix(rest, []byte("From "))
}

// fromDate reads the time of a "From " line, which is UTC as RFC 4155 wants it.
func fromDate(line string) time.Time {
	fields := strings.Fields(line)
	if len(fields) < 6 {
		return time.Time{}
	}
	t, err := time.Parse("Mon Jan 2 15:04:05 2006", strings.Join(fields[len(fields)-5:], " "))
	if err != nil {
		return time.Time{}
	}
	return sane(t)
}

// status reads and takes out the fields in which mbox programs note what a message is.
func (m *Message) status() {
	end := header.End(m.Raw)
	var out []byte
	rest := m.Raw[:end]
	for _, f := range header.Fields(m.Raw[:end]) {
		rest = rest[len(f.Raw):]
		v := strings.TrimSpace(f.Value())
		switch {
		case f.Is("Status"):
			m.SaysRead, m.Read = true, strings.Contains(v, "R")
		case f.Is("X-Status"):
			m.Starred, m.Answered = strings.Contains(v, "F"), strings.Contains(v, "A")
		case f.Is("X-Keywords"):
			for _, l := range strings.Split(v, ",") {
				if l = strings.TrimSpace(l); l != "" {
					m.Labels = append(m.Labels, l)
				}
			}
		default:
			out = append(out, f.Raw...)
		}
	}
	m.Raw = append(append(out, rest...), m.Raw[end:]...)
}

// fromLine is the line that begins a message in an mbox file.
func fromLine(sender string, at time.Time) string {
	if sender == "" || strings.ContainsAny(sender, " \r\n") {
		sender = "MAILER-DAEMON"
	}
	return fmt.Sprintf("From %s %s\n", sender, at.UTC().Format("Mon Jan _2 15:04:05 2006"))
}

package mime

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// Body returns a reader over the decoded body of a part; src is the message that was
// scanned. Bytes that do not fit the encoding are skipped (base64) or kept (quoted-printable),
// an encoding that nobody knows leaves the body as it is.
func (p *Part) Body(src io.ReaderAt) io.Reader {
	raw := io.NewSectionReader(src, p.BodyStart, p.Size())
	switch p.Encoding {
	case "base64":
		return &base64Reader{src: raw}
	case "quoted-printable":
		return &quotedReader{src: bufio.NewReaderSize(raw, 16<<10)}
	}
	return raw
}

// Text returns the decoded text of a part in UTF-8, at most limit bytes before the change of
// its charset, and the Fault words that were met; "\n" ends its lines. The error is src's own.
func (p *Part) Text(src io.ReaderAt, limit int64) (text string, faults []string, err error) {
	body := p.Body(src)
	b, err := readMost(body, limit+1, p.Size())
	if err != nil {
		return "", nil, err
	}
	if int64(len(b)) > limit {
		b = wholeRunes(b[:limit])
	}
	if f, ok := body.(interface{ damaged() bool }); ok && f.damaged() {
		faults = append(faults, FaultEncoding)
	}
	switch p.Encoding {
	case "", "7bit", "8bit", "binary", "base64", "quoted-printable":
	default:
		faults = append(faults, FaultUnknownCTE)
	}
	text, known := toUTF8(b, p.Charset)
	if !known {
		faults = append(faults, FaultCharset)
	}
	if strings.IndexByte(text, 0) >= 0 {
		faults = append(faults, FaultNUL)
	}
	return plain(text), faults, nil
}

// readMost reads to the end, at most limit bytes; about size are expected.
func readMost(r io.Reader, limit, size int64) ([]byte, error) {
	b := make([]byte, 0, min(limit, max(size, 0)+1)) // one more, so that the end is met without another piece of memory
	for int64(len(b)) < limit {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):min(int64(cap(b)), limit)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return b, nil
}

// ready holds bytes that are decoded and not yet handed out.
type ready struct {
	buf []byte
	pos int
	bad bool // something did not fit the encoding
}

func (r *ready) damaged() bool { return r.bad }

// read fills b, calling step for more until there is something.
func (r *ready) read(b []byte, step func() error) (int, error) {
	if r.pos == len(r.buf) {
		r.buf, r.pos = r.buf[:0], 0
		for len(r.buf) < len(b) {
			if err := step(); err != nil {
				if len(r.buf) == 0 {
					return 0, err
				}
				break
			}
		}
	}
	n := copy(b, r.buf[r.pos:])
	r.pos += n
	return n, nil
}

// base64Reader decodes base64 that may be broken: foreign bytes are skipped, padding may be
// missing, or stand in the middle where pieces were put together.
type base64Reader struct {
	ready
	src   io.Reader
	chunk [4 << 10]byte
	acc   uint32
	n     int // digits in acc
}

// Read decodes into b.
func (r *base64Reader) Read(b []byte) (int, error) { return r.read(b, r.step) }

// step decodes one chunk of the source.
func (r *base64Reader) step() error {
	n, err := r.src.Read(r.chunk[:])
	for _, c := range r.chunk[:n] {
		switch v := digit64(c); {
		case v >= 0:
			r.acc = r.acc<<6 | uint32(v)
			if r.n++; r.n == 4 {
				r.buf = append(r.buf, byte(r.acc>>16), byte(r.acc>>8), byte(r.acc))
				r.acc, r.n = 0, 0
			}
		case c == '=':
			r.rest()
		case c != '\r' && c != '\n' && c != ' ' && c != '\t':
			r.bad = true
		}
	}
	if errors.Is(err, io.EOF) && r.n > 0 {
		r.rest()
		return nil // once more: the source says EOF again
	}
	return err
}

// rest gives out the bytes of an unfinished group.
func (r *base64Reader) rest() {
	switch r.n {
	case 1:
		r.bad = true
	case 2:
		r.buf = append(r.buf, byte(r.acc>>4))
	case 3:
		r.buf = append(r.buf, byte(r.acc>>10), byte(r.acc>>2))
	}
	r.acc, r.n = 0, 0
}

func digit64(c byte) int {
	switch {
	case c >= 'A' && c <= 'Z':
		return int(c - 'A')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 26
	case c >= '0' && c <= '9':
		return int(c-'0') + 52
	case c == '+' || c == '-':
		return 62
	case c == '/' || c == '_':
		return 63
	}
	return -1
}

// quotedReader decodes quoted-printable that may be broken: an escape that is none stays.
type quotedReader struct {
	ready
	src    *bufio.Reader
	blanks []byte // that may turn out to stand at the end of a line, where they do not count
}

// Read decodes into b.
func (r *quotedReader) Read(b []byte) (int, error) { return r.read(b, r.step) }

// step decodes one character of the source.
func (r *quotedReader) step() error {
	c, err := r.src.ReadByte()
	if err != nil {
		return err
	}
	switch c {
	case ' ', '\t':
		r.blanks = append(r.blanks, c)
		return nil
	case '\r':
		if next, err := r.src.Peek(1); err == nil && next[0] == '\n' {
			return nil
		}
	case '\n':
		r.blanks = r.blanks[:0]
		r.buf = append(r.buf, '\n')
		return nil
	case '=':
		return r.escape()
	}
	r.buf = append(append(r.buf, r.blanks...), c)
	r.blanks = r.blanks[:0]
	return nil
}

// escape reads what follows "=": two digits, or the end of a line that is none.
func (r *quotedReader) escape() error {
	r.buf = append(r.buf, r.blanks...)
	r.blanks = r.blanks[:0]
	next, err := r.src.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if len(next) == 2 {
		if hi, lo := unhex(next[0]), unhex(next[1]); hi >= 0 && lo >= 0 {
			r.buf = append(r.buf, byte(hi<<4|lo))
			_, err := r.src.Discard(2)
			return err
		}
	}
	next, _ = r.src.Peek(80) // blanks may stand between "=" and the end of the line
	k := len(next) - len(strings.TrimLeft(string(next), " \t"))
	switch rest := next[k:]; {
	case len(rest) > 0 && rest[0] == '\n':
		k++
	case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
		k += 2
	case len(rest) == 0 && len(next) < 80: // the end of the body
	default:
		r.bad = true
		r.buf = append(r.buf, '=')
		return nil
	}
	_, err = r.src.Discard(k)
	return err
}

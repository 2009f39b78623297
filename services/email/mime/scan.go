package mime

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"uniqverse/smtpd/header"
)

// The bounds of a scan. What lies beyond is left undivided and named in Tree.Faults.
const (
	MaxDepth = 20   // levels of multiparts in each other
	MaxParts = 1000 // parts of a message, multiparts included

	maxHeader     = 512 << 10 // bytes kept of a message's header section
	maxPartHeader = 16 << 10  // bytes kept of a part's header section
	maxBoundary   = 256       // bytes of a boundary; RFC 2046 allows 70
	scanBuffer    = 64 << 10  // bytes of a message that are looked at together
)

// The words of Tree.Faults.
const (
	FaultNoHeader    = "no_header"       // the message begins with something that is no header
	FaultBadField    = "bad_field"       // a header line that is no field
	FaultHeaderSize  = "header_too_long" // a header section was cut
	FaultType        = "bad_type"        // a Content-Type that cannot be read, or two of them
	FaultNoBoundary  = "no_boundary"     // a multipart without a boundary
	FaultNoParts     = "no_parts"        // a multipart whose boundary never comes
	FaultUnclosed    = "unclosed"        // a multipart without its end
	FaultDepth       = "too_deep"        // beyond MaxDepth
	FaultParts       = "too_many_parts"  // beyond MaxParts
	FaultEncoding    = "bad_encoding"    // base64 or quoted-printable that is not; found while decoding
	FaultCharset     = "unknown_charset" // a charset that nobody knows; found while decoding
	FaultUnknownCTE  = "unknown_encoding"
	FaultNUL         = "nul" // a NUL byte in a body
	FaultInternal    = "unreadable"
	defaultPartType  = "text/plain"
	digestPartType   = "message/rfc822"
	multipartPrefix  = "multipart/"
	attachmentAnswer = "attachment"
)

// Part is one node of a message's tree. Offsets count bytes from the start of the message.
type Part struct {
	Parent      int    // index in Tree.Parts; -1 for the message itself
	Depth       int    // 0 for the message itself
	Type        string // lower case, "text/plain" when there is none
	Charset     string // as declared; "" for none
	Encoding    string // Content-Transfer-Encoding, lower case; "" for none
	Disposition string // lower case: "attachment", "inline" or ""
	Name        string // of the file, decoded, without folders; "" for none
	ContentID   string // without <>
	HeaderStart int64
	BodyStart   int64
	End         int64 // of the body; the line end before a boundary belongs to the boundary
	Children    int   // parts directly below

	boundary string
}

// IsMultipart reports whether the part only holds others.
func (p *Part) IsMultipart() bool { return p.boundary != "" }

// Size returns the bytes of the body as they stand in the message, still encoded.
func (p *Part) Size() int64 { return p.End - p.BodyStart }

// IsAttachment reports whether people would call the part a file: it says so, has a name, or
// is neither text nor a container.
func (p *Part) IsAttachment() bool {
	if p.IsMultipart() {
		return false
	}
	return p.Disposition == attachmentAnswer || p.Name != "" || !strings.HasPrefix(p.Type, "text/")
}

// Tree is what a scan finds.
type Tree struct {
	Header []header.Field // of the message, in its order
	Parts  []Part         // in the order of their start; Parts[0] is the message itself
	Size   int64          // bytes of the message
	Faults []string       // the Fault words that apply, sorted, each once
}

// Fault adds a word to Faults.
func (t *Tree) Fault(word string) {
	if i, found := slices.BinarySearch(t.Faults, word); !found {
		t.Faults = slices.Insert(t.Faults, i, word)
	}
}

// Get returns the value of the first field with the name, unfolded but not decoded.
func (t *Tree) Get(name string) string {
	for _, f := range t.Header {
		if f.Is(name) {
			return Value(f)
		}
	}
	return ""
}

// Value returns a field's value unfolded, byte for byte (it need not be UTF-8), and cut to 64 KB.
func Value(f header.Field) string {
	_, v, _ := bytes.Cut(f.Raw, []byte(":"))
	v = bytes.TrimSpace(v[:min(len(v), 64<<10)])
	out := make([]byte, 0, len(v))
	for _, c := range v {
		if c != '\r' && c != '\n' {
			out = append(out, c)
		}
	}
	return string(out)
}

// Scan reads a message to its end and returns its tree. The error is the reader's own; a
// message cannot cause one.
func Scan(r io.Reader) (*Tree, error) {
	s := &scanner{tree: &Tree{}, inHeader: true, limit: maxHeader}
	s.tree.Parts = append(s.tree.Parts, Part{Parent: -1, Type: defaultPartType})
	size := int64(scanBuffer)
	if known, ok := r.(interface{ Size() int64 }); ok {
		size = min(size, known.Size()+1) // a small message takes little
	}
	br := bufio.NewReaderSize(r, int(size))
	start := true
	for {
		piece, err := br.ReadSlice('\n')
		if len(piece) > 0 {
			s.take(piece, start)
			start = piece[len(piece)-1] == '\n'
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
	}
	s.finish()
	return s.tree, nil
}

// scanner is the state of the one pass.
type scanner struct {
	tree     *Tree
	open     []int  // the multiparts around the current line, outermost first
	cur      int    // the part that the current line belongs to; -1 between parts
	inHeader bool   // of cur
	cut      bool   // the header is longer than limit
	limit    int    // bytes of header that are kept
	head     []byte // header section of cur so far
	full     bool   // MaxParts was reached: only bytes are counted from here
	off      int64  // of the current piece
	last     byte   // the byte before the current piece
	eol      int64  // length of the line end before the current line
}

// take consumes a piece of a line; first says that the line starts with it. A line longer
// than the buffer comes in several pieces.
func (s *scanner) take(piece []byte, first bool) {
	if first && !s.full {
		s.line(piece)
	} else if s.inHeader && !s.full {
		s.keep(piece)
	}
	n := len(piece)
	if piece[n-1] == '\n' {
		s.eol = 1
		if n > 1 && piece[n-2] == '\r' || n == 1 && s.last == '\r' {
			s.eol = 2
		}
	}
	s.last = piece[n-1]
	s.off += int64(n)
}

// line decides what the line that begins with piece is.
func (s *scanner) line(piece []byte) {
	if len(s.open) > 0 && len(piece) >= 3 && piece[0] == '-' && piece[1] == '-' && s.delimiter(piece) {
		return
	}
	if !s.inHeader {
		return
	}
	text := bytes.TrimRight(piece, "\r\n")
	whole := piece[len(piece)-1] == '\n'
	switch {
	case len(text) == 0 && whole:
		s.endHeader(s.off + int64(len(piece)))
	case len(s.head) == 0 && !s.cut && !isField(text) && !(s.cur == 0 && bytes.HasPrefix(text, []byte("From "))):
		// Nothing here looks like a header: the body begins at once.
		s.tree.Fault(FaultNoHeader)
		s.endHeader(s.off)
	default:
		s.keep(piece)
	}
}

// keep adds a piece to the header section, up to the limit.
func (s *scanner) keep(piece []byte) {
	if len(s.head)+len(piece) > s.limit {
		s.cut = true
		return
	}
	s.head = append(s.head, piece...)
}

// isField reports whether a line looks like the start of a header field.
func isField(line []byte) bool {
	i := bytes.IndexByte(line, ':')
	if i <= 0 {
		return false
	}
	for _, c := range bytes.TrimRight(line[:i], " \t") {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// delimiter handles a line that begins with "--"; false means that it is ordinary text.
func (s *scanner) delimiter(piece []byte) bool {
	line := bytes.TrimRight(piece, " \t\r\n")[2:]
	for k := len(s.open) - 1; k >= 0; k-- {
		rest, ok := bytes.CutPrefix(line, []byte(s.tree.Parts[s.open[k]].boundary))
		closing := ok && len(rest) == 2 && rest[0] == '-' && rest[1] == '-'
		if !ok || len(rest) > 0 && !closing {
			continue
		}
		s.endBodies(k + 1)
		if closing {
			s.tree.Parts[s.open[k]].End = s.off + int64(len(piece))
			s.open = s.open[:k]
			s.cur, s.inHeader = -1, false
			return true
		}
		s.newPart(s.open[k], s.off+int64(len(piece)))
		return true
	}
	return false
}

// endBodies ends the current part and every open multipart from the level on: the line end
// before the current line is the boundary's.
func (s *scanner) endBodies(level int) {
	end := s.off - s.eol
	if s.inHeader {
		s.endHeader(s.off)
	}
	if s.cur >= 0 {
		p := &s.tree.Parts[s.cur]
		p.End = max(p.BodyStart, end)
		end = p.End // an empty part may end behind that line end, and then so do those around it
	}
	for k := len(s.open) - 1; k >= level; k-- {
		p := &s.tree.Parts[s.open[k]]
		p.End = max(p.BodyStart, end)
		end = p.End
		s.tree.Fault(FaultUnclosed)
	}
	s.open = s.open[:min(level, len(s.open))]
}

func (s *scanner) newPart(parent int, at int64) {
	if len(s.tree.Parts) >= MaxParts {
		s.tree.Fault(FaultParts)
		s.full, s.cur, s.inHeader = true, -1, false
		return
	}
	up := &s.tree.Parts[parent]
	up.Children++
	p := Part{Parent: parent, Depth: up.Depth + 1, Type: defaultPartType, HeaderStart: at, BodyStart: at, End: at}
	if up.Type == "multipart/digest" {
		p.Type = digestPartType
	}
	s.tree.Parts = append(s.tree.Parts, p)
	s.cur, s.inHeader, s.cut, s.limit, s.head = len(s.tree.Parts)-1, true, false, maxPartHeader, s.head[:0]
}

// endHeader reads the header section of the current part, whose body begins at body.
func (s *scanner) endHeader(body int64) {
	s.inHeader = false
	p := &s.tree.Parts[s.cur]
	p.BodyStart, p.End = body, body
	if s.cut {
		s.tree.Fault(FaultHeaderSize)
	}
	fields := header.Fields(s.head)
	if s.cur == 0 {
		s.tree.Header = fields // s.head is given away with them
		s.head = nil
	}
	for _, f := range fields {
		if f.Name == "" {
			s.tree.Fault(FaultBadField)
		}
	}
	s.describe(p, fields)
	if !strings.HasPrefix(p.Type, multipartPrefix) {
		return
	}
	switch {
	case p.boundary == "":
		s.tree.Fault(FaultNoBoundary)
		p.Type = defaultPartType
	case len(s.open) >= MaxDepth:
		s.tree.Fault(FaultDepth)
		p.boundary, p.Type = "", defaultPartType
	default:
		s.open = append(s.open, s.cur)
		s.cur = -1
	}
}

// describe fills in what the header says about the part.
func (s *scanner) describe(p *Part, fields []header.Field) {
	seen := false
	for _, f := range fields {
		switch {
		case f.Is("Content-Type"):
			if seen {
				s.tree.Fault(FaultType)
				continue
			}
			seen = true
			typ, params := parseParams(Value(f))
			if !validType(typ) {
				s.tree.Fault(FaultType)
				continue
			}
			p.Type = typ
			p.Charset = params["charset"]
			if p.Name == "" {
				p.Name = fileName(params["name"])
			}
			if strings.HasPrefix(typ, multipartPrefix) {
				p.boundary = strings.TrimRight(params["boundary"], " \t")
				if len(p.boundary) > maxBoundary {
					p.boundary = ""
				}
			}
		case f.Is("Content-Transfer-Encoding"):
			p.Encoding = strings.ToLower(clipBytes(strings.TrimSpace(Value(f)), 40))
		case f.Is("Content-Disposition"):
			d, params := parseParams(Value(f))
			if p.Disposition = d; d != "inline" {
				p.Disposition = attachmentAnswer // RFC 2183: unknown ones are attachments
			}
			if n := fileName(params["filename"]); n != "" {
				p.Name = n
			}
		case f.Is("Content-ID"):
			p.ContentID = Line(strings.Trim(Value(f), "<> \t"), 256)
		}
	}
}

// finish ends what is still open at the end of the message.
func (s *scanner) finish() {
	t := s.tree
	t.Size = s.off
	if s.inHeader {
		s.endHeader(s.off)
	}
	if s.cur >= 0 {
		t.Parts[s.cur].End = s.off
	}
	for _, i := range s.open {
		t.Parts[i].End = s.off
		t.Fault(FaultUnclosed)
	}
	t.Parts[0].End = s.off // what follows the last boundary still belongs to the message
	for i := range t.Parts {
		if p := &t.Parts[i]; p.boundary != "" && p.Children == 0 {
			t.Fault(FaultNoParts)
			p.boundary, p.Type = "", defaultPartType
		}
	}
}

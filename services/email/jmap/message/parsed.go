package message

import (
	"bytes"
	"io"
	"strings"

	"uniqverse/services/email/jmap/proto"
	"uniqverse/services/email/jmap/record"
	"uniqverse/services/email/mime"
	"uniqverse/smtpd/header"
)

// Source is a message's bytes: what this server put before it, and then what came.
type Source struct {
	Before []byte
	io.ReaderAt
	Size int64 // of both
}

// NewSource joins the two.
func NewSource(before []byte, rest io.ReaderAt, size int64) Source {
	return Source{before, rest, int64(len(before)) + size}
}

// ReadAt implements io.ReaderAt over both.
func (s Source) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	if off < int64(len(s.Before)) {
		n = copy(p, s.Before[off:])
		if n == len(p) {
			return n, nil
		}
	}
	m, err := s.ReaderAt.ReadAt(p[n:], off+int64(n)-int64(len(s.Before)))
	return n + m, err
}

// Parsed is a message whose parts are known.
type Parsed struct {
	src   Source
	tree  *mime.Tree
	parts []part
	Blob  func(part int) string // the blob id of a part's decoded body
}

// part is what of a part package mime leaves out.
type part struct {
	fields []header.Field
	kids   []int
}

// Parse finds the parts of a message. The error is the source's.
func Parse(src Source) (*Parsed, error) {
	tree, err := mime.Scan(io.NewSectionReader(src, 0, src.Size))
	if err != nil {
		return nil, err
	}
	p := &Parsed{src: src, tree: tree, parts: make([]part, len(tree.Parts)), Blob: func(int) string { return "" }}
	for i := range tree.Parts {
		if up := tree.Parts[i].Parent; up >= 0 {
			p.parts[up].kids = append(p.parts[up].kids, i)
		}
	}
	return p, nil
}

// Body returns the decoded body of a part, and its type; ok is false for a part that there is not or that holds others.
func (p *Parsed) Body(n int) (body io.Reader, kind string, ok bool) {
	if n < 0 || n >= len(p.tree.Parts) || p.tree.Parts[n].IsMultipart() {
		return nil, "", false
	}
	return p.tree.Parts[n].Body(p.src), p.tree.Parts[n].Type, true
}

// maxFields bounds the header section of a part that is read, in bytes.
const maxFields = 512 << 10

// fieldsOf returns the header of a part.
func (p *Parsed) fieldsOf(n int) []header.Field {
	if n == 0 {
		return p.tree.Header
	}
	if p.parts[n].fields == nil {
		t := &p.tree.Parts[n]
		raw := make([]byte, min(t.BodyStart-t.HeaderStart, maxFields))
		if k, err := p.src.ReadAt(raw, t.HeaderStart); err == nil || err == io.EOF {
			raw = raw[:k]
			p.parts[n].fields = header.Fields(raw[:header.End(raw)])
		}
	}
	return p.parts[n].fields
}

func headersOf(fields []header.Field) []map[string]string {
	out := []map[string]string{}
	for _, h := range fields {
		if h.Name != "" {
			out = append(out, map[string]string{"name": h.Name, "value": rawOf(h)})
		}
	}
	return out
}

// Property returns a property of the Email that comes from its header; ok is false for one that does not.
func (p *Parsed) Property(name string) (value any, ok bool) {
	if f, isShort := convenience(name); isShort {
		return f.Value(p.tree.Header), true
	}
	if name == "headers" {
		return headersOf(p.tree.Header), true
	}
	if f, isField := ParseField(name); isField {
		return f.Value(p.tree.Header), true
	}
	return nil, false
}

// Head returns what lists show of the message.
func (p *Parsed) Head(raw int64) (record.Head, error) {
	shown := map[string]any{}
	for _, name := range ListProperties() {
		shown[name], _ = p.Property(name)
	}
	h := record.Head{RawID: raw, Size: p.src.Size}
	var err error
	if h.Shown, err = proto.Marshal(shown); err != nil {
		return h, err
	}
	h.From, h.SortFrom = peopleOf(shown["from"])
	h.To, h.SortTo = peopleOf(shown["to"])
	h.Cc, _ = peopleOf(shown["cc"])
	h.Bcc, _ = peopleOf(shown["bcc"])
	subject, _ := shown["subject"].(string)
	h.Subject, h.BaseSubject = strings.ToLower(subject), mime.BaseSubject(subject)
	var b strings.Builder
	for _, f := range p.tree.Header {
		if f.Name != "" && b.Len() < 256<<10 {
			b.WriteString("\n" + strings.ToLower(f.Name) + ":" + mime.Line(strings.ToLower(mime.Words(mime.Value(f))), 8<<10))
		}
	}
	b.WriteByte('\n')
	h.Fields = b.String()
	return h, nil
}

// peopleOf writes addresses in lower case: all of them for searching, the first for sorting.
func peopleOf(v any) (all, first string) {
	list, _ := v.([]Address)
	var b strings.Builder
	for i, a := range list {
		name := ""
		if a.Name != nil {
			name = *a.Name
		}
		if i == 0 {
			if first = strings.ToLower(name); first == "" {
				first = strings.ToLower(a.Email)
			}
		}
		b.WriteString(strings.ToLower(name + " <" + a.Email + "> "))
	}
	return b.String(), first
}

// HasAttachment reports whether a reader would show files with the message.
func (p *Parsed) HasAttachment() bool {
	for _, n := range p.lists().attachments {
		t := &p.tree.Parts[n]
		if t.Disposition == "attachment" || t.ContentID == "" || !strings.HasPrefix(t.Type, "image/") {
			return true
		}
	}
	return false
}

// Bytes returns the size of the message.
func (p *Parsed) Bytes() int64 { return p.src.Size }

// All returns a reader over the whole message.
func (s Source) All() io.Reader {
	return io.MultiReader(bytes.NewReader(s.Before), io.NewSectionReader(s.ReaderAt, 0, s.Size-int64(len(s.Before))))
}

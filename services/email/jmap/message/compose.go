package message

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"uniqverse/services/email/jmap/proto"
)

// Maker composes messages.
type Maker struct {
	Domain string
	Now    time.Time
	// Blob returns the bytes of a blob; nil when there is none.
	Blob func(id string) ([]byte, error)
}

// node is a part of the message that is being made.
type node struct {
	kind   string // type/subtype
	params map[string]string
	fields []line // without Content-Type and Content-Transfer-Encoding
	typed  bool   // Content-Type is among the fields
	body   []byte
	isText bool // body is text in UTF-8 with \n
	subs   []*node
	inline bool // an image and the like that the HTML shows
}

// made is what a composition collects.
type made struct {
	*Maker
	values   map[string]string
	bad      []string // properties that are wrong
	why      string
	notFound []string // blobs
	err      error
}

func (m *made) wrong(property, format string, args ...any) {
	if !slices.Contains(m.bad, property) {
		m.bad = append(m.bad, property)
	}
	if m.why == "" {
		m.why = property + " " + fmt.Sprintf(format, args...)
	}
}

// Compose makes a message from the properties of an Email (RFC 8621 section 4.6). What is wrong is invalidProperties with the names,
// a blob that there is not blobNotFound. err is Blob's.
func (mk *Maker) Compose(props proto.Object) (raw []byte, refused *proto.SetError, err error) {
	m := &made{Maker: mk, values: map[string]string{}}
	m.readValues(props["bodyValues"])
	var lines []line
	seen := map[string]string{}
	for _, name := range proto.Keys(props) {
		switch name {
		case "bodyValues", "bodyStructure", "textBody", "htmlBody", "attachments":
			continue
		}
		lines = append(lines, m.topField(name, props[name], seen)...)
	}
	root := m.body(props)
	for _, f := range root.fields {
		if other, twice := seen[strings.ToLower(f.name)]; twice {
			m.wrong("bodyStructure", "has the field %s, which %s sets already", f.name, other)
		}
	}
	switch {
	case m.err != nil:
		return nil, nil, m.err
	case len(m.bad) > 0:
		return nil, proto.InvalidProperties(m.bad, "%s", m.why), nil
	case len(m.notFound) > 0:
		e := proto.Refuse("blobNotFound", "blobs that the message names are not there, or have expired; upload them again")
		e.Extra = map[string]any{"notFound": m.notFound}
		return nil, e, nil
	}
	if seen["date"] == "" {
		lines = append(lines, line{"Date", " " + mk.Now.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700")})
	}
	if seen["message-id"] == "" {
		lines = append(lines, line{"Message-ID", " <" + strings.ToLower(rand.Text()[:20]) + "@" + mk.Domain + ">"})
	}
	if seen["mime-version"] == "" {
		lines = append(lines, line{"MIME-Version", " 1.0"})
	}
	slices.SortStableFunc(lines, func(a, b line) int { return rank(a.name) - rank(b.name) })
	var b bytes.Buffer
	for _, l := range lines {
		l.write(&b)
	}
	root.write(&b)
	return b.Bytes(), nil, nil
}

// rank is the order in which fields are written.
func rank(name string) int {
	i := slices.Index([]string{"date", "from", "sender", "reply-to", "to", "cc", "bcc", "subject", "message-id", "in-reply-to", "references"}, strings.ToLower(name))
	if i < 0 {
		return 100
	}
	return i
}

func (m *made) readValues(raw json.RawMessage) {
	if proto.IsNull(raw) {
		return
	}
	var values map[string]proto.Object
	if json.Unmarshal(raw, &values) != nil {
		m.wrong("bodyValues", "must be an object of body values")
		return
	}
	for id, v := range values {
		var text *string
		var problem, cut bool
		for name, member := range v {
			ok := true
			switch name {
			case "value":
				ok = json.Unmarshal(member, &text) == nil
			case "isEncodingProblem":
				ok = json.Unmarshal(member, &problem) == nil && !problem
			case "isTruncated":
				ok = json.Unmarshal(member, &cut) == nil && !cut
			default:
				ok = false
			}
			if !ok {
				m.wrong("bodyValues/"+id+"/"+name, "cannot be used")
			}
		}
		if text == nil {
			m.wrong("bodyValues/"+id, "has no value")
			continue
		}
		m.values[id] = *text
	}
}

// topField turns a property of the Email into fields of its header.
func (m *made) topField(name string, value json.RawMessage, seen map[string]string) []line {
	f, ok := convenience(name)
	if !ok {
		if f, ok = ParseField(name); !ok {
			m.wrong(name, "cannot be set")
			return nil
		}
	}
	lower := strings.ToLower(f.Name)
	if strings.HasPrefix(lower, "content-") {
		m.wrong(name, "belongs to a body part")
		return nil
	}
	if proto.IsNull(value) {
		return nil
	}
	if other, twice := seen[lower]; twice {
		m.wrong(name, "is the same field as %s", other)
		return nil
	}
	seen[lower] = name
	lines, err := f.lines(value)
	if err != nil {
		m.wrong(name, "%s", err)
	}
	return lines
}

// body makes the tree of parts.
func (m *made) body(props proto.Object) *node {
	if raw := props["bodyStructure"]; !proto.IsNull(raw) {
		for _, other := range []string{"textBody", "htmlBody", "attachments"} {
			if !proto.IsNull(props[other]) {
				m.wrong(other, "must not be given beside bodyStructure")
			}
		}
		return m.part("bodyStructure", raw, "text/plain", 0)
	}
	text := m.single("textBody", props["textBody"], "text/plain")
	html := m.single("htmlBody", props["htmlBody"], "text/html")
	var files, shown []*node
	if raw := props["attachments"]; !proto.IsNull(raw) {
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) != nil {
			m.wrong("attachments", "must be a list of body parts")
		}
		for i, r := range list {
			n := m.part(fmt.Sprintf("attachments/%d", i), r, "application/octet-stream", 0)
			if n.inline && html != nil {
				shown = append(shown, n)
				continue
			}
			if !slices.ContainsFunc(n.fields, func(l line) bool { return strings.EqualFold(l.name, "Content-Disposition") }) {
				n.disposition("attachment", n.params["name"])
			}
			files = append(files, n)
		}
	}
	if html != nil && len(shown) > 0 {
		html = &node{kind: "multipart/related", subs: append([]*node{html}, shown...)}
	}
	main := text
	switch {
	case text != nil && html != nil:
		main = &node{kind: "multipart/alternative", subs: []*node{text, html}}
	case html != nil:
		main = html
	}
	switch {
	case len(files) > 0 && main != nil:
		return &node{kind: "multipart/mixed", subs: append([]*node{main}, files...)}
	case len(files) > 0:
		return &node{kind: "multipart/mixed", subs: files}
	case main == nil:
		return &node{kind: "text/plain", isText: true}
	}
	return main
}

func (m *made) single(property string, raw json.RawMessage, kind string) *node {
	if proto.IsNull(raw) {
		return nil
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil || len(list) != 1 {
		m.wrong(property, "must have exactly one body part")
		return nil
	}
	n := m.part(property+"/0", list[0], kind, 0)
	if n.kind != kind {
		m.wrong(property, "must be of type %s", kind)
	}
	return n
}

// maxNesting is how deep parts of a new message may lie in each other.
const maxNesting = 15

// partIn is an EmailBodyPart as it is given.
type partIn struct {
	PartID, BlobID, Name, Type, Charset, Disposition, CID, Location *string
	Language                                                        []string
	SubParts                                                        []json.RawMessage
	Size                                                            *int64
}

// part makes a part; at names it in errors.
func (m *made) part(at string, raw json.RawMessage, kind string, depth int) *node {
	n := &node{kind: kind, params: map[string]string{}}
	var members proto.Object
	if json.Unmarshal(raw, &members) != nil || members == nil || depth > maxNesting {
		m.wrong(at, "must be a body part")
		return n
	}
	in, seen := m.readPart(at, members, n)
	if in.Type != nil {
		n.kind = strings.ToLower(*in.Type)
	}
	if !strings.Contains(n.kind, "/") || mime.FormatMediaType(n.kind, nil) == "" {
		m.wrong(at+"/type", "is no media type")
		return n
	}
	if seen["content-type"] == "" && in.Name != nil {
		n.params["name"] = *in.Name
	}
	if in.Disposition != nil {
		name := ""
		if in.Name != nil {
			name = *in.Name
		}
		n.disposition(*in.Disposition, name)
	}
	if in.CID != nil {
		n.fields = append(n.fields, line{"Content-ID", " <" + clean(strings.Trim(*in.CID, "<>")) + ">"})
	}
	if len(in.Language) > 0 {
		n.fields = append(n.fields, line{"Content-Language", " " + clean(strings.Join(in.Language, ", "))})
	}
	if in.Location != nil {
		n.fields = append(n.fields, line{"Content-Location", " " + clean(*in.Location)})
	}
	n.inline = in.CID != nil && (in.Disposition == nil || strings.EqualFold(*in.Disposition, "inline"))
	if strings.HasPrefix(n.kind, "multipart/") {
		if in.PartID != nil || in.BlobID != nil {
			m.wrong(at, "is a multipart and has no content of its own")
		}
		for i, sub := range in.SubParts {
			n.subs = append(n.subs, m.part(fmt.Sprintf("%s/subParts/%d", at, i), sub, "text/plain", depth+1))
		}
		if len(n.subs) == 0 {
			m.wrong(at+"/subParts", "is required of a multipart")
		}
		return n
	}
	if in.SubParts != nil {
		m.wrong(at+"/subParts", "is for multiparts")
	}
	m.content(at, in, n)
	return n
}

// readPart reads the members of a part, and its header fields into n.
func (m *made) readPart(at string, members proto.Object, n *node) (in partIn, seen map[string]string) {
	seen = map[string]string{}
	texts := map[string]struct {
		to    **string
		field string
	}{"partId": {&in.PartID, ""}, "blobId": {&in.BlobID, ""}, "name": {&in.Name, ""}, "type": {&in.Type, "content-type"}, "charset": {&in.Charset, ""},
		"disposition": {&in.Disposition, "content-disposition"}, "cid": {&in.CID, "content-id"}, "location": {&in.Location, "content-location"}}
	for _, name := range proto.Keys(members) {
		value := members[name]
		field := ""
		var err error
		if t, ok := texts[name]; ok {
			err, field = json.Unmarshal(value, t.to), t.field
		} else if name == "language" {
			err, field = json.Unmarshal(value, &in.Language), "content-language"
		} else if name == "subParts" {
			err = json.Unmarshal(value, &in.SubParts)
		} else if name == "size" {
			err = json.Unmarshal(value, &in.Size)
		} else if f, ok := ParseField(name); ok {
			field = strings.ToLower(f.Name)
			if field == "content-transfer-encoding" {
				m.wrong(at+"/"+name, "must not be given")
				continue
			}
			if proto.IsNull(value) {
				continue
			}
			lines, wrong := f.lines(value)
			if wrong != nil {
				m.wrong(at+"/"+name, "%s", wrong)
			}
			n.fields = append(n.fields, lines...)
			n.typed = n.typed || field == "content-type"
		} else {
			m.wrong(at+"/"+name, "cannot be set")
			continue
		}
		if err != nil {
			m.wrong(at+"/"+name, "is of the wrong type")
		}
		if field != "" && !proto.IsNull(value) {
			if other := seen[field]; other != "" {
				m.wrong(at+"/"+name, "is the same field as %s", other)
			}
			seen[field] = name
		}
	}
	return in, seen
}

// content fills in the body of a part that holds no others.
func (m *made) content(at string, in partIn, n *node) {
	switch {
	case in.PartID != nil && in.BlobID != nil:
		m.wrong(at, "must have a partId or a blobId, not both")
	case in.PartID != nil:
		text, ok := m.values[*in.PartID]
		if !ok {
			m.wrong(at+"/partId", "is not in bodyValues")
		}
		if in.Charset != nil {
			m.wrong(at+"/charset", "must not be given with a partId")
		}
		if in.Size != nil {
			m.wrong(at+"/size", "must not be given with a partId")
		}
		if !strings.HasPrefix(n.kind, "text/") {
			m.wrong(at+"/type", "must be text, as the body value is")
		}
		n.body, n.isText = []byte(text), true
	case in.BlobID != nil:
		body, err := m.Blob(*in.BlobID)
		if err != nil {
			m.err = err
			return
		}
		if body == nil {
			m.notFound = append(m.notFound, *in.BlobID)
			return
		}
		n.body = body
		if in.Charset != nil {
			n.params["charset"] = *in.Charset
		} else if strings.HasPrefix(n.kind, "text/") && utf8.Valid(body) {
			n.params["charset"] = "utf-8"
		}
	default:
		m.wrong(at, "needs a partId or a blobId")
	}
}

func (n *node) disposition(kind, name string) {
	params := map[string]string{}
	if name != "" {
		params["filename"] = name
	}
	if v := mime.FormatMediaType(strings.ToLower(clean(kind)), params); v != "" {
		n.fields = append(n.fields, line{"Content-Disposition", " " + v})
	}
}

// write writes a part with its own header fields.
func (n *node) write(b *bytes.Buffer) {
	for _, f := range n.fields {
		f.write(b)
	}
	params := map[string]string{}
	for k, v := range n.params {
		params[k] = v
	}
	typed := n.typed
	boundary := ""
	if strings.HasPrefix(n.kind, "multipart/") {
		boundary = "part-" + rand.Text()
		params["boundary"] = boundary
		typed = false
	}
	if n.isText {
		params["charset"] = "utf-8"
	}
	if !typed {
		line{"Content-Type", " " + strings.ReplaceAll(mime.FormatMediaType(n.kind, params), "; ", ";\r\n ")}.write(b)
	}
	switch {
	case boundary != "":
		b.WriteString("\r\n")
		for _, sub := range n.subs {
			b.WriteString("--" + boundary + "\r\n")
			sub.write(b)
			b.WriteString("\r\n")
		}
		b.WriteString("--" + boundary + "--\r\n")
	case n.isText:
		writeText(b, string(n.body))
	case n.kind == "message/rfc822":
		b.WriteString("Content-Transfer-Encoding: 8bit\r\n\r\n")
		b.Write(n.body)
	default:
		b.WriteString("Content-Transfer-Encoding: base64\r\n\r\n")
		text := base64.StdEncoding.EncodeToString(n.body)
		for len(text) > 76 {
			b.WriteString(text[:76] + "\r\n")
			text = text[76:]
		}
		b.WriteString(text)
	}
}

// writeText writes a text so that it is read back as it is.
func writeText(b *bytes.Buffer, text string) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	plain := true
	length := 0
	for i := range len(text) {
		c := text[i]
		if length++; c == '\n' {
			length = 0
		}
		if c >= 0x7f || c < ' ' && c != '\n' && c != '\t' || length > 900 {
			plain = false
			break
		}
	}
	if plain {
		b.WriteString("Content-Transfer-Encoding: 7bit\r\n\r\n" + strings.ReplaceAll(text, "\n", "\r\n"))
		return
	}
	b.WriteString("Content-Transfer-Encoding: quoted-printable\r\n\r\n")
	w := quotedprintable.NewWriter(b)
	w.Write([]byte(strings.ReplaceAll(text, "\n", "\r\n"))) // a buffer takes everything
	w.Close()
}

package jmap

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"uniqverse/internal/errs"
	"uniqverse/services/email/jmap/account"
	"uniqverse/services/email/jmap/blob"
	"uniqverse/services/email/jmap/proto"
	"uniqverse/services/email/mailbox"
)

// The bounds of blobs within method calls (RFC 9404). A blob that is shown is held in memory, in JSON, and once more for references to
// it: its bytes cost more than those that are only read.
const (
	maxDataSources = 64        // of one blob
	maxBlobWork    = 128 << 20 // bytes that the blob methods of one request read
	shownCosts     = 8         // how many bytes that are read one byte that is shown counts as
)

// blobCapability is what an account can do with blobs (RFC 9404 section 2).
func blobCapability() map[string]any {
	return map[string]any{"maxSizeBlobSet": blob.MaxSize, "maxDataSources": maxDataSources, "supportedTypeNames": []string{"Mailbox", "Thread", "Email"},
		"supportedDigestAlgorithms": []string{"sha", "sha-256"}}
}

// tooMuchWork refuses a request that has blobs read without end.
func tooMuchWork() *proto.Error {
	return proto.Fail("requestTooLarge", "the blob methods of a request read at most %d MB, and show at most %d MB; ask for less at a time, or download the blobs", maxBlobWork>>20, maxBlobWork/shownCosts>>20)
}

// source is one of the pieces that a blob is put together from: exactly one of text, base64 and blob is set.
type source struct {
	Text   *string `json:"data:asText"`
	Base64 *string `json:"data:asBase64"`
	Blob   *string `json:"blobId"`
	Offset *int64  `json:"offset"`
	Length *int64  `json:"length"`
}

func (p source) check() *proto.SetError {
	n := 0
	for _, given := range []*string{p.Text, p.Base64, p.Blob} {
		if given != nil {
			n++
		}
	}
	switch {
	case n != 1:
		return proto.InvalidProperties([]string{"data"}, "a piece has exactly one of data:asText, data:asBase64 and blobId")
	case p.Blob == nil && (p.Offset != nil || p.Length != nil):
		return proto.InvalidProperties([]string{"data"}, "offset and length are of a blobId")
	case p.Offset != nil && *p.Offset < 0 || p.Length != nil && *p.Length < 0:
		return proto.InvalidProperties([]string{"data"}, "offset and length are not below zero")
	}
	return nil
}

// wanted is a blob that a client wants made.
type wanted struct {
	pieces []source
	kind   string
}

func readWanted(o proto.Object) (wanted, *proto.SetError) {
	var w wanted
	for name := range o {
		if name != "data" && name != "type" {
			return w, proto.InvalidProperties([]string{name}, "there is no property %.60q", name)
		}
	}
	if raw := o["type"]; !proto.IsNull(raw) && json.Unmarshal(raw, &w.kind) != nil {
		return w, proto.InvalidProperties([]string{"type"}, "type must be a media type")
	}
	var list []proto.Object
	if proto.IsNull(o["data"]) || json.Unmarshal(o["data"], &list) != nil {
		return w, proto.InvalidProperties([]string{"data"}, "data must be a list of pieces")
	}
	if len(list) > maxDataSources {
		return w, proto.InvalidProperties([]string{"data"}, "a blob is put together from at most %d pieces", maxDataSources)
	}
	for _, members := range list {
		var p source
		if err := proto.Decode(members, &p); err != nil {
			return w, proto.InvalidProperties([]string{"data"}, "%s", err.Description)
		}
		if refused := p.check(); refused != nil {
			return w, refused
		}
		w.pieces = append(w.pieces, p)
	}
	return w, nil
}

// blobUpload makes blobs from what stands in the request and from other blobs (RFC 9404 section 4.1).
func (s *Service) blobUpload(c *proto.Call) (any, error) {
	var a struct {
		Account string                  `json:"accountId" jmap:"required"`
		Create  map[string]proto.Object `json:"create" jmap:"required"`
	}
	if err := proto.Decode(c.Args, &a); err != nil {
		return nil, err
	}
	if err := c.CheckSet(&proto.SetArgs{Create: a.Create}); err != nil {
		return nil, err
	}
	acct, err := s.accounts.Find(c, a.Account)
	if err != nil {
		return nil, err
	}
	var created map[string]map[string]any
	var refused map[string]*proto.SetError
	for _, key := range inTurn(a.Create) {
		w, wrong := readWanted(a.Create[key])
		if wrong != nil {
			proto.Refused(&refused, key, wrong)
			continue
		}
		made, wrong, err := s.putTogether(c, acct, w)
		if err != nil {
			return nil, err
		}
		if wrong != nil {
			proto.Refused(&refused, key, wrong)
			continue
		}
		c.Created(key, made["id"].(string))
		proto.Done(&created, key, made)
	}
	return map[string]any{"accountId": a.Account, "created": created, "notCreated": refused}, nil
}

// inTurn sorts creation ids so that a blob comes after those of the same call that it is put together from.
func inTurn(create map[string]proto.Object) []string {
	var order []string
	left := proto.Keys(create)
	for len(left) > 0 {
		var later []string
		for _, key := range left {
			w, _ := readWanted(create[key])
			waits := slices.ContainsFunc(w.pieces, func(p source) bool {
				return p.Blob != nil && strings.HasPrefix(*p.Blob, "#") && slices.Contains(left, (*p.Blob)[1:])
			})
			if waits {
				later = append(later, key)
			} else {
				order = append(order, key)
			}
		}
		if len(later) == len(left) { // they wait for each other: each is refused
			return append(order, later...)
		}
		left = later
	}
	return order
}

// pieces reads blobs and texts one after the other, each opened when its turn comes. What is wrong with one is a *proto.SetError.
type pieces struct {
	s    *Service
	c    *proto.Call
	box  int64
	left []source

	now   io.Reader
	lacks int64 // bytes that the piece still has to give; -1 for all that there are
	done  func() error
}

func (p *pieces) Close() error {
	if p.done == nil {
		return nil
	}
	done := p.done
	p.done = nil
	return done()
}

func (p *pieces) Read(b []byte) (int, error) {
	for {
		if p.now == nil {
			if len(p.left) == 0 {
				return 0, io.EOF
			}
			if err := p.next(); err != nil {
				return 0, err
			}
		}
		part := b
		if p.lacks >= 0 {
			part = b[:min(int64(len(b)), p.lacks)]
		}
		n, err := 0, io.EOF
		if len(part) > 0 {
			n, err = p.now.Read(part)
		}
		if !p.c.Work(int64(n), maxBlobWork) {
			return 0, tooMuchWork()
		}
		if p.lacks >= 0 {
			p.lacks -= int64(n)
		}
		if errors.Is(err, io.EOF) {
			if p.lacks > 0 {
				return 0, beyond()
			}
			p.now, err = nil, p.Close()
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func beyond() *proto.SetError {
	return proto.InvalidProperties([]string{"data"}, "offset and length reach beyond the end of the blob")
}

// next begins with the next piece.
func (p *pieces) next() error {
	piece := p.left[0]
	p.left, p.lacks = p.left[1:], -1
	switch {
	case piece.Text != nil:
		p.now = strings.NewReader(*piece.Text)
		return nil
	case piece.Base64 != nil:
		raw, err := base64.StdEncoding.DecodeString(*piece.Base64)
		if err != nil || strings.ContainsAny(*piece.Base64, "\r\n") {
			return proto.InvalidProperties([]string{"data"}, "data:asBase64 is not Base64")
		}
		p.now = strings.NewReader(string(raw))
		return nil
	}
	gone := proto.Refuse("blobNotFound", "there is no such blob, or it has expired")
	gone.Extra = map[string]any{"notFound": []string{*piece.Blob}}
	id, known := p.c.ID(*piece.Blob)
	if !known {
		return gone
	}
	b, err := p.s.blobs.Open(p.c.Context, p.box, id)
	if errs.Is(err, errs.NotFound) {
		return gone
	}
	if err != nil {
		return err
	}
	p.now, p.done = b, b.Close
	if piece.Offset != nil {
		skipped, err := io.CopyN(io.Discard, b, *piece.Offset)
		if !p.c.Work(skipped, maxBlobWork) {
			return tooMuchWork()
		}
		if errors.Is(err, io.EOF) {
			return beyond()
		}
		if err != nil {
			return err
		}
	}
	if piece.Length != nil {
		p.lacks = *piece.Length
	}
	return nil
}

func (s *Service) putTogether(c *proto.Call, acct *account.Account, w wanted) (map[string]any, *proto.SetError, error) {
	src := &pieces{s: s, c: c, box: acct.Mailbox.ID, left: w.pieces}
	up, err := s.blobs.Upload(c.Context, acct.Mailbox.ID, plainType(w.kind), src)
	err = errors.Join(err, src.Close())
	var wrong *proto.SetError
	var failed *proto.Error
	switch {
	case errors.As(err, &wrong):
		return nil, wrong, nil
	case errors.As(err, &failed):
		return nil, nil, failed
	case errs.Is(err, errs.TooLarge):
		return nil, proto.Refuse("tooLarge", "a blob has at most %d bytes", int64(blob.MaxSize)), nil
	case errs.Is(err, errs.Conflict):
		return nil, proto.Refuse("overQuota", "it does not fit beside what was uploaded already"), nil
	case err != nil:
		return nil, nil, err
	}
	return map[string]any{"id": up.ID, "type": up.Type, "size": up.Size}, nil, nil
}

// blobGetArgs are the arguments of Blob/get.
type blobGetArgs struct {
	Account    string    `json:"accountId" jmap:"required"`
	IDs        *[]string `json:"ids" jmap:"required"`
	Properties *[]string `json:"properties"`
	Offset     *int64    `json:"offset"`
	Length     *int64    `json:"length"`
}

// blobGet answers with the bytes of blobs, or what can be said about them (RFC 9404 section 4.2).
func (s *Service) blobGet(c *proto.Call) (any, error) {
	var a blobGetArgs
	if err := proto.Decode(c.Args, &a); err != nil {
		return nil, err
	}
	if a.Offset != nil && *a.Offset < 0 || a.Length != nil && *a.Length < 0 {
		return nil, proto.InvalidArguments("offset and length are not below zero")
	}
	acct, err := s.accounts.Find(c, a.Account)
	if err != nil {
		return nil, err
	}
	ids, _, failed := c.Wanted(a.IDs)
	if failed != nil {
		return nil, failed
	}
	if a.Properties == nil {
		a.Properties = &[]string{"data", "size"}
	}
	properties, failed := proto.Properties(a.Properties, []string{"id", "data", "data:asText", "data:asBase64", "digest:sha", "digest:sha-256", "size"})
	if failed != nil {
		return nil, failed
	}
	list, notFound := []map[string]any{}, []string{}
	for _, id := range ids {
		b, err := s.blobs.Open(c.Context, acct.Mailbox.ID, id)
		if errs.Is(err, errs.NotFound) {
			notFound = append(notFound, id)
			continue
		}
		if err != nil {
			return nil, err
		}
		shown, err := showBlob(c, b, properties, a)
		if err = errors.Join(err, b.Close()); err != nil {
			return nil, err
		}
		shown["id"] = id
		list = append(list, shown)
	}
	return map[string]any{"accountId": a.Account, "list": list, "notFound": notFound}, nil
}

// counted reads a blob as far as a request may.
type counted struct {
	c    *proto.Call
	r    io.Reader
	cost int64
	n    int64
}

func (r *counted) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	r.n += int64(n)
	if !r.c.Work(int64(n)*r.cost, maxBlobWork) {
		return 0, tooMuchWork()
	}
	return n, err
}

func showBlob(c *proto.Call, b *blob.Content, properties []string, a blobGetArgs) (map[string]any, error) {
	is := func(name string) bool { return slices.Contains(properties, name) }
	digests := map[string]hash.Hash{"digest:sha": sha1.New(), "digest:sha-256": sha256.New()}
	shows := is("data") || is("data:asText") || is("data:asBase64")
	var (
		data strings.Builder
		into []io.Writer
	)
	for name, h := range digests {
		if is(name) {
			into = append(into, h)
		}
	}
	src := &counted{c: c, r: b, cost: 1}
	if shows {
		into = append(into, &data)
		src.cost = shownCosts
	}
	out := map[string]any{}
	skipped, selected := int64(0), int64(0)
	if len(into) > 0 {
		var err error
		if a.Offset != nil {
			src.cost = 1
			if skipped, err = io.CopyN(io.Discard, src, *a.Offset); err != nil && !errors.Is(err, io.EOF) {
				return nil, err
			}
			if shows {
				src.cost = shownCosts
			}
		}
		var from io.Reader = src
		if a.Length != nil {
			from = io.LimitReader(src, *a.Length)
		}
		if selected, err = io.Copy(io.MultiWriter(into...), from); err != nil {
			return nil, err
		}
		if a.Offset != nil && skipped < *a.Offset || a.Length != nil && selected < *a.Length {
			out["isTruncated"] = true
		}
	}
	for name, h := range digests {
		if is(name) {
			out[name] = base64.StdEncoding.EncodeToString(h.Sum(nil))
		}
	}
	if shows {
		showData(out, data.String(), is)
	}
	if !is("size") {
		return out, nil
	}
	out["size"] = b.Size
	if b.Size < 0 { // a part: only reading tells
		src.cost = 1
		rest, err := io.Copy(io.Discard, src)
		if err != nil {
			return nil, err
		}
		out["size"] = skipped + selected + rest
	}
	return out, nil
}

// showData writes the bytes that were selected in the forms that are asked for.
func showData(out map[string]any, data string, is func(string) bool) {
	text := utf8.ValidString(data)
	if !text && (is("data") || is("data:asText")) {
		out["isEncodingProblem"] = true
	}
	if is("data:asText") {
		out["data:asText"] = nil
	}
	if text && (is("data") || is("data:asText")) {
		out["data:asText"] = data
	}
	if is("data:asBase64") || is("data") && !text {
		out["data:asBase64"] = base64.StdEncoding.EncodeToString([]byte(data))
	}
}

// blobLookup tells where blobs are used (RFC 9404 section 4.3): a message's bytes, and those of its parts, in that message, its
// thread and its folders. Uploads are used nowhere: what is made from one has a blob of its own.
func (s *Service) blobLookup(c *proto.Call) (any, error) {
	var a struct {
		Account string    `json:"accountId" jmap:"required"`
		Types   *[]string `json:"typeNames" jmap:"required"`
		IDs     *[]string `json:"ids" jmap:"required"`
	}
	if err := proto.Decode(c.Args, &a); err != nil {
		return nil, err
	}
	acct, err := s.accounts.Find(c, a.Account)
	if err != nil {
		return nil, err
	}
	for _, name := range *a.Types {
		if !slices.Contains([]string{"Mailbox", "Thread", "Email"}, name) {
			return nil, proto.Fail("unknownDataType", "blobs are looked up in Mailbox, Thread and Email, not in %.60q", name)
		}
	}
	ids, _, failed := c.Wanted(a.IDs)
	if failed != nil {
		return nil, failed
	}
	list, notFound := []map[string]any{}, []string{}
	for _, id := range ids {
		b, err := s.blobs.Open(c.Context, acct.Mailbox.ID, id)
		if errs.Is(err, errs.NotFound) {
			notFound = append(notFound, id)
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := b.Close(); err != nil {
			return nil, err
		}
		var in []mailbox.Message
		if raw := blob.MessageOf(id); raw != 0 {
			if in, err = s.Store.MessagesOfRaw(c.Context, acct.Mailbox.ID, raw); err != nil {
				return nil, err
			}
		}
		list = append(list, map[string]any{"id": id, "matchedIds": matched(in, *a.Types)})
	}
	return map[string]any{"accountId": a.Account, "list": list, "notFound": notFound}, nil
}

func matched(in []mailbox.Message, types []string) map[string][]string {
	out := map[string][]string{}
	for _, name := range types {
		out[name] = []string{}
	}
	add := func(name, id string) {
		if list, asked := out[name]; asked && !slices.Contains(list, id) {
			out[name] = append(list, id)
		}
	}
	for _, m := range in {
		add("Email", account.ID(account.PrefixEmail, m.ID))
		add("Thread", account.ID(account.PrefixThread, m.ThreadID))
		for _, f := range m.Folders {
			add("Mailbox", account.ID(account.PrefixMailbox, f))
		}
	}
	return out
}

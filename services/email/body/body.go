// Package body answers with what a message holds: the message as it came, its header, its parts, and its HTML made fit to be shown.
//
// It stores nothing and decides nothing about whose mail may be seen: that is the Mail's. What a mail holds is a stranger's,
// so everything leaves as a file or as a document that can do nothing. Its handlers are safe for concurrent use.
package body

import (
	"encoding/base64"
	"html"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/htmlmail"
	"uniqverse/services/email/mailbox"
	mailmime "uniqverse/services/email/mime"
	"uniqverse/services/email/reading"
	"uniqverse/smtpd/header"
)

// fileOnly is the policy of anything that is a stranger's file: should a browser show it all
// the same, it can do nothing.
const fileOnly = "sandbox; default-src 'none'; frame-ancestors 'none'"

// The bounds of images that a mail holds and its HTML shows, in bytes.
const (
	maxImage  = 2 << 20
	maxImages = 8 << 20
)

// Mail is the mail service as it is needed here.
type Mail interface {
	// OpenFor returns a message that the caller may see, with its bytes; close the content. What is somebody else's is errs.NotFound.
	OpenFor(c *web.Call, id int64) (mailbox.Message, mailbox.Raw, *mailbox.Content, error)
}

// Images fetches pictures from elsewhere; *images.Images does.
type Images interface {
	// Asked reports whether a reader of the message asked for its pictures, by what the address of its HTML carries.
	Asked(message int64, asked string) bool
	// Path returns the path at which a picture is to be had for the message; "" when it is not fetched.
	Path(message int64, address string) string
}

// Bodies answers with what messages hold. Make one with New.
type Bodies struct {
	mail   Mail
	images Images
}

// New returns the bodies of a mail service's messages.
func New(mail Mail, images Images) *Bodies { return &Bodies{mail, images} }

// Endpoints are the routes of what messages hold.
func (b *Bodies) Endpoints() []web.Endpoint {
	read := web.NeedsToken("email.read")
	read.Describe = "the user's own mailbox; others' with email.admin"
	return []web.Endpoint{
		web.Stream("GET", "/api/messages/{id}/raw", read, "The message as it came, with the fields that this server put before it", b.rawMessage),
		web.Stream("GET", "/api/messages/{id}/html", read, "The HTML of the message, without what acts or calls home, as a document for a sandboxed frame", b.htmlBody),
		web.Query("GET", "/api/messages/{id}/headers", read, "The header fields in their order, decoded", b.headers),
		web.Stream("GET", "/api/messages/{id}/parts/{part}", read, "A part of the message, decoded, as a file", b.part),
	}
}

// attachment sets the headers of an answer that is a stranger's file.
func attachment(h http.Header, typ, name string) {
	h.Set("Content-Type", typ)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	h.Set("Content-Security-Policy", fileOnly)
	h.Set("Cache-Control", "private, no-store")
}

func (b *Bodies) rawMessage(c *web.Call, w http.ResponseWriter, in idParams) error {
	m, raw, body, err := b.mail.OpenFor(c, in.ID)
	if err != nil {
		return err
	}
	defer body.Close()
	attachment(w.Header(), "message/rfc822", "message-"+strconv.FormatInt(m.ID, 10)+".eml")
	w.Header().Set("Content-Length", strconv.FormatInt(int64(len(raw.Prepended))+body.Size, 10))
	return copyTo(w, io.MultiReader(strings.NewReader(string(raw.Prepended)), body.All()))
}

// copyTo writes an answer; a reader that went away is no error of ours.
func copyTo(w io.Writer, r io.Reader) error {
	_, err := io.Copy(w, r)
	return err
}

type htmlParams struct {
	ID     int64  `path:"id" min:"1"`
	Images string `json:"images,omitempty" max:"100" doc:"that the reader asked for the pictures from elsewhere, as the message's page gives it"`
	Any    bool   `json:"any,omitempty" doc:"of a message without HTML its text, as such a document; without this that is 404"`
}

func (b *Bodies) htmlBody(c *web.Call, w http.ResponseWriter, in htmlParams) error {
	_, _, body, err := b.mail.OpenFor(c, in.ID)
	if err != nil {
		return err
	}
	defer body.Close()
	v, err := reading.Show(body)
	if err != nil {
		return err
	}
	if v.HTMLPart == nil && in.Any {
		return document(w, textDocument(v.Text), htmlmail.Policy)
	}
	if v.HTMLPart == nil {
		return errs.New(errs.NotFound, "this message has no HTML; its text is at %s", c.URL("/api/messages/"+strconv.FormatInt(in.ID, 10)))
	}
	src, _, err := v.HTMLPart.Text(body, reading.ShownHTML)
	if err != nil {
		return err
	}
	pictures, policy := htmlmail.Images{Held: held(v, body)}, htmlmail.Policy
	if in.Images != "" && b.images.Asked(in.ID, in.Images) {
		policy = htmlmail.PolicyWithImages
		pictures.Elsewhere = func(address string) string {
			if path := b.images.Path(in.ID, address); path != "" {
				return c.URL(path)
			}
			return ""
		}
	}
	doc := htmlmail.Clean(src, pictures)
	return document(w, doc, policy)
}

// document answers with a document of a stranger's, for a frame of a page of ours.
func document(w http.ResponseWriter, doc []byte, policy string) error {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "private, no-store")
	h.Set("Content-Length", strconv.Itoa(len(doc)))
	_, err := w.Write(doc)
	return err
}

// textDocument is plain text as a document.
func textDocument(text string) []byte {
	return []byte("<!doctype html>\n<html><head><meta charset=\"utf-8\"><title>Mail</title><style>body{font:15px/1.6 system-ui,sans-serif;margin:1rem;white-space:pre-wrap;overflow-wrap:anywhere}</style></head><body dir=\"auto\">" +
		html.EscapeString(text) + "</body></html>\n")
}

// held finds the images that a mail holds, by their Content-ID, as data: URLs.
func held(v reading.Shown, body *mailbox.Content) func(string) string {
	left := int64(maxImages)
	return func(id string) string {
		for i := range v.Tree.Parts {
			p := &v.Tree.Parts[i]
			typ, ok := strings.CutPrefix(p.Type, "image/")
			if p.ContentID != id || id == "" || !ok || !slices.Contains([]string{"png", "jpeg", "gif", "webp"}, typ) || p.Size() > min(2*maxImage, left) {
				continue
			}
			data, err := io.ReadAll(io.LimitReader(p.Body(body), maxImage+1))
			if err != nil || len(data) > maxImage {
				return ""
			}
			left -= p.Size()
			return "data:" + p.Type + ";base64," + base64.StdEncoding.EncodeToString(data)
		}
		return ""
	}
}

// Headers is the answer to GET /api/messages/{id}/headers.
type Headers struct {
	Headers []HeaderField `json:"headers"`
}

// HeaderField is one field of a message's header section.
type HeaderField struct {
	Name  string `json:"name"`  // as written; "" for a line that is no field
	Value string `json:"value"` // unfolded and decoded
	Ours  bool   `json:"ours"`  // put there by this server
}

func (b *Bodies) headers(c *web.Call, in idParams) (Headers, error) {
	_, raw, body, err := b.mail.OpenFor(c, in.ID)
	if err != nil {
		return Headers{}, err
	}
	defer body.Close()
	tree, err := mailmime.Scan(body.All())
	if err != nil {
		return Headers{}, err
	}
	return Headers{FieldList(raw, tree)}, nil
}

// FieldList lists the fields that this server put before a message, and its own.
func FieldList(raw mailbox.Raw, tree *mailmime.Tree) []HeaderField {
	out := []HeaderField{}
	add := func(fields []header.Field, ours bool) {
		for _, f := range fields {
			v := mailmime.Value(f)
			if f.Name == "" {
				v = string(f.Raw[:min(len(f.Raw), 1000)])
			}
			out = append(out, HeaderField{Name: mailmime.Line(f.Name, 200), Value: mailmime.Header(v), Ours: ours})
		}
	}
	add(header.Fields(raw.Prepended), true)
	add(tree.Header, false)
	return out
}

type idParams struct {
	ID int64 `path:"id" min:"1"`
}

type partParams struct {
	ID   int64 `path:"id" min:"1"`
	Part int   `path:"part" min:"0" max:"1000"`
}

func (b *Bodies) part(c *web.Call, w http.ResponseWriter, in partParams) error {
	_, _, body, err := b.mail.OpenFor(c, in.ID)
	if err != nil {
		return err
	}
	defer body.Close()
	tree, err := mailmime.Scan(body.All())
	if err != nil {
		return err
	}
	if in.Part >= len(tree.Parts) || tree.Parts[in.Part].IsMultipart() {
		return errs.New(errs.NotFound, "the message has no part %d", in.Part)
	}
	p := &tree.Parts[in.Part]
	name := p.Name
	if name == "" {
		name = "part-" + strconv.Itoa(in.Part)
	}
	typ := p.Type // harmless with nosniff, attachment and the sandbox; parameters are dropped
	if strings.HasPrefix(typ, "text/") || strings.Contains(typ, "xml") || strings.Contains(typ, "script") {
		typ = "application/octet-stream"
	}
	attachment(w.Header(), typ, name)
	return copyTo(w, p.Body(body))
}

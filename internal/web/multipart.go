package web

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"

	"uniqverse/internal/errs"
)

// File is a file of a multipart form.
type File struct {
	Name string // as the browser gives it, without folders; may be ""
	Type string // as the browser gives it; "" when it gives none
	Data []byte
}

// Files returns the files of a form at an endpoint that takes some, in their order.
func (c *Call) Files() []File { return c.given.files }

// readMultipart takes the fields of a multipart form. Files are kept when they stand in the field that is named for them,
// and refused rather than dropped otherwise. The body is already bounded by MaxBody.
func (p *params) readMultipart(body []byte, boundary, files string) error {
	if boundary == "" {
		return errs.New(errs.Malformed, "the multipart body has no boundary in its Content-Type")
	}
	mr := multipart.NewReader(bytes.NewReader(body), boundary)
	for n := 0; ; n++ {
		part, err := mr.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errs.Wrap(errs.Malformed, err, "the multipart body cannot be read")
		}
		if n >= 100 {
			return errs.New(errs.TooLarge, "the form has more than 100 fields")
		}
		isFile := part.FileName() != "" || files != "" && part.FormName() == files // an empty field of files has no name
		if isFile && (files == "" || part.FormName() != files) {
			return errs.BadField(clip(part.FormName()), "is a file, and this address takes none")
		}
		val, err := io.ReadAll(part)
		if err != nil {
			return errs.Wrap(errs.Malformed, err, "the multipart body cannot be read")
		}
		if isFile {
			if part.FileName() != "" || len(val) > 0 {
				p.files = append(p.files, File{Name: part.FileName(), Type: part.Header.Get("Content-Type"), Data: val})
			}
			continue
		}
		p.text.Add(part.FormName(), string(val))
	}
}

package web

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"

	"uniqverse/internal/errs"
)

// readMultipart takes the text fields of a multipart form; files have their own endpoints
// and are refused here rather than dropped. The body is already bounded by MaxBody.
func (p *params) readMultipart(body []byte, boundary string) error {
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
		if part.FileName() != "" {
			return errs.BadField(clip(part.FormName()), "is a file, and this address takes none")
		}
		val, err := io.ReadAll(part)
		if err != nil {
			return errs.Wrap(errs.Malformed, err, "the multipart body cannot be read")
		}
		p.text.Add(part.FormName(), string(val))
	}
}

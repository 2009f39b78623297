package jmap

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/jmap/proto"
)

type uploadParams struct {
	Account string `path:"accountId" max:"255"`
}

// Uploaded is the answer to an upload (RFC 8620 section 6.1).
type Uploaded struct {
	AccountID string `json:"accountId"`
	BlobID    string `json:"blobId"`
	Type      string `json:"type"`
	Size      int64  `json:"size"`
}

// plainType is a media type that may stand in a header, or the one for bytes of any kind.
func plainType(given string) string {
	kind, params, err := mime.ParseMediaType(given)
	if err != nil || len(given) > 250 || !strings.Contains(kind, "/") {
		return "application/octet-stream"
	}
	return mime.FormatMediaType(kind, params)
}

func (s *Service) upload(c *web.Call, w http.ResponseWriter, in uploadParams) error {
	acct, err := s.accounts.ByID(c.Context(), c.Caller, in.Account)
	if err != nil {
		return err
	}
	release, err := s.uploads.Take(c.Caller)
	if err != nil {
		problem(c, w, proto.OverLimit("maxConcurrentUpload", "at most %d uploads run at a time; wait for one to end", s.limits.MaxConcurrentUpload))
		return nil
	}
	defer release()
	up, err := s.blobs.Upload(c.Context(), acct.Mailbox.ID, plainType(c.Request.Header.Get("Content-Type")), c.Request.Body)
	tooLarge := new(http.MaxBytesError)
	if errors.As(err, &tooLarge) || errs.Is(err, errs.TooLarge) {
		e := proto.OverLimit("maxSizeUpload", "an upload has at most %d bytes", s.limits.MaxSizeUpload)
		e.Status = http.StatusRequestEntityTooLarge
		problem(c, w, e)
		return nil
	}
	if err != nil {
		return err
	}
	return answer(w, http.StatusCreated, Uploaded{in.Account, up.ID, up.Type, up.Size})
}

type downloadParams struct {
	Account string `path:"accountId" max:"255"`
	Blob    string `path:"blobId" max:"255"`
	Name    string `path:"name" max:"255"`
	Type    string `json:"type,omitempty" max:"255" doc:"the Content-Type of the answer"`
}

// download answers with the bytes of a blob. They may be anything: a browser saves them and shows nothing.
func (s *Service) download(c *web.Call, w http.ResponseWriter, in downloadParams) error {
	acct, err := s.accounts.ByID(c.Context(), c.Caller, in.Account)
	if err != nil {
		return err
	}
	b, err := s.blobs.Open(c.Context(), acct.Mailbox.ID, in.Blob)
	if err != nil {
		return err
	}
	defer b.Close()
	h := w.Header()
	kind := in.Type
	if kind == "" {
		kind = b.Type
	}
	h.Set("Content-Type", plainType(kind))
	disposition := mime.FormatMediaType("attachment", map[string]string{"filename": strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '/' || r == '\\' {
			return '_'
		}
		return r
	}, in.Name)})
	if disposition == "" {
		disposition = "attachment"
	}
	h.Set("Content-Disposition", disposition)
	h.Set("Cache-Control", "private, immutable, max-age=31536000")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
	if b.Size >= 0 {
		h.Set("Content-Length", strconv.FormatInt(b.Size, 10))
	}
	w.WriteHeader(http.StatusOK)
	rc := http.NewResponseController(w)
	buf := make([]byte, 64<<10)
	for {
		n, err := b.Read(buf)
		if n > 0 {
			rc.SetWriteDeadline(time.Now().Add(30 * time.Second)) // a reader who stands still is let go
			if _, err := w.Write(buf[:n]); err != nil {
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read blob: %w", err)
		}
	}
}

// blobCopy copies blobs from one account to another (RFC 8620 section 6.3).
func (s *Service) blobCopy(c *proto.Call) (any, error) {
	var a struct {
		From    string    `json:"fromAccountId" jmap:"required"`
		Account string    `json:"accountId" jmap:"required"`
		Blobs   *[]string `json:"blobIds" jmap:"required"`
	}
	if err := proto.Decode(c.Args, &a); err != nil {
		return nil, err
	}
	if len(*a.Blobs) > c.Limits.MaxObjectsInSet {
		return nil, proto.Fail("requestTooLarge", "at most %d blobs are copied at a time", c.Limits.MaxObjectsInSet)
	}
	from, err := s.accounts.Find(c, a.From)
	if e := new(proto.Error); errors.As(err, &e) {
		return nil, proto.Fail("fromAccountNotFound", "there is no such account to copy from")
	}
	if err != nil {
		return nil, err
	}
	to, err := s.accounts.Find(c, a.Account)
	if err != nil {
		return nil, err
	}
	copied := map[string]string{}
	var refused map[string]*proto.SetError
	for _, id := range *a.Blobs {
		b, err := s.blobs.Open(c.Context, from.Mailbox.ID, id)
		if errs.Is(err, errs.NotFound) {
			proto.Refused(&refused, id, proto.Refuse("notFound", "there is no such blob, or it has expired"))
			continue
		}
		if err != nil {
			return nil, err
		}
		if from.ID == to.ID {
			b.Close()
			copied[id] = id
			continue
		}
		up, err := s.blobs.Upload(c.Context, to.Mailbox.ID, plainType(b.Type), b)
		b.Close()
		switch {
		case errs.Is(err, errs.Conflict), errs.Is(err, errs.TooLarge):
			proto.Refused(&refused, id, proto.Refuse("overQuota", "it does not fit beside what was uploaded already"))
		case err != nil:
			return nil, err
		default:
			copied[id] = up.ID
		}
	}
	out := map[string]any{"fromAccountId": a.From, "accountId": a.Account, "copied": nil, "notCopied": nil}
	if len(copied) > 0 {
		out["copied"] = copied
	}
	if len(refused) > 0 {
		out["notCopied"] = refused
	}
	return out, nil
}

package attachment

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// Endpoints are the routes of attachments.
func (s *Service) Endpoints() []web.Endpoint {
	read, write := web.Needs("chat.read"), web.Needs("chat.write")
	return []web.Endpoint{
		web.Query(http.MethodPost, "/rooms/{id}/attachments", write, "Upload a file, raw with name= or as the one file of a form; a line takes it along within a day", s.upload).
			ReadsBody(MaxSize+64<<10, "*/*", "multipart/form-data"),
		web.Stream(http.MethodGet, "/rooms/{id}/attachments/{aid}", read, "The file itself, for who may read its line: pictures to show, all else to save", s.download),
		web.Command(http.MethodDelete, "/rooms/{id}/attachments/{aid}", write, "Take back a file of one's own that no line took along", s.opts.Store, s.drop),
	}
}

type uploadIn struct {
	Room int64  `path:"id" doc:"the room's id"`
	Name string `json:"name,omitempty" max:"1000" doc:"the file's name, where the body is the file itself"`
}

// upload takes a file: first the bytes, then the row that makes them count.
func (s *Service) upload(c *web.Call, in uploadIn) (any, error) {
	if err := s.opts.Rooms.Writer(c.Context(), c.Caller, in.Room); err != nil {
		return nil, err
	}
	a := Attachment{Room: in.Room, Owner: Owner(c.Caller), CreatedAt: api.TimeOf(c.Now)}
	if !c.Caller.Unlimited() {
		if err := allow(s.opts.Store.Loose(c.Context(), a.Owner)); err != nil {
			return nil, err
		}
	}
	release, err := s.uploads.Take(c.Caller)
	if err != nil {
		return nil, err
	}
	defer release()
	sum, err := s.take(c.Request, in.Name, &a)
	if err != nil {
		return nil, err
	}
	first := false // a repeat has its file already
	out, err := web.Update(c, []string{a.Name, sum}, s.opts.Store, func(tx Tx) (api.ChatAttachment, error) {
		if !c.Caller.Unlimited() {
			if err := allow(tx.Loose(a.Owner)); err != nil {
				return api.ChatAttachment{}, err
			}
		}
		var err error
		a.ID, err = tx.AddAttachment(a)
		first = true
		return a.ChatAttachment, err
	})
	if err != nil || !first {
		s.opts.Folder.Remove(a.File) // what stays is removed at the next start
	}
	return out, err
}

func allow(files int, bytes int64, err error) error {
	if err != nil {
		return err
	}
	return room(files, bytes)
}

// take brings the request's file into the folder, says what it is, and returns its hash.
func (s *Service) take(r *http.Request, name string, a *Attachment) (sum string, err error) {
	if r.ContentLength > MaxSize+64<<10 {
		return "", tooLarge()
	}
	body, name, err := content(r, name)
	if err != nil {
		return "", err
	}
	kept, err := s.opts.Folder.Keep(io.LimitReader(body, MaxSize+1))
	var known *errs.Error
	switch {
	case errors.As(err, &known):
		return "", err
	case err != nil:
		return "", web.BodyError(err)
	case kept.Size > MaxSize:
		err = tooLarge()
	case kept.Size == 0:
		err = errs.BadField("file", "is required, and it is empty")
	default:
		err = s.describe(name, kept, a)
	}
	if err != nil {
		s.opts.Folder.Remove(kept.Name)
	}
	return kept.Sum, err
}

// describe says of a file what it is.
func (s *Service) describe(name string, kept Kept, a *Attachment) error {
	file, err := s.opts.Folder.Open(kept.Name)
	if err != nil {
		return diskError(err)
	}
	defer file.Close()
	a.Name, a.File, a.Size = cleanName(name), kept.Name, kept.Size
	a.Type, a.Width, a.Height, err = look(file)
	return diskError(err)
}

func tooLarge() error {
	return errs.New(errs.TooLarge, "the file is larger than %d MB, which is the most", MaxSize>>20)
}

// content returns the file in a request: the one file of a form, or the whole body.
func content(r *http.Request, name string) (io.Reader, string, error) {
	typ, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil && r.Header.Get("Content-Type") != "" {
		return nil, "", errs.New(errs.Unsupported, "the Content-Type header cannot be read")
	}
	switch {
	case typ == "application/json" || typ == "application/x-www-form-urlencoded" && name == "":
		return nil, "", errs.New(errs.Unsupported, "a file is sent as multipart/form-data, or as the body with its name in name= and Content-Type application/octet-stream")
	case typ != "multipart/form-data" && name == "":
		return nil, "", errs.BadField("name", "is required: what is the file called?")
	case typ != "multipart/form-data":
		return r.Body, name, nil
	}
	parts := multipart.NewReader(r.Body, params["boundary"])
	part, err := parts.NextPart()
	switch {
	case errors.Is(err, io.EOF):
		return nil, "", errs.BadField("file", "is required: the form holds no file")
	case err != nil:
		return nil, "", web.BodyError(err)
	case part.FileName() == "":
		return nil, "", errs.BadField("file", "must be the form's first field; %q is no file", strings.ToValidUTF8(cleanName(part.FormName()), "?"))
	case name == "":
		name = part.FileName()
	}
	return &onlyPart{part: part, rest: parts}, name, nil
}

// onlyPart reads a file of a form and refuses a form that has more.
type onlyPart struct {
	part *multipart.Part
	rest *multipart.Reader
}

func (p *onlyPart) Read(b []byte) (int, error) {
	n, err := p.part.Read(b)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	switch _, next := p.rest.NextPart(); {
	case next == nil:
		return n, errs.BadField("file", "must be the only field of its form")
	case !errors.Is(next, io.EOF):
		return n, next
	}
	return n, io.EOF
}

type fileIn struct {
	Room int64 `path:"id" doc:"the room's id"`
	ID   int64 `path:"aid" doc:"the attachment's id"`
}

func noFile() error { return errs.New(errs.NotFound, "there is no such file in this room") }

func (s *Service) download(c *web.Call, w http.ResponseWriter, in fileIn) error {
	since, err := s.opts.Rooms.Reader(c.Context(), c.Caller, in.Room)
	if err != nil {
		return err
	}
	a, err := s.opts.Store.Attachment(c.Context(), in.Room, in.ID)
	switch {
	case errs.Is(err, errs.NotFound), err == nil && a.Message != 0 && a.Seq <= since, err == nil && (a.Message == 0 || a.Hidden && !c.Caller.Has("chat.moderate")) && a.Owner != Owner(c.Caller):
		return noFile()
	case err != nil:
		return err
	}
	file, err := s.opts.Folder.Open(a.File)
	if err != nil {
		return errs.Wrap(errs.Internal, err, "the file is not where it should be")
	}
	defer file.Close()
	h := w.Header()
	kind, typ := "attachment", "application/octet-stream"
	if a.Width > 0 {
		kind, typ = "inline", a.Type
	}
	h.Set("Content-Type", typ)
	h.Set("Content-Disposition", disposition(kind, a.Name))
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "private, no-cache") // kept, but asked for each time: the right to read may go
	h.Set("ETag", `"`+a.File+`"`)               // the bytes under a name never change
	http.ServeContent(w, c.Request, "", a.CreatedAt.Time(), file)
	return nil
}

// ok is the answer where there is nothing else to say.
type ok struct {
	OK bool `json:"ok"` // always true
}

func (s *Service) drop(c *web.Call, tx Tx, in fileIn) (ok, error) {
	if _, err := s.opts.Rooms.Reader(c.Context(), c.Caller, in.Room); err != nil {
		return ok{}, err
	}
	a, err := s.opts.Store.Attachment(c.Context(), in.Room, in.ID)
	switch {
	case errs.Is(err, errs.NotFound), err == nil && a.Owner != Owner(c.Caller):
		return ok{}, noFile()
	case err != nil:
		return ok{}, err
	}
	dropped, err := tx.DropAttachment(a.ID)
	if err == nil && !dropped {
		err = errs.New(errs.Conflict, "a line took the file along; delete the line")
	}
	return ok{true}, err
}

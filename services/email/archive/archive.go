// Package archive brings mail in from files and takes it out again: single messages (eml, RFC 5322), mailboxes in one file (mbox,
// RFC 4155, with the quoting that is known as mboxrd), and zip files of messages, a folder for each folder.
//
// What is brought in is nobody's news and is judged by no filter; a message that is there already is passed over, so an
// import that broke off is simply repeated. Each message is on disk when it is counted. What cannot be a message is named in the
// answer, and the others come in all the same. It is no backup of the installation: that is the data folder (docs/operations.md).
//
// Handlers are safe for concurrent use; a message is in memory once, whatever the size of the file.
package archive

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/mime"
	"uniqverse/smtpd/header"
)

// The bounds of one import.
const (
	MaxImport   = 256 << 20 // bytes of the body
	MaxMessages = 20_000
	maxUnzipped = 1 << 30 // bytes of all messages of a zip file
	maxNamed    = 20      // failures that are named one by one
)

// Store is what the archive asks of the store beside the mail service's own.
type Store interface {
	// Known returns the stored bytes of a mailbox's messages that have this Message-ID, unless it is "", or lie in the folder
	// and arrived in this second; at most 20.
	Known(ctx context.Context, mailbox, folder int64, received time.Time, messageID string) (rawIDs []int64, err error)
}

// Archive imports and exports. Make one with New.
type Archive struct {
	mail    *email.Service
	store   Store
	log     *slog.Logger
	running *web.Quota
}

// New returns the archive of a mail service.
func New(mail *email.Service, store Store, log *slog.Logger) *Archive {
	return &Archive{mail: mail, store: store, log: log, running: web.NewQuota("imports and exports", 2)}
}

// Endpoints are the archive's routes.
func (a *Archive) Endpoints() []web.Endpoint {
	read := web.NeedsToken("email.read")
	read.Describe = "the user's own mailbox; others' with email.admin"
	page := web.Needs("email.read")
	page.Describe = read.Describe
	return []web.Endpoint{
		web.Stream("GET", "/api/export", read, "A folder or a whole mailbox as a file: mbox, or zip with a file for each message", a.export),
		web.Stream("GET", "/export", page, "The page's link: as GET /api/export", a.export),
		web.Query("POST", "/api/import", read, "Put messages from a file into a folder: one message (message/rfc822), mbox (application/mbox) or zip (application/zip)", a.imports).
			ReadsBody(MaxImport, "message/rfc822", "application/mbox", "application/zip"),
	}
}

// failure is a message that could not be brought in.
type failure struct {
	Message int    `json:"message"` // its number in the file, from 1
	Detail  string `json:"detail"`
}

// Imported is the answer to POST /api/import.
type Imported struct {
	Imported int       `json:"imported"`
	Known    int       `json:"known"`    // were there already
	Failed   int       `json:"failed"`   // could not be brought in
	Failures []failure `json:"failures"` // the first of them
}

type importIn struct {
	User   string `json:"user,omitempty" max:"320" doc:"whose mailbox; the caller's when left out"`
	Folder string `json:"folder,omitempty" max:"900" doc:"where to: a role, the id of a folder, or its path; the inbox when left out"`
	Unread bool   `json:"unread,omitempty" doc:"mark what does not say itself whether it was read as unread"`
}

// imports puts the messages of a file into a folder, one after the other.
func (a *Archive) imports(c *web.Call, in importIn) (any, error) {
	user := in.User
	if user == "" {
		user = c.Caller.User
	}
	box, err := a.mail.MailboxOf(c, user)
	if err != nil {
		return nil, err
	}
	if box, err = a.mail.MailboxFor(c.Context(), box.User); err != nil {
		return nil, err
	}
	if in.Folder == "" {
		in.Folder = mailbox.RoleInbox
	}
	folder, err := a.mail.FolderOf(c, box, in.Folder)
	if err != nil {
		return nil, err
	}
	release, err := a.running.Take(c.Caller)
	if err != nil {
		return nil, err
	}
	defer release()
	src, err := open(c.Request.Header.Get("Content-Type"), c.Request.Body)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	out := Imported{Failures: []failure{}}
	for n := 1; ; n++ {
		m, err := src.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if n > MaxMessages {
			return nil, errs.New(errs.TooLarge, "a file may hold at most %d messages; the first %d are in the folder now, import the rest from another file", MaxMessages, MaxMessages)
		}
		if err == nil {
			err = a.take(c.Context(), box, folder, in, m, &out)
		}
		var stop *fatal
		switch {
		case errors.As(err, &stop):
			return nil, stop.error
		case err != nil && (c.Context().Err() != nil || errs.Is(err, errs.Unavailable) || errs.Is(err, errs.Conflict)):
			return nil, err // the disk or the mailbox is full, or nobody waits any more: what came so far stays
		case err != nil:
			if out.Failed++; len(out.Failures) < maxNamed {
				out.Failures = append(out.Failures, failure{n, detail(err)})
			}
		}
	}
	a.log.Info("mail imported", "user", box.User, "messages", out.Imported, "known", out.Known, "failed", out.Failed)
	return out, nil
}

// take puts one message into the folder unless it is in the mailbox.
func (a *Archive) take(ctx context.Context, box mailbox.Mailbox, folder mailbox.Folder, in importIn, m Message, out *Imported) error {
	if len(m.Raw) == 0 {
		return errs.New(errs.Invalid, "it is empty")
	}
	known, err := a.known(ctx, box.ID, folder.ID, m)
	if err != nil {
		return err
	}
	if known {
		out.Known++
		return nil
	}
	labels, err := mailbox.CleanLabels(m.Labels)
	if err != nil {
		labels = nil // of another program, and not worth the message
	}
	row := email.Appended{User: box.User, Folders: []int64{folder.ID}, Labels: labels, Unread: in.Unread, Starred: m.Starred, Received: m.Received, Mode: "import"}
	if m.SaysRead {
		row.Unread = !m.Read
	}
	if m.Answered {
		row.Keywords = []string{mailbox.KeywordAnswered}
	}
	if _, err := a.mail.Append(ctx, row, m.reader(), nil); err != nil {
		return err
	}
	out.Imported++
	return nil
}

// known reports whether the mailbox has a message: the same bytes, or the same Message-ID and the same text below a header that
// grew on the way, as that of an exported message did.
func (a *Archive) known(ctx context.Context, box, folder int64, m Message) (bool, error) {
	id, text := "", m.Raw[header.End(m.Raw):]
	for _, f := range header.Fields(m.Raw[:header.End(m.Raw)]) {
		if f.Is("Message-ID") {
			id = mime.Line(strings.Trim(f.Value(), "<> \t"), 250)
		}
	}
	rawIDs, err := a.store.Known(ctx, box, folder, m.Received, id)
	for _, rawID := range rawIDs {
		raw, body, err := a.mail.Open(ctx, rawID)
		if errs.Is(err, errs.NotFound) {
			continue
		}
		if err != nil {
			return false, err
		}
		same := bytes.Equal(raw.SHA256, mailbox.Hash(m.Raw))
		if !same && body.Size >= int64(len(text)) {
			tail := make([]byte, len(text))
			_, err = body.ReadAt(tail, body.Size-int64(len(text)))
			same = (err == nil || errors.Is(err, io.EOF)) && bytes.Equal(tail, text) && len(text) > 0
		}
		body.Close()
		if same {
			return true, nil
		}
	}
	return false, err
}

// detail is what an error tells the caller.
func detail(err error) string {
	var e *errs.Error
	if errors.As(err, &e) {
		return e.Detail
	}
	return "it cannot be read"
}

package archive

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
	"uniqverse/smtpd/header"
)

type exportIn struct {
	User   string `json:"user,omitempty" max:"320" doc:"whose mailbox; the caller's when left out"`
	Folder string `json:"folder,omitempty" max:"900" doc:"a role, the id of a folder, or its path; the whole mailbox when left out"`
	Format string `json:"format,omitempty" max:"10" doc:"mbox, which is what is meant when left out, or zip"`
}

// Check refuses a format that there is not.
func (in *exportIn) Check() error {
	if in.Format == "" {
		in.Format = "mbox"
	}
	if in.Format != "mbox" && in.Format != "zip" {
		return errs.BadField("format", "must be mbox or zip")
	}
	return nil
}

// export writes the messages of a folder, or of all of them, the first that came first. What arrives meanwhile may be in it.
func (a *Archive) export(c *web.Call, w http.ResponseWriter, in exportIn) error {
	user := in.User
	if user == "" {
		user = c.Caller.User
	}
	box, err := a.mail.MailboxOf(c, user)
	if err != nil {
		return err
	}
	var folder mailbox.Folder
	var all []mailbox.Folder
	if box.ID != 0 {
		if folder, err = a.mail.FolderOf(c, box, in.Folder); err != nil {
			return err
		}
		if all, err = a.mail.Store.Folders(c.Context(), box.ID); err != nil {
			return err
		}
	}
	release, err := a.running.Take(c.Caller)
	if err != nil {
		return err
	}
	defer release()
	name, typ := box.User, map[string]string{"mbox": "application/mbox", "zip": "application/zip"}[in.Format]
	if folder.ID != 0 {
		name += "-" + strings.ToLower(folder.Name)
	}
	h := w.Header()
	h.Set("Content-Type", typ)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name + "." + in.Format}))
	h.Set("Cache-Control", "private, no-store")
	out := bufio.NewWriterSize(w, 64<<10)
	write := func(m mailbox.Message, raw mailbox.Raw, body *mailbox.Content) error {
		return writeMbox(out, m, raw, body)
	}
	var z *zip.Writer
	if in.Format == "zip" {
		z = zip.NewWriter(out)
		write = func(m mailbox.Message, raw mailbox.Raw, body *mailbox.Content) error {
			return writeZip(z, all, m, raw, body)
		}
	}
	if box.ID != 0 {
		if err := a.each(c.Context(), box.ID, folder.ID, write); err != nil {
			c.Log.Error("an export broke off", "user", box.User, "err", err.Error())
			panic(http.ErrAbortHandler) // half a file must not look like a whole one
		}
	}
	if z != nil {
		if err := z.Close(); err != nil {
			return err
		}
	}
	return out.Flush()
}

// each calls fn with every message, the first that came first. One that is gone meanwhile is passed over.
func (a *Archive) each(ctx context.Context, box, folder int64, fn func(mailbox.Message, mailbox.Raw, *mailbox.Content) error) error {
	f := mailbox.Filter{Folder: folder, Paging: web.Paging{Limit: 200, After: -1}} // below every id: from the first on
	for {
		rows, err := a.mail.Store.Messages(ctx, box, f)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return nil
		}
		for i := len(rows) - 1; i >= 0; i-- { // a page is the newest first
			raw, body, err := a.mail.Open(ctx, rows[i].RawID)
			if errs.Is(err, errs.NotFound) {
				continue
			}
			if err != nil {
				return err
			}
			err = fn(rows[i], raw, body)
			body.Close()
			if err != nil {
				return err
			}
		}
		f.After = rows[0].ID
	}
}

// writeMbox writes a message as mbox has it: LF line ends, ">" before each line that could be taken for a "From " line.
func writeMbox(w *bufio.Writer, m mailbox.Message, raw mailbox.Raw, body *mailbox.Content) error {
	status, flags := "O", ""
	if !m.Unread {
		status = "RO"
	}
	if m.Starred {
		flags += "F"
	}
	for _, k := range m.Keywords {
		if k == mailbox.KeywordAnswered {
			flags += "A"
		}
	}
	w.WriteString(fromLine(raw.ReversePath, m.Received))
	fmt.Fprintf(w, "Status: %s\n", status)
	if flags != "" {
		fmt.Fprintf(w, "X-Status: %s\n", flags)
	}
	if len(m.Labels) > 0 {
		fmt.Fprintf(w, "X-Keywords: %s\n", strings.Join(m.Labels, ", "))
	}
	r := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(exported(raw)), body.All()), 64<<10)
	start, last := true, byte('\n')
	for {
		line, err := r.ReadSlice('\n')
		whole := err == nil
		if whole {
			line = append(bytes.TrimRight(line[:len(line)-1], "\r"), '\n')
		}
		if start && (bytes.HasPrefix(line, []byte("From ")) || quoted(line)) {
			w.WriteByte('>')
		}
		if len(line) > 0 {
			last = line[len(line)-1]
		}
		if _, e := w.Write(line); e != nil {
			return e
		}
		start = whole
		if err == nil || err == bufio.ErrBufferFull {
			continue
		}
		if err != io.EOF {
			return err
		}
		break
	}
	if last != '\n' {
		w.WriteByte('\n')
	}
	return w.WriteByte('\n')
}

// exported are the fields that this server put before a message and that belong to what is taken out: all of them for mail
// that came from elsewhere, so that its way can be followed.
func exported(raw mailbox.Raw) []byte { return raw.Prepended[:header.End(raw.Prepended)] }

// writeZip writes a message as a file in the folder that it lies in.
func writeZip(z *zip.Writer, all []mailbox.Folder, m mailbox.Message, raw mailbox.Raw, body *mailbox.Content) error {
	dir := "mail"
	for _, f := range all {
		if len(m.Folders) > 0 && f.ID == m.Folders[0] {
			dir = safePath(mailbox.FolderPath(all, f))
		}
	}
	w, err := z.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("%s/%d.eml", dir, m.ID), Method: zip.Deflate, Modified: m.Received.UTC()})
	if err != nil {
		return err
	}
	_, err = io.Copy(w, io.MultiReader(bytes.NewReader(exported(raw)), body.All()))
	return err
}

// safePath is a folder's path as the name of a folder on any disk.
func safePath(p string) string {
	parts := strings.Split(p, "/")
	for i, part := range parts {
		part = strings.Map(func(r rune) rune {
			if r < ' ' || strings.ContainsRune(`<>:"|?*\`, r) {
				return '_'
			}
			return r
		}, part)
		if part = strings.Trim(part, ". "); part == "" {
			part = "_"
		}
		parts[i] = part
	}
	return strings.Join(parts, "/")
}

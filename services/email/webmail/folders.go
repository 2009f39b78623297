package webmail

import (
	"strconv"
	"strings"

	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
	"uniqverse/templates"
)

// The icon and the key of each role's folder.
var looks = map[string][2]string{
	mailbox.RoleInbox: {"inbox", "i"}, mailbox.RoleDrafts: {"pen", "r"}, mailbox.RoleSent: {"send", "s"}, mailbox.RoleArchive: {"archive", "e"},
	mailbox.RoleJunk: {"alert", "j"}, mailbox.RoleTrash: {"trash", "t"},
}

// name is how a page's address names a folder.
func name(f mailbox.Folder) string {
	if f.Role != "" || f.ID == 0 {
		return f.Role
	}
	return strconv.FormatInt(f.ID, 10)
}

// side is what stands beside every list: the folders and the labels.
func (w *Pages) side(c *web.Call, o open, in inboxParams) (templates.MailSide, error) {
	s := templates.MailSide{User: in.User, ManageURL: inboxParams{User: in.User}.at("/folders"), Bytes: o.box.Bytes, Quota: w.mail.Quota, More: templates.MailboxLinks(in.User, "")}
	chosen := in.Label != "" || in.Starred && in.Folder == ""
	for _, f := range ordered(o.all) {
		l := templates.FolderLink{ID: f.ID, Label: f.Name, Icon: "folder", Depth: f.depth, Unread: int(f.Unread), Drop: name(f.Folder), Current: f.ID == o.folder.ID && f.Name == o.folder.Name && !chosen}
		if f.Role != "" {
			l.Icon, l.Key = looks[f.Role][0], looks[f.Role][1]
		}
		if f.Role == mailbox.RoleDrafts {
			l.Count, l.Unread = int(f.Messages), 0
		}
		p := inboxParams{User: in.User, Folder: name(f.Folder)}
		if f.Role == mailbox.RoleInbox {
			p.Folder = ""
		}
		l.Href = p.query(0, 0)
		s.Folders = append(s.Folders, l)
	}
	s.Folders = append(s.Folders,
		templates.FolderLink{Label: "Starred", Icon: "star", Key: "w", Href: inboxParams{User: in.User, Starred: true}.query(0, 0), Current: in.Starred && in.Folder == "" && in.Label == ""},
		templates.FolderLink{Label: "All mail", Icon: "mail", Key: "l", Href: inboxParams{User: in.User, Folder: allMail}.query(0, 0), Current: in.Folder == allMail && !chosen})
	if o.box.ID == 0 {
		return s, nil
	}
	labels, err := w.mail.Store.LabelCounts(c.Context(), o.box.ID)
	for _, l := range labels {
		if l.Label != "sent" || in.Label == "sent" {
			s.Labels = append(s.Labels, templates.Tab{Label: l.Label, Href: inboxParams{User: in.User, Label: l.Label}.query(0, 0), Current: l.Label == in.Label, Count: l.Count})
		}
	}
	return s, err
}

// at is another page for the same user.
func (p inboxParams) at(path string) string {
	_, q, ok := strings.Cut(p.query(0, 0), "?")
	if !ok {
		return path
	}
	return path + "?" + q
}

// placed is a folder with its level.
type placed struct {
	mailbox.Folder
	depth int
}

// ordered lists folders as a tree is read: those of the mailbox first, then people's own, each followed by what is in it.
func ordered(all []mailbox.Folder) []placed {
	var out []placed
	var walk func(parent int64, depth int)
	walk = func(parent int64, depth int) {
		for _, own := range []bool{false, true} {
			for _, f := range all {
				if f.Parent == parent && (f.Role == "") == own && len(out) < len(all) {
					out = append(out, placed{f, depth})
					if f.ID != 0 && depth < mailbox.MaxDepth {
						walk(f.ID, depth+1)
					}
				}
			}
		}
	}
	walk(0, 0)
	return out
}

// moves are the folders that a message can be moved to, from one.
func moves(all []mailbox.Folder, from int64) []templates.Option {
	var out []templates.Option
	for _, f := range ordered(all) {
		if f.ID != 0 && f.ID != from && f.Role != mailbox.RoleDrafts && f.Role != mailbox.RoleSent {
			out = append(out, templates.Option{Value: name(f.Folder), Label: mailbox.FolderPath(all, f.Folder)})
		}
	}
	return out
}

type foldersParams struct {
	User string `json:"user,omitempty" max:"320" doc:"whose mailbox; the caller's when left out"`
}

func (w *Pages) foldersPage(c *web.Call, in foldersParams) (web.Page, error) {
	o, err := w.enter(c, in.User, mailbox.RoleInbox)
	if err != nil {
		return web.Page{}, err
	}
	p := inboxParams{User: in.User}
	v := templates.FoldersView{Mailbox: w.mail.Address(o.box.User), User: in.User, Here: p.at("/folders"), BackURL: p.query(0, 0)}
	for _, f := range ordered(o.all) {
		p.Folder = name(f.Folder)
		row := templates.FolderRow{ID: f.ID, Name: f.Name, Path: mailbox.FolderPath(o.all, f.Folder), Href: p.query(0, 0), Messages: int(f.Messages), Unread: int(f.Unread), Depth: f.depth, Own: f.Role == ""}
		row.Empty = f.Role == mailbox.RoleTrash || f.Role == mailbox.RoleJunk
		for _, q := range ordered(o.all) {
			up := f.Folder
			up.Parent = q.ID
			if q.ID != f.ID && mailbox.CheckParent(o.all, up) == nil {
				row.Parents = append(row.Parents, templates.Option{Value: strconv.FormatInt(q.ID, 10), Label: mailbox.FolderPath(o.all, q.Folder), Selected: q.ID == f.Parent})
			}
		}
		v.Folders = append(v.Folders, row)
	}
	return web.Page{Template: templates.PageFolders, Title: "Folders", Data: v}, nil
}

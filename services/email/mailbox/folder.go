package mailbox

import (
	"slices"
	"strconv"
	"strings"

	"uniqverse/internal/errs"
	"uniqverse/services/email/mime"
)

// The roles that folders have (RFC 8621 section 2). Every mailbox has one folder of each; they cannot be removed.
const (
	RoleInbox   = "inbox"
	RoleDrafts  = "drafts"
	RoleSent    = "sent"
	RoleArchive = "archive"
	RoleJunk    = "junk"
	RoleTrash   = "trash"
)

// The keywords that programs share (RFC 8621 section 4.1.1). Whether a message is read, and its star, have fields of their own.
const (
	KeywordDraft     = "$draft"
	KeywordAnswered  = "$answered"
	KeywordForwarded = "$forwarded"
)

// The bounds of folders.
const (
	MaxFolders    = 500 // of one mailbox
	MaxFolderName = 100 // characters
	MaxDepth      = 8   // folders within folders
)

// Folder is a place for messages in a mailbox. A message lies in at least one.
type Folder struct {
	ID         int64
	MailboxID  int64
	Parent     int64 // 0 at the top
	Name       string
	Role       string // one of the Role constants; "" for people's own
	Position   int    // among its siblings, the lowest first
	Subscribed bool
	Messages   int64
	Unread     int64

	CreatedModseq int64
	Modseq        int64 // of the last change to what is above Messages
	CountsModseq  int64 // of the last change to what is in it
}

// StandardFolders are the folders that a new mailbox gets, in the order in which they are shown.
func StandardFolders() []Folder {
	var out []Folder
	for i, role := range []string{RoleInbox, RoleDrafts, RoleSent, RoleArchive, RoleJunk, RoleTrash} {
		out = append(out, Folder{Name: strings.ToUpper(role[:1]) + role[1:], Role: role, Position: i + 1, Subscribed: true})
	}
	return out
}

// CleanFolderName returns a folder's name as it is stored.
func CleanFolderName(name string) (string, error) {
	clean := mime.Line(name, MaxFolderName+1)
	switch {
	case clean == "":
		return "", errs.BadField("name", "is required and must not be empty")
	case len([]rune(clean)) > MaxFolderName:
		return "", errs.BadField("name", "must be at most %d characters", MaxFolderName)
	case strings.Contains(clean, "/"):
		return "", errs.BadField("name", "must not contain a slash: a folder within another names its parent")
	}
	return clean, nil
}

// FindFolder returns the folder that a text names: by its role, its id, or its path ("Projects/Game").
func FindFolder(all []Folder, text string) (Folder, bool) {
	text = strings.TrimSpace(text)
	if i := slices.IndexFunc(all, func(f Folder) bool { return f.Role != "" && strings.EqualFold(f.Role, text) }); i >= 0 {
		return all[i], true
	}
	if id, err := strconv.ParseInt(text, 10, 64); err == nil {
		if i := slices.IndexFunc(all, func(f Folder) bool { return f.ID == id }); i >= 0 {
			return all[i], true
		}
	}
	if i := slices.IndexFunc(all, func(f Folder) bool { return strings.EqualFold(FolderPath(all, f), text) }); i >= 0 {
		return all[i], true
	}
	return Folder{}, false
}

// FolderPath is the name of a folder with those of its parents: "Projects/Game".
func FolderPath(all []Folder, f Folder) string {
	path := f.Name
	for range MaxDepth {
		i := slices.IndexFunc(all, func(p Folder) bool { return p.ID == f.Parent })
		if f.Parent == 0 || i < 0 {
			return path
		}
		f = all[i]
		path = f.Name + "/" + path
	}
	return path
}

// depth returns on which level below the top a folder stands; 0 is the top. A circle is MaxDepth.
func depth(all []Folder, parent int64) int {
	n := 0
	for parent != 0 && n < MaxDepth {
		i := slices.IndexFunc(all, func(p Folder) bool { return p.ID == parent })
		if i < 0 {
			return n
		}
		n, parent = n+1, all[i].Parent
	}
	return n
}

// maxRefs bounds how many Message-IDs of one message are looked at: the first, and the newest of the rest.
const maxRefs = 30

// ThreadIn finds the message's thread in a mailbox, 0 for a new one, and returns what is to be kept of it.
func ThreadIn(tx Tx, mailbox int64, own string, references []string, subject string) (thread int64, refs []string, err error) {
	refs = references
	if len(refs) > maxRefs {
		refs = append([]string{refs[0]}, refs[len(refs)-maxRefs+1:]...)
	}
	if own != "" && !slices.Contains(refs, own) {
		refs = append(slices.Clone(refs), own)
	}
	if len(refs) == 0 {
		return 0, nil, nil
	}
	thread, err = tx.ThreadOf(mailbox, refs, subject)
	return thread, refs, err
}

// CheckParent refuses a parent that is not there, lies within the folder itself, or too deep.
func CheckParent(all []Folder, f Folder) error {
	if f.Parent == 0 {
		return nil
	}
	if !slices.ContainsFunc(all, func(p Folder) bool { return p.ID == f.Parent }) {
		return errs.BadField("parent", "is no folder of this mailbox")
	}
	for up, n := f.Parent, 0; up != 0 && n <= MaxDepth; n++ {
		i := slices.IndexFunc(all, func(p Folder) bool { return p.ID == up })
		if i < 0 {
			break
		}
		if all[i].ID == f.ID {
			return errs.BadField("parent", "lies within the folder itself")
		}
		up = all[i].Parent
	}
	if depth(all, f.Parent) >= MaxDepth {
		return errs.BadField("parent", "lies too deep: there are at most %d levels", MaxDepth)
	}
	return nil
}

// AlsoInbox puts the sender's copy into their inbox as well, unread.
func AlsoInbox(tx Tx, m Message) (Message, error) {
	inbox, err := tx.FolderByRole(m.MailboxID, RoleInbox)
	if err != nil {
		return m, err
	}
	if !slices.Contains(m.Folders, inbox.ID) {
		if m, err = tx.Place(m, append(slices.Clone(m.Folders), inbox.ID)); err != nil {
			return m, err
		}
	}
	if m.Unread {
		return m, nil
	}
	if err := tx.SetUnread(m, true); err != nil {
		return m, err
	}
	return tx.MessageByID(m.ID)
}

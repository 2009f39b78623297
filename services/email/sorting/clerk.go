package sorting

import (
	"context"
	"slices"
	"strings"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/reading"
	"uniqverse/services/email/rules"
)

// clerk is the mail service as rules need it.
type clerk struct{ *Sorter }

var _ rules.Office[mailbox.Tx] = clerk{}

// Owner implements rules.Office.
func (k clerk) Owner(c *web.Call, user string) (string, error) { return k.Mail.Owner(c, user) }

// Ensure implements rules.Office.
func (k clerk) Ensure(tx mailbox.Tx, user string) (int64, error) { return ensure(tx, user) }

// FolderNamed implements rules.Office.
func (k clerk) FolderNamed(ctx context.Context, box int64, text string) (int64, string, error) {
	all, err := k.Store.Folders(ctx, box)
	if err != nil {
		return 0, "", err
	}
	return folderOf(all, text)
}

// FolderIn implements rules.Office.
func (k clerk) FolderIn(tx mailbox.Tx, box int64, text string) (int64, string, error) {
	all, err := tx.Folders(box)
	if err != nil {
		return 0, "", err
	}
	return folderOf(all, text)
}

// folderOf finds a folder by what people call it.
func folderOf(all []mailbox.Folder, text string) (int64, string, error) {
	f, ok := mailbox.FindFolder(all, text)
	if !ok {
		return 0, "", errs.BadField("folder", "%q is no folder of this mailbox; GET /api/folders lists them", text)
	}
	return f.ID, mailbox.FolderPath(all, f), nil
}

// CheckRedirect implements rules.Office.
func (k clerk) CheckRedirect(user, address string) (string, error) {
	clean, err := k.address(user, address)
	if err != nil {
		return "", errs.BadField("actions", "redirect %s: %s", address, err)
	}
	return clean, nil
}

// CleanLabel implements rules.Office.
func (k clerk) CleanLabel(label string) (string, error) {
	list, err := mailbox.CleanLabels([]string{label})
	if err != nil || len(list) != 1 {
		return "", errs.BadField("actions", "label %s: a label has 1 to 64 characters and no comma", label)
	}
	return list[0], nil
}

// StoredFacts implements rules.Office.
func (k clerk) StoredFacts(ctx context.Context, id int64) (rules.Stored, error) {
	m, err := k.Store.MessageByID(ctx, id)
	if err != nil {
		return rules.Stored{}, err
	}
	_, c, err := k.Mail.Content(ctx, m.RawID)
	if err != nil {
		return rules.Stored{}, err
	}
	defer c.Close()
	r := reading.Read(c, k.Log)
	f := k.facts(r, c)
	f.Sample() // while the bytes are open
	out := rules.Stored{Facts: ruleFacts(r, f, m.Recipient), ID: m.ID, Mailbox: m.MailboxID}
	out.Size, out.Score, out.Junk, out.SPF, out.DKIM, out.DMARC = m.Size, m.SpamScore, slices.Contains(m.Flags, "spam"), m.SPF, m.DKIM, m.DMARC
	return out, nil
}

// Visible implements rules.Office.
func (k clerk) Visible(c *web.Call, id int64) (int64, error) {
	m, err := k.Store.MessageByID(c.Context(), id)
	if m, err = k.Mail.Own(c, m, err); err != nil {
		return 0, err
	}
	return m.MailboxID, nil
}

// ApplyPlan implements rules.Office.
func (k clerk) ApplyPlan(tx mailbox.Tx, id int64, p rules.Plan) (changed bool, err error) {
	m, err := tx.MessageByID(id)
	if err != nil {
		return false, err
	}
	user := m.User + "@" + k.Domain
	if p.Move != "" {
		all, err := tx.Folders(m.MailboxID)
		if err != nil {
			return false, err
		}
		if f, ok := mailbox.FindFolder(all, p.Move); ok && !slices.Equal(m.Folders, []int64{f.ID}) {
			if m, err = tx.Place(m, []int64{f.ID}); err != nil {
				return false, err
			}
			changed = true
			if err := k.Mail.Tell(tx, event.MailMoved, m.User, map[string]any{"message_id": m.ID, "user": user, "folders": m.Folders}); err != nil {
				return false, err
			}
		}
	}
	if labels := union(m.Labels, p.Labels); !slices.Equal(labels, m.Labels) && strings.Join(labels, ",") != strings.Join(m.Labels, ",") {
		if err := tx.SetLabels(m, labels); err != nil {
			return false, err
		}
		changed = true
		if err := k.Mail.Tell(tx, event.MailLabels, m.User, map[string]any{"message_id": m.ID, "user": user, "labels": labels}); err != nil {
			return false, err
		}
	}
	if p.Star && !m.Starred {
		if err := tx.SetStarred(m, true); err != nil {
			return false, err
		}
		changed = true
		if err := k.Mail.Tell(tx, event.MailStar, m.User, map[string]any{"message_id": m.ID, "user": user, "starred": true}); err != nil {
			return false, err
		}
	}
	if p.Read && m.Unread {
		if err := tx.SetUnread(m, false); err != nil {
			return false, err
		}
		changed = true
		if err := k.Mail.Tell(tx, event.MailRead, m.User, map[string]any{"message_id": m.ID, "user": user, "unread": false}); err != nil {
			return false, err
		}
	}
	return changed, nil
}

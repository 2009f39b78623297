// Package recall makes a draft of the copy of a mail that its sender took back before its time. The copy has no Bcc, as
// the mail that the others were to get has none (RFC 5322 section 3.6.3): the draft gets it again, from the entries of the
// queue, so that who sends it a second time reaches the same people.
//
// It decides nothing about the queue, which drops the entries in the same transaction. It keeps no state.
package recall

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"

	"uniqverse/internal/errs"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/mime"
	"uniqverse/services/email/queue"
	"uniqverse/smtpd/header"
)

// Open opens the bytes of a stored message, as the mail service does.
type Open func(ctx context.Context, rawID int64) (mailbox.Raw, *mailbox.Content, error)

// Draft makes a draft of the sender's copy of a mail, whose entries are all in list and none of which was sent, and returns
// its id; it loses the label waiting. A copy that is gone is 0.
func Draft(ctx context.Context, tx mailbox.Tx, list []queue.Entry, waiting string, open Open) (int64, error) {
	m, err := tx.MessageByID(list[0].MessageID)
	if errs.Is(err, errs.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	drafts, err := tx.FolderByRole(m.MailboxID, mailbox.RoleDrafts)
	if err != nil {
		return 0, err
	}
	keywords := append(slices.Clone(m.Keywords), mailbox.KeywordDraft)
	labels := slices.DeleteFunc(slices.Clone(m.Labels), func(l string) bool { return l == waiting })
	raw, text, err := withBcc(ctx, m, list, open)
	if err != nil {
		return 0, err
	}
	if text == nil {
		if len(labels) < len(m.Labels) {
			if err := tx.SetLabels(m, labels); err != nil {
				return 0, err
			}
			if m, err = tx.MessageByID(m.ID); err != nil {
				return 0, err
			}
		}
		if m, err = tx.Place(m, []int64{drafts.ID}); err != nil {
			return 0, err
		}
		return m.ID, tx.SetKeywords(m, keywords)
	}
	// A message never changes once it is stored: the draft is another one, in the copy's place.
	if _, err := tx.RemoveMessage(m); err != nil { // the entries still need its bytes
		return 0, err
	}
	if m.RawID, err = tx.AddRaw(raw); err != nil {
		return 0, err
	}
	m.ID, m.ThreadID, m.Size, m.Folders, m.Keywords, m.Labels = 0, 0, raw.Size, []int64{drafts.ID}, keywords, labels
	return addThreaded(tx, m, text)
}

// withBcc returns the bytes of a message with those recipients in Bcc that it names nowhere; text is nil when there are none.
func withBcc(ctx context.Context, m mailbox.Message, list []queue.Entry, open Open) (raw mailbox.Raw, text []byte, err error) {
	raw, c, err := open(ctx, m.RawID)
	if err != nil {
		return raw, nil, err
	}
	defer c.Close()
	head, err := io.ReadAll(io.LimitReader(c.All(), 1<<20))
	if err != nil {
		return raw, nil, fmt.Errorf("read the copy of a mail: %w", err)
	}
	named := map[string]bool{}
	for _, f := range header.Fields(head[:header.End(head)]) {
		if f.Is("Bcc") { // a mail program's own message, which it sent as it stands
			return raw, nil, nil
		}
		if f.Is("To") || f.Is("Cc") {
			for _, a := range mime.Addresses(f.Value(), 2*len(list)+100) {
				named[queue.Address(a.Addr)] = true
			}
		}
	}
	var field []byte
	for _, e := range list {
		if a := queue.Address(e.Recipient); !named[a] {
			named[a] = true
			if field == nil {
				field = append(field, "Bcc: "...)
			} else {
				field = append(field, ",\r\n "...)
			}
			field = append(field, e.Recipient...)
		}
	}
	if field == nil {
		return raw, nil, nil
	}
	whole, err := io.ReadAll(c.All())
	if err != nil {
		return raw, nil, fmt.Errorf("read the copy of a mail: %w", err)
	}
	text = slices.Concat(field, []byte("\r\n"), whole)
	// It is kept in its row whatever its size: a file would have to be there before the transaction.
	raw.ID, raw.Body, raw.File, raw.Prepended, raw.Mode = 0, text, "", nil, "draft"
	raw.Size, raw.SHA256 = int64(len(text)), mailbox.Hash(text)
	return raw, text, nil
}

// addThreaded stores the draft in the thread that it belongs to.
func addThreaded(tx mailbox.Tx, m mailbox.Message, text []byte) (int64, error) {
	tree, err := mime.Scan(bytes.NewReader(text[:header.End(text)]))
	if err != nil {
		return 0, fmt.Errorf("scan draft: %w", err)
	}
	subject := mime.BaseSubject(m.Subject)
	thread, refs, err := mailbox.ThreadIn(tx, m.MailboxID, m.MessageID, mime.MessageIDs(tree.Get("References")+" "+tree.Get("In-Reply-To")), subject)
	if err != nil {
		return 0, err
	}
	m.ThreadID = thread
	if m, err = tx.AddMessage(m); err != nil {
		return 0, err
	}
	return m.ID, tx.KeepRefs(m.MailboxID, m.ThreadID, refs, subject)
}

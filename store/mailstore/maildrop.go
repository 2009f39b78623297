package mailstore

import (
	"context"
	"fmt"

	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/pop3"
	"uniqverse/store"
)

// Maildrop returns the messages of a user's inbox, the first that came first, at most most; none for somebody without a mailbox.
func (s Store) Maildrop(ctx context.Context, user string, most int) ([]pop3.Item, error) {
	rows, err := s.db.Query(ctx, `SELECT e.id, e.raw_id, r.size + LENGTH(r.prepended), e.created_modseq FROM email_mailboxes b
		JOIN email_folders f ON f.mailbox_id = b.id AND f.role = $2 AND f.role <> '' JOIN email_placed p ON p.folder_id = f.id
		JOIN email_messages e ON e.id = p.message_id JOIN email_raw r ON r.id = e.raw_id
		WHERE b.user_name = $1 ORDER BY p.received_at, p.message_id LIMIT $3`, user, mailbox.RoleInbox, most)
	return store.CollectRows(rows, err, func(r store.RowScanner) (it pop3.Item, err error) {
		var modseq int64
		err = r.Scan(&it.ID, &it.RawID, &it.Size, &modseq)
		it.UID = fmt.Sprintf("%d.%d", it.ID, modseq)
		return it, err
	})
}

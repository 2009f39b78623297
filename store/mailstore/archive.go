package mailstore

import (
	"context"
	"time"

	"uniqverse/services/email/archive"
	"uniqverse/store"
)

var _ archive.Store = Store{}

// Known returns the stored bytes of messages that may be one from a file: see archive.Store.
func (s Store) Known(ctx context.Context, box, folder int64, received time.Time, messageID string) ([]int64, error) {
	rows, err := s.db.Query(ctx, `SELECT r.id FROM email_raw r JOIN email_messages e ON e.raw_id = r.id AND e.mailbox_id = $1 WHERE r.message_id = $2 AND r.message_id <> ''
		UNION SELECT e.raw_id FROM email_placed p JOIN email_messages e ON e.id = p.message_id WHERE p.folder_id = $3 AND p.received_at >= $4 AND p.received_at < $4 + 1000 LIMIT 20`,
		box, messageID, folder, unixMS(received.Truncate(time.Second)))
	return store.CollectRows(rows, err, func(r store.RowScanner) (id int64, err error) { return id, r.Scan(&id) })
}

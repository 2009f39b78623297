package mailstore

import (
	"crypto/rand"

	"uniqverse/internal/event"
)

// ForWebhooks queues an event for the webhooks that hear of it; package hookstore has what becomes of that.
func (tx txn) ForWebhooks(user string, ev event.Event) error {
	now := tx.Now().UnixMilli()
	body := `{"type":"` + ev.Type + `","timestamp":"` + ev.At.UTC().Format(event.TimeLayout) + `","data":` + string(ev.Payload) + `}`
	_, err := tx.Exec(`INSERT INTO email_deliveries (webhook_id, message_id, type, body, state, due_at, created_at)
		SELECT id, 'msg_' || $1 || '_' || id, $2, $3, 'waiting', $4, $4 FROM email_webhooks
		WHERE user_name IN ('', $5) AND enabled = 1 AND (events = '' OR INSTR(events, ' ' || $2 || ' ') > 0)`, rand.Text(), ev.Type, body, now, user)
	return err
}

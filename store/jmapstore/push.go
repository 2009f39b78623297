package jmapstore

import (
	"context"
	"encoding/json"
	"fmt"

	"uniqverse/services/email/jmap/push"
	"uniqverse/store"
)

var _ push.Store = Store{}

// PushSubscriptions returns all push subscriptions.
func (s Store) PushSubscriptions(ctx context.Context) ([]push.Subscription, error) {
	rows, err := s.db.Query(ctx, `SELECT p.id, p.mailbox_id, m.user_name, p.credential, p.device, p.url, p.p256dh, p.auth, p.code, p.verified, p.expires_at, p.types, p.told
		FROM email_jmap_push p JOIN email_mailboxes m ON m.id = p.mailbox_id ORDER BY p.id`)
	return store.CollectRows(rows, err, func(r store.RowScanner) (b push.Subscription, err error) {
		var (
			expires     int64
			types, told string
		)
		if err = r.Scan(&b.ID, &b.MailboxID, &b.User, &b.Credential, &b.Device, &b.URL, &b.P256DH, &b.Auth, &b.Code, &b.Verified, &expires, &types, &told); err != nil {
			return b, err
		}
		b.Expires = timeOf(expires)
		if json.Unmarshal([]byte(types), &b.Types) != nil || json.Unmarshal([]byte(told), &b.Told) != nil {
			return b, fmt.Errorf("push subscription %s cannot be read", b.ID)
		}
		return b, nil
	})
}

// AddPush keeps a push subscription.
func (s Store) AddPush(ctx context.Context, b push.Subscription) error {
	types, told, err := pushLists(b)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, nil, func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO email_jmap_push (id, mailbox_id, credential, device, url, p256dh, auth, code, verified, expires_at, types, told)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`, b.ID, b.MailboxID, b.Credential, b.Device, b.URL, blobOf(b.P256DH), blobOf(b.Auth), b.Code, asInt(b.Verified), unixMS(b.Expires), types, told)
		return err
	})
}

// SavePush writes whether a push subscription is verified, when it ends and what it is told of.
func (s Store) SavePush(ctx context.Context, b push.Subscription) error {
	types, _, err := pushLists(b)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, nil, func(tx *store.Tx) error {
		return oneRow(tx.Exec(`UPDATE email_jmap_push SET verified = $1, expires_at = $2, types = $3 WHERE id = $4`, asInt(b.Verified), unixMS(b.Expires), types, b.ID))
	})
}

// ToldPush writes what a push subscription was told last.
func (s Store) ToldPush(ctx context.Context, id string, states map[string]string) error {
	told, err := json.Marshal(states)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, nil, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE email_jmap_push SET told = $1 WHERE id = $2`, string(told), id)
		return err
	})
}

// RemovePush removes a push subscription, if it is there.
func (s Store) RemovePush(ctx context.Context, id string) error {
	return s.db.Write(ctx, nil, func(tx *store.Tx) error {
		_, err := tx.Exec(`DELETE FROM email_jmap_push WHERE id = $1`, id)
		return err
	})
}

func blobOf(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func pushLists(b push.Subscription) (types, told string, err error) {
	t, err := json.Marshal(b.Types)
	if err != nil {
		return "", "", err
	}
	s, err := json.Marshal(b.Told)
	return string(t), string(s), err
}

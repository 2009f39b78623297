package jmapstore

import (
	"context"
	"encoding/json"

	"uniqverse/services/email/jmap/record"
	"uniqverse/store"
)

// Blob returns a blob of a mailbox, or errs.NotFound.
func (s Store) Blob(ctx context.Context, box int64, id string) (record.Blob, error) {
	b := record.Blob{ID: id, MailboxID: box}
	var (
		file    *string
		expires int64
	)
	err := s.db.QueryRow(ctx, `SELECT type, size, data, file, expires_at FROM email_jmap_blobs WHERE id = $1 AND mailbox_id = $2`, id, box).Scan(&b.Type, &b.Size, &b.Data, &file, &expires)
	if file != nil {
		b.File = *file
	}
	b.Expires = timeOf(expires)
	return b, missing(err, "blob")
}

// BlobBytes returns how much a mailbox has uploaded that is still there.
func (s Store) BlobBytes(ctx context.Context, box int64) (n int64, err error) {
	err = s.db.QueryRow(ctx, `SELECT COALESCE(SUM(size), 0) FROM email_jmap_blobs WHERE mailbox_id = $1`, box).Scan(&n)
	return n, store.Failed(err)
}

// BlobFileKnown reports whether a blob is kept in the file of this name.
func (s Store) BlobFileKnown(ctx context.Context, name string) (known bool, err error) {
	err = s.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM email_jmap_blobs WHERE file = $1)`, name).Scan(&known)
	return known, store.Failed(err)
}

// AddBlob keeps a blob.
func (tx txn) AddBlob(b record.Blob) error {
	var file any
	if b.File != "" {
		file = b.File
	}
	_, err := tx.Exec(`INSERT INTO email_jmap_blobs (id, mailbox_id, type, size, data, file, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		b.ID, b.MailboxID, b.Type, b.Size, b.Data, file, unixMS(b.Expires))
	return err
}

// Identities returns a mailbox's identities, its own address first.
func (s Store) Identities(ctx context.Context, box int64) ([]record.Identity, error) {
	rows, err := s.db.Query(ctx, `SELECT id, mailbox_id, name, email, reply_to, bcc, text_signature, html_signature, fixed, created_modseq, modseq
		FROM email_jmap_identities WHERE mailbox_id = $1 ORDER BY fixed DESC, id`, box)
	return store.CollectRows(rows, err, func(r store.RowScanner) (i record.Identity, err error) {
		var replyTo, bcc string
		err = r.Scan(&i.ID, &i.MailboxID, &i.Name, &i.Email, &replyTo, &bcc, &i.TextSignature, &i.HTMLSignature, &i.Fixed, &i.Created, &i.At)
		i.ReplyTo, i.Bcc = rawJSON(replyTo), rawJSON(bcc)
		return i, err
	})
}

// AddIdentity makes an identity. A second one of the mailbox's own address is errs.Conflict.
func (tx txn) AddIdentity(i record.Identity) (record.Identity, error) {
	modseq, err := tx.Change(i.MailboxID)
	if err != nil {
		return i, err
	}
	i.Created, i.At = modseq, modseq
	err = tx.QueryRow(`INSERT INTO email_jmap_identities (mailbox_id, name, email, reply_to, bcc, text_signature, html_signature, fixed, created_modseq, modseq)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) RETURNING id`, i.MailboxID, i.Name, i.Email, jsonOrNull(i.ReplyTo), jsonOrNull(i.Bcc), i.TextSignature, i.HTMLSignature,
		asInt(i.Fixed), modseq).Scan(&i.ID)
	return i, store.Failed(err)
}

func jsonOrNull(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "null"
	}
	return string(raw)
}

// SaveIdentity writes all but the address.
func (tx txn) SaveIdentity(i record.Identity) error {
	modseq, err := tx.Change(i.MailboxID)
	if err != nil {
		return err
	}
	return oneRow(tx.Exec(`UPDATE email_jmap_identities SET name = $1, reply_to = $2, bcc = $3, text_signature = $4, html_signature = $5, modseq = $6 WHERE id = $7`,
		i.Name, jsonOrNull(i.ReplyTo), jsonOrNull(i.Bcc), i.TextSignature, i.HTMLSignature, modseq, i.ID))
}

// RemoveIdentity removes an identity.
func (tx txn) RemoveIdentity(i record.Identity) error {
	modseq, err := tx.Change(i.MailboxID)
	if err != nil {
		return err
	}
	if err := oneRow(tx.Exec(`DELETE FROM email_jmap_identities WHERE id = $1`, i.ID)); err != nil {
		return err
	}
	return tx.Gone(i.MailboxID, record.KindIdentity, modseq, i.ID)
}

// Submissions returns a mailbox's submissions.
func (s Store) Submissions(ctx context.Context, box int64) ([]record.Submission, error) {
	rows, err := s.db.Query(ctx, `SELECT id, mailbox_id, identity_id, message_id, thread_id, envelope, send_at, undo, queue_id, recipients, local, created_modseq, modseq
		FROM email_jmap_submissions WHERE mailbox_id = $1 ORDER BY id`, box)
	return store.CollectRows(rows, err, func(r store.RowScanner) (b record.Submission, err error) {
		var (
			envelope, recipients, local string
			sendAt                      int64
		)
		err = r.Scan(&b.ID, &b.MailboxID, &b.IdentityID, &b.MessageID, &b.ThreadID, &envelope, &sendAt, &b.Undo, &b.QueueID, &recipients, &local, &b.Created, &b.At)
		if err != nil {
			return b, err
		}
		b.Envelope, b.SendAt = rawJSON(envelope), timeOf(sendAt)
		lists, err := listOf("submission", b.ID, recipients, local)
		if err == nil {
			b.Recipients, b.Local = lists[0], lists[1]
		}
		return b, err
	})
}

// AddSubmission keeps a submission.
func (tx txn) AddSubmission(b record.Submission) (record.Submission, error) {
	modseq, err := tx.Change(b.MailboxID)
	if err != nil {
		return b, err
	}
	b.Created, b.At = modseq, modseq
	err = tx.QueryRow(`INSERT INTO email_jmap_submissions (mailbox_id, identity_id, message_id, thread_id, envelope, send_at, undo, queue_id, recipients, local, created_modseq, modseq)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11) RETURNING id`, b.MailboxID, b.IdentityID, b.MessageID, b.ThreadID, jsonOrNull(b.Envelope), unixMS(b.SendAt), b.Undo,
		b.QueueID, jsonList(b.Recipients), jsonList(b.Local), modseq).Scan(&b.ID)
	return b, store.Failed(err)
}

// SaveSubmission writes where a submission stands.
func (tx txn) SaveSubmission(b record.Submission) error {
	modseq, err := tx.Change(b.MailboxID)
	if err != nil {
		return err
	}
	return oneRow(tx.Exec(`UPDATE email_jmap_submissions SET undo = $1, modseq = $2 WHERE id = $3`, b.Undo, modseq, b.ID))
}

// RemoveSubmission forgets a submission; what it sent stays sent.
func (tx txn) RemoveSubmission(b record.Submission) error {
	modseq, err := tx.Change(b.MailboxID)
	if err != nil {
		return err
	}
	if err := oneRow(tx.Exec(`DELETE FROM email_jmap_submissions WHERE id = $1`, b.ID)); err != nil {
		return err
	}
	return tx.Gone(b.MailboxID, record.KindSubmission, modseq, b.ID)
}

// Package journeystore is what services/email/journey reads: when what happened to a message. It holds the SQL of that and
// no rule of it; what else the mail service has is in package mailstore, which it embeds and which writes the marks.
package journeystore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"uniqverse/internal/errs"
	"uniqverse/services/email/journey"
	"uniqverse/store"
	"uniqverse/store/mailstore"
)

// Store is the store of journeys.
type Store struct {
	mailstore.Store
	db *store.DB
}

var _ journey.Store = Store{}

// New returns the journeys of the database.
func New(db *store.DB) Store { return Store{mailstore.New(db), db} }

// Journey returns what is kept of a message's way.
func (s Store) Journey(ctx context.Context, message int64) (k journey.Kept, err error) {
	var marks, folders string
	err = s.db.QueryRow(ctx, `SELECT marks, first_folders FROM email_messages JOIN email_raw ON email_raw.id = raw_id WHERE email_messages.id = $1`, message).Scan(&marks, &folders)
	if errors.Is(err, sql.ErrNoRows) {
		return k, errs.New(errs.NotFound, "there is no such message")
	}
	if err != nil {
		return k, store.Failed(err)
	}
	if err := errors.Join(json.Unmarshal([]byte(marks), &k.Marks), json.Unmarshal([]byte(folders), &k.Folders)); err != nil {
		return k, fmt.Errorf("message %d: marks or folders are no list: %w", message, err)
	}
	return k, nil
}

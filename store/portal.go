package store

import (
	"context"

	"uniqverse/internal/web"
	"uniqverse/services/portal"
)

// Portal is the store of services/portal, which keeps nothing of its own but the answers to
// requests with an Idempotency-Key.
type Portal struct{ db *DB }

// NewPortal returns the portal's store.
func NewPortal(db *DB) Portal { return Portal{db} }

// Update implements portal.Store.
func (s Portal) Update(ctx context.Context, once *web.Once, fn func(portal.Tx) error) error {
	return s.db.Write(ctx, once, func(tx *Tx) error { return fn(tx) })
}

var _ portal.Store = Portal{}

package store

import "context"

// SweepOnce runs the sweep of old answers now.
func SweepOnce(ctx context.Context, db *DB) (int64, error) { return db.sweepOnce(ctx) }

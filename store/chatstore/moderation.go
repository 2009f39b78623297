package chatstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/chat"
	"uniqverse/services/chat/moderation"
	"uniqverse/store"
)

// Moderation is the store of services/chat/moderation.
type Moderation struct{ db *store.DB }

// NewModeration returns the rules, and what moderators decide.
func NewModeration(db *store.DB) Moderation { return Moderation{db} }

var (
	_ moderation.Store = Moderation{}
	_ moderation.Tx    = txn{}
)

// Update runs fn in one durable transaction.
func (s Moderation) Update(ctx context.Context, once *web.Once, fn func(moderation.Tx) error) error {
	return s.db.Write(ctx, once, func(tx *store.Tx) error { return fn(txn{tx}) })
}

const ruleColumns = `id, room_id, rule, by_id, by_handle, updated_at FROM chat_rules`

func scanRule(row store.RowScanner) (r moderation.Rule, err error) {
	err = row.Scan(&r.ID, &r.Room, asJSON{&r.Rule}, &r.ByID, &r.ByHandle, &r.UpdatedAt)
	return r, err
}

// Rules returns the rules of a room, 0 for those of all rooms.
func (s Moderation) Rules(ctx context.Context, room int64) ([]moderation.Rule, error) {
	rows, err := s.db.Query(ctx, `SELECT `+ruleColumns+` WHERE room_id = $1 ORDER BY id`, room)
	return store.CollectRows(rows, err, scanRule)
}

// Rule returns a rule, or errs.NotFound.
func (s Moderation) Rule(ctx context.Context, id int64) (moderation.Rule, error) {
	r, err := scanRule(s.db.QueryRow(ctx, `SELECT `+ruleColumns+` WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return r, errs.New(errs.NotFound, "there is no such rule")
	}
	return r, store.Failed(err)
}

// Changes returns what was done to rules, newest first.
func (s Moderation) Changes(ctx context.Context, room int64, p web.Paging, limit int) ([]moderation.Change, error) {
	rows, err := s.db.Query(ctx, `SELECT id, rule_id, action, rule, by_id, by_handle, created_at FROM chat_rule_log
		WHERE room_id = $1 AND id < $2 AND id > $3 ORDER BY id DESC LIMIT $4 OFFSET $5`, room, store.Below(p.Before), p.After, limit, p.Offset)
	return store.CollectRows(rows, err, func(row store.RowScanner) (c moderation.Change, err error) {
		err = row.Scan(&c.ID, &c.RuleID, &c.Action, asJSON{&c.Rule}, &c.ByID, &c.ByHandle, &c.CreatedAt)
		return c, err
	})
}

// Last returns the newest lines of a room that everybody sees, the oldest first.
func (s Moderation) Last(ctx context.Context, room, before int64, n int) ([]chat.Line, error) {
	rows, err := s.db.Query(ctx, `SELECT `+messageColumns+` FROM chat_messages WHERE room_id = $1 AND id < $2 AND deleted_at = 0 AND hidden = 0 ORDER BY id DESC LIMIT $3`, room, store.Below(before), n)
	out, err := store.CollectRows(rows, err, scanMessage)
	slices.Reverse(out)
	return out, err
}

// Around returns the lines on both sides of a seq, the oldest first.
func (s Moderation) Around(ctx context.Context, room, seq int64, n int) ([]chat.Line, error) {
	rows, err := s.db.Query(ctx, `SELECT `+messageColumns+` FROM (SELECT * FROM chat_messages WHERE room_id = $1 AND seq <= $2 AND handle <> '' ORDER BY seq DESC LIMIT $3)
		UNION ALL SELECT `+messageColumns+` FROM (SELECT * FROM chat_messages WHERE room_id = $1 AND seq > $2 AND handle <> '' ORDER BY seq LIMIT $4)`, room, seq, n+1, n)
	out, err := store.CollectRows(rows, err, scanMessage)
	slices.SortFunc(out, func(a, b chat.Line) int { return int(a.Seq - b.Seq) })
	return out, err
}

const caseColumns = `k.id, k.room_id, r.name, k.message_id, k.seq, k.user_id, k.handle, k.text, k.source, k.reason, k.reports, k.state, k.was_hidden, k.was_role, k.note, k.by_id, k.by_handle, k.created_at, k.decided_at
	FROM chat_cases k JOIN chat_rooms r ON r.id = k.room_id`

func scanCase(row store.RowScanner) (k moderation.Case, err error) {
	err = row.Scan(&k.ID, &k.RoomID, &k.RoomName, &k.MessageID, &k.Seq, &k.UserID, &k.Handle, &k.Text, &k.Source, &k.Reason, &k.Reports, &k.State, &k.WasHidden, &k.WasRole, &k.Note, &k.ByID, &k.ByHandle, &k.CreatedAt, &k.DecidedAt)
	return k, err
}

// Cases returns cases, newest first.
func (s Moderation) Cases(ctx context.Context, q moderation.Query, limit int) ([]moderation.Case, error) {
	query := `SELECT ` + caseColumns + ` WHERE r.deleted_at = 0 AND k.id < $1 AND k.id > $2`
	args := []any{store.Below(q.Before), q.After, limit, q.Offset}
	if q.Done {
		query += ` AND k.state <> 'open'`
	} else {
		query += ` AND k.state = 'open'`
	}
	if q.Room != 0 {
		args = append(args, q.Room)
		query += fmt.Sprintf(` AND k.room_id = $%d`, len(args))
	}
	if q.Viewer != 0 {
		args = append(args, q.Viewer)
		query += fmt.Sprintf(` AND EXISTS (SELECT 1 FROM chat_members v WHERE v.room_id = k.room_id AND v.user_id = $%d AND v.role IN ('owner', 'moderator'))`, len(args))
	}
	rows, err := s.db.Query(ctx, query+` ORDER BY k.id DESC LIMIT $3 OFFSET $4`, args...)
	return store.CollectRows(rows, err, scanCase)
}

// Actions returns what moderators did in a room, the newest first.
func (s Moderation) Actions(ctx context.Context, room int64, p web.Paging, limit int) ([]chat.Action, error) {
	return Store(s).Actions(ctx, room, p, limit)
}

// Reports returns what was reported in a room, the newest first.
func (s Moderation) Reports(ctx context.Context, room int64, p web.Paging, limit int) ([]api.ChatReport, error) {
	return Store(s).Reports(ctx, room, p, limit)
}

// Due returns rechecks whose time has come.
func (s Moderation) Due(ctx context.Context, now time.Time, limit int) ([]moderation.Recheck, error) {
	rows, err := s.db.Query(ctx, `SELECT message_id, room_id, tries FROM chat_rechecks WHERE next_at <= $1 ORDER BY next_at LIMIT $2`, now.UnixMilli(), limit)
	return store.CollectRows(rows, err, func(row store.RowScanner) (r moderation.Recheck, err error) {
		err = row.Scan(&r.Message, &r.Room, &r.Tries)
		return r, err
	})
}

// OpenCase puts a line into the moderators' queue, or adds to the case that is open for it.
func (tx txn) OpenCase(m api.ChatMessage, c chat.Case) error {
	reports := flag(c.Source == "report")
	_, err := tx.Exec(`INSERT INTO chat_cases (room_id, message_id, seq, user_id, handle, text, source, reason, reports, state, was_hidden, note, by_id, by_handle, created_at, decided_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'open', 0, '', 0, '', $10, 0)
		ON CONFLICT (message_id) WHERE state = 'open' AND message_id > 0 DO UPDATE SET reports = reports + excluded.reports, text = excluded.text,
			reason = CASE WHEN excluded.reason = '' OR chat_cases.reason = excluded.reason THEN chat_cases.reason WHEN chat_cases.reason = '' THEN excluded.reason
				ELSE SUBSTR(chat_cases.reason || ' · ' || excluded.reason, 1, 500) END`,
		m.RoomID, m.ID, m.Seq, m.UserID, m.Handle, m.Text, c.Source, c.Reason, reports, tx.Now().UnixMilli())
	return err
}

// AddRecheck notes that a line is to be asked about again, in half a minute.
func (tx txn) AddRecheck(room, message int64) error {
	return tx.PutRecheck(moderation.Recheck{Message: message, Room: room}, tx.Now().Add(30*time.Second))
}

// PutRecheck stores when a line is asked about again; Tries -1 removes it.
func (tx txn) PutRecheck(r moderation.Recheck, next time.Time) error {
	if r.Tries < 0 {
		_, err := tx.Exec(`DELETE FROM chat_rechecks WHERE message_id = $1`, r.Message)
		return err
	}
	_, err := tx.Exec(`INSERT INTO chat_rechecks (message_id, room_id, tries, next_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (message_id) DO UPDATE SET tries = excluded.tries, next_at = excluded.next_at`, r.Message, r.Room, r.Tries, next.UnixMilli())
	return err
}

// Case returns a case, or errs.NotFound.
func (tx txn) Case(id int64) (moderation.Case, error) {
	k, err := scanCase(tx.QueryRow(`SELECT `+caseColumns+` WHERE k.id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return k, errs.New(errs.NotFound, "there is no such case")
	}
	return k, store.Failed(err)
}

// Decide stores what was decided about a case.
func (tx txn) Decide(k moderation.Case) error {
	_, err := tx.Exec(`UPDATE chat_cases SET state = $2, note = $3, by_id = $4, by_handle = $5, decided_at = $6, was_hidden = $7, was_role = $8 WHERE id = $1`,
		k.ID, k.State, k.Note, k.ByID, k.ByHandle, int64(k.DecidedAt), flag(k.WasHidden), k.WasRole)
	if errs.Is(err, errs.Conflict) {
		err = errs.New(errs.Conflict, "another case is open for this line; decide that one")
	}
	return err
}

// AddRule stores a rule and returns its id.
func (tx txn) AddRule(r moderation.Rule) (int64, error) {
	raw, err := json.Marshal(r.Rule)
	if err != nil {
		return 0, err
	}
	var id int64
	err = tx.QueryRow(`INSERT INTO chat_rules (room_id, rule, by_id, by_handle, updated_at) VALUES ($1, $2, $3, $4, $5) RETURNING id`, r.Room, string(raw), r.ByID, r.ByHandle, int64(r.UpdatedAt)).Scan(&id)
	return id, store.Failed(err)
}

// CountRules returns how many rules a room has.
func (tx txn) CountRules(room int64) (n int, err error) {
	err = tx.QueryRow(`SELECT COUNT(*) FROM chat_rules WHERE room_id = $1`, room).Scan(&n)
	return n, store.Failed(err)
}

// SaveRule stores what a rule says now.
func (tx txn) SaveRule(r moderation.Rule) error {
	raw, err := json.Marshal(r.Rule)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE chat_rules SET rule = $2, by_id = $3, by_handle = $4, updated_at = $5 WHERE id = $1`, r.ID, string(raw), r.ByID, r.ByHandle, int64(r.UpdatedAt))
	return err
}

// DropRule removes a rule.
func (tx txn) DropRule(id int64) error {
	_, err := tx.Exec(`DELETE FROM chat_rules WHERE id = $1`, id)
	return err
}

// LogRule writes down who changed a rule.
func (tx txn) LogRule(r moderation.Rule, action string) error {
	raw, err := json.Marshal(r.Rule)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO chat_rule_log (rule_id, room_id, action, rule, by_id, by_handle, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		r.ID, r.Room, action, string(raw), r.ByID, r.ByHandle, int64(r.UpdatedAt))
	return err
}

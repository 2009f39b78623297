package mailstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/services/email/rules"
	"uniqverse/store"
	"uniqverse/store/kept"
)

const ruleColumns = `r.id, r.mailbox_id, r.position, r.name, r.enabled, r.any_holds, r.conditions, r.actions, r.hits, r.last_hit_at, r.created_at, r.updated_at`

func scanUserRule(row store.RowScanner) (r rules.Rule, err error) {
	var (
		conditions, actions     string
		hit, created, updatedAt int64
	)
	err = row.Scan(&r.ID, &r.Mailbox, &r.Position, &r.Name, &r.Enabled, &r.Any, &conditions, &actions, &r.Hits, &hit, &created, &updatedAt)
	if err != nil {
		return r, missing(err, "rule")
	}
	r.LastHit, r.Created, r.Updated = timeOf(hit), timeOf(created), timeOf(updatedAt)
	if err := errors.Join(json.Unmarshal([]byte(conditions), &r.Conditions), json.Unmarshal([]byte(actions), &r.Actions)); err != nil {
		return r, fmt.Errorf("rule %d: conditions or actions are not a list: %w", r.ID, err)
	}
	return r, nil
}

// RulesFor returns what is to be done with mail that arrives for these users; a user who wants nothing is left out.
func (s Store) RulesFor(ctx context.Context, users []string) (map[string]rules.Standing, error) {
	names := jsonList(users)
	return kept.Answer(s.db, settings{}, "rules", names, func() (map[string]rules.Standing, error) { return s.rulesFor(ctx, names) })
}

func (s Store) rulesFor(ctx context.Context, names string) (map[string]rules.Standing, error) {
	out := map[string]rules.Standing{}
	rows, err := s.db.Query(ctx, `SELECT `+ruleColumns+`, b.user_name FROM json_each($1) u CROSS JOIN email_mailboxes b ON b.user_name = u.value
		CROSS JOIN email_rules r ON r.mailbox_id = b.id WHERE r.enabled = 1 ORDER BY r.mailbox_id, r.position, r.id`, names)
	_, err = store.CollectRows(rows, err, func(row store.RowScanner) (struct{}, error) {
		var user string
		r, err := scanUserRule(withUser{row, &user})
		if err == nil {
			st := out[user]
			st.Mailbox, st.Rules = r.Mailbox, append(st.Rules, r)
			out[user] = st
		}
		return struct{}{}, err
	})
	if err != nil {
		return nil, err
	}
	rows, err = s.db.Query(ctx, `SELECT `+vacationColumns+`, b.user_name FROM json_each($1) u CROSS JOIN email_mailboxes b ON b.user_name = u.value
		CROSS JOIN email_vacations v ON v.mailbox_id = b.id WHERE v.enabled = 1`, names)
	_, err = store.CollectRows(rows, err, func(row store.RowScanner) (struct{}, error) {
		var user string
		v, err := scanVacation(withUser{row, &user})
		if err == nil {
			st := out[user]
			st.Mailbox, st.Vacation = v.Mailbox, v
			out[user] = st
		}
		return struct{}{}, err
	})
	return out, err
}

// MailboxID returns the id of a user's mailbox; 0 when there is none.
func (s Store) MailboxID(ctx context.Context, user string) (id int64, err error) {
	err = s.db.QueryRow(ctx, `SELECT COALESCE((SELECT id FROM email_mailboxes WHERE user_name = $1), 0)`, user).Scan(&id)
	return id, store.Failed(err)
}

const rulesQuery = `SELECT ` + ruleColumns + ` FROM email_rules r WHERE r.mailbox_id = $1 ORDER BY r.position, r.id`

// UserRules returns all rules of a mailbox in their order.
func (s Store) UserRules(ctx context.Context, box int64) ([]rules.Rule, error) {
	rows, err := s.db.Query(ctx, rulesQuery, box)
	return store.CollectRows(rows, err, scanUserRule)
}

// UserRules returns all rules of a mailbox in their order, as the transaction sees them.
func (tx txn) UserRules(box int64) ([]rules.Rule, error) {
	rows, err := tx.Query(rulesQuery, box)
	return store.CollectRows(rows, err, scanUserRule)
}

// UserRule returns a rule, or errs.NotFound.
func (tx txn) UserRule(id int64) (rules.Rule, error) {
	return scanUserRule(tx.QueryRow(`SELECT `+ruleColumns+` FROM email_rules r WHERE r.id = $1`, id))
}

// SaveUserRule writes a rule; one without an id is added.
func (tx txn) SaveUserRule(r rules.Rule) (rules.Rule, error) {
	conditions, actions := jsonList(r.Conditions), jsonList(r.Actions)
	if r.ID != 0 {
		_, err := tx.Exec(`UPDATE email_rules SET position = $1, name = $2, enabled = $3, any_holds = $4, conditions = $5, actions = $6, updated_at = $7 WHERE id = $8`,
			r.Position, r.Name, asInt(r.Enabled), asInt(r.Any), conditions, actions, unixMS(r.Updated), r.ID)
		return r, err
	}
	err := tx.QueryRow(`INSERT INTO email_rules (mailbox_id, position, name, enabled, any_holds, conditions, actions, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id`,
		r.Mailbox, r.Position, r.Name, asInt(r.Enabled), asInt(r.Any), conditions, actions, unixMS(r.Created), unixMS(r.Updated)).Scan(&r.ID)
	return r, store.Failed(err)
}

// RemoveUserRule removes a rule.
func (tx txn) RemoveUserRule(id int64) error {
	_, err := tx.Exec(`DELETE FROM email_rules WHERE id = $1`, id)
	return err
}

// HitRules notes what rules did to a message, and counts it.
func (tx txn) HitRules(message, box int64, hits []rules.Hit) error {
	var place int
	if err := tx.QueryRow(`SELECT COALESCE(MAX(place), 0) FROM email_rule_hits WHERE message_id = $1`, message).Scan(&place); err != nil {
		return store.Failed(err)
	}
	now := tx.Now().UnixMilli()
	for i, h := range hits {
		if _, err := tx.Exec(`INSERT INTO email_rule_hits (message_id, place, rule_id, name, actions, at) VALUES ($1, $2, $3, $4, $5, $6)`,
			message, place+i+1, h.Rule, h.Name, jsonList(h.Actions), now); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE email_rules SET hits = hits + 1, last_hit_at = $1 WHERE id = $2 AND mailbox_id = $3`, now, h.Rule, box); err != nil {
			return err
		}
	}
	return nil
}

// RuleHits returns what rules did to a message.
func (s Store) RuleHits(ctx context.Context, message int64) ([]rules.Hit, error) {
	rows, err := s.db.Query(ctx, `SELECT rule_id, name, actions FROM email_rule_hits WHERE message_id = $1 ORDER BY place`, message)
	return store.CollectRows(rows, err, func(r store.RowScanner) (h rules.Hit, err error) {
		var actions string
		if err := r.Scan(&h.Rule, &h.Name, &actions); err != nil {
			return h, err
		}
		return h, json.Unmarshal([]byte(actions), &h.Actions)
	})
}

const vacationColumns = `v.mailbox_id, v.enabled, v.from_at, v.to_at, v.subject, v.text, v.html, v.updated_at`

func scanVacation(row store.RowScanner) (v rules.Vacation, err error) {
	var from, to, updated int64
	err = row.Scan(&v.Mailbox, &v.Enabled, &from, &to, &v.Subject, &v.Text, &v.HTML, &updated)
	v.From, v.To, v.Updated = timeOf(from), timeOf(to), timeOf(updated)
	return v, missing(err, "answer")
}

const vacationQuery = `SELECT ` + vacationColumns + ` FROM email_vacations v WHERE v.mailbox_id = $1`

// VacationOf returns the answer of a mailbox; one that is not enabled when there is none.
func (s Store) VacationOf(ctx context.Context, box int64) (rules.Vacation, error) {
	v, err := scanVacation(s.db.QueryRow(ctx, vacationQuery, box))
	if errs.Is(err, errs.NotFound) {
		return rules.Vacation{Mailbox: box}, nil
	}
	return v, err
}

// SaveVacation writes the answer of a mailbox, and forgets who had it when it is another text.
func (tx txn) SaveVacation(v rules.Vacation) error {
	was, err := scanVacation(tx.QueryRow(vacationQuery, v.Mailbox))
	if err != nil && !errs.Is(err, errs.NotFound) {
		return err
	}
	if was.Subject != v.Subject || was.Text != v.Text || was.HTML != v.HTML {
		if _, err := tx.Exec(`DELETE FROM email_vacation_answers WHERE mailbox_id = $1`, v.Mailbox); err != nil {
			return err
		}
	}
	_, err = tx.Exec(`INSERT INTO email_vacations (mailbox_id, enabled, from_at, to_at, subject, text, html, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (mailbox_id) DO UPDATE SET enabled = excluded.enabled, from_at = excluded.from_at, to_at = excluded.to_at, subject = excluded.subject,
			text = excluded.text, html = excluded.html, updated_at = excluded.updated_at`,
		v.Mailbox, asInt(v.Enabled), unixMS(v.From), unixMS(v.To), v.Subject, v.Text, v.HTML, unixMS(v.Updated))
	return err
}

// Answer notes that a sender is answered now, and reports whether they may be.
func (tx txn) Answer(box int64, sender string) (bool, error) {
	now := tx.Now()
	var last int64
	err := tx.QueryRow(`SELECT COALESCE((SELECT at FROM email_vacation_answers WHERE mailbox_id = $1 AND sender = $2), 0)`, box, strings.ToLower(sender)).Scan(&last)
	if err != nil {
		return false, store.Failed(err)
	}
	if last != 0 && now.Sub(timeOf(last)) < rules.AnswerEvery {
		return false, nil
	}
	var today int
	err = tx.QueryRow(`SELECT COUNT(*) FROM email_vacation_answers WHERE mailbox_id = $1 AND at > $2`, box, now.Add(-24*time.Hour).UnixMilli()).Scan(&today)
	if err != nil || today >= rules.AnswersADay {
		return false, store.Failed(err)
	}
	if _, err := tx.Exec(`DELETE FROM email_vacation_answers WHERE mailbox_id = $1 AND at < $2`, box, now.Add(-rules.AnswerEvery).UnixMilli()); err != nil {
		return false, err
	}
	_, err = tx.Exec(`INSERT INTO email_vacation_answers (mailbox_id, sender, at) VALUES ($1, $2, $3) ON CONFLICT (mailbox_id, sender) DO UPDATE SET at = excluded.at`,
		box, strings.ToLower(sender), now.UnixMilli())
	return true, err
}

const runColumns = `id, mailbox_id, folder_id, rule_id, state, upto, next_id, looked, changed, total, error, created_at, updated_at`

func scanRun(row store.RowScanner) (r rules.Run, err error) {
	var created, updated int64
	err = row.Scan(&r.ID, &r.Mailbox, &r.Folder, &r.Rule, &r.State, &r.Upto, &r.Next, &r.Looked, &r.Changed, &r.Total, &r.Error, &created, &updated)
	r.Created, r.Updated = timeOf(created), timeOf(updated)
	return r, missing(err, "run")
}

// RuleRuns returns the runs of a mailbox, newest first; mailbox 0 is all that are running.
func (s Store) RuleRuns(ctx context.Context, box int64) ([]rules.Run, error) {
	where, arg := `mailbox_id = $1 ORDER BY id DESC`, any(box)
	if box == 0 {
		where, arg = `state = $1 ORDER BY id`, rules.Running
	}
	rows, err := s.db.Query(ctx, `SELECT `+runColumns+` FROM email_rule_runs WHERE `+where+` LIMIT 200`, arg)
	return store.CollectRows(rows, err, scanRun)
}

// RuleRun returns a run, or errs.NotFound.
func (tx txn) RuleRun(id int64) (rules.Run, error) {
	return scanRun(tx.QueryRow(`SELECT `+runColumns+` FROM email_rule_runs WHERE id = $1`, id))
}

// runWhere chooses the messages that a run is for, by $1 mailbox and $2 folder.
const runWhere = `m.mailbox_id = $1 AND CASE WHEN $2 = 0 THEN NOT EXISTS (SELECT 1 FROM json_each(m.folders) p JOIN email_folders f ON f.id = p.value WHERE f.role IN ('junk', 'trash', 'drafts'))
	ELSE EXISTS (SELECT 1 FROM json_each(m.folders) p WHERE p.value = $2) END`

// RunBatch returns the ids of the next messages that a run is for, the newest first; none when it is through.
func (s Store) RunBatch(ctx context.Context, r rules.Run, most int) ([]int64, error) {
	upto := r.Upto
	if r.Next != 0 {
		upto = r.Next - 1
	} else if upto == 0 {
		upto = store.Below(0)
	}
	rows, err := s.db.Query(ctx, `SELECT m.id FROM email_messages m WHERE `+runWhere+` AND m.id <= $3 ORDER BY m.id DESC LIMIT $4`, r.Mailbox, r.Folder, upto, most)
	return store.CollectRows(rows, err, func(row store.RowScanner) (id int64, err error) { return id, row.Scan(&id) })
}

// AddRun begins a run; errs.Conflict while another of the mailbox is running.
func (tx txn) AddRun(r rules.Run) (rules.Run, error) {
	err := tx.QueryRow(`SELECT CASE WHEN $2 = 0 THEN (SELECT messages FROM email_mailboxes WHERE id = $1) ELSE (SELECT messages FROM email_folders WHERE id = $2) END,
		COALESCE((SELECT MAX(id) FROM email_messages WHERE mailbox_id = $1), 0)`, r.Mailbox, r.Folder).Scan(&r.Total, &r.Upto)
	if err != nil {
		return r, store.Failed(err)
	}
	r.Created, r.Updated = tx.Now(), tx.Now()
	err = tx.QueryRow(`INSERT INTO email_rule_runs (mailbox_id, folder_id, rule_id, state, upto, next_id, looked, changed, total, error, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, 0, 0, 0, $6, '', $7, $7) RETURNING id`, r.Mailbox, r.Folder, r.Rule, r.State, r.Upto, r.Total, tx.Now().UnixMilli()).Scan(&r.ID)
	if errs.Is(store.Failed(err), errs.Conflict) {
		return r, errs.New(errs.Conflict, "rules of this mailbox are at work already; wait for them, or stop them")
	}
	if err != nil {
		return r, store.Failed(err)
	}
	_, err = tx.Exec(`DELETE FROM email_rule_runs WHERE mailbox_id = $1 AND state <> 'running' AND id NOT IN
		(SELECT id FROM email_rule_runs WHERE mailbox_id = $1 ORDER BY id DESC LIMIT $2)`, r.Mailbox, rules.MaxKept)
	return r, err
}

// SaveRun writes a run that is still in the state was; errs.Conflict when it is not.
func (tx txn) SaveRun(was string, r rules.Run) error {
	res, err := tx.Exec(`UPDATE email_rule_runs SET state = $1, next_id = $2, looked = $3, changed = $4, error = $5, updated_at = $6 WHERE id = $7 AND state = $8`,
		r.State, r.Next, r.Looked, r.Changed, r.Error, tx.Now().UnixMilli(), r.ID, was)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errs.New(errs.Conflict, "these rules are not at work any more")
	}
	return nil
}

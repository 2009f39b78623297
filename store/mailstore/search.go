package mailstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/search"
	"uniqverse/services/email/search/index"
	"uniqverse/store"
)

var _ index.Store = Store{}

// NotIndexed returns the next messages that the index does not know, in the order of their ids.
func (s Store) NotIndexed(ctx context.Context, limit int) ([]mailbox.Message, error) {
	rows, err := s.db.Query(ctx, `SELECT `+messageColumns+` FROM email_messages WHERE id > (SELECT message_id FROM email_search_done WHERE id = 1) ORDER BY id LIMIT $1`, limit)
	return store.CollectRows(rows, err, scanMessage)
}

// Index adds documents and notes that all messages up to done are known.
func (s Store) Index(ctx context.Context, docs []index.Document, done int64) error {
	return s.db.Write(ctx, nil, func(tx *store.Tx) error {
		ids := make([]int64, 0, len(docs))
		for _, d := range docs {
			ids = append(ids, d.Message)
		}
		rows, err := tx.Query(`SELECT m.id FROM json_each($1) AS j CROSS JOIN email_messages m ON m.id = j.value`, jsonList(ids))
		there := map[int64]bool{}
		_, err = store.CollectRows(rows, err, func(row store.RowScanner) (id int64, err error) {
			err = row.Scan(&id)
			there[id] = true
			return id, err
		})
		if err != nil {
			return err
		}
		for _, d := range docs {
			if !there[d.Message] {
				continue
			}
			// VALUES, as an INSERT … SELECT opens a savepoint of its own, and at each of those FTS5 writes all that it has
			// gathered into a segment, and then merges segments.
			_, err := tx.Exec(`INSERT INTO email_search (rowid, tags, subject, sender, recipients, body, files) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
				d.Message, boxWord(d.Mailbox)+" "+flagWords(d.Flags), d.Subject, d.Sender, d.Recipients, d.Body, d.Files)
			if err != nil {
				return err
			}
		}
		_, err = tx.Exec(`UPDATE email_search_done SET message_id = $1 WHERE id = 1`, done)
		return err
	})
}

// forgetWords takes a message out of the index, if it is in there.
func (tx txn) forgetWords(id int64) error {
	_, err := tx.Exec(`DELETE FROM email_search WHERE rowid = $1 AND $1 <= (SELECT message_id FROM email_search_done WHERE id = 1)`, id)
	return err
}

// boxWord is the word of our own by which the index knows a mailbox.
func boxWord(id int64) string { return "mbox" + strconv.FormatInt(id, 10) }

func flagWords(flags []string) string {
	words := make([]string, 0, len(flags))
	for _, f := range flags {
		words = append(words, "flag"+f)
	}
	return strings.Join(words, " ")
}

// match writes the part of a query that the index answers; a mailbox's word is always in it. asks says whether there
// is anything else.
func match(box int64, q search.Query) (text string, asks bool) {
	quote := func(s string) string {
		return `"` + strings.ReplaceAll(strings.ReplaceAll(s, `"`, `""`), "\x00", " ") + `"`
	}
	all, none := []string{"tags : " + quote(boxWord(box))}, []string{}
	add := func(not bool, phrase string) {
		asks = true
		if not {
			none = append(none, phrase)
		} else {
			all = append(all, phrase)
		}
	}
	for _, t := range q.Texts {
		column := "{subject sender recipients body files}"
		if t.Column != search.Anywhere {
			column = string(t.Column)
		}
		phrase := column + " : " + quote(t.Words)
		if t.Prefix {
			phrase += " *"
		}
		add(t.Not, phrase)
	}
	for _, f := range q.Flags {
		if flagColumn(f) == "" {
			add(f.Not, "tags : "+quote("flag"+f.Name))
		}
	}
	text = "(" + strings.Join(all, " AND ") + ")"
	for _, n := range none {
		text += " NOT (" + n + ")"
	}
	return text, asks
}

// flagColumn is the condition of a flag that people change; "" is one that the index has.
func flagColumn(f search.Flag) string {
	has := map[bool]string{false: "", true: "NOT "}[f.Not]
	switch f.Name {
	case "unread":
		return "email_messages.unread = " + strconv.Itoa(asInt(!f.Not))
	case "starred":
		return "email_messages.starred = " + strconv.Itoa(asInt(!f.Not))
	case "label":
		return "email_messages.labels " + map[bool]string{false: "<>", true: "="}[f.Not] + " '[]'"
	case "answered", "forwarded", "draft":
		return "email_messages.keywords " + has + `LIKE '%"$` + f.Name + `"%'`
	}
	return ""
}

// searchQuery is the statement that finds a page of what a query asks for, the newest first. Where words are asked for, the index is
// walked from its newest message back and stops after the page.
func searchQuery(box int64, f mailbox.Filter) (string, []any) {
	q := f.Query
	w := pageQuery{table: "email_messages"}
	w.where("email_messages.mailbox_id = %", box)
	words, asks := match(box, q)
	id := "email_messages.id"
	if asks {
		w.where("email_search MATCH %", words)
		id = "email_search.rowid"
	}
	for _, flag := range q.Flags {
		if c := flagColumn(flag); c != "" {
			w.conds = append(w.conds, c)
		}
	}
	exists := func(not bool, cond string, value any) {
		if not {
			cond = "NOT " + cond
		}
		w.where(cond, value)
	}
	for _, l := range q.Labels {
		exists(l.Not, "EXISTS (SELECT 1 FROM email_labels WHERE email_labels.mailbox_id = $1 AND label = % AND message_id = email_messages.id)", l.Text)
	}
	for _, n := range f.Within {
		exists(n.Not, "EXISTS (SELECT 1 FROM email_placed p WHERE p.folder_id = % AND p.received_at = email_messages.received_at AND p.message_id = email_messages.id)", n.Folder)
	}
	for _, m := range q.IDs {
		exists(m.Not, "(email_messages.message_id = %)", m.Text)
	}
	w.bounds(q, f.Folder)
	if f.Before != 0 {
		w.where(id+" < %", f.Before)
	}
	if f.After != 0 {
		w.where(id+" > %", f.After)
	}
	from := "email_messages"
	if asks {
		from = "email_search CROSS JOIN email_messages ON email_messages.id = email_search.rowid"
	}
	w.args = append(w.args, f.Size(), f.Offset)
	n := len(w.args)
	order := "DESC"
	if f.After != 0 && f.Before == 0 {
		order = "ASC"
	}
	text := fmt.Sprintf(`SELECT %s FROM %s WHERE %s ORDER BY %s %s LIMIT $%d OFFSET $%d`, messageColumns, from, strings.Join(w.conds, " AND "), id, order, n-1, n)
	return text, w.args
}

// bounds adds the conditions of size, time and folder.
func (w *pageQuery) bounds(q search.Query, folder int64) {
	if q.MinSize > 0 {
		w.where("email_messages.size >= %", q.MinSize)
	}
	if q.MaxSize > 0 {
		w.where("email_messages.size < %", q.MaxSize)
	}
	if !q.After.IsZero() {
		w.where("email_messages.received_at >= %", unixMS(q.After))
	}
	if !q.Before.IsZero() {
		w.where("email_messages.received_at < %", unixMS(q.Before))
	}
	if folder != 0 {
		w.where("EXISTS (SELECT 1 FROM email_placed p WHERE p.folder_id = % AND p.received_at = email_messages.received_at AND p.message_id = email_messages.id)", folder)
	}
}

package jmapstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"uniqverse/services/email/jmap/record"
	"uniqverse/store"
)

// finder writes the statement of a record.Query. Values are parameters; what is in the text is ours.
type finder struct {
	box   int64
	args  []any
	heads bool // the heads are joined
}

func (f *finder) arg(v any) string {
	f.args = append(f.args, v)
	return "$" + strconv.Itoa(len(f.args))
}

// tree writes a filter.
func (f *finder) tree(t *record.Filter) string {
	if t == nil {
		return "1"
	}
	if t.Op == "" {
		return f.one(t.Is)
	}
	var parts []string
	for _, inner := range t.Inner {
		parts = append(parts, f.tree(inner))
	}
	switch {
	case len(parts) == 0 && t.Op == record.Any:
		return "0"
	case len(parts) == 0:
		return "1"
	case t.Op == record.All:
		return "(" + strings.Join(parts, " AND ") + ")"
	case t.Op == record.Any:
		return "(" + strings.Join(parts, " OR ") + ")"
	}
	return "NOT (" + strings.Join(parts, " OR ") + ")"
}

func (f *finder) one(c record.Condition) string {
	switch c.Field {
	case record.InFolder:
		return "EXISTS (SELECT 1 FROM email_placed p WHERE p.folder_id = " + f.arg(c.Folders[0]) + " AND p.received_at = e.received_at AND p.message_id = e.id)"
	case record.NotOnlyIn:
		args := make([]string, len(c.Folders))
		for i, id := range c.Folders {
			args[i] = f.arg(id)
		}
		return "EXISTS (SELECT 1 FROM json_each(e.folders) j WHERE j.value NOT IN (" + strings.Join(args, ", ") + "))"
	case record.Before:
		return "e.received_at < " + f.arg(unixMS(c.At))
	case record.Since:
		return "e.received_at >= " + f.arg(unixMS(c.At))
	case record.MinSize:
		return f.size() + " >= " + f.arg(c.Size)
	case record.MaxSize:
		return f.size() + " < " + f.arg(c.Size)
	case record.Keyword:
		return f.keyword("e", c.Keyword)
	case record.NoKeyword:
		return "NOT " + f.keyword("e", c.Keyword)
	case record.ThreadAll:
		return "NOT EXISTS (SELECT 1 FROM email_messages t WHERE t.mailbox_id = e.mailbox_id AND t.thread_id = e.thread_id AND NOT " + f.keyword("t", c.Keyword) + ")"
	case record.ThreadSome:
		return "EXISTS (SELECT 1 FROM email_messages t WHERE t.mailbox_id = e.mailbox_id AND t.thread_id = e.thread_id AND " + f.keyword("t", c.Keyword) + ")"
	case record.ThreadNone:
		return "NOT EXISTS (SELECT 1 FROM email_messages t WHERE t.mailbox_id = e.mailbox_id AND t.thread_id = e.thread_id AND " + f.keyword("t", c.Keyword) + ")"
	case record.HasAttachment:
		if c.Yes {
			return "e.attachments > 0"
		}
		return "e.attachments = 0"
	case record.TextFrom:
		return f.like("h.from_text", c.Words)
	case record.TextTo:
		return f.like("h.to_text", c.Words)
	case record.TextCc:
		return f.like("h.cc_text", c.Words)
	case record.TextBcc:
		return f.like("h.bcc_text", c.Words)
	case record.TextSubject:
		return f.like("h.subject", c.Words)
	case record.HasHeader:
		if len(c.Words) == 0 {
			return f.like("h.fields", []string{"\n" + c.Header + ":"})
		}
		return f.fieldHas(c.Header, c.Words)
	case record.TextBody, record.TextAny:
		return f.words(c)
	}
	return "0"
}

// fieldHas asks whether one line of the fields has the name and, behind it, all the words. A line is a value of the list that
// the fields are when their line ends are taken for its commas; they hold no control characters.
func (f *finder) fieldHas(name string, words []string) string {
	f.heads = true
	n := f.arg(name)
	conds := []string{"substr(j.value, 1, length(" + n + ") + 1) = " + n + " || ':'"}
	for _, w := range words {
		conds = append(conds, "instr(substr(j.value, length("+n+") + 2), "+f.arg(w)+") > 0")
	}
	return `EXISTS (SELECT 1 FROM json_each('["' || replace(replace(replace(h.fields, '\', '\\'), '"', '\"'), char(10), '","') || '"]') j WHERE ` + strings.Join(conds, " AND ") + ")"
}

func (f *finder) size() string {
	f.heads = true
	return "h.size"
}

// like asks for all the words in a column.
func (f *finder) like(column string, words []string) string {
	f.heads = true
	var parts []string
	for _, w := range words {
		parts = append(parts, "instr("+column+", "+f.arg(w)+") > 0")
	}
	if len(parts) == 0 {
		return "1"
	}
	return "(" + strings.Join(parts, " AND ") + ")"
}

// words asks the full-text index, and takes what is not in it yet from the condition.
func (f *finder) words(c record.Condition) string {
	columns := "{subject sender recipients body}"
	if c.Field == record.TextBody {
		columns = "body"
	}
	all := []string{`tags : "` + "mbox" + strconv.FormatInt(f.box, 10) + `"`}
	for _, w := range c.Words {
		all = append(all, columns+` : "`+strings.ReplaceAll(strings.ReplaceAll(w, `"`, `""`), "\x00", " ")+`"`)
	}
	found := "e.id IN (SELECT rowid FROM email_search WHERE email_search MATCH " + f.arg(strings.Join(all, " AND ")) + ")"
	var also []string
	for _, id := range c.Also {
		also = append(also, strconv.FormatInt(id, 10))
	}
	if len(also) > 0 {
		found = "(" + found + " OR e.id IN (" + strings.Join(also, ", ") + "))"
	}
	return found
}

// keyword asks whether a message has a keyword, which may be a field of its own, in the list, or a label in any case.
func (f *finder) keyword(table, word string) string {
	switch word {
	case "$seen":
		return "(" + table + ".unread = 0)"
	case "$flagged":
		return "(" + table + ".starred = 1)"
	}
	w := f.arg(word)
	return "(EXISTS (SELECT 1 FROM json_each(" + table + ".keywords) j WHERE j.value = " + w + ") OR EXISTS (SELECT 1 FROM json_each(" + table + ".labels) j WHERE lower(j.value) = " + w + "))"
}

// order writes a sort; the id decides what it leaves open, in the direction of its first level.
func (f *finder) order(sorts []record.Sort) string {
	var parts []string
	last := " DESC"
	for i, s := range sorts {
		dir := " ASC"
		if s.Descending {
			dir = " DESC"
		}
		if i == 0 {
			last = dir
		}
		by := ""
		switch s.By {
		case record.ByReceived:
			by = "e.received_at"
		case record.BySent:
			by = "CASE WHEN e.sent_at = 0 THEN e.received_at ELSE e.sent_at END"
		case record.BySize:
			by = f.size()
		case record.ByFrom:
			f.heads, by = true, "h.sort_from"
		case record.ByTo:
			f.heads, by = true, "h.sort_to"
		case record.BySubject:
			f.heads, by = true, "h.base_subject"
		case record.ByKeyword:
			by = f.keyword("e", s.Keyword)
		case record.ByThreadAll:
			by = f.one(record.Condition{Field: record.ThreadAll, Keyword: s.Keyword})
		case record.ByThreadSome:
			by = f.one(record.Condition{Field: record.ThreadSome, Keyword: s.Keyword})
		}
		parts = append(parts, by+dir)
	}
	if len(sorts) == 0 {
		parts = append(parts, "e.received_at DESC")
	}
	return strings.Join(append(parts, "e.id"+last), ", ")
}

// byPlace reports whether a query is a folder in the order in which it is kept: then the index of folders is walked, and
// only as far as the window.
func byPlace(q record.Query) bool {
	if q.Filter == nil || q.Filter.Op != "" || q.Filter.Is.Field != record.InFolder || len(q.Sort) > 1 {
		return false
	}
	return len(q.Sort) == 0 || q.Sort[0].By == record.ByReceived
}

// findQuery is the statement behind Find and Count.
func findQuery(q record.Query, count bool) (string, []any) {
	f := &finder{box: q.Mailbox}
	if byPlace(q) {
		dir := "DESC"
		if len(q.Sort) == 1 && !q.Sort[0].Descending {
			dir = "ASC"
		}
		from := ` FROM email_placed p JOIN email_messages e ON e.id = p.message_id WHERE p.folder_id = ` + f.arg(q.Filter.Is.Folders[0]) + ` AND e.mailbox_id = ` + f.arg(q.Mailbox)
		if count {
			return "SELECT COUNT(*)" + from, f.args
		}
		return "SELECT e.id, e.thread_id" + from + " ORDER BY p.received_at " + dir + ", p.message_id " + dir + f.window(q), f.args
	}
	where := "e.mailbox_id = " + f.arg(q.Mailbox) + " AND " + f.tree(q.Filter)
	if count {
		return "SELECT COUNT(*) FROM " + f.tables() + " WHERE " + where, f.args
	}
	order := f.order(q.Sort)
	return fmt.Sprintf("SELECT e.id, e.thread_id FROM %s WHERE %s ORDER BY %s%s", f.tables(), where, order, f.window(q)), f.args
}

func (f *finder) tables() string {
	if f.heads {
		return "email_messages e JOIN email_jmap_heads h ON h.raw_id = e.raw_id"
	}
	return "email_messages e"
}

func (f *finder) window(q record.Query) string {
	if q.Limit == 0 || q.Collapse {
		return ""
	}
	return " LIMIT " + f.arg(q.Limit) + " OFFSET " + f.arg(q.Offset)
}

// Find returns the messages that a query asks for, in its order.
func (s Store) Find(ctx context.Context, q record.Query) ([]record.Found, error) {
	text, args := findQuery(q, false)
	rows, err := s.db.Query(ctx, text, args...)
	list, err := store.CollectRows(rows, err, func(r store.RowScanner) (f record.Found, err error) { return f, r.Scan(&f.ID, &f.Thread) })
	if err != nil || !q.Collapse {
		return list, err
	}
	seen, n := map[int64]bool{}, 0
	for _, f := range list {
		if !seen[f.Thread] {
			seen[f.Thread] = true
			list[n] = f
			n++
		}
	}
	return list[:n], nil
}

// Count returns how many messages a query finds.
func (s Store) Count(ctx context.Context, q record.Query) (n int64, err error) {
	text, args := findQuery(q, true)
	err = s.db.QueryRow(ctx, text, args...).Scan(&n)
	return n, store.Failed(err)
}

// NotIndexedOf returns the messages of a mailbox that the full-text index does not know yet, and their bytes.
func (s Store) NotIndexedOf(ctx context.Context, box int64, most int) ([]record.Found, error) {
	rows, err := s.db.Query(ctx, `SELECT id, raw_id FROM email_messages WHERE mailbox_id = $1 AND id > (SELECT message_id FROM email_search_done WHERE id = 1) ORDER BY id LIMIT $2`, box, most)
	return store.CollectRows(rows, err, func(r store.RowScanner) (f record.Found, err error) { return f, r.Scan(&f.ID, &f.Thread) })
}

package mailstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/spam"
	"uniqverse/store"
	"uniqverse/store/kept"
)

const profileColumns = `COALESCE(p.ham, 0), COALESCE(p.spam, 0), COALESCE(p.words, 0), COALESCE(p.listed, 0), COALESCE(p.junk_at, 0)`

// SpamProfiles returns the profiles of users that have a mailbox, and everybody's under "".
func (s Store) SpamProfiles(ctx context.Context, users []string) (map[string]spam.Profile, error) {
	names := jsonList(users)
	return kept.Answer(s.db, settings{}, "profiles", names, func() (map[string]spam.Profile, error) { return s.spamProfiles(ctx, names) })
}

func (s Store) spamProfiles(ctx context.Context, names string) (map[string]spam.Profile, error) {
	type named struct {
		user string
		p    spam.Profile
	}
	rows, err := s.db.Query(ctx, `SELECT b.user_name, b.id, `+profileColumns+` FROM json_each($1) u CROSS JOIN email_mailboxes b ON b.user_name = u.value
		LEFT JOIN email_spam_boxes p ON p.mailbox_id = b.id
		UNION ALL SELECT '', 0, `+profileColumns+` FROM email_spam_boxes p WHERE p.mailbox_id = 0`, names)
	all, err := store.CollectRows(rows, err, func(r store.RowScanner) (n named, err error) {
		return n, r.Scan(&n.user, &n.p.Mailbox, &n.p.Trained.Ham, &n.p.Trained.Spam, &n.p.Words, &n.p.Listed, &n.p.JunkAt)
	})
	out := make(map[string]spam.Profile, len(all))
	for _, n := range all {
		out[n.user] = n.p
	}
	return out, err
}

func scanProfile(r store.RowScanner) (p spam.Profile, err error) {
	return p, r.Scan(&p.Mailbox, &p.Trained.Ham, &p.Trained.Spam, &p.Words, &p.Listed, &p.JunkAt)
}

// SpamProfile returns the profile of a mailbox; an empty one when nothing is counted.
func (s Store) SpamProfile(ctx context.Context, mailbox int64) (spam.Profile, error) {
	rows, err := s.db.Query(ctx, `SELECT mailbox_id, ham, spam, words, listed, junk_at FROM email_spam_boxes WHERE mailbox_id = $1`, mailbox)
	all, err := store.CollectRows(rows, err, scanProfile)
	if len(all) == 0 {
		return spam.Profile{Mailbox: mailbox}, err
	}
	return all[0], err
}

// SpamOver returns mailboxes with more than words words, or more than trained messages of a kind.
func (s Store) SpamOver(ctx context.Context, words, trained int) ([]spam.Profile, error) {
	rows, err := s.db.Query(ctx, `SELECT mailbox_id, ham, spam, words, listed, junk_at FROM email_spam_boxes
		WHERE mailbox_id <> 0 AND (words > $1 OR ham > $2 OR spam > $2) LIMIT 100`, words, trained)
	return store.CollectRows(rows, err, scanProfile)
}

// SpamWords returns how often each word was counted, by mailbox; what never was is left out.
func (s Store) SpamWords(ctx context.Context, mailboxes []int64, words []string) (map[int64]map[string]spam.Count, error) {
	out := make(map[int64]map[string]spam.Count, len(mailboxes))
	for _, box := range mailboxes {
		rows, err := s.db.Query(ctx, wordsQuery, box, jsonList(words))
		m, err := collectWords(rows, err)
		if err != nil {
			return nil, err
		}
		out[box] = m
	}
	return out, nil
}

const wordsQuery = `SELECT w.word, w.ham, w.spam FROM json_each($2) t CROSS JOIN email_spam_words w ON w.mailbox_id = $1 AND w.word = t.value`

func collectWords(rows *sql.Rows, err error) (map[string]spam.Count, error) {
	all, err := store.CollectRows(rows, err, scanWord)
	m := make(map[string]spam.Count, len(all))
	for _, w := range all {
		m[w.Word] = spam.Count{Ham: w.Ham, Spam: w.Spam}
	}
	return m, err
}

func scanWord(r store.RowScanner) (w spam.Word, err error) {
	return w, r.Scan(&w.Word, &w.Ham, &w.Spam)
}

// SpamTop returns the words of a mailbox that were counted most for one kind and not, or hardly, for the other.
func (s Store) SpamTop(ctx context.Context, mailbox int64, kind, most int) ([]spam.Word, error) {
	this, other := "spam", "ham"
	if kind == spam.Ham {
		this, other = other, this
	}
	rows, err := s.db.Query(ctx, `SELECT word, ham, spam FROM email_spam_words WHERE mailbox_id = $1 AND `+this+` > 1 AND `+other+` * 5 <= `+this+`
		ORDER BY `+this+` - `+other+` DESC, word LIMIT $2`, mailbox, most)
	return store.CollectRows(rows, err, scanWord)
}

const standingColumns = `source, mailbox_id, ham, spam, seen, junk, first_at`

// SpamStandings returns what was seen of senders, by mailbox.
func (s Store) SpamStandings(ctx context.Context, mailboxes []int64, sources []string) (map[int64]map[string]spam.Standing, error) {
	who, boxes := jsonList(sources), jsonList(mailboxes)
	return kept.Answer(s.db, settings{}, "standings", boxes+who, func() (map[int64]map[string]spam.Standing, error) { return s.spamStandings(ctx, boxes, who) })
}

func (s Store) spamStandings(ctx context.Context, boxes, sources string) (map[int64]map[string]spam.Standing, error) {
	type row struct {
		box int64
		st  spam.Standing
	}
	rows, err := s.db.Query(ctx, `SELECT s.source, s.mailbox_id, s.ham, s.spam, s.seen, s.junk, s.first_at FROM json_each($1) n CROSS JOIN json_each($2) b
		CROSS JOIN email_spam_sources s ON s.source = n.value AND s.mailbox_id = b.value`, sources, boxes)
	all, err := store.CollectRows(rows, err, func(r store.RowScanner) (x row, err error) {
		x.box, x.st, err = scanStanding(r)
		return x, err
	})
	out := map[int64]map[string]spam.Standing{}
	for _, x := range all {
		if out[x.box] == nil {
			out[x.box] = map[string]spam.Standing{}
		}
		out[x.box][x.st.Source] = x.st
	}
	return out, err
}

func scanStanding(r store.RowScanner) (box int64, st spam.Standing, err error) {
	var first int64
	err = r.Scan(&st.Source, &box, &st.Ham, &st.Spam, &st.Seen, &st.Junk, &first)
	st.First = timeOf(first)
	return box, st, err
}

const listColumns = `id, sender, allow, note, created_at`

func scanListed(r store.RowScanner) (l spam.Listed, err error) {
	var at int64
	err = r.Scan(&l.ID, &l.Sender, &l.Allow, &l.Note, &at)
	l.Created = timeOf(at)
	return l, missing(err, "entry of the list")
}

// SpamListed returns the entries of a mailbox's list that have one of the names.
func (s Store) SpamListed(ctx context.Context, mailbox int64, names []string) ([]spam.Listed, error) {
	rows, err := s.db.Query(ctx, `SELECT `+listColumns+` FROM email_spam_list WHERE mailbox_id = $1 AND sender IN (SELECT value FROM json_each($2))`, mailbox, jsonList(names))
	return store.CollectRows(rows, err, scanListed)
}

// SpamList returns a page of a mailbox's list, newest first.
func (s Store) SpamList(ctx context.Context, mailbox int64, p web.Paging) ([]spam.Listed, error) {
	w := pageQuery{table: "email_spam_list"}
	w.where("mailbox_id = %", mailbox)
	rows, err := s.db.Query(ctx, w.query(listColumns, p), w.args...)
	return store.CollectRows(rows, err, scanListed)
}

const markColumns = `message_id, mailbox_id, raw_id, want, trained, auto, at`

func scanMark(r store.RowScanner) (m spam.Mark, err error) {
	var at int64
	err = r.Scan(&m.Message, &m.Mailbox, &m.Raw, &m.Want, &m.Trained, &m.Auto, &at)
	m.At = timeOf(at)
	return m, missing(err, "mark")
}

// SpamPending returns marks that are not counted yet, the oldest first.
func (s Store) SpamPending(ctx context.Context, most int) ([]spam.Mark, error) {
	rows, err := s.db.Query(ctx, `SELECT `+markColumns+` FROM email_spam_marks WHERE want <> trained ORDER BY at, message_id LIMIT $1`, most)
	return store.CollectRows(rows, err, scanMark)
}

const markQuery = `SELECT ` + markColumns + ` FROM email_spam_marks WHERE message_id = $1`

// SpamMark returns the mark of a message, or errs.NotFound.
func (s Store) SpamMark(ctx context.Context, message int64) (spam.Mark, error) {
	return scanMark(s.db.QueryRow(ctx, markQuery, message))
}

// SpamMark returns the mark of a message as the transaction sees it, or errs.NotFound.
func (tx txn) SpamMark(message int64) (spam.Mark, error) {
	return scanMark(tx.QueryRow(markQuery, message))
}

// SpamKept returns the newest message that its owner read and kept, and that has no mark; 0 for none.
func (s Store) SpamKept(ctx context.Context, mailbox int64) (id int64, err error) {
	err = s.db.QueryRow(ctx, `SELECT COALESCE((SELECT m.id FROM email_messages m WHERE m.mailbox_id = $1 AND m.unread = 0 AND m.spam_score < 2
		AND NOT EXISTS (SELECT 1 FROM email_spam_marks k WHERE k.message_id = m.id)
		AND EXISTS (SELECT 1 FROM json_each(m.folders) p JOIN email_folders f ON f.id = p.value WHERE f.role IN ('inbox', 'archive', ''))
		AND NOT EXISTS (SELECT 1 FROM json_each(m.folders) p JOIN email_folders f ON f.id = p.value WHERE f.role IN ('junk', 'trash', 'sent', 'drafts'))
		ORDER BY m.id DESC LIMIT 1), 0)`, mailbox).Scan(&id)
	return id, store.Failed(err)
}

// SpamVerdict returns the reasons that only one mailbox had for a message's verdict; none is no error.
func (s Store) SpamVerdict(ctx context.Context, message int64) ([]spam.Reason, error) {
	rows, err := s.db.Query(ctx, `SELECT reasons FROM email_spam_verdicts WHERE message_id = $1`, message)
	texts, err := store.CollectRows(rows, err, func(r store.RowScanner) (t string, err error) { return t, r.Scan(&t) })
	if err != nil || len(texts) == 0 {
		return nil, err
	}
	var out []spam.Reason
	if err := json.Unmarshal([]byte(texts[0]), &out); err != nil {
		return nil, fmt.Errorf("reasons of message %d: %w", message, err)
	}
	return out, nil
}

// JunkFrom returns a page of a mailbox's junk with the reasons for it, newest first.
func (s Store) JunkFrom(ctx context.Context, box int64, sender string, p web.Paging) ([]mailbox.Junk, error) {
	w := pageQuery{table: "email_messages"}
	w.where("email_messages.mailbox_id = %", box)
	w.where("EXISTS (SELECT 1 FROM email_folders f JOIN email_placed p ON p.folder_id = f.id AND p.received_at = email_messages.received_at AND p.message_id = email_messages.id WHERE f.mailbox_id = % AND f.role = 'junk')", box)
	switch {
	case strings.Contains(sender, "@"):
		w.where("LOWER(from_address) = %", sender)
	case sender != "": // a domain has no characters that mean something to LIKE but the underscore, which few have
		w.args = append(w.args, "%@"+sender, "%."+sender)
		n := strconv.Itoa(len(w.args) - 1)
		w.conds = append(w.conds, "(LOWER(from_address) LIKE $"+n+" OR LOWER(from_address) LIKE $"+strconv.Itoa(len(w.args))+")")
	}
	user, err := s.userOf(ctx, box)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.Query(ctx, w.query(messageColumns, p), w.args...)
	list, err := store.CollectRows(rows, err, scanMessage)
	if err != nil {
		return nil, err
	}
	out := make([]mailbox.Junk, 0, len(list))
	for _, m := range list {
		m.User = user
		j := mailbox.Junk{Message: m}
		mark, err := s.SpamMark(ctx, m.ID)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return nil, err
		}
		if mark.Want == spam.Spam {
			j.Mark = "spam"
		}
		var shared string
		if err := s.db.QueryRow(ctx, `SELECT spam_reasons FROM email_raw WHERE id = $1`, m.RawID).Scan(&shared); err != nil {
			return nil, missing(err, "message")
		}
		if err := json.Unmarshal([]byte(shared), &j.Reasons); err != nil {
			return nil, fmt.Errorf("reasons of message %d: %w", m.ID, err)
		}
		own, err := s.SpamVerdict(ctx, m.ID)
		if err != nil {
			return nil, err
		}
		j.Reasons = append(j.Reasons, own...)
		out = append(out, j)
	}
	return out, nil
}

// SaveSpamVerdict stores the reasons that only this mailbox had.
func (tx txn) SaveSpamVerdict(message, mailbox int64, reasons []spam.Reason) error {
	_, err := tx.Exec(`INSERT INTO email_spam_verdicts (message_id, mailbox_id, reasons) VALUES ($1, $2, $3)
		ON CONFLICT (message_id) DO UPDATE SET reasons = excluded.reasons`, message, mailbox, jsonList(reasons))
	return err
}

// SaveSpamMark writes the mark of a message that exists; one that wants nothing and has nothing counted is removed.
func (tx txn) SaveSpamMark(m spam.Mark) error {
	if m.Want == spam.None && m.Trained == spam.None {
		_, err := tx.Exec(`DELETE FROM email_spam_marks WHERE message_id = $1`, m.Message)
		return err
	}
	_, err := tx.Exec(`INSERT INTO email_spam_marks (message_id, mailbox_id, raw_id, want, trained, auto, at)
		SELECT id, mailbox_id, raw_id, $2, $3, $4, $5 FROM email_messages WHERE id = $1
		ON CONFLICT (message_id) DO UPDATE SET want = excluded.want, trained = excluded.trained, auto = excluded.auto, at = excluded.at`,
		m.Message, m.Want, m.Trained, asInt(m.Auto), unixMS(m.At))
	return err
}

// SetJunkAt sets a mailbox's own threshold; 0 takes it away.
func (tx txn) SetJunkAt(mailbox int64, at float64) error {
	_, err := tx.Exec(`INSERT INTO email_spam_boxes (mailbox_id, junk_at) VALUES ($1, $2) ON CONFLICT (mailbox_id) DO UPDATE SET junk_at = excluded.junk_at`, mailbox, at)
	return err
}

// ListSender puts a sender on a mailbox's list, or changes its entry. errs.Limited beyond most entries.
func (tx txn) ListSender(mailbox int64, l spam.Listed, most int) (spam.Listed, error) {
	out, err := scanListed(tx.QueryRow(`INSERT INTO email_spam_list (mailbox_id, sender, allow, note, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (mailbox_id, sender) DO UPDATE SET allow = excluded.allow, note = excluded.note RETURNING `+listColumns,
		mailbox, l.Sender, asInt(l.Allow), l.Note, tx.Now().UnixMilli()))
	if err != nil {
		return out, err
	}
	n, err := tx.countListed(mailbox)
	if err == nil && n > most {
		err = errs.New(errs.Conflict, "the list has %d senders, and may have no more; take one off first", most)
	}
	return out, err
}

// UnlistSender takes an entry off a mailbox's list, or fails with errs.NotFound.
func (tx txn) UnlistSender(mailbox, id int64) error {
	res, err := tx.Exec(`DELETE FROM email_spam_list WHERE mailbox_id = $1 AND id = $2`, mailbox, id)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err == nil && n == 0 {
		return errs.New(errs.NotFound, "there is no such entry of the list")
	}
	_, err = tx.countListed(mailbox)
	return err
}

// countListed keeps how many entries a mailbox's list has.
func (tx txn) countListed(mailbox int64) (n int, err error) {
	err = tx.QueryRow(`INSERT INTO email_spam_boxes (mailbox_id, listed) VALUES ($1, (SELECT COUNT(*) FROM email_spam_list WHERE mailbox_id = $1))
		ON CONFLICT (mailbox_id) DO UPDATE SET listed = excluded.listed RETURNING listed`, mailbox).Scan(&n)
	return n, store.Failed(err)
}

// spamMoved marks a message that somebody moved into or out of Junk: spam into it, ham out of it to anywhere but the trash.
func (tx txn) spamMoved(message, mailbox int64, was, is []int64) error {
	junk, trash := int64(0), int64(0)
	rows, err := tx.Query(`SELECT id, role FROM email_folders WHERE mailbox_id = $1 AND role IN ('junk', 'trash')`, mailbox)
	type folder struct {
		id   int64
		role string
	}
	all, err := store.CollectRows(rows, err, func(r store.RowScanner) (f folder, err error) { return f, r.Scan(&f.id, &f.role) })
	if err != nil {
		return err
	}
	for _, f := range all {
		if f.role == "junk" {
			junk = f.id
		} else {
			trash = f.id
		}
	}
	in := func(list []int64, id int64) bool {
		for _, x := range list {
			if x == id {
				return true
			}
		}
		return false
	}
	want := spam.None
	switch before, now := in(was, junk), in(is, junk); {
	case !before && now:
		want = spam.Spam
	case before && !now && !in(is, trash):
		want = spam.Ham
	default:
		return nil
	}
	m, err := tx.SpamMark(message)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return err
	}
	return tx.SaveSpamMark(spam.Mark{Message: message, Want: want, Trained: m.Trained, At: tx.Now()})
}

// spamForget removes what is kept beside a message; what was counted of it stays.
func (tx txn) spamForget(message int64) error {
	for _, table := range []string{"email_spam_marks", "email_spam_verdicts", "email_rule_hits"} {
		if _, err := tx.Exec(`DELETE FROM `+table+` WHERE message_id = $1`, message); err != nil {
			return err
		}
	}
	return nil
}

// SeeSpam adds what was delivered to what was seen of senders.
func (tx txn) SeeSpam(seen []spam.Seen) error {
	type row struct {
		User   string `json:"u"`
		Source string `json:"s"`
		All    int    `json:"n"`
		Junk   int    `json:"j"`
		First  int64  `json:"t"`
	}
	rows := make([]row, 0, len(seen))
	for _, s := range seen {
		rows = append(rows, row{s.User, s.Source, s.All, s.Junk, unixMS(s.First)})
	}
	now := tx.Now().UnixMilli()
	_, err := tx.Exec(`INSERT INTO email_spam_sources (source, mailbox_id, seen, junk, first_at, last_at)
		SELECT j.value ->> 's', b.id, j.value ->> 'n', j.value ->> 'j', j.value ->> 't', $2 FROM json_each($1) j JOIN email_mailboxes b ON b.user_name = j.value ->> 'u' WHERE true
		ON CONFLICT (source, mailbox_id) DO UPDATE SET seen = seen + excluded.seen, junk = email_spam_sources.junk + excluded.junk, last_at = excluded.last_at,
			first_at = CASE WHEN first_at = 0 THEN excluded.first_at ELSE first_at END`, jsonList(rows), now)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`DELETE FROM email_spam_sources WHERE (source, mailbox_id) IN
		(SELECT source, mailbox_id FROM email_spam_sources WHERE last_at < $1 AND ham = 0 AND spam = 0 LIMIT 1000)`, now-forgetSources.Milliseconds())
	return err
}

// forgetSources is after how long a sender is forgotten whom nobody judged.
const forgetSources = 180 * 24 * time.Hour

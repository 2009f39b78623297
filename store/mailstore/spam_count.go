package mailstore

import (
	"fmt"

	"uniqverse/services/email/spam"
	"uniqverse/store"
)

// CountSpam adds by (1 or -1) messages of a kind with these words and sources to a mailbox, and to everybody what
// that changes there.
func (tx txn) CountSpam(mailbox int64, kind, by int, words, sources []string) error {
	if kind != spam.Ham && kind != spam.Spam || by != 1 && by != -1 {
		return fmt.Errorf("spam: kind %d, by %d", kind, by)
	}
	if err := tx.countWords(mailbox, kind, by, words); err != nil {
		return err
	}
	if err := tx.countBox(mailbox, kind, by); err != nil {
		return err
	}
	for _, s := range sources {
		if err := tx.countSource(mailbox, s, kind, by); err != nil {
			return err
		}
	}
	return nil
}

// of returns the part of a count that belongs to a kind.
func of(c spam.Count, kind int) int {
	if kind == spam.Ham {
		return c.Ham
	}
	return c.Spam
}

// countWords counts words for a mailbox, and for everybody those that the mailbox has in this kind for the first time, or no
// longer.
func (tx txn) countWords(mailbox int64, kind, by int, words []string) error {
	rows, err := tx.Query(wordsQuery, mailbox, jsonList(words))
	had, err := collectWords(rows, err)
	if err != nil {
		return err
	}
	var known, changed []string // that this mailbox has; that change for everybody
	for _, w := range words {
		n := of(had[w], kind)
		if by > 0 || n > 0 {
			known = append(known, w)
		}
		if by > 0 && n == 0 || by < 0 && n == 1 {
			changed = append(changed, w)
		}
	}
	if err := tx.addWords(mailbox, kind, by, known); err != nil {
		return err
	}
	return tx.addWords(0, kind, by, changed)
}

// addWords changes the counts of words in one mailbox, and how many there are.
func (tx txn) addWords(mailbox int64, kind, by int, words []string) error {
	if len(words) == 0 {
		return nil
	}
	ham, sp := 0, 0
	if kind == spam.Ham {
		ham = by
	} else {
		sp = by
	}
	list, grown := jsonList(words), int64(0)
	if by > 0 {
		var had int64
		if err := tx.QueryRow(`SELECT COUNT(*) FROM json_each($2) t CROSS JOIN email_spam_words w ON w.mailbox_id = $1 AND w.word = t.value`, mailbox, list).Scan(&had); err != nil {
			return store.Failed(err)
		}
		grown = int64(len(words)) - had
	}
	if _, err := tx.Exec(`INSERT INTO email_spam_words (mailbox_id, word, ham, spam, seen_at) SELECT $1, value, MAX(0, $3), MAX(0, $4), $5 FROM json_each($2) WHERE true
		ON CONFLICT (mailbox_id, word) DO UPDATE SET ham = MAX(0, ham + $3), spam = MAX(0, spam + $4), seen_at = excluded.seen_at`,
		mailbox, list, ham, sp, tx.Now().UnixMilli()); err != nil {
		return err
	}
	if by < 0 {
		res, err := tx.Exec(`DELETE FROM email_spam_words WHERE mailbox_id = $1 AND word IN (SELECT value FROM json_each($2)) AND ham = 0 AND spam = 0`, mailbox, list)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		grown = -n
	}
	return tx.addBox(mailbox, 0, 0, grown)
}

// addBox changes the sums of a mailbox.
func (tx txn) addBox(mailbox int64, ham, sp int, words int64) error {
	_, err := tx.Exec(`INSERT INTO email_spam_boxes (mailbox_id, ham, spam, words) VALUES ($1, MAX(0, $2), MAX(0, $3), MAX(0, $4))
		ON CONFLICT (mailbox_id) DO UPDATE SET ham = MAX(0, ham + $2), spam = MAX(0, spam + $3), words = MAX(0, words + $4)`, mailbox, ham, sp, words)
	return err
}

// countBox counts a message for a mailbox, and the mailbox for everybody when it is its first of the kind, or its last goes.
func (tx txn) countBox(mailbox int64, kind, by int) error {
	var c spam.Count
	if err := tx.QueryRow(`SELECT COALESCE(MAX(ham), 0), COALESCE(MAX(spam), 0) FROM email_spam_boxes WHERE mailbox_id = $1`, mailbox).Scan(&c.Ham, &c.Spam); err != nil {
		return store.Failed(err)
	}
	n := of(c, kind)
	if by < 0 && n == 0 {
		return nil
	}
	ham, sp := 0, by
	if kind == spam.Ham {
		ham, sp = by, 0
	}
	if err := tx.addBox(mailbox, ham, sp, 0); err != nil {
		return err
	}
	if by > 0 && n == 0 || by < 0 && n == 1 {
		return tx.addBox(0, ham, sp, 0)
	}
	return nil
}

// countSource counts a message for a sender, and moves the mailbox's vote about them.
func (tx txn) countSource(mailbox int64, source string, kind, by int) error {
	rows, err := tx.Query(`SELECT `+standingColumns+` FROM email_spam_sources WHERE source = $1 AND mailbox_id = $2`, source, mailbox)
	had, err := store.CollectRows(rows, err, func(r store.RowScanner) (st spam.Standing, err error) {
		_, st, err = scanStanding(r)
		return st, err
	})
	if err != nil {
		return err
	}
	var was spam.Standing
	if len(had) > 0 {
		was = had[0]
	}
	is := was
	if kind == spam.Ham {
		is.Ham = max(0, is.Ham+by)
	} else {
		is.Spam = max(0, is.Spam+by)
	}
	if err := tx.addSource(mailbox, source, is.Ham-was.Ham, is.Spam-was.Spam); err != nil {
		return err
	}
	ham, sp := 0, 0
	for _, v := range []struct{ vote, by int }{{was.Vote(), -1}, {is.Vote(), 1}} {
		switch v.vote {
		case spam.Ham:
			ham += v.by
		case spam.Spam:
			sp += v.by
		}
	}
	if ham == 0 && sp == 0 {
		return nil
	}
	return tx.addSource(0, source, ham, sp)
}

func (tx txn) addSource(mailbox int64, source string, ham, sp int) error {
	_, err := tx.Exec(`INSERT INTO email_spam_sources (source, mailbox_id, ham, spam, first_at, last_at) VALUES ($1, $2, MAX(0, $3), MAX(0, $4), 0, $5)
		ON CONFLICT (source, mailbox_id) DO UPDATE SET ham = MAX(0, ham + $3), spam = MAX(0, spam + $4), last_at = excluded.last_at`,
		source, mailbox, ham, sp, tx.Now().UnixMilli())
	return err
}

// TrimSpam takes the rarest and oldest words of a mailbox out until there are no more than words, and its part of everybody's
// with them.
func (tx txn) TrimSpam(mailbox int64, words int) error {
	var have int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM email_spam_words WHERE mailbox_id = $1`, mailbox).Scan(&have); err != nil {
		return store.Failed(err)
	}
	if have <= words {
		return nil
	}
	rows, err := tx.Query(`SELECT word, ham, spam FROM email_spam_words WHERE mailbox_id = $1 ORDER BY ham + spam, seen_at LIMIT $2`, mailbox, have-words)
	out, err := store.CollectRows(rows, err, scanWord)
	if err != nil {
		return err
	}
	var all, ham, sp []string
	for _, w := range out {
		all = append(all, w.Word)
		if w.Ham > 0 {
			ham = append(ham, w.Word)
		}
		if w.Spam > 0 {
			sp = append(sp, w.Word)
		}
	}
	if _, err := tx.Exec(`DELETE FROM email_spam_words WHERE mailbox_id = $1 AND word IN (SELECT value FROM json_each($2))`, mailbox, jsonList(all)); err != nil {
		return err
	}
	if err := tx.addBox(mailbox, 0, 0, -int64(len(all))); err != nil {
		return err
	}
	if err := tx.addWords(0, spam.Ham, -1, ham); err != nil {
		return err
	}
	return tx.addWords(0, spam.Spam, -1, sp)
}

// HalveSpam halves what is counted for a mailbox; nothing gets to 0 by it, so that nothing changes for everybody.
func (tx txn) HalveSpam(mailbox int64) error {
	if _, err := tx.Exec(`UPDATE email_spam_words SET ham = (ham + 1) / 2, spam = (spam + 1) / 2 WHERE mailbox_id = $1`, mailbox); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE email_spam_boxes SET ham = (ham + 1) / 2, spam = (spam + 1) / 2 WHERE mailbox_id = $1`, mailbox)
	return err
}

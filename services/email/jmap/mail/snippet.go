package mail

import (
	"encoding/json"
	"strings"

	"uniqverse/services/email/jmap/account"
	"uniqverse/services/email/jmap/message"
	"uniqverse/services/email/jmap/proto"
	"uniqverse/services/email/jmap/record"
	"uniqverse/services/email/search"
)

// snippetArgs are those of SearchSnippet/get.
type snippetArgs struct {
	AccountID string          `json:"accountId" jmap:"required"`
	Filter    json.RawMessage `json:"filter"`
	EmailIDs  *[]string       `json:"emailIds" jmap:"required"`
}

// maxSnippet bounds a preview with its marks, in bytes (RFC 8621 section 5).
const maxSnippet = 255

// wanted collects the words that a filter looks for; what it forbids is left out.
func wanted(f *record.Filter, into *search.Query) {
	if f == nil || f.Op == record.None {
		return
	}
	for _, inner := range f.Inner {
		wanted(inner, into)
	}
	column, ok := map[string]search.Column{record.TextAny: search.Anywhere, record.TextSubject: search.Subject, record.TextBody: search.Body}[f.Is.Field]
	if f.Op != "" || !ok {
		return
	}
	for _, w := range f.Is.Words {
		into.Texts = append(into.Texts, search.Text{Column: column, Words: strings.TrimRight(w, "*"), Prefix: true})
	}
}

func (m *Mail) snippetGet(c *proto.Call) (any, error) {
	var a snippetArgs
	if err := proto.Decode(c.Args, &a); err != nil {
		return nil, err
	}
	acct, err := m.accounts.Find(c, a.AccountID)
	if err != nil {
		return nil, err
	}
	ids, _, failed := c.Wanted(a.EmailIDs)
	if failed != nil {
		return nil, failed
	}
	filter, err := (&filterReader{c: c}).read(a.Filter, 0)
	if err != nil {
		return nil, err
	}
	var q search.Query
	wanted(filter, &q)
	list, err := m.store.MessagesByID(c.Context, acct.Mailbox.ID, account.Numbers(account.PrefixEmail, ids))
	if err != nil {
		return nil, err
	}
	found := map[string]map[string]any{}
	for _, msg := range list {
		id := account.ID(account.PrefixEmail, msg.ID)
		s := map[string]any{"emailId": id, "subject": nil, "preview": nil}
		if len(q.Texts) > 0 {
			if marked := q.Mark(msg.Subject, search.Subject); strings.Contains(marked, "<mark>") {
				s["subject"] = marked
			}
			err := m.read(c.Context, msg.RawID, func(p *message.Parsed) error {
				if preview := excerpt(q, p.Text(256<<10)); preview != "" {
					s["preview"] = preview
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
		found[id] = s
	}
	out := []map[string]any{}
	var missing []string
	for _, id := range ids {
		if s := found[id]; s != nil {
			out = append(out, s)
		} else {
			missing = append(missing, id)
		}
	}
	return map[string]any{"accountId": a.AccountID, "list": out, "notFound": orNil(missing)}, nil
}

// excerpt is the text around the first place where the words stand, with marks; "" when they do not.
func excerpt(q search.Query, text string) string {
	for size := 200; size >= 20; size /= 2 {
		part, ok := q.Excerpt(text, search.Body, size)
		if !ok {
			return ""
		}
		if marked := q.Mark(part, search.Body); len(marked) <= maxSnippet && strings.Contains(marked, "<mark>") {
			return marked
		}
	}
	return ""
}

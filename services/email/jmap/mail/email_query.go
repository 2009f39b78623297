package mail

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode"

	"uniqverse/services/email/jmap/account"
	"uniqverse/services/email/jmap/message"
	"uniqverse/services/email/jmap/proto"
	"uniqverse/services/email/jmap/record"
	"uniqverse/services/email/search"
)

func sortOptions() []string {
	return []string{"receivedAt", "sentAt", "size", "from", "to", "subject", "hasKeyword", "allInThreadHaveKeyword", "someInThreadHaveKeyword"}
}

// The bounds of a filter.
const (
	maxFilterDepth = 20
	maxConditions  = 200
	maxWords       = 50
)

// filterReader reads the filter of a query of Emails.
type filterReader struct {
	c *proto.Call
	n int // conditions so far
}

func (r *filterReader) read(raw json.RawMessage, depth int) (*record.Filter, error) {
	if proto.IsNull(raw) {
		return nil, nil
	}
	var members proto.Object
	if json.Unmarshal(raw, &members) != nil {
		return nil, proto.InvalidArguments("filter must be an object")
	}
	if depth > maxFilterDepth {
		return nil, proto.Fail("unsupportedFilter", "the filter is nested deeper than %d levels", maxFilterDepth)
	}
	if op, ok := members["operator"]; ok {
		name, inner, err := operator(op, members)
		if err != nil {
			return nil, err
		}
		f := &record.Filter{Op: name}
		for _, one := range inner {
			sub, err := r.read(one, depth+1)
			if err != nil {
				return nil, err
			}
			f.Inner = append(f.Inner, sub)
		}
		return f, nil
	}
	f := &record.Filter{Op: record.All}
	for _, name := range proto.Keys(members) {
		if r.n++; r.n > maxConditions {
			return nil, proto.Fail("unsupportedFilter", "the filter has more than %d conditions", maxConditions)
		}
		c, err := r.condition(name, members[name])
		if err != nil {
			return nil, err
		}
		f.Inner = append(f.Inner, &record.Filter{Is: c})
	}
	if len(f.Inner) == 1 {
		return f.Inner[0], nil
	}
	return f, nil
}

func (r *filterReader) condition(name string, value json.RawMessage) (record.Condition, error) {
	wrong := proto.InvalidArguments("filter: %.60s is of the wrong type", name)
	var c record.Condition
	ok := false
	switch name {
	case "inMailbox":
		var id *string
		ok = json.Unmarshal(value, &id) == nil && id != nil
		if ok {
			c = record.Condition{Field: record.InFolder, Folders: []int64{r.folder(*id)}}
		}
	case "inMailboxOtherThan":
		var ids []string
		ok = json.Unmarshal(value, &ids) == nil && ids != nil
		c.Field = record.NotOnlyIn
		for _, id := range ids {
			c.Folders = append(c.Folders, r.folder(id))
		}
	case "before", "after":
		var text *string
		if json.Unmarshal(value, &text) == nil && text != nil {
			t, err := utcDate(*text)
			ok, c.At = err == nil, t
		}
		c.Field = map[string]string{"before": record.Before, "after": record.Since}[name]
	case "minSize", "maxSize":
		var n *int64
		if ok = json.Unmarshal(value, &n) == nil && n != nil && *n >= 0; ok {
			c.Size = *n
		}
		c.Field = name
	case "hasKeyword", "notKeyword", "allInThreadHaveKeyword", "someInThreadHaveKeyword", "noneInThreadHaveKeyword":
		var k *string
		if ok = json.Unmarshal(value, &k) == nil && k != nil && validKeyword(*k); ok {
			c.Keyword = strings.ToLower(*k)
		}
		c.Field = map[string]string{"hasKeyword": record.Keyword, "notKeyword": record.NoKeyword, "allInThreadHaveKeyword": record.ThreadAll,
			"someInThreadHaveKeyword": record.ThreadSome, "noneInThreadHaveKeyword": record.ThreadNone}[name]
	case "hasAttachment":
		var yes *bool
		if ok = json.Unmarshal(value, &yes) == nil && yes != nil; ok {
			c.Yes = *yes
		}
		c.Field = record.HasAttachment
	case "text", "from", "to", "cc", "bcc", "subject", "body":
		var text *string
		if ok = json.Unmarshal(value, &text) == nil && text != nil; ok {
			c.Words = wordsOf(*text)
		}
		c.Field = name
		if (name == "text" || name == "body") && ok {
			c.Words = slices.DeleteFunc(c.Words, func(w string) bool {
				return !strings.ContainsFunc(w, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
			})
		}
	case "header":
		var pair []string
		if ok = json.Unmarshal(value, &pair) == nil && (len(pair) == 1 || len(pair) == 2) && pair[0] != ""; ok {
			c.Header = strings.ToLower(pair[0])
			if len(pair) == 2 && pair[1] != "" {
				c.Words = []string{strings.ToLower(pair[1])}
			}
		}
		c.Field = record.HasHeader
	default:
		return c, proto.Fail("unsupportedFilter", "Emails cannot be filtered by %.60q", name)
	}
	if !ok {
		return c, wrong
	}
	return c, nil
}

// folder reads the id of a Mailbox; one that there cannot be holds nothing.
func (r *filterReader) folder(id string) int64 {
	known, ok := r.c.ID(id)
	if !ok {
		return 0
	}
	return account.Number(account.PrefixMailbox, known)
}

func utcDate(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err == nil && !strings.HasSuffix(text, "Z") {
		return t, proto.InvalidArguments("%.60q is no UTC date", text)
	}
	return t, err
}

// wordsOf cuts a search text into words and quoted phrases, in lower case.
func wordsOf(text string) []string {
	var out []string
	text = strings.ToLower(text)
	for len(out) < maxWords {
		text = strings.TrimLeftFunc(text, unicode.IsSpace)
		if text == "" {
			return out
		}
		if q := text[0]; q == '"' || q == '\'' {
			if i := strings.IndexByte(text[1:], q); i > 0 {
				out = append(out, text[1:1+i])
				text = text[i+2:]
				continue
			}
		}
		end := strings.IndexFunc(text, unicode.IsSpace)
		if end < 0 {
			end = len(text)
		}
		out = append(out, text[:end])
		text = text[end:]
	}
	return out
}

// sorts reads the sort of a query of Emails.
func emailSorts(list []json.RawMessage) ([]record.Sort, error) {
	comparators, failed := proto.Comparators(list, collations())
	if failed != nil {
		return nil, failed
	}
	names := map[string]string{"receivedAt": record.ByReceived, "sentAt": record.BySent, "size": record.BySize, "from": record.ByFrom, "to": record.ByTo, "subject": record.BySubject,
		"hasKeyword": record.ByKeyword, "allInThreadHaveKeyword": record.ByThreadAll, "someInThreadHaveKeyword": record.ByThreadSome}
	var out []record.Sort
	for _, c := range comparators {
		s := record.Sort{By: names[c.Property], Descending: c.Descending()}
		if s.By == "" {
			return nil, proto.Fail("unsupportedSort", "Emails cannot be sorted by %.60q", c.Property)
		}
		switch s.By {
		case record.ByKeyword, record.ByThreadAll, record.ByThreadSome:
			if c.Keyword == nil || !validKeyword(*c.Keyword) {
				return nil, proto.InvalidArguments("sort: %s needs a keyword", c.Property)
			}
			s.Keyword = strings.ToLower(*c.Keyword)
		default:
			if c.Keyword != nil {
				return nil, proto.InvalidArguments("sort: %s takes no keyword", c.Property)
			}
		}
		out = append(out, s)
	}
	return out, nil
}

// prepared reads filter and sort, and sees to it that the query can be answered.
func (m *Mail) prepared(c *proto.Call, box int64, filter json.RawMessage, sorts []json.RawMessage, collapse bool) (record.Query, error) {
	q := record.Query{Mailbox: box, Collapse: collapse}
	var err error
	if q.Filter, err = (&filterReader{c: c}).read(filter, 0); err != nil {
		return q, err
	}
	if q.Sort, err = emailSorts(sorts); err != nil {
		return q, err
	}
	if q.NeedsHeads() {
		if err := m.allHeads(c.Context, box); err != nil {
			return q, err
		}
	}
	return q, m.lookAhead(c.Context, q)
}

// maxUnindexed bounds how many messages are searched by reading them, because the index does not know them yet.
const maxUnindexed = 2000

// lookAhead finds, for what asks the full-text index, the messages that it does not know yet.
func (m *Mail) lookAhead(ctx context.Context, q record.Query) error {
	var texts []*record.Condition
	q.Filter.Each(func(c *record.Condition) {
		if c.Field == record.TextBody || c.Field == record.TextAny {
			texts = append(texts, c)
		}
	})
	if len(texts) == 0 {
		return nil
	}
	fresh, err := m.store.NotIndexedOf(ctx, q.Mailbox, maxUnindexed)
	if err != nil {
		return err
	}
	for _, f := range fresh {
		err := m.read(ctx, f.Thread, func(p *message.Parsed) error {
			h, err := p.Head(f.Thread)
			body := p.Text(256 << 10)
			for _, c := range texts {
				all := body
				if c.Field == record.TextAny {
					all += "\n" + h.From + "\n" + h.To + "\n" + h.Cc + "\n" + h.Bcc + "\n" + h.Subject
				}
				if hasWords(all, c.Words) {
					c.Also = append(c.Also, f.ID)
				}
			}
			return err
		})
		if err != nil && ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// hasWords reports whether all the phrases stand in a text, as the index would say.
func hasWords(text string, phrases []string) bool {
	for _, w := range phrases {
		q := search.Query{Texts: []search.Text{{Column: search.Body, Words: w}}}
		if _, found := q.Excerpt(text, search.Body, 10); !found {
			return false
		}
	}
	return true
}

func (m *Mail) emailQuery(c *proto.Call) (any, error) {
	var own struct {
		Collapse bool `json:"collapseThreads"`
	}
	rest, err := pick(c.Args, &own, "collapseThreads")
	if err != nil {
		return nil, err
	}
	var a proto.QueryArgs
	if err := proto.Decode(rest, &a); err != nil {
		return nil, err
	}
	acct, err := m.accounts.Find(c, a.AccountID)
	if err != nil {
		return nil, err
	}
	st, err := m.store.States(c.Context, acct.Mailbox.ID)
	if err != nil {
		return nil, err
	}
	q, err := m.prepared(c, acct.Mailbox.ID, a.Filter, a.Sort, own.Collapse)
	if err != nil {
		return nil, err
	}
	out := struct {
		proto.QueryResult
		Collapse bool `json:"collapseThreads"`
	}{proto.QueryResult{AccountID: a.AccountID, QueryState: m.accounts.State(st.Message), CanCalculateChanges: true}, own.Collapse}
	if !q.Collapse && a.Anchor == nil && a.Position >= 0 && (a.Limit == nil || *a.Limit > 0) {
		err := m.window(c.Context, q, a, &out.QueryResult)
		return out, err
	}
	if a.Anchor != nil {
		if id, ok := c.ID(*a.Anchor); ok {
			a.Anchor = &id
		}
	}
	ids, err := m.found(c.Context, q)
	if err != nil {
		return nil, err
	}
	if err := a.Window(ids, maxResults, &out.QueryResult); err != nil {
		return nil, err
	}
	return out, nil
}

// window asks the store for no more than the window.
func (m *Mail) window(ctx context.Context, q record.Query, a proto.QueryArgs, out *proto.QueryResult) error {
	most := int64(maxResults)
	q.Limit, q.Offset = most, a.Position
	if a.Limit != nil {
		q.Limit = min(*a.Limit, most)
	}
	if a.Limit == nil || *a.Limit > most {
		out.Limit = &most
	}
	var err error
	if out.IDs, err = m.found(ctx, q); err != nil {
		return err
	}
	out.Position = a.Position
	if a.CalculateTotal {
		n, err := m.store.Count(ctx, q)
		if err != nil {
			return err
		}
		out.Total = &n
	}
	return nil
}

func (m *Mail) found(ctx context.Context, q record.Query) ([]string, error) {
	list, err := m.store.Find(ctx, q)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(list))
	for i, f := range list {
		ids[i] = account.ID(account.PrefixEmail, f.ID)
	}
	return ids, nil
}

func (m *Mail) emailQueryChanges(c *proto.Call) (any, error) {
	var own struct {
		Collapse bool `json:"collapseThreads"`
	}
	rest, err := pick(c.Args, &own, "collapseThreads")
	if err != nil {
		return nil, err
	}
	var a proto.QueryChangesArgs
	if err := proto.Decode(rest, &a); err != nil {
		return nil, err
	}
	acct, err := m.accounts.Find(c, a.AccountID)
	if err != nil {
		return nil, err
	}
	box := acct.Mailbox.ID
	st, err := m.store.States(c.Context, box)
	if err != nil {
		return nil, err
	}
	since, err := m.accounts.Since(a.SinceQueryState, st.Message, st.KeptFrom)
	if err != nil {
		return nil, err
	}
	q, err := m.prepared(c, box, a.Filter, a.Sort, own.Collapse)
	if err != nil {
		return nil, err
	}
	ids, err := m.found(c.Context, q)
	if err != nil {
		return nil, err
	}
	changed, err := m.store.ChangedSince(c.Context, box, record.KindMessage, since, maxChanged+1)
	if err != nil {
		return nil, err
	}
	if len(changed) > maxChanged {
		return nil, proto.Fail("cannotCalculateChanges", "too much has changed since; ask the query anew")
	}
	touched, fresh, err := m.touched(c.Context, q, changed, since)
	if err != nil {
		return nil, err
	}
	out := proto.QueryChangesResult{AccountID: a.AccountID, OldQueryState: a.SinceQueryState, NewQueryState: m.accounts.State(st.Message)}
	if err := out.Fill(ids, touched, fresh, a.MaxChanges); err != nil {
		return nil, err
	}
	if a.CalculateTotal {
		n := int64(len(ids))
		out.Total = &n
	}
	return out, nil
}

// touched returns the messages whose place among the results may be another one than it was, and those of them that were not
// there before. Where threads count, a change to one message of a thread touches all of them.
func (m *Mail) touched(ctx context.Context, q record.Query, changed []record.Changed, since int64) (touched, fresh map[string]bool, err error) {
	touched, fresh = map[string]bool{}, map[string]bool{}
	mutable, byThread := dependsOn(q)
	var threads []int64
	for _, e := range changed {
		id := account.ID(account.PrefixEmail, e.ID)
		isNew := !e.Gone && e.Created > since
		fresh[id] = isNew
		if byThread {
			threads = append(threads, e.Thread)
		}
		if e.Gone || isNew || mutable {
			touched[id] = true
		}
	}
	if len(threads) == 0 {
		return touched, fresh, nil
	}
	slices.Sort(threads)
	members, err := m.store.ThreadMembers(ctx, q.Mailbox, slices.Compact(threads))
	for _, list := range members {
		for _, id := range list {
			touched[account.ID(account.PrefixEmail, id)] = true
		}
	}
	return touched, fresh, err
}

// dependsOn says whether a change to a message can change its place in the results, and whether one to another message of
// its thread can.
func dependsOn(q record.Query) (mutable, byThread bool) {
	byThread = q.Collapse
	q.Filter.Each(func(c *record.Condition) {
		switch c.Field {
		case record.InFolder, record.NotOnlyIn, record.Keyword, record.NoKeyword:
			mutable = true
		case record.ThreadAll, record.ThreadSome, record.ThreadNone:
			mutable, byThread = true, true
		}
	})
	for _, s := range q.Sort {
		mutable = mutable || s.By == record.ByKeyword
		byThread = byThread || s.By == record.ByThreadAll || s.By == record.ByThreadSome
	}
	return mutable || byThread, byThread
}

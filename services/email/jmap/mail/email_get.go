package mail

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"uniqverse/internal/errs"
	"uniqverse/services/email/jmap/account"
	"uniqverse/services/email/jmap/blob"
	"uniqverse/services/email/jmap/message"
	"uniqverse/services/email/jmap/proto"
	"uniqverse/services/email/jmap/record"
	"uniqverse/services/email/mailbox"
)

// rowProperties are those that the row of a message has.
func rowProperties() []string {
	return []string{"id", "blobId", "threadId", "mailboxIds", "keywords", "receivedAt", "hasAttachment", "preview"}
}

// bodyProperties are those for which the message has to be read.
func bodyProperties() []string {
	return []string{"headers", "bodyStructure", "bodyValues", "textBody", "htmlBody", "attachments"}
}

func defaultProperties() []string {
	return []string{"id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt", "messageId", "inReplyTo", "references", "sender", "from", "to", "cc", "bcc",
		"replyTo", "subject", "sentAt", "hasAttachment", "preview", "bodyValues", "textBody", "htmlBody", "attachments"}
}

// fetch is what of an Email is asked for.
type fetch struct {
	BodyProperties *[]string `json:"bodyProperties"`
	Text           bool      `json:"fetchTextBodyValues"`
	HTML           bool      `json:"fetchHTMLBodyValues"`
	All            bool      `json:"fetchAllBodyValues"`
	MaxBytes       int64     `json:"maxBodyValueBytes"`

	properties []string
	body       []string
}

func fetchArgs() []string {
	return []string{"bodyProperties", "fetchTextBodyValues", "fetchHTMLBodyValues", "fetchAllBodyValues", "maxBodyValueBytes"}
}

// check holds what is asked for to what there is.
func (f *fetch) check(asked *[]string, usual []string) error {
	known := slices.Concat(rowProperties(), []string{"size"}, message.ListProperties(), bodyProperties())
	f.properties = usual
	if asked != nil {
		f.properties = []string{}
		for _, p := range *asked {
			if _, isHeader := message.ParseField(p); !isHeader && !slices.Contains(known, p) {
				return proto.InvalidArguments("properties has %.60q, which an Email does not have", p)
			}
			if !slices.Contains(f.properties, p) {
				f.properties = append(f.properties, p)
			}
		}
	}
	f.body = message.DefaultBodyProperties()
	if f.BodyProperties != nil {
		f.body = []string{}
		for _, p := range *f.BodyProperties {
			if _, isHeader := message.ParseField(p); !isHeader && !slices.Contains(message.BodyProperties(), p) {
				return proto.InvalidArguments("bodyProperties has %.60q, which a body part does not have", p)
			}
			f.body = append(f.body, p)
		}
	}
	if f.MaxBytes < 0 {
		return proto.InvalidArguments("maxBodyValueBytes must not be negative")
	}
	return nil
}

// needs says what has to be read: the head of a message, or all of it.
func (f *fetch) needs() (head, body bool) {
	for _, p := range f.properties {
		switch {
		case slices.Contains(rowProperties(), p):
		case p == "size" || slices.Contains(message.ListProperties(), p):
			head = true
		default:
			body = true
		}
	}
	return head, body
}

func (m *Mail) emailGet(c *proto.Call) (any, error) {
	f := &fetch{}
	rest, err := pick(c.Args, f, fetchArgs()...)
	if err != nil {
		return nil, err
	}
	var a proto.GetArgs
	if err := proto.Decode(rest, &a); err != nil {
		return nil, err
	}
	acct, err := m.accounts.Find(c, a.AccountID)
	if err != nil {
		return nil, err
	}
	ids, all, failed := c.Wanted(a.IDs)
	if failed != nil {
		return nil, failed
	}
	if err := f.check(a.Properties, defaultProperties()); err != nil {
		return nil, err
	}
	if !slices.Contains(f.properties, "id") {
		f.properties = append([]string{"id"}, f.properties...)
	}
	st, err := m.store.States(c.Context, acct.Mailbox.ID)
	if err != nil {
		return nil, err
	}
	if all {
		found, err := m.store.Find(c.Context, record.Query{Mailbox: acct.Mailbox.ID, Limit: int64(c.Limits.MaxObjectsInGet) + 1})
		if err != nil {
			return nil, err
		}
		if len(found) > c.Limits.MaxObjectsInGet {
			return nil, proto.Fail("requestTooLarge", "the account has more than %d Emails; ask for them by id", c.Limits.MaxObjectsInGet)
		}
		for _, x := range found {
			ids = append(ids, account.ID(account.PrefixEmail, x.ID))
		}
	}
	list, err := m.store.MessagesByID(c.Context, acct.Mailbox.ID, account.Numbers(account.PrefixEmail, ids))
	if err != nil {
		return nil, err
	}
	shown, err := m.emails(c.Context, list, f)
	if err != nil {
		return nil, err
	}
	out := proto.GetResult{AccountID: a.AccountID, State: m.accounts.State(st.Message), List: []map[string]any{}, NotFound: []string{}}
	for _, id := range ids {
		if e := shown[id]; e != nil {
			out.List = append(out.List, e)
		} else {
			out.NotFound = append(out.NotFound, id)
		}
	}
	return out, nil
}

// emails returns messages as clients see them, by id. One that is removed meanwhile is left out.
func (m *Mail) emails(ctx context.Context, list []mailbox.Message, f *fetch) (map[string]map[string]any, error) {
	needHead, needBody := f.needs()
	var heads map[int64]record.Head
	var err error
	if needHead && !needBody {
		if heads, err = m.heads(ctx, list); err != nil {
			return nil, err
		}
	}
	out := map[string]map[string]any{}
	for _, msg := range list {
		e := map[string]any{}
		row := m.row(msg)
		var shown map[string]json.RawMessage
		if h, ok := heads[msg.RawID]; ok {
			if err := json.Unmarshal(h.Shown, &shown); err != nil {
				return nil, fmt.Errorf("head of message %d: %w", msg.ID, err)
			}
			row["size"] = h.Size
		}
		for _, p := range f.properties {
			if v, ok := row[p]; ok {
				e[p] = v
			} else if v, ok := shown[p]; ok {
				e[p] = v
			}
		}
		if needBody {
			err := m.read(ctx, msg.RawID, func(p *message.Parsed) error {
				m.fill(e, p, f)
				return nil
			})
			if errs.Is(err, errs.NotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
		}
		out[account.ID(account.PrefixEmail, msg.ID)] = e
	}
	return out, nil
}

// row is what the row says.
func (m *Mail) row(msg mailbox.Message) map[string]any {
	folders := map[string]bool{}
	for _, id := range msg.Folders {
		folders[account.ID(account.PrefixMailbox, id)] = true
	}
	return map[string]any{"id": account.ID(account.PrefixEmail, msg.ID), "blobId": blob.MessageID(msg.RawID), "threadId": account.ID(account.PrefixThread, msg.ThreadID),
		"mailboxIds": folders, "keywords": keywordsOf(msg), "receivedAt": message.UTCDate(msg.Received), "hasAttachment": msg.Attachments > 0, "preview": msg.Snippet}
}

// read parses a stored message.
func (m *Mail) read(ctx context.Context, raw int64, fn func(*message.Parsed) error) error {
	src, done, err := m.blobs.Source(ctx, raw)
	if err != nil {
		return err
	}
	defer done()
	p, err := message.Parse(src)
	if err != nil {
		return fmt.Errorf("read stored message %d: %w", raw, err)
	}
	p.Blob = func(n int) string { return blob.PartID(raw, n) }
	return fn(p)
}

// fill adds the properties that the bytes have.
func (m *Mail) fill(e map[string]any, p *message.Parsed, f *fetch) {
	for _, name := range f.properties {
		switch name {
		case "size":
			e[name] = p.Bytes()
		case "bodyStructure":
			e[name] = p.Structure(f.body)
		case "textBody", "htmlBody", "attachments":
			e[name] = p.List(name, f.body)
		case "bodyValues":
			e[name] = p.Values(message.Fetch{Text: f.Text, HTML: f.HTML, All: f.All, MaxBytes: f.MaxBytes})
		default:
			if v, ok := p.Property(name); ok {
				e[name] = v
			}
		}
	}
}

// heads returns the heads of messages; those that are not kept yet are worked out and kept.
func (m *Mail) heads(ctx context.Context, list []mailbox.Message) (map[int64]record.Head, error) {
	raws := make([]int64, 0, len(list))
	for _, msg := range list {
		raws = append(raws, msg.RawID)
	}
	have, err := m.store.Heads(ctx, raws)
	if err != nil {
		return nil, err
	}
	missing := slices.DeleteFunc(raws, func(id int64) bool { _, ok := have[id]; return ok })
	made, err := m.makeHeads(ctx, missing)
	for _, h := range made {
		have[h.RawID] = h
	}
	return have, err
}

func (m *Mail) makeHeads(ctx context.Context, raws []int64) ([]record.Head, error) {
	if len(raws) == 0 {
		return nil, nil
	}
	var made []record.Head
	for _, raw := range raws {
		err := m.read(ctx, raw, func(p *message.Parsed) error {
			h, err := p.Head(raw)
			made = append(made, h)
			return err
		})
		if err != nil && !errs.Is(err, errs.NotFound) {
			return nil, err
		}
	}
	return made, m.store.UpdateJMAP(ctx, func(tx record.Tx) error { return tx.KeepHeads(made) })
}

// allHeads works out the heads of a mailbox that are not kept yet.
func (m *Mail) allHeads(ctx context.Context, box int64) error {
	for {
		raws, err := m.store.Headless(ctx, box, 200)
		if err != nil || len(raws) == 0 {
			return err
		}
		made, err := m.makeHeads(ctx, raws)
		if err != nil || len(made) == 0 {
			return err
		}
	}
}

func (m *Mail) emailChanges(c *proto.Call) (any, error) {
	out, _, _, err := m.accounts.ChangesOf(c, record.KindMessage, account.PrefixEmail, func(st record.States) int64 { return st.Message })
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (m *Mail) threadGet(c *proto.Call) (any, error) {
	var a proto.GetArgs
	if err := proto.Decode(c.Args, &a); err != nil {
		return nil, err
	}
	acct, err := m.accounts.Find(c, a.AccountID)
	if err != nil {
		return nil, err
	}
	ids, all, failed := c.Wanted(a.IDs)
	if failed != nil {
		return nil, failed
	}
	properties, failed := proto.Properties(a.Properties, []string{"id", "emailIds"})
	if failed != nil {
		return nil, failed
	}
	st, err := m.store.States(c.Context, acct.Mailbox.ID)
	if err != nil {
		return nil, err
	}
	if all {
		found, err := m.store.Find(c.Context, record.Query{Mailbox: acct.Mailbox.ID, Collapse: true})
		if err != nil {
			return nil, err
		}
		if len(found) > c.Limits.MaxObjectsInGet {
			return nil, proto.Fail("requestTooLarge", "the account has more than %d Threads; ask for them by id", c.Limits.MaxObjectsInGet)
		}
		for _, x := range found {
			ids = append(ids, account.ID(account.PrefixThread, x.Thread))
		}
	}
	members, err := m.store.ThreadMembers(c.Context, acct.Mailbox.ID, account.Numbers(account.PrefixThread, ids))
	if err != nil {
		return nil, err
	}
	out := proto.GetResult{AccountID: a.AccountID, State: m.accounts.State(st.Thread), List: []map[string]any{}, NotFound: []string{}}
	for _, id := range ids {
		list := members[account.Number(account.PrefixThread, id)]
		if len(list) == 0 {
			out.NotFound = append(out.NotFound, id)
			continue
		}
		out.List = append(out.List, proto.Only(map[string]any{"id": id, "emailIds": account.IDs(account.PrefixEmail, list)}, properties))
	}
	return out, nil
}

// threadChanges tells which threads messages came into or went from.
func (m *Mail) threadChanges(c *proto.Call) (any, error) {
	var a proto.ChangesArgs
	if err := proto.Decode(c.Args, &a); err != nil {
		return nil, err
	}
	if err := a.Check(); err != nil {
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
	since, err := m.accounts.Since(a.SinceState, st.Thread, st.KeptFrom)
	if err != nil {
		return nil, err
	}
	changed, err := m.store.ChangedSince(c.Context, acct.Mailbox.ID, record.KindMessage, since, maxChanged+1)
	if err != nil {
		return nil, err
	}
	if len(changed) > maxChanged {
		return nil, proto.Fail("cannotCalculateChanges", "too much has changed since; fetch everything anew")
	}
	at := map[int64]int64{}
	for _, e := range changed {
		switch {
		case e.Gone:
			at[e.Thread] = max(at[e.Thread], e.At)
		case e.Created > since:
			at[e.Thread] = max(at[e.Thread], e.Created)
		}
	}
	var threads []int64
	for id := range at {
		threads = append(threads, id)
	}
	members, err := m.store.ThreadMembers(c.Context, acct.Mailbox.ID, threads)
	if err != nil {
		return nil, err
	}
	var list []proto.Change
	for id, when := range at {
		ch := proto.Change{ID: account.ID(account.PrefixThread, id), At: when, Kind: proto.Updated}
		switch {
		case len(members[id]) == 0:
			ch.Kind = proto.Destroyed
		case id > since: // a thread's number is the point at which its first message came
			ch.Kind, ch.At = proto.Created, id
		}
		list = append(list, ch)
	}
	slices.SortFunc(list, func(x, y proto.Change) int { return strings.Compare(x.ID, y.ID) })
	page, upTo, more, failed := proto.Page(list, a.MaxChanges, st.Thread)
	if failed != nil {
		return nil, failed
	}
	out := &proto.ChangesResult{AccountID: a.AccountID, OldState: a.SinceState, NewState: m.accounts.State(upTo), HasMoreChanges: more}
	out.Fill(page)
	return out, nil
}

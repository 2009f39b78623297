package mail

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"uniqverse/services/email/jmap/account"
	"uniqverse/services/email/jmap/blob"
	"uniqverse/services/email/jmap/message"
	"uniqverse/services/email/jmap/proto"
	mailmime "uniqverse/services/email/mime"
	"uniqverse/smtpd/header"
)

// importArgs are those of Email/import.
type importArgs struct {
	AccountID string                  `json:"accountId" jmap:"required"`
	IfInState *string                 `json:"ifInState"`
	Emails    map[string]proto.Object `json:"emails" jmap:"required"`
}

// brought is the answer to Email/import and Email/copy.
type brought struct {
	From       string                     `json:"fromAccountId,omitempty"`
	AccountID  string                     `json:"accountId"`
	OldState   string                     `json:"oldState"`
	NewState   string                     `json:"newState"`
	Created    map[string]map[string]any  `json:"created"`
	NotCreated map[string]*proto.SetError `json:"notCreated"`
}

// strange returns the names that an object may not have.
func strange(in proto.Object, known ...string) []string {
	return slices.DeleteFunc(proto.Keys(in), func(k string) bool { return slices.Contains(known, k) })
}

func (m *Mail) emailImport(c *proto.Call) (any, error) {
	var a importArgs
	if err := proto.Decode(c.Args, &a); err != nil {
		return nil, err
	}
	if err := c.CheckSet(&proto.SetArgs{Create: a.Emails}); err != nil {
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
	if err := m.accounts.InState(a.IfInState, st.Message); err != nil {
		return nil, err
	}
	out := &brought{AccountID: a.AccountID, OldState: m.accounts.State(st.Message)}
	for _, key := range proto.Keys(a.Emails) {
		members, refused, err := m.importOne(c, acct, a.Emails[key])
		if err != nil {
			return nil, err
		}
		if refused != nil {
			proto.Refused(&out.NotCreated, key, refused)
			continue
		}
		c.Created(key, members["id"].(string))
		proto.Done(&out.Created, key, members)
	}
	return out, m.finish(c, acct, out)
}

func (m *Mail) finish(c *proto.Call, acct *account.Account, out *brought) error {
	st, err := m.store.States(c.Context, acct.Mailbox.ID)
	out.NewState = m.accounts.State(st.Message)
	return err
}

func (m *Mail) importOne(c *proto.Call, acct *account.Account, in proto.Object) (map[string]any, *proto.SetError, error) {
	if bad := strange(in, "blobId", "mailboxIds", "keywords", "receivedAt"); len(bad) > 0 {
		return nil, proto.InvalidProperties(bad, "%.60s cannot be set", bad[0]), nil
	}
	p, refused, err := m.readPlaced(c, acct, in)
	if refused != nil || err != nil {
		return nil, refused, err
	}
	var id string
	if proto.IsNull(in["blobId"]) || json.Unmarshal(in["blobId"], &id) != nil {
		return nil, proto.InvalidProperties([]string{"blobId"}, "blobId is required"), nil
	}
	if known, ok := c.ID(id); ok {
		id = known
	}
	raw, err := m.blobs.Bytes(c.Context, acct.Mailbox.ID, id)
	if err != nil {
		return nil, nil, err
	}
	if raw == nil {
		return nil, proto.InvalidProperties([]string{"blobId"}, "there is no such blob, or it has expired"), nil
	}
	fields := header.Fields(raw[:header.End(raw)])
	if !slices.ContainsFunc(fields, func(f header.Field) bool { return f.Name != "" }) {
		return nil, proto.Refuse("invalidEmail", "the blob has no header, so it is no message"), nil
	}
	if p.received.IsZero() {
		p.received = receivedOf(fields)
	}
	return m.keep(c, acct, p, "import", raw)
}

// receivedOf is when the newest Received field says that a message came; zero when none does.
func receivedOf(fields []header.Field) time.Time {
	for _, f := range fields {
		if !f.Is("Received") {
			continue
		}
		v := mailmime.Value(f)
		if i := strings.LastIndexByte(v, ';'); i >= 0 {
			return mailmime.Date(v[i+1:])
		}
	}
	return time.Time{}
}

// copyArgs are those of Email/copy.
type copyArgs struct {
	FromAccountID   string                  `json:"fromAccountId" jmap:"required"`
	IfFromInState   *string                 `json:"ifFromInState"`
	AccountID       string                  `json:"accountId" jmap:"required"`
	IfInState       *string                 `json:"ifInState"`
	Create          map[string]proto.Object `json:"create" jmap:"required"`
	DestroyOriginal bool                    `json:"onSuccessDestroyOriginal"`
	DestroyInState  *string                 `json:"destroyFromIfInState"`
}

func (m *Mail) emailCopy(c *proto.Call) (any, error) {
	var a copyArgs
	if err := proto.Decode(c.Args, &a); err != nil {
		return nil, err
	}
	if err := c.CheckSet(&proto.SetArgs{Create: a.Create}); err != nil {
		return nil, err
	}
	from, err := m.accounts.Find(c, a.FromAccountID)
	if e, ok := err.(*proto.Error); ok && e.Type == "accountNotFound" {
		return nil, proto.Fail("fromAccountNotFound", "there is no such account to copy from")
	}
	if err != nil {
		return nil, err
	}
	acct, err := m.accounts.Find(c, a.AccountID)
	if err != nil {
		return nil, err
	}
	if from.ID == acct.ID {
		return nil, proto.InvalidArguments("fromAccountId and accountId are the same; change mailboxIds instead")
	}
	st, err := m.store.States(c.Context, acct.Mailbox.ID)
	if err != nil {
		return nil, err
	}
	fromState, err := m.store.States(c.Context, from.Mailbox.ID)
	if err != nil {
		return nil, err
	}
	if err := m.accounts.InState(a.IfInState, st.Message); err != nil {
		return nil, err
	}
	if err := m.accounts.InState(a.IfFromInState, fromState.Message); err != nil {
		return nil, err
	}
	out := &brought{From: a.FromAccountID, AccountID: a.AccountID, OldState: m.accounts.State(st.Message)}
	var gone []string
	for _, key := range proto.Keys(a.Create) {
		members, source, refused, err := m.copyOne(c, from, acct, a.Create[key])
		if err != nil {
			return nil, err
		}
		if refused != nil {
			proto.Refused(&out.NotCreated, key, refused)
			continue
		}
		c.Created(key, members["id"].(string))
		proto.Done(&out.Created, key, members)
		gone = append(gone, source)
	}
	if a.DestroyOriginal && len(gone) > 0 {
		args := map[string]any{"accountId": a.FromAccountID, "destroy": gone}
		if a.DestroyInState != nil {
			args["ifInState"] = *a.DestroyInState
		}
		c.Then("Email/set", args)
	}
	return out, m.finish(c, acct, out)
}

func (m *Mail) copyOne(c *proto.Call, from, acct *account.Account, in proto.Object) (members map[string]any, source string, refused *proto.SetError, err error) {
	if bad := strange(in, "id", "mailboxIds", "keywords", "receivedAt"); len(bad) > 0 {
		return nil, "", proto.InvalidProperties(bad, "%.60s cannot be set", bad[0]), nil
	}
	var text string
	if proto.IsNull(in["id"]) || json.Unmarshal(in["id"], &text) != nil {
		return nil, "", proto.InvalidProperties([]string{"id"}, "id is required"), nil
	}
	source, _ = c.ID(text)
	list, err := m.store.MessagesByID(c.Context, from.Mailbox.ID, account.Numbers(account.PrefixEmail, []string{source}))
	if err != nil {
		return nil, "", nil, err
	}
	if len(list) == 0 {
		return nil, "", proto.Refuse("notFound", "there is no such Email to copy"), nil
	}
	p, refused, err := m.readPlaced(c, acct, in)
	if refused != nil || err != nil {
		return nil, "", refused, err
	}
	if _, given := in["keywords"]; !given {
		p.mark = mark(keywordsOf(list[0]), nil)
	}
	if p.received.IsZero() {
		p.received = list[0].Received
	}
	raw, err := m.bytesOf(c.Context, from.Mailbox.ID, list[0].RawID)
	if err != nil {
		return nil, "", nil, err
	}
	if raw == nil {
		return nil, "", proto.Refuse("notFound", "there is no such Email to copy"), nil
	}
	members, refused, err = m.keep(c, acct, p, "import", raw)
	return members, source, refused, err
}

// parseArgs are those of Email/parse that Email/get does not have.
type parseArgs struct {
	AccountID  string    `json:"accountId" jmap:"required"`
	BlobIDs    *[]string `json:"blobIds" jmap:"required"`
	Properties *[]string `json:"properties"`
}

func (m *Mail) emailParse(c *proto.Call) (any, error) {
	f := &fetch{}
	rest, err := pick(c.Args, f, fetchArgs()...)
	if err != nil {
		return nil, err
	}
	var a parseArgs
	if err := proto.Decode(rest, &a); err != nil {
		return nil, err
	}
	acct, err := m.accounts.Find(c, a.AccountID)
	if err != nil {
		return nil, err
	}
	if len(*a.BlobIDs) > c.Limits.MaxObjectsInGet {
		return nil, proto.Fail("requestTooLarge", "at most %d blobs are parsed at a time", c.Limits.MaxObjectsInGet)
	}
	usual := slices.DeleteFunc(defaultProperties(), func(p string) bool {
		return slices.Contains([]string{"id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt"}, p)
	})
	if err := f.check(a.Properties, usual); err != nil {
		return nil, err
	}
	parsed := map[string]map[string]any{}
	notParsable, notFound := []string{}, []string{}
	for _, text := range *a.BlobIDs {
		id := text
		if known, ok := c.ID(text); ok {
			id = known
		}
		raw, err := m.blobs.Bytes(c.Context, acct.Mailbox.ID, id)
		if err != nil {
			return nil, err
		}
		if raw == nil {
			notFound = append(notFound, text)
			continue
		}
		if !slices.ContainsFunc(header.Fields(raw[:header.End(raw)]), func(h header.Field) bool { return h.Name != "" }) {
			notParsable = append(notParsable, text)
			continue
		}
		p, err := message.Parse(message.NewSource(nil, bytes.NewReader(raw), int64(len(raw))))
		if err != nil {
			return nil, err
		}
		p.Blob = func(n int) string { return blob.Within(id, n) }
		e := map[string]any{}
		m.fill(e, p, f)
		for _, name := range f.properties {
			switch name {
			case "id", "threadId", "mailboxIds", "keywords", "receivedAt":
				e[name] = nil
			case "blobId":
				e[name] = id
			case "hasAttachment":
				e[name] = p.HasAttachment()
			case "preview":
				e[name] = p.Preview()
			}
		}
		parsed[text] = e
	}
	return map[string]any{"accountId": a.AccountID, "parsed": orNil(parsed), "notParsable": orNil(notParsable), "notFound": orNil(notFound)}, nil
}

// orNil turns what is empty into null.
func orNil(v any) any {
	switch v := v.(type) {
	case []string:
		if len(v) == 0 {
			return nil
		}
	case map[string]map[string]any:
		if len(v) == 0 {
			return nil
		}
	}
	return v
}

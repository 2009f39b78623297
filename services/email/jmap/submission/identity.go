package submission

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/services/email"
	"uniqverse/services/email/jmap/account"
	"uniqverse/services/email/jmap/message"
	"uniqverse/services/email/jmap/proto"
	"uniqverse/services/email/jmap/record"
)

// The capabilities.
const (
	Capability         = "urn:ietf:params:jmap:submission"
	CapabilityVacation = "urn:ietf:params:jmap:vacationresponse"
)

// MaxDelay is how far ahead a message can be sent.
const MaxDelay = 30 * 24 * time.Hour

// The bounds of identities.
const (
	maxIdentities = 100
	maxSignature  = 64 << 10 // bytes
	maxNameSize   = 255
)

// Methods serves the methods. Make it with New.
type Methods struct {
	mail     *email.Service
	store    record.Store
	accounts *account.Accounts
	log      *slog.Logger
	now      func() time.Time
}

// New returns the methods of a mail service.
func New(mail *email.Service, store record.Store, accounts *account.Accounts, log *slog.Logger, now func() time.Time) *Methods {
	return &Methods{mail, store, accounts, log, now}
}

// Register adds the methods to a registry.
func (m *Methods) Register(r *proto.Registry) {
	for name, fn := range map[string]proto.Method{"Identity/get": m.identityGet, "Identity/changes": m.identityChanges, "Identity/set": m.identitySet,
		"EmailSubmission/get": m.submissionGet, "EmailSubmission/changes": m.submissionChanges, "EmailSubmission/query": m.submissionQuery,
		"EmailSubmission/queryChanges": m.submissionQueryChanges, "EmailSubmission/set": m.submissionSet} {
		r.Add(Capability, name, fn)
	}
	r.Add(CapabilityVacation, "VacationResponse/get", m.vacationGet)
	r.Add(CapabilityVacation, "VacationResponse/set", m.vacationSet)
}

// AccountCapability is what the session says of an account (RFC 8621 section 1.3.2).
func AccountCapability() map[string]any {
	return map[string]any{"maxDelayedSend": int64(MaxDelay / time.Second), "submissionExtensions": map[string][]string{"FUTURERELEASE": {}, "SIZE": {}, "8BITMIME": {}}}
}

func identityProperties() []string {
	return []string{"id", "name", "email", "replyTo", "bcc", "textSignature", "htmlSignature", "mayDelete"}
}

func shownIdentity(i record.Identity) map[string]any {
	null := func(raw json.RawMessage) any {
		if proto.IsNull(raw) {
			return nil
		}
		return raw
	}
	return map[string]any{"id": account.ID(account.PrefixIdentity, i.ID), "name": i.Name, "email": i.Email, "replyTo": null(i.ReplyTo), "bcc": null(i.Bcc),
		"textSignature": i.TextSignature, "htmlSignature": i.HTMLSignature, "mayDelete": !i.Fixed}
}

// identities returns an account's identities; that of its own address is made when it is not there.
func (m *Methods) identities(ctx context.Context, acct *account.Account) ([]record.Identity, error) {
	list, err := m.store.Identities(ctx, acct.Mailbox.ID)
	if err != nil || len(list) > 0 && list[0].Fixed {
		return list, err
	}
	err = m.store.UpdateJMAP(ctx, func(tx record.Tx) error {
		_, err := tx.AddIdentity(record.Identity{MailboxID: acct.Mailbox.ID, Email: acct.Address, Fixed: true})
		return err
	})
	if err != nil && !errs.Is(err, errs.Conflict) { // another request was first
		return nil, err
	}
	return m.store.Identities(ctx, acct.Mailbox.ID)
}

func (m *Methods) identityGet(c *proto.Call) (any, error) {
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
	properties, failed := proto.Properties(a.Properties, identityProperties())
	if failed != nil {
		return nil, failed
	}
	list, err := m.identities(c.Context, acct)
	if err != nil {
		return nil, err
	}
	st, err := m.store.States(c.Context, acct.Mailbox.ID)
	if err != nil {
		return nil, err
	}
	out := proto.GetResult{AccountID: a.AccountID, State: m.accounts.State(st.Identity), List: []map[string]any{}, NotFound: []string{}}
	for _, i := range list {
		id := account.ID(account.PrefixIdentity, i.ID)
		if all || slices.Contains(ids, id) {
			out.List = append(out.List, proto.Only(shownIdentity(i), properties))
			ids = slices.DeleteFunc(ids, func(x string) bool { return x == id })
		}
	}
	out.NotFound = append(out.NotFound, ids...)
	return out, nil
}

func (m *Methods) identityChanges(c *proto.Call) (any, error) {
	out, _, _, err := m.accounts.ChangesOf(c, record.KindIdentity, account.PrefixIdentity, func(st record.States) int64 { return st.Identity })
	if err != nil {
		return nil, err
	}
	return out, nil
}

// set is what every /set begins and ends with.
func (m *Methods) set(c *proto.Call, now func(record.States) int64, run func(tx record.Tx, acct *account.Account, a proto.SetArgs, out *proto.SetResult) error) (*proto.SetResult, error) {
	var a proto.SetArgs
	if err := proto.Decode(c.Args, &a); err != nil {
		return nil, err
	}
	if err := c.CheckSet(&a); err != nil {
		return nil, err
	}
	acct, err := m.accounts.Find(c, a.AccountID)
	if err != nil {
		return nil, err
	}
	var out *proto.SetResult
	err = m.store.UpdateJMAP(c.Context, func(tx record.Tx) error {
		out = &proto.SetResult{AccountID: a.AccountID}
		st, err := tx.StatesNow(acct.Mailbox.ID)
		if err != nil {
			return err
		}
		if err := m.accounts.InState(a.IfInState, now(st)); err != nil {
			return err
		}
		out.OldState = m.accounts.State(now(st))
		if err := run(tx, acct, a, out); err != nil {
			return err
		}
		if st, err = tx.StatesNow(acct.Mailbox.ID); err != nil {
			return err
		}
		if out.NewState = m.accounts.State(now(st)); out.NewState == out.OldState {
			return nil
		}
		return m.accounts.Emit(tx, c.Trace, event.MailChanged, acct.User, map[string]any{})
	})
	return out, err
}

func (m *Methods) identitySet(c *proto.Call) (any, error) {
	var peek proto.SetArgs // addresses are asked about before the transaction
	if err := proto.Decode(c.Args, &peek); err != nil {
		return nil, err
	}
	acct, err := m.accounts.Find(c, peek.AccountID)
	if err != nil {
		return nil, err
	}
	list, err := m.identities(c.Context, acct)
	if err != nil {
		return nil, err
	}
	owned := map[string]bool{}
	for _, in := range peek.Create {
		var addr string
		if json.Unmarshal(in["email"], &addr) == nil && addr != "" {
			if owned[addr], err = m.mail.Owns(c.Context, acct.User, addr); err != nil {
				return nil, err
			}
		}
	}
	out, err := m.set(c, func(st record.States) int64 { return st.Identity }, func(tx record.Tx, acct *account.Account, a proto.SetArgs, out *proto.SetResult) error {
		s := &identityChange{c: c, tx: tx, acct: acct, list: slices.Clone(list), owned: owned, out: out}
		return s.run(a)
	})
	if err != nil {
		return nil, err
	}
	for key, made := range out.Created {
		c.Created(key, made["id"].(string))
	}
	return out, nil
}

// identityChange is one Identity/set.
type identityChange struct {
	c     *proto.Call
	tx    record.Tx
	acct  *account.Account
	list  []record.Identity
	owned map[string]bool
	out   *proto.SetResult
}

func (s *identityChange) run(a proto.SetArgs) error {
	for _, key := range proto.Keys(a.Create) {
		i, refused := applyIdentity(record.Identity{MailboxID: s.acct.Mailbox.ID}, a.Create[key])
		switch {
		case refused != nil:
		case i.Email == "":
			refused = proto.InvalidProperties([]string{"email"}, "email is required")
		case !s.owned[i.Email]:
			refused = proto.Refuse("forbiddenFrom", "%.100s is no address of yours", i.Email)
		case len(s.list) >= maxIdentities:
			refused = proto.Refuse("overQuota", "an account has at most %d identities", maxIdentities)
		}
		if refused != nil {
			proto.Refused(&s.out.NotCreated, key, refused)
			continue
		}
		i, err := s.tx.AddIdentity(i)
		if err != nil {
			return err
		}
		s.list = append(s.list, i)
		shown := shownIdentity(i)
		for name := range a.Create[key] {
			delete(shown, name)
		}
		proto.Done(&s.out.Created, key, shown)
	}
	for _, text := range proto.Keys(a.Update) {
		refused, err := s.update(text, a.Update[text], a.Destroy)
		if err != nil {
			return err
		}
		if refused != nil {
			proto.Refused(&s.out.NotUpdated, text, refused)
		} else {
			proto.Done(&s.out.Updated, account.ID(account.PrefixIdentity, s.list[s.find(text)].ID), nil)
		}
	}
	for _, text := range a.Destroy {
		at := s.find(text)
		if at < 0 {
			proto.Refused(&s.out.NotDestroyed, text, proto.Refuse("notFound", "there is no such Identity"))
			continue
		}
		if s.list[at].Fixed {
			proto.Refused(&s.out.NotDestroyed, text, proto.Refuse("forbidden", "the account's own address stays"))
			continue
		}
		if err := s.tx.RemoveIdentity(s.list[at]); err != nil {
			return err
		}
		s.out.Destroyed = append(s.out.Destroyed, account.ID(account.PrefixIdentity, s.list[at].ID))
		s.list = slices.Delete(s.list, at, at+1)
	}
	return nil
}

func (s *identityChange) find(text string) int {
	id, _ := s.c.ID(text)
	if made := s.out.Created[strings.TrimPrefix(text, "#")]; made != nil && strings.HasPrefix(text, "#") {
		id, _ = made["id"].(string)
	}
	n := account.Number(account.PrefixIdentity, id)
	return slices.IndexFunc(s.list, func(i record.Identity) bool { return i.ID == n })
}

func (s *identityChange) update(text string, patch proto.Object, destroy []string) (*proto.SetError, error) {
	at := s.find(text)
	if at < 0 {
		return proto.Refuse("notFound", "there is no such Identity"), nil
	}
	if slices.Contains(destroy, text) {
		return proto.Refuse("willDestroy", "the same request destroys it"), nil
	}
	var current proto.Object
	raw, err := proto.Marshal(shownIdentity(s.list[at]))
	if err == nil {
		err = json.Unmarshal(raw, &current)
	}
	if err != nil {
		return nil, err
	}
	changed, refused := proto.Patch(current, patch)
	if refused != nil {
		return refused, nil
	}
	for _, name := range []string{"id", "email", "mayDelete"} {
		if v, given := changed[name]; given {
			if !proto.Equal(v, current[name]) {
				return proto.InvalidProperties([]string{name}, "%s cannot be changed", name), nil
			}
			delete(changed, name)
		}
	}
	i, refused := applyIdentity(s.list[at], changed)
	if refused != nil {
		return refused, nil
	}
	s.list[at] = i
	return nil, s.tx.SaveIdentity(i)
}

// applyIdentity writes properties into an identity.
func applyIdentity(i record.Identity, in proto.Object) (record.Identity, *proto.SetError) {
	var bad []string
	for _, name := range proto.Keys(in) {
		value, ok := in[name], false
		text := ""
		isText := json.Unmarshal(value, &text) == nil && string(value) != "null"
		switch name {
		case "name":
			i.Name, ok = text, (isText || string(value) == "null") && len(text) <= maxNameSize && !strings.ContainsAny(text, "\r\n\x00")
		case "email":
			i.Email, ok = text, isText && strings.Contains(text, "@") && !strings.ContainsAny(text, " \r\n\t<>") && len(text) < 320
		case "replyTo", "bcc":
			var list []message.Address
			ok = string(value) == "null" || json.Unmarshal(value, &list) == nil && len(list) <= 50 && !slices.ContainsFunc(list, func(a message.Address) bool { return !strings.Contains(a.Email, "@") })
			if name == "bcc" {
				i.Bcc = value
			} else {
				i.ReplyTo = value
			}
		case "textSignature":
			i.TextSignature, ok = text, isText && len(text) <= maxSignature
		case "htmlSignature":
			i.HTMLSignature, ok = text, isText && len(text) <= maxSignature
		}
		if !ok {
			bad = append(bad, name)
		}
	}
	if bad != nil {
		return i, proto.InvalidProperties(bad, "%.60s cannot be set, or not to this", bad[0])
	}
	return i, nil
}

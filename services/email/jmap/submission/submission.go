package submission

import (
	"encoding/json"
	"slices"
	"sort"
	"strings"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/services/email/jmap/account"
	"uniqverse/services/email/jmap/message"
	"uniqverse/services/email/jmap/proto"
	"uniqverse/services/email/jmap/record"
	"uniqverse/services/email/queue"
)

// maxResults bounds the results of one query.
const maxResults = 1000

func submissionProperties() []string {
	return []string{"id", "identityId", "emailId", "threadId", "envelope", "sendAt", "undoStatus", "deliveryStatus", "dsnBlobIds", "mdnBlobIds"}
}

func (m *Methods) shown(c *proto.Call, b record.Submission) (map[string]any, error) {
	undo, status, err := m.standing(c.Context, b)
	if err != nil {
		return nil, err
	}
	return map[string]any{"id": account.ID(account.PrefixSubmission, b.ID), "identityId": account.ID(account.PrefixIdentity, b.IdentityID), "emailId": account.ID(account.PrefixEmail, b.MessageID),
		"threadId": account.ID(account.PrefixThread, b.ThreadID), "envelope": b.Envelope, "sendAt": message.UTCDate(b.SendAt), "undoStatus": undo, "deliveryStatus": status,
		"dsnBlobIds": []string{}, "mdnBlobIds": []string{}}, nil
}

func (m *Methods) submissionGet(c *proto.Call) (any, error) {
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
	properties, failed := proto.Properties(a.Properties, submissionProperties())
	if failed != nil {
		return nil, failed
	}
	st, err := m.store.States(c.Context, acct.Mailbox.ID)
	if err != nil {
		return nil, err
	}
	list, err := m.store.Submissions(c.Context, acct.Mailbox.ID)
	if err != nil {
		return nil, err
	}
	if all && len(list) > c.Limits.MaxObjectsInGet {
		return nil, proto.Fail("requestTooLarge", "the account has more than %d submissions; ask for them by id", c.Limits.MaxObjectsInGet)
	}
	out := proto.GetResult{AccountID: a.AccountID, State: m.accounts.State(st.Submission), List: []map[string]any{}, NotFound: []string{}}
	for _, b := range list {
		id := account.ID(account.PrefixSubmission, b.ID)
		if !all && !slices.Contains(ids, id) {
			continue
		}
		shown, err := m.shown(c, b)
		if err != nil {
			return nil, err
		}
		out.List = append(out.List, proto.Only(shown, properties))
		ids = slices.DeleteFunc(ids, func(x string) bool { return x == id })
	}
	out.NotFound = append(out.NotFound, ids...)
	return out, nil
}

func (m *Methods) submissionChanges(c *proto.Call) (any, error) {
	out, _, _, err := m.accounts.ChangesOf(c, record.KindSubmission, account.PrefixSubmission, func(st record.States) int64 { return st.Submission })
	if err != nil {
		return nil, err
	}
	return out, nil
}

// condition decides whether a submission is among the results.
type condition func(b record.Submission, undo string) bool

func (m *Methods) filter(c *proto.Call, raw json.RawMessage, depth int) (condition, error) {
	if proto.IsNull(raw) {
		return func(record.Submission, string) bool { return true }, nil
	}
	var members proto.Object
	if json.Unmarshal(raw, &members) != nil {
		return nil, proto.InvalidArguments("filter must be an object")
	}
	if depth > 20 {
		return nil, proto.Fail("unsupportedFilter", "the filter is nested too deep")
	}
	if op, ok := members["operator"]; ok {
		var name string
		var inner []json.RawMessage
		if json.Unmarshal(op, &name) != nil || !slices.Contains([]string{record.All, record.Any, record.None}, name) || proto.IsNull(members["conditions"]) || json.Unmarshal(members["conditions"], &inner) != nil || len(members) != 2 {
			return nil, proto.InvalidArguments("filter: an operator is AND, OR or NOT, with a list of conditions")
		}
		var list []condition
		for _, r := range inner {
			one, err := m.filter(c, r, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, one)
		}
		return func(b record.Submission, undo string) bool {
			n := 0
			for _, is := range list {
				if is(b, undo) {
					n++
				}
			}
			return name == record.All && n == len(list) || name == record.Any && n > 0 || name == record.None && n == 0
		}, nil
	}
	var all []condition
	for _, name := range proto.Keys(members) {
		one, err := plainCondition(c, name, members[name])
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return func(b record.Submission, undo string) bool {
		return !slices.ContainsFunc(all, func(is condition) bool { return !is(b, undo) })
	}, nil
}

func plainCondition(c *proto.Call, name string, value json.RawMessage) (condition, error) {
	wrong := proto.InvalidArguments("filter: %.60s is of the wrong type", name)
	switch name {
	case "identityIds", "emailIds", "threadIds":
		var texts []string
		if json.Unmarshal(value, &texts) != nil || texts == nil {
			return nil, wrong
		}
		var ids []string
		for _, t := range texts {
			if id, ok := c.ID(t); ok {
				ids = append(ids, id)
			}
		}
		return func(b record.Submission, _ string) bool {
			id := map[string]string{"identityIds": account.ID(account.PrefixIdentity, b.IdentityID), "emailIds": account.ID(account.PrefixEmail, b.MessageID), "threadIds": account.ID(account.PrefixThread, b.ThreadID)}[name]
			return slices.Contains(ids, id)
		}, nil
	case "undoStatus":
		var want *string
		if json.Unmarshal(value, &want) != nil || want == nil {
			return nil, wrong
		}
		return func(_ record.Submission, undo string) bool { return undo == *want }, nil
	case "before", "after":
		var text *string
		if json.Unmarshal(value, &text) != nil || text == nil {
			return nil, wrong
		}
		t, err := time.Parse(time.RFC3339, *text)
		if err != nil || !strings.HasSuffix(*text, "Z") {
			return nil, wrong
		}
		return func(b record.Submission, _ string) bool { return b.SendAt.Before(t) == (name == "before") }, nil
	}
	return nil, proto.Fail("unsupportedFilter", "submissions cannot be filtered by %.60q", name)
}

func (m *Methods) results(c *proto.Call, box int64, filter json.RawMessage, sorts []json.RawMessage) ([]string, error) {
	is, err := m.filter(c, filter, 0)
	if err != nil {
		return nil, err
	}
	order, failed := proto.Comparators(sorts, nil)
	if failed != nil {
		return nil, failed
	}
	for _, o := range order {
		if !slices.Contains([]string{"emailId", "threadId", "sentAt", "sendAt"}, o.Property) {
			return nil, proto.Fail("unsupportedSort", "submissions cannot be sorted by %.60q", o.Property)
		}
	}
	list, err := m.store.Submissions(c.Context, box)
	if err != nil {
		return nil, err
	}
	sort.SliceStable(list, func(i, j int) bool {
		for _, o := range order {
			var d int64
			switch o.Property {
			case "emailId":
				d = list[i].MessageID - list[j].MessageID
			case "threadId":
				d = list[i].ThreadID - list[j].ThreadID
			default:
				d = list[i].SendAt.UnixMilli() - list[j].SendAt.UnixMilli()
			}
			if o.Descending() {
				d = -d
			}
			if d != 0 {
				return d < 0
			}
		}
		return false
	})
	ids := []string{}
	for _, b := range list {
		undo, _, err := m.standing(c.Context, b)
		if err != nil {
			return nil, err
		}
		if is(b, undo) {
			ids = append(ids, account.ID(account.PrefixSubmission, b.ID))
		}
	}
	return ids, nil
}

func (m *Methods) submissionQuery(c *proto.Call) (any, error) {
	var a proto.QueryArgs
	if err := proto.Decode(c.Args, &a); err != nil {
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
	ids, err := m.results(c, acct.Mailbox.ID, a.Filter, a.Sort)
	if err != nil {
		return nil, err
	}
	out := proto.QueryResult{AccountID: a.AccountID, QueryState: m.accounts.State(st.Submission), CanCalculateChanges: true}
	if err := a.Window(ids, maxResults, &out); err != nil {
		return nil, err
	}
	return out, nil
}

func (m *Methods) submissionQueryChanges(c *proto.Call) (any, error) {
	var a proto.QueryChangesArgs
	if err := proto.Decode(c.Args, &a); err != nil {
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
	since, err := m.accounts.Since(a.SinceQueryState, st.Submission, st.KeptFrom)
	if err != nil {
		return nil, err
	}
	ids, err := m.results(c, acct.Mailbox.ID, a.Filter, a.Sort)
	if err != nil {
		return nil, err
	}
	changed, err := m.store.ChangedSince(c.Context, acct.Mailbox.ID, record.KindSubmission, since, account.MaxChanged)
	if err != nil {
		return nil, err
	}
	touched, fresh := map[string]bool{}, map[string]bool{}
	for _, b := range changed {
		id := account.ID(account.PrefixSubmission, b.ID)
		touched[id] = true
		fresh[id] = !b.Gone && b.Created > since
	}
	out := proto.QueryChangesResult{AccountID: a.AccountID, OldQueryState: a.SinceQueryState, NewQueryState: m.accounts.State(st.Submission)}
	if err := out.Fill(ids, touched, fresh, a.MaxChanges); err != nil {
		return nil, err
	}
	if a.CalculateTotal {
		n := int64(len(ids))
		out.Total = &n
	}
	return out, nil
}

// after is what a client wants done with messages that were sent.
type after struct {
	Update  map[string]proto.Object `json:"onSuccessUpdateEmail"`
	Destroy []string                `json:"onSuccessDestroyEmail"`
}

func (m *Methods) submissionSet(c *proto.Call) (any, error) {
	var then after
	own, rest := proto.Object{}, proto.Object{}
	for k, v := range c.Args {
		if k == "onSuccessUpdateEmail" || k == "onSuccessDestroyEmail" {
			own[k] = v
		} else {
			rest[k] = v
		}
	}
	if err := proto.Decode(own, &then); err != nil {
		return nil, err
	}
	var a proto.SetArgs
	if err := proto.Decode(rest, &a); err != nil {
		return nil, err
	}
	if err := c.CheckSet(&a); err != nil {
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
	if err := m.accounts.InState(a.IfInState, st.Submission); err != nil {
		return nil, err
	}
	out := &proto.SetResult{AccountID: a.AccountID, OldState: m.accounts.State(st.Submission)}
	emails := map[string]string{} // by what a client calls the submission
	for _, key := range proto.Keys(a.Create) {
		sub, refused, err := (&sent{m, c, acct}).create(a.Create[key])
		if err != nil {
			return nil, err
		}
		if refused != nil {
			proto.Refused(&out.NotCreated, key, refused)
			continue
		}
		shown, err := m.shown(c, sub)
		if err != nil {
			return nil, err
		}
		id := shown["id"].(string)
		c.Created(key, id)
		for name := range a.Create[key] {
			if name != "envelope" || !proto.IsNull(a.Create[key][name]) {
				delete(shown, name)
			}
		}
		proto.Done(&out.Created, key, shown)
		emails["#"+key], emails[id] = account.ID(account.PrefixEmail, sub.MessageID), account.ID(account.PrefixEmail, sub.MessageID)
	}
	if err := m.changeAll(c, acct, a, out, emails); err != nil {
		return nil, err
	}
	if st, err = m.store.States(c.Context, acct.Mailbox.ID); err != nil {
		return nil, err
	}
	out.NewState = m.accounts.State(st.Submission)
	follow(c, a.AccountID, then, emails)
	return out, nil
}

// follow changes the messages whose submission succeeded (RFC 8621 section 7.5).
func follow(c *proto.Call, accountID string, then after, emails map[string]string) {
	update := map[string]proto.Object{}
	var destroy []string
	for key, patch := range then.Update {
		if id := emails[key]; id != "" {
			update[id] = patch
		}
	}
	for _, key := range then.Destroy {
		if id := emails[key]; id != "" {
			destroy = append(destroy, id)
		}
	}
	if len(update)+len(destroy) > 0 {
		args := map[string]any{"accountId": accountID}
		if len(update) > 0 {
			args["update"] = update
		}
		if len(destroy) > 0 {
			args["destroy"] = destroy
		}
		c.Then("Email/set", args)
	}
}

// changeAll takes submissions back and forgets them.
func (m *Methods) changeAll(c *proto.Call, acct *account.Account, a proto.SetArgs, out *proto.SetResult, emails map[string]string) error {
	if len(a.Update)+len(a.Destroy) == 0 {
		return nil
	}
	list, err := m.store.Submissions(c.Context, acct.Mailbox.ID)
	if err != nil {
		return err
	}
	find := func(text string) int {
		id, _ := c.ID(text)
		n := account.Number(account.PrefixSubmission, id)
		return slices.IndexFunc(list, func(b record.Submission) bool { return b.ID == n })
	}
	return m.store.UpdateJMAP(c.Context, func(tx record.Tx) error {
		out.Updated, out.Destroyed, out.NotUpdated, out.NotDestroyed = nil, nil, nil, nil
		for _, text := range proto.Keys(a.Update) {
			at := find(text)
			refused := proto.Refuse("notFound", "there is no such submission")
			var err error
			if at >= 0 {
				refused, err = m.update(c, tx, list[at], a.Update[text])
			}
			if err != nil {
				return err
			}
			if refused != nil {
				proto.Refused(&out.NotUpdated, text, refused)
				continue
			}
			emails[text] = account.ID(account.PrefixEmail, list[at].MessageID)
			proto.Done(&out.Updated, account.ID(account.PrefixSubmission, list[at].ID), nil)
		}
		for _, text := range a.Destroy {
			at := find(text)
			if at < 0 {
				proto.Refused(&out.NotDestroyed, text, proto.Refuse("notFound", "there is no such submission"))
				continue
			}
			if err := tx.RemoveSubmission(list[at]); err != nil {
				return err
			}
			emails[text] = account.ID(account.PrefixEmail, list[at].MessageID)
			out.Destroyed = append(out.Destroyed, account.ID(account.PrefixSubmission, list[at].ID))
			list = slices.Delete(list, at, at+1)
		}
		return m.accounts.Emit(tx, c.Trace, event.MailChanged, acct.User, map[string]any{})
	})
}

// update takes a submission back: nothing else of one can be changed.
func (m *Methods) update(c *proto.Call, tx record.Tx, b record.Submission, patch proto.Object) (*proto.SetError, error) {
	shown, err := m.shown(c, b)
	if err != nil {
		return nil, err
	}
	want := shown["undoStatus"].(string)
	for _, name := range proto.Keys(patch) {
		if name == "undoStatus" {
			if json.Unmarshal(patch[name], &want) != nil || want != "canceled" && want != shown["undoStatus"] {
				return proto.InvalidProperties([]string{name}, "undoStatus can be set to canceled"), nil
			}
			continue
		}
		have, err := proto.Marshal(shown[name])
		if err != nil || shown[name] == nil || !proto.Equal(have, patch[name]) {
			return proto.InvalidProperties([]string{name}, "%.60s cannot be changed", name), nil
		}
	}
	if want == shown["undoStatus"] {
		return nil, nil
	}
	late := proto.Refuse("cannotUnsend", "it is too late: the message is on its way, or somebody has it")
	entries, err := tx.EntriesOf(b.QueueID)
	if err != nil {
		return nil, err
	}
	if shown["undoStatus"] != "pending" || !takeable(entries) {
		return late, nil
	}
	for _, was := range entries {
		e := was
		e.State, e.Reason, e.Updated = queue.Dropped, queue.TakenBackReason, tx.Now()
		if err := tx.SaveEntry(was, e); err != nil {
			return nil, errs.Wrap(errs.Unavailable, err, "the message is just being sent; try again")
		}
	}
	b.Undo = "canceled"
	return nil, tx.SaveSubmission(b)
}

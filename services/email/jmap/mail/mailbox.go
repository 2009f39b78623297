package mail

import (
	"context"
	"encoding/json"
	"slices"
	"sort"
	"strings"

	"uniqverse/services/email/jmap/account"
	"uniqverse/services/email/jmap/proto"
	"uniqverse/services/email/jmap/record"
	"uniqverse/services/email/mailbox"
)

// The bounds of Mailboxes.
const (
	maxDepth = mailbox.MaxDepth
	maxName  = mailbox.MaxFolderName
)

func mailboxProperties() []string {
	return []string{"id", "name", "parentId", "role", "sortOrder", "totalEmails", "unreadEmails", "totalThreads", "unreadThreads", "myRights", "isSubscribed"}
}

// counted is the threads of a mailbox's folders, as of a point.
type counted struct {
	at   int64
	with map[int64]record.ThreadCount
}

// threadCounts returns the counts of every folder; they are worked out once for each state of the messages.
func (m *Mail) threadCounts(ctx context.Context, box, at int64) (map[int64]record.ThreadCount, error) {
	m.mu.Lock()
	have, ok := m.counts[box]
	m.mu.Unlock()
	if ok && have.at == at {
		return have.with, nil
	}
	with, err := m.store.ThreadCounts(ctx, box)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.counts) > 2000 {
		clear(m.counts)
	}
	m.counts[box] = counted{at, with}
	return with, nil
}

// shownMailbox is a folder as clients see it.
func shownMailbox(f mailbox.Folder, n record.ThreadCount) map[string]any {
	own := f.Role == "" || !isStandard(f.Role)
	out := map[string]any{"id": account.ID(account.PrefixMailbox, f.ID), "name": f.Name, "parentId": nil, "role": nil, "sortOrder": f.Position, "totalEmails": f.Messages,
		"unreadEmails": max(0, f.Unread-n.UnreadDrafts), "totalThreads": n.Threads, "unreadThreads": n.UnreadThreads, "isSubscribed": f.Subscribed,
		"myRights": map[string]bool{"mayReadItems": true, "mayAddItems": true, "mayRemoveItems": true, "maySetSeen": true, "maySetKeywords": true, "mayCreateChild": true,
			"mayRename": f.Role != mailbox.RoleInbox, "mayDelete": own, "maySubmit": true}}
	if f.Parent != 0 {
		out["parentId"] = account.ID(account.PrefixMailbox, f.Parent)
	}
	if f.Role != "" {
		out["role"] = f.Role
	}
	return out
}

// isStandard reports whether every mailbox has a folder of the role, which deliveries need.
func isStandard(role string) bool {
	return slices.ContainsFunc(mailbox.StandardFolders(), func(f mailbox.Folder) bool { return f.Role == role })
}

func (m *Mail) mailboxGet(c *proto.Call) (any, error) {
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
	properties, failed := proto.Properties(a.Properties, mailboxProperties())
	if failed != nil {
		return nil, failed
	}
	st, err := m.store.States(c.Context, acct.Mailbox.ID)
	if err != nil {
		return nil, err
	}
	folders, err := m.mail.Store.Folders(c.Context, acct.Mailbox.ID)
	if err != nil {
		return nil, err
	}
	var threads map[int64]record.ThreadCount
	if slices.ContainsFunc(properties, func(p string) bool { return p == "totalThreads" || p == "unreadThreads" || p == "unreadEmails" }) {
		if threads, err = m.threadCounts(c.Context, acct.Mailbox.ID, st.Message); err != nil {
			return nil, err
		}
	}
	out := proto.GetResult{AccountID: a.AccountID, State: m.accounts.State(st.Folder), List: []map[string]any{}, NotFound: []string{}}
	for _, f := range folders {
		id := account.ID(account.PrefixMailbox, f.ID)
		if all || slices.Contains(ids, id) {
			out.List = append(out.List, proto.Only(shownMailbox(f, threads[f.ID]), properties))
			ids = slices.DeleteFunc(ids, func(x string) bool { return x == id })
		}
	}
	out.NotFound = append(out.NotFound, ids...)
	return out, nil
}

func (m *Mail) mailboxChanges(c *proto.Call) (any, error) {
	out, changed, since, err := m.accounts.ChangesOf(c, record.KindFolder, account.PrefixMailbox, func(st record.States) int64 { return st.Folder })
	if err != nil {
		return nil, err
	}
	var only any
	if len(out.Updated) > 0 && !slices.ContainsFunc(changed, func(f record.Changed) bool { return f.Gone || f.Created > since || f.At > since }) {
		only = []string{"totalEmails", "unreadEmails", "totalThreads", "unreadThreads"}
	}
	return struct {
		*proto.ChangesResult
		UpdatedProperties any `json:"updatedProperties"`
	}{out, only}, nil
}

// mailboxFilter decides whether a folder is among the results.
type mailboxFilter func(f mailbox.Folder) bool

func (m *Mail) parseMailboxFilter(c *proto.Call, raw json.RawMessage, depth int) (mailboxFilter, error) {
	if proto.IsNull(raw) {
		return func(mailbox.Folder) bool { return true }, nil
	}
	var members proto.Object
	if json.Unmarshal(raw, &members) != nil {
		return nil, proto.InvalidArguments("filter must be an object")
	}
	if depth > 20 {
		return nil, proto.Fail("unsupportedFilter", "the filter is nested too deep")
	}
	if op, ok := members["operator"]; ok {
		name, inner, err := operator(op, members)
		if err != nil {
			return nil, err
		}
		var list []mailboxFilter
		for _, r := range inner {
			f, err := m.parseMailboxFilter(c, r, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, f)
		}
		return func(f mailbox.Folder) bool {
			n := 0
			for _, is := range list {
				if is(f) {
					n++
				}
			}
			switch name {
			case record.All:
				return n == len(list)
			case record.Any:
				return n > 0
			}
			return n == 0
		}, nil
	}
	var conds []mailboxFilter
	for _, name := range proto.Keys(members) {
		cond, err := mailboxCondition(c, name, members[name])
		if err != nil {
			return nil, err
		}
		conds = append(conds, cond)
	}
	return func(f mailbox.Folder) bool {
		return !slices.ContainsFunc(conds, func(is mailboxFilter) bool { return !is(f) })
	}, nil
}

// operator reads a FilterOperator.
func operator(op json.RawMessage, members proto.Object) (name string, inner []json.RawMessage, err error) {
	if json.Unmarshal(op, &name) != nil || name != record.All && name != record.Any && name != record.None {
		return "", nil, proto.InvalidArguments("filter: operator must be AND, OR or NOT")
	}
	if proto.IsNull(members["conditions"]) || json.Unmarshal(members["conditions"], &inner) != nil || len(members) != 2 {
		return "", nil, proto.InvalidArguments("filter: an operator has conditions, a list, and nothing else")
	}
	for _, r := range inner {
		if proto.IsNull(r) {
			return "", nil, proto.InvalidArguments("filter: conditions must be objects")
		}
	}
	return name, inner, nil
}

func mailboxCondition(c *proto.Call, name string, value json.RawMessage) (mailboxFilter, error) {
	wrong := proto.InvalidArguments("filter: %s is of the wrong type", name)
	switch name {
	case "parentId":
		var id *string
		if json.Unmarshal(value, &id) != nil {
			return nil, wrong
		}
		parent := int64(0)
		if id != nil {
			if known, ok := c.ID(*id); ok {
				parent = account.Number(account.PrefixMailbox, known)
			}
			if parent == 0 {
				parent = -1
			}
		}
		return func(f mailbox.Folder) bool { return f.Parent == parent }, nil
	case "name":
		var text *string
		if json.Unmarshal(value, &text) != nil || text == nil {
			return nil, wrong
		}
		return func(f mailbox.Folder) bool { return strings.Contains(strings.ToLower(f.Name), strings.ToLower(*text)) }, nil
	case "role":
		var role *string
		if json.Unmarshal(value, &role) != nil {
			return nil, wrong
		}
		return func(f mailbox.Folder) bool {
			return role == nil && f.Role == "" || role != nil && *role != "" && f.Role == *role
		}, nil
	case "hasAnyRole", "isSubscribed":
		var yes *bool
		if json.Unmarshal(value, &yes) != nil || yes == nil {
			return nil, wrong
		}
		return func(f mailbox.Folder) bool {
			if name == "isSubscribed" {
				return f.Subscribed == *yes
			}
			return (f.Role != "") == *yes
		}, nil
	}
	return nil, proto.Fail("unsupportedFilter", "Mailboxes cannot be filtered by %.60q", name)
}

// tree says how the hierarchy counts in a query of Mailboxes.
type tree struct {
	SortAsTree   bool `json:"sortAsTree"`
	FilterAsTree bool `json:"filterAsTree"`
}

// mailboxResults returns the ids of all results in order.
func (m *Mail) mailboxResults(c *proto.Call, box int64, filter json.RawMessage, sorts []json.RawMessage, t tree) ([]string, error) {
	is, err := m.parseMailboxFilter(c, filter, 0)
	if err != nil {
		return nil, err
	}
	order, failed := proto.Comparators(sorts, collations())
	if failed != nil {
		return nil, failed
	}
	for _, o := range order {
		if o.Property != "name" && o.Property != "sortOrder" {
			return nil, proto.Fail("unsupportedSort", "Mailboxes cannot be sorted by %.60q", o.Property)
		}
	}
	all, err := m.mail.Store.Folders(c.Context, box)
	if err != nil {
		return nil, err
	}
	sort.SliceStable(all, func(i, j int) bool { return lessFolder(all[i], all[j], order) })
	if t.SortAsTree {
		all = asTree(all, 0)
	}
	byID := map[int64]mailbox.Folder{}
	for _, f := range all {
		byID[f.ID] = f
	}
	ids := []string{}
	for _, f := range all {
		in := is(f)
		for up := f; in && t.FilterAsTree && up.Parent != 0; {
			up = byID[up.Parent]
			in = is(up)
		}
		if in {
			ids = append(ids, account.ID(account.PrefixMailbox, f.ID))
		}
	}
	return ids, nil
}

func lessFolder(a, b mailbox.Folder, order []proto.Comparator) bool {
	for _, o := range order {
		x, y := strings.ToLower(a.Name), strings.ToLower(b.Name)
		d := strings.Compare(x, y)
		if o.Property == "sortOrder" {
			d = a.Position - b.Position
		}
		if o.Descending() {
			d = -d
		}
		if d != 0 {
			return d < 0
		}
	}
	return a.ID < b.ID
}

// asTree puts every folder behind its parent; the list is sorted already.
func asTree(all []mailbox.Folder, parent int64) []mailbox.Folder {
	var out []mailbox.Folder
	for _, f := range all {
		if f.Parent == parent {
			out = append(append(out, f), asTree(all, f.ID)...)
		}
	}
	return out
}

// pick takes arguments of a method's own out of the common ones.
func pick(args proto.Object, into any, names ...string) (proto.Object, error) {
	own, rest := proto.Object{}, proto.Object{}
	for k, v := range args {
		if slices.Contains(names, k) {
			own[k] = v
		} else {
			rest[k] = v
		}
	}
	if err := proto.Decode(own, into); err != nil {
		return nil, err
	}
	return rest, nil
}

func (m *Mail) mailboxQuery(c *proto.Call) (any, error) {
	var t tree
	rest, err := pick(c.Args, &t, "sortAsTree", "filterAsTree")
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
	ids, err := m.mailboxResults(c, acct.Mailbox.ID, a.Filter, a.Sort, t)
	if err != nil {
		return nil, err
	}
	out := proto.QueryResult{AccountID: a.AccountID, QueryState: m.accounts.State(st.Folder), CanCalculateChanges: true}
	if err := a.Window(ids, maxResults, &out); err != nil {
		return nil, err
	}
	return out, nil
}

func (m *Mail) mailboxQueryChanges(c *proto.Call) (any, error) {
	var t tree
	rest, err := pick(c.Args, &t, "sortAsTree", "filterAsTree")
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
	st, err := m.store.States(c.Context, acct.Mailbox.ID)
	if err != nil {
		return nil, err
	}
	since, err := m.accounts.Since(a.SinceQueryState, st.Folder, st.KeptFrom)
	if err != nil {
		return nil, err
	}
	ids, err := m.mailboxResults(c, acct.Mailbox.ID, a.Filter, a.Sort, t)
	if err != nil {
		return nil, err
	}
	changed, err := m.store.ChangedSince(c.Context, acct.Mailbox.ID, record.KindFolder, since, maxChanged)
	if err != nil {
		return nil, err
	}
	touched, fresh := map[string]bool{}, map[string]bool{}
	for _, f := range changed {
		if f.At <= since {
			continue // only what is in it
		}
		id := account.ID(account.PrefixMailbox, f.ID)
		touched[id] = true
		fresh[id] = !f.Gone && f.Created > since
	}
	if len(touched) > 0 && (t.SortAsTree || t.FilterAsTree) { // a folder takes those below it along
		for _, id := range ids {
			touched[id] = true
		}
	}
	out := proto.QueryChangesResult{AccountID: a.AccountID, OldQueryState: a.SinceQueryState, NewQueryState: m.accounts.State(st.Folder)}
	if err := out.Fill(ids, touched, fresh, a.MaxChanges); err != nil {
		return nil, err
	}
	if a.CalculateTotal {
		n := int64(len(ids))
		out.Total = &n
	}
	return out, nil
}

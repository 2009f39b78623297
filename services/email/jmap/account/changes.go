package account

import (
	"uniqverse/services/email/jmap/proto"
	"uniqverse/services/email/jmap/record"
)

// MaxChanged is how many changes are told at most.
const MaxChanged = 50_000

// ChangesOf answers Foo/changes for one kind of thing; beside it come what changed and since when.
func (a *Accounts) ChangesOf(c *proto.Call, kind, prefix string, now func(record.States) int64) (*proto.ChangesResult, []record.Changed, int64, error) {
	var in proto.ChangesArgs
	if err := proto.Decode(c.Args, &in); err != nil {
		return nil, nil, 0, err
	}
	if err := in.Check(); err != nil {
		return nil, nil, 0, err
	}
	acct, err := a.Find(c, in.AccountID)
	if err != nil {
		return nil, nil, 0, err
	}
	st, err := a.store.States(c.Context, acct.Mailbox.ID)
	if err != nil {
		return nil, nil, 0, err
	}
	since, err := a.Since(in.SinceState, now(st), st.KeptFrom)
	if err != nil {
		return nil, nil, 0, err
	}
	changed, err := a.store.ChangedSince(c.Context, acct.Mailbox.ID, kind, since, MaxChanged+1)
	if err != nil {
		return nil, nil, 0, err
	}
	if len(changed) > MaxChanged {
		return nil, nil, 0, proto.Fail("cannotCalculateChanges", "too much has changed since; fetch everything anew")
	}
	page, upTo, more, failed := proto.Page(listed(changed, prefix, since), in.MaxChanges, now(st))
	if failed != nil {
		return nil, nil, 0, failed
	}
	out := &proto.ChangesResult{AccountID: in.AccountID, OldState: in.SinceState, NewState: a.State(upTo), HasMoreChanges: more}
	out.Fill(page)
	return out, changed, since, nil
}

// listed turns what the store says into changes; what was made since stands where it was made.
func listed(changed []record.Changed, prefix string, since int64) []proto.Change {
	out := make([]proto.Change, 0, len(changed))
	for _, c := range changed {
		ch := proto.Change{ID: ID(prefix, c.ID), At: max(c.At, c.Counts), Kind: proto.Updated}
		switch {
		case c.Gone:
			ch.Kind = proto.Destroyed
		case c.Created > since:
			ch.Kind, ch.At = proto.Created, c.Created
		}
		out = append(out, ch)
	}
	return out
}

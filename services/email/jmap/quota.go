package jmap

import (
	"encoding/json"
	"slices"
	"strconv"

	"uniqverse/services/email/jmap/account"
	"uniqverse/services/email/jmap/proto"
)

// quotaID is the id of the one Quota of an account: the bytes of its mail.
const quotaID = "octets"

func quotaProperties() []string {
	return []string{"id", "resourceType", "used", "hardLimit", "scope", "name", "types", "warnLimit", "softLimit", "description"}
}

func (s *Service) shownQuota(a *account.Account) map[string]any {
	return map[string]any{"id": quotaID, "resourceType": "octets", "used": a.Bytes, "hardLimit": s.Mail.Quota, "scope": "account", "name": "Mail", "types": []string{"Email"},
		"warnLimit": s.Mail.Quota / 10 * 9, "softLimit": nil, "description": "The size of all messages"}
}

// quotaState is what is used: the limit changes only with a restart.
func (s *Service) quotaState(a *account.Account) string {
	return s.accounts.State(0) + "-" + strconv.FormatInt(a.Bytes, 10) + "-" + strconv.FormatInt(s.Mail.Quota, 10)
}

func (s *Service) quotaGet(c *proto.Call) (any, error) {
	var a proto.GetArgs
	if err := proto.Decode(c.Args, &a); err != nil {
		return nil, err
	}
	acct, err := s.accounts.Find(c, a.AccountID)
	if err != nil {
		return nil, err
	}
	ids, all, failed := c.Wanted(a.IDs)
	if failed != nil {
		return nil, failed
	}
	properties, failed := proto.Properties(a.Properties, quotaProperties())
	if failed != nil {
		return nil, failed
	}
	out := proto.GetResult{AccountID: a.AccountID, State: s.quotaState(acct), List: []map[string]any{}, NotFound: []string{}}
	if all || slices.Contains(ids, quotaID) {
		out.List = append(out.List, proto.Only(s.shownQuota(acct), properties))
	}
	for _, id := range ids {
		if id != quotaID {
			out.NotFound = append(out.NotFound, id)
		}
	}
	return out, nil
}

func (s *Service) quotaChanges(c *proto.Call) (any, error) {
	var a proto.ChangesArgs
	if err := proto.Decode(c.Args, &a); err != nil {
		return nil, err
	}
	if err := a.Check(); err != nil {
		return nil, err
	}
	acct, err := s.accounts.Find(c, a.AccountID)
	if err != nil {
		return nil, err
	}
	now := s.quotaState(acct)
	out := struct {
		proto.ChangesResult
		UpdatedProperties any `json:"updatedProperties"`
	}{ChangesResult: proto.ChangesResult{AccountID: a.AccountID, OldState: a.SinceState, NewState: now}}
	out.Fill(nil)
	if a.SinceState != now {
		if start := s.accounts.State(0) + "-"; len(a.SinceState) < len(start) || a.SinceState[:len(start)] != start {
			return nil, proto.Fail("cannotCalculateChanges", "the state is not known; fetch everything anew")
		}
		out.Updated, out.UpdatedProperties = []string{quotaID}, []string{"used"}
	}
	return out, nil
}

// quotaResults returns the ids that a filter leaves.
func (s *Service) quotaResults(filter json.RawMessage, sorts []json.RawMessage) ([]string, error) {
	order, failed := proto.Comparators(sorts, nil)
	if failed != nil {
		return nil, failed
	}
	for _, o := range order {
		if o.Property != "name" && o.Property != "used" {
			return nil, proto.Fail("unsupportedSort", "Quotas cannot be sorted by %.60q", o.Property)
		}
	}
	if proto.IsNull(filter) {
		return []string{quotaID}, nil
	}
	var f struct {
		Name         *string `json:"name"`
		Scope        *string `json:"scope"`
		ResourceType *string `json:"resourceType"`
		Type         *string `json:"type"`
	}
	var members proto.Object
	if json.Unmarshal(filter, &members) != nil {
		return nil, proto.InvalidArguments("filter must be an object")
	}
	if err := proto.Decode(members, &f); err != nil {
		return nil, proto.Fail("unsupportedFilter", "Quotas are filtered by name, scope, resourceType and type")
	}
	not := func(given *string, have string) bool { return given != nil && *given != have }
	if not(f.Name, "Mail") || not(f.Scope, "account") || not(f.ResourceType, "octets") || not(f.Type, "Email") {
		return []string{}, nil
	}
	return []string{quotaID}, nil
}

func (s *Service) quotaQuery(c *proto.Call) (any, error) {
	var a proto.QueryArgs
	if err := proto.Decode(c.Args, &a); err != nil {
		return nil, err
	}
	acct, err := s.accounts.Find(c, a.AccountID)
	if err != nil {
		return nil, err
	}
	ids, err := s.quotaResults(a.Filter, a.Sort)
	if err != nil {
		return nil, err
	}
	out := proto.QueryResult{AccountID: a.AccountID, QueryState: s.quotaState(acct)}
	if err := a.Window(ids, 100, &out); err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) quotaQueryChanges(c *proto.Call) (any, error) {
	var a proto.QueryChangesArgs
	if err := proto.Decode(c.Args, &a); err != nil {
		return nil, err
	}
	if _, err := s.accounts.Find(c, a.AccountID); err != nil {
		return nil, err
	}
	return nil, proto.Fail("cannotCalculateChanges", "ask the query anew: there is one Quota")
}

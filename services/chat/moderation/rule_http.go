package moderation

import (
	"fmt"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/chat"
	"uniqverse/services/chat/people"
	"uniqverse/services/chat/rules"
)

// mostRules is how many rules a room has, and all rooms together have.
const mostRules = 100

type rulesIn struct {
	Room int64 `json:"room,omitempty" min:"1" doc:"the room; the rules of all rooms when left out"`
}

// may refuses who does not keep order in a room; room 0 is all rooms.
func (s *Service) may(c *web.Call, room int64) error {
	if room == 0 {
		if !c.Caller.Has(people.ActForOthers) {
			return errs.New(errs.Denied, "the rules of all rooms are for who carries the scope %s; name a room", people.ActForOthers)
		}
		return nil
	}
	_, st, err := s.opts.Rooms.Entered(c.Context(), c.Caller, room)
	if err == nil && !chat.Moderates(c.Caller, st) {
		err = errs.New(errs.Denied, "a room's rules are for its owner and moderators")
	}
	return err
}

func (s *Service) rules(c *web.Call, in rulesIn) ([]Rule, error) {
	if err := s.may(c, in.Room); err != nil {
		return nil, err
	}
	return s.opts.Store.Rules(c.Context(), in.Room)
}

type newRuleIn struct {
	Room int64 `json:"room,omitempty" min:"1" doc:"the room that it holds in; all when left out"`
	rules.Rule
}

// Check refuses a rule that cannot be applied.
func (in *newRuleIn) Check() error { return in.Rule.Check() }

func (s *Service) addRule(c *web.Call, in newRuleIn) (any, error) {
	if err := s.may(c, in.Room); err != nil {
		return nil, err
	}
	out, err := web.Update(c, in, s.opts.Store, func(tx Tx) (Rule, error) {
		r := Rule{Room: in.Room, Rule: in.Rule, ByID: by(c).ID, ByHandle: by(c).Handle, UpdatedAt: api.TimeOf(tx.Now())}
		n, err := tx.CountRules(in.Room)
		if err != nil {
			return r, err
		}
		if n >= mostRules {
			return r, errs.New(errs.Conflict, "there are %d rules already, which is the most; put more into one", n)
		}
		if r.ID, err = tx.AddRule(r); err != nil {
			return r, err
		}
		return r, tx.LogRule(r, "create")
	})
	s.opts.Pipeline.forget(in.Room)
	return out, err
}

type ruleIn struct {
	ID int64 `path:"id" doc:"the rule's id"`
}

type putRuleIn struct {
	ruleIn
	rules.Rule
}

// Check refuses a rule that cannot be applied.
func (in *putRuleIn) Check() error { return in.Rule.Check() }

// rule returns a rule that the caller may change; for others it is not there.
func (s *Service) rule(c *web.Call, id int64) (Rule, error) {
	r, err := s.opts.Store.Rule(c.Context(), id)
	if err != nil {
		return r, err
	}
	if s.may(c, r.Room) != nil {
		return r, errs.New(errs.NotFound, "there is no such rule")
	}
	return r, nil
}

func (s *Service) putRule(c *web.Call, in putRuleIn) (any, error) {
	r, err := s.rule(c, in.ID)
	if err != nil {
		return nil, err
	}
	out, err := web.Update(c, in, s.opts.Store, func(tx Tx) (Rule, error) {
		r.Rule, r.ByID, r.ByHandle, r.UpdatedAt = in.Rule, by(c).ID, by(c).Handle, api.TimeOf(tx.Now())
		if err := tx.SaveRule(r); err != nil {
			return r, err
		}
		return r, tx.LogRule(r, "change")
	})
	s.opts.Pipeline.forget(r.Room)
	return out, err
}

func (s *Service) dropRule(c *web.Call, in ruleIn) (any, error) {
	r, err := s.rule(c, in.ID)
	if err != nil {
		return nil, err
	}
	out, err := web.Update(c, in, s.opts.Store, func(tx Tx) (api.OK, error) {
		r.ByID, r.ByHandle, r.UpdatedAt = by(c).ID, by(c).Handle, api.TimeOf(tx.Now())
		if err := tx.DropRule(r.ID); err != nil {
			return api.OK{}, err
		}
		return api.OK{OK: true}, tx.LogRule(r, "delete")
	})
	s.opts.Pipeline.forget(r.Room)
	return out, err
}

type changesIn struct {
	rulesIn
	web.Paging
}

func (s *Service) changes(c *web.Call, in changesIn) ([]Change, error) {
	if err := s.may(c, in.Room); err != nil {
		return nil, err
	}
	size := in.Size()
	all, err := s.opts.Store.Changes(c.Context(), in.Room, in.Paging, size+1)
	if err == nil && len(all) > size {
		all = all[:size]
		c.Header().Set("Link", fmt.Sprintf(`<%s>; rel="next"`, c.URL(fmt.Sprintf("/moderation/rules/log?before=%d&limit=%d&room=%d", all[size-1].ID, size, in.Room))))
	}
	return all, err
}

package portal

import (
	"net/url"
	"strconv"

	"uniqverse/internal/api"
	"uniqverse/internal/auth"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/templates"
)

type usersParams struct {
	Q string `json:"q,omitempty" max:"200" doc:"part of a name or address"`
	web.Paging
}

// listed is a user as administrators see them.
type listed struct {
	person
	ID       int64    `json:"id"`
	Created  api.Time `json:"created_at"`
	LastSeen api.Time `json:"last_seen_at" doc:"to the hour; null is never"`
}

type usersAnswer struct {
	Users []listed `json:"users"`
	Total int      `json:"total"`
}

func (i *Identity) list(c *web.Call, in usersParams) ([]auth.User, int, error) {
	match := in.Q
	if local := i.auth.LocalPart(in.Q); local != "" {
		match = local // a whole address finds its user
	}
	return i.auth.Users(c.Context(), auth.UserQuery{Match: match, Limit: in.Size(), Offset: in.Offset, Before: in.Before, After: in.After})
}

func (i *Identity) users(c *web.Call, in usersParams) (usersAnswer, error) {
	us, total, err := i.list(c, in)
	out := usersAnswer{Users: []listed{}, Total: total}
	for _, u := range us {
		l := listed{person: personOf(u), ID: u.ID, Created: api.TimeOf(u.Created), LastSeen: api.TimeOf(u.LastSeen)}
		out.Users = append(out.Users, l)
	}
	return out, err
}

func (i *Identity) usersPage(c *web.Call, in usersParams) (web.Page, error) {
	us, total, err := i.list(c, in)
	if err != nil {
		return web.Page{}, err
	}
	v := templates.AdminUsersView{Query: in.Q, Roles: auth.Roles(), Pager: templates.Pager{Total: total}}
	for _, u := range us {
		v.Users = append(v.Users, templates.AdminUser{ID: u.ID, Email: u.Email, Name: u.Display, Roles: u.Roles, Created: u.Created,
			LastSeen: u.LastSeen, Disabled: u.Disabled, You: u.ID == c.Caller.ID})
	}
	if len(us) > 0 {
		v.Pager.From, v.Pager.To = in.Offset+1, in.Offset+len(us)
	}
	page := func(offset int) string {
		q := url.Values{}
		if in.Q != "" {
			q.Set("q", in.Q)
		}
		if offset > 0 {
			q.Set("offset", strconv.Itoa(offset))
		}
		if in.Limit != 0 {
			q.Set("limit", strconv.Itoa(in.Limit))
		}
		if len(q) == 0 {
			return "/admin/users"
		}
		return "/admin/users?" + q.Encode()
	}
	if in.Offset > 0 {
		v.Pager.Prev = page(max(0, in.Offset-in.Size()))
	}
	if in.Offset+len(us) < total {
		v.Pager.Next = page(in.Offset + len(us))
	}
	return web.Page{Template: templates.PageAdminUsers, Title: "Users", Data: v}, nil
}

type rolesParams struct {
	ID    int64    `path:"id" min:"1"`
	Roles []string `json:"roles,omitempty" max:"10" doc:"every role that the user is to have: user, agent, admin; none takes all away"`
}

func (i *Identity) setRoles(c *web.Call, in rolesParams) (any, error) {
	return i.ofUser(c, in, func(tx auth.Tx) (auth.User, error) { return i.auth.SetRoles(tx, in.ID, in.Roles) })
}

func (i *Identity) disable(c *web.Call, in rowParams) (any, error) {
	if in.ID == c.Caller.ID {
		return nil, errs.New(errs.Conflict, "this is your own account; another administrator can disable it")
	}
	return i.ofUser(c, in, func(tx auth.Tx) (auth.User, error) { return i.auth.SetDisabled(tx, in.ID, true) })
}

func (i *Identity) enable(c *web.Call, in rowParams) (any, error) {
	return i.ofUser(c, in, func(tx auth.Tx) (auth.User, error) { return i.auth.SetDisabled(tx, in.ID, false) })
}

// ofUser runs a change of a user in a transaction and makes it count for their next request.
func (i *Identity) ofUser(c *web.Call, in any, fn func(tx auth.Tx) (auth.User, error)) (any, error) {
	var user auth.User
	out, err := web.Update(c, in, i.auth.Store(), func(tx auth.Tx) (person, error) {
		u, err := fn(tx)
		user = u
		return personOf(u), err
	})
	i.auth.Changed(user)
	return out, err
}

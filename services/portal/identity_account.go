package portal

import (
	"strconv"

	"uniqverse/internal/api"
	"uniqverse/internal/auth"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/templates"
)

func (i *Identity) accountPage(c *web.Call, _ web.None) (web.Page, error) {
	return i.accountForm(c, nil, nil)
}

// accountForm shows the caller's account, with what was wrong and an app password just made.
func (i *Identity) accountForm(c *web.Call, wrong templates.FieldErrors, made *templates.NewAppPassword) (web.Page, error) {
	if c.Caller.ID == 0 {
		return web.Page{}, errs.New(errs.Denied, "this is a page for people, and the token is a service's")
	}
	u, err := i.auth.UserByID(c.Context(), c.Caller.ID)
	if err != nil {
		return web.Page{}, err
	}
	v := templates.AccountView{UserID: u.ID, Email: u.Email, Name: u.Display, Roles: u.Roles, Created: u.Created, MinLength: auth.MinPassword,
		NewPassword: made, Submission: i.opts.Submission, Errors: wrong}
	if v.Name == "" {
		v.Name = c.Form("name")
	}
	if err := i.secretsOf(c, u, &v); err != nil {
		return web.Page{}, err
	}
	return web.Page{Template: templates.PageAccount, Title: "Your account", Data: v}, nil
}

// secretsOf lists app passwords and sessions, for the user's own eyes: with a session only.
func (i *Identity) secretsOf(c *web.Call, u auth.User, v *templates.AccountView) error {
	current, err := i.auth.SessionOf(c.Request, c.Caller)
	if errs.Is(err, errs.Denied) {
		return nil
	}
	if err != nil {
		return err
	}
	apps, err := i.auth.AppPasswords(c.Context(), u.ID)
	if err != nil {
		return err
	}
	for _, p := range apps {
		v.AppPasswords = append(v.AppPasswords, templates.AppPassword{ID: strconv.FormatInt(p.ID, 10), Label: p.Label, Created: p.Created, LastUsed: p.LastUsed})
	}
	sessions, err := i.auth.Sessions(c.Context(), u.ID)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		v.Sessions = append(v.Sessions, templates.Session{ID: strconv.FormatInt(s.ID, 10), Device: s.Device, Address: s.Address,
			Created: s.Created, LastSeen: s.LastSeen, Current: s.ID == current.ID})
	}
	return nil
}

func (i *Identity) accountAgain(c *web.Call, err error) (web.Page, bool) {
	wrong, ok := fieldErrors(err)
	if !ok || c.Caller.ID == 0 {
		return web.Page{}, false
	}
	page, err := i.accountForm(c, wrong, nil)
	return page, err == nil
}

// ofAccount runs a change of the caller's own account in a transaction and makes it count.
func ofAccount[In, Out any](i *Identity, c *web.Call, in In, fn func(tx auth.Tx, s auth.Session) (Out, error)) (any, error) {
	s, err := i.auth.SessionOf(c.Request, c.Caller)
	if err != nil {
		return nil, err
	}
	out, err := web.Update(c, in, i.auth.Store(), func(tx auth.Tx) (Out, error) { return fn(tx, s) })
	i.auth.Changed(auth.User{ID: c.Caller.ID, Name: c.Caller.User})
	return out, err
}

// done is the answer of changes that have nothing to tell.
type done struct {
	OK bool `json:"ok"`
}

type profileParams struct {
	Name string `json:"name,omitempty" doc:"the name for people; empty removes it"`
}

func (i *Identity) profile(c *web.Call, in profileParams) (any, error) {
	return ofAccount(i, c, in, func(tx auth.Tx, s auth.Session) (person, error) {
		u, err := i.auth.SetDisplay(tx, s.User, in.Name)
		return personOf(u), err
	})
}

type passwordParams struct {
	Current  string `json:"current" web:"required" max:"4000"`
	Password string `json:"password" web:"required" max:"4000"`
	Username string `json:"username,omitempty" max:"320" doc:"for password managers, which fill it in; when given it must be the caller's address"`
}

func (i *Identity) password(c *web.Call, in passwordParams) (any, error) {
	s, err := i.auth.SessionOf(c.Request, c.Caller)
	if err != nil {
		return nil, err
	}
	if in.Username != "" && i.auth.LocalPart(in.Username) != c.Caller.User {
		return nil, errs.BadField("username", "is another account's; sign in as that one first")
	}
	change, err := i.auth.PrepareChange(c.Context(), s.User, in.Current, in.Password, auth.PeerOf(c.Request))
	if err != nil {
		return nil, err
	}
	return ofAccount(i, c, web.None{}, func(tx auth.Tx, s auth.Session) (done, error) {
		_, err := i.auth.ChangePassword(tx, change, s.ID)
		return done{err == nil}, err
	})
}

type appPasswordParams struct {
	Label string `json:"label" web:"required" max:"60" doc:"which program it is for"`
}

// newAppPassword is the one answer with the secret in it.
type newAppPassword struct {
	ID       int64    `json:"id"`
	Label    string   `json:"label"`
	Password string   `json:"password" doc:"shown this once"`
	Created  api.Time `json:"created_at"`
}

func (i *Identity) newAppPassword(c *web.Call, in appPasswordParams) (any, error) {
	if err := notRepeatable(c); err != nil {
		return nil, err
	}
	s, err := i.auth.SessionOf(c.Request, c.Caller)
	if err != nil {
		return nil, err
	}
	p, secret, err := i.auth.NewAppPassword(c.Context(), s.User, in.Label)
	if err != nil {
		return nil, err
	}
	if c.WantsPage() {
		return i.accountForm(c, nil, &templates.NewAppPassword{Label: p.Label, Password: secret})
	}
	return newAppPassword{ID: p.ID, Label: p.Label, Password: secret, Created: api.TimeOf(p.Created)}, nil
}

type rowParams struct {
	ID int64 `path:"id" min:"1"`
}

func (i *Identity) revokeAppPassword(c *web.Call, in rowParams) (any, error) {
	return ofAccount(i, c, in, func(tx auth.Tx, s auth.Session) (done, error) {
		err := i.auth.RevokeAppPassword(tx, s.User, in.ID)
		return done{err == nil}, err
	})
}

func (i *Identity) revokeSession(c *web.Call, in rowParams) (any, error) {
	return ofAccount(i, c, in, func(tx auth.Tx, s auth.Session) (done, error) {
		err := i.auth.EndSession(tx, s.User, in.ID)
		return done{err == nil}, err
	})
}

func (i *Identity) revokeOthers(c *web.Call, in web.None) (any, error) {
	return ofAccount(i, c, in, func(tx auth.Tx, s auth.Session) (done, error) {
		err := i.auth.EndOtherSessions(tx, s.User, s.ID)
		return done{err == nil}, err
	})
}

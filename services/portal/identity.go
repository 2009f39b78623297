package portal

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"uniqverse/internal/auth"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/templates"
)

// IdentityOptions make an Identity.
type IdentityOptions struct {
	Auth       *auth.Auth
	Site       *web.Site
	Submission string // where app passwords work, "127.0.0.1:2587"; "" when mail is not here
}

// Identity is the part of the portal that knows people: the pages and calls on which they sign up and in, look
// after their account, and get tokens, and those on which administrators look after users. What is
// decided there is package auth's; this is its face.
type Identity struct {
	auth *auth.Auth
	opts IdentityOptions
}

// NewIdentity returns the accounts' part of the portal.
func NewIdentity(opts IdentityOptions) *Identity { return &Identity{auth: opts.Auth, opts: opts} }

// Endpoints are the routes of accounts, beside those of Service.
func (i *Identity) Endpoints() []web.Endpoint {
	const post, get = http.MethodPost, http.MethodGet
	home := func(*web.Call, any) string { return "/" }
	account := func(*web.Call, any) string { return "/account" }
	users := func(*web.Call, any) string { return "/admin/users" }
	return []web.Endpoint{
		web.View("/login", web.Anyone(), "The sign-in form", i.loginPage),
		web.Query(post, "/login", web.Anyone(), "Sign in with a password; answers with the session cookie", i.login).OwnPagesOnly().Redirect(i.next).Retry(i.loginAgain),
		web.Query(post, "/logout", web.Anyone(), "End this session", i.logout).OwnPagesOnly().Redirect(home),
		web.View("/signup", web.Anyone(), "The sign-up form", i.signupPage),
		web.Query(post, "/signup", web.Anyone(), "Make an account and sign in", i.signup).OwnPagesOnly().Redirect(i.next).Retry(i.signupAgain),
		web.View("/setup", web.Anyone(), "The form for the first administrator, from the link that the first start prints", i.setupPage),
		web.Query(post, "/setup", web.Anyone(), "Make the first administrator and sign in", i.setup).OwnPagesOnly().Redirect(home).Retry(i.setupAgain),

		web.Query(post, "/auth/token", web.Anyone(), "A bearer token for who shows a password, a session or a token", i.token).OwnPagesOnly(),
		web.Query(get, "/auth/whoami", web.Needs(""), "Who the caller is, and what they may do", i.whoami),
		web.Query(get, "/.well-known/jwks.json", web.Anyone(), "The public keys of the portal's tokens (RFC 7517)", i.jwks),

		web.View("/account", web.Needs(""), "The caller's own account", i.accountPage),
		web.Query(post, "/account/profile", web.Needs(""), "Change the caller's name for people; needs a session", i.profile).Redirect(account).Retry(i.accountAgain),
		web.Query(post, "/account/password", web.Needs(""), "Change the caller's password; needs a session", i.password).Redirect(account).Retry(i.accountAgain),
		web.Query(post, "/account/app-passwords", web.Needs(""), "Make a password for a mail program, shown once; needs a session", i.newAppPassword).Retry(i.accountAgain),
		web.Query(post, "/account/app-passwords/{id}/revoke", web.Needs(""), "Take an app password back; needs a session", i.revokeAppPassword).Redirect(account).Retry(i.accountAgain),
		web.Query(post, "/account/sessions/{id}/revoke", web.Needs(""), "End one of the caller's sessions; needs a session", i.revokeSession).Redirect(account).Retry(i.accountAgain),
		web.Query(post, "/account/sessions/revoke-others", web.Needs(""), "End all other sessions, and all tokens handed out; needs a session", i.revokeOthers).Redirect(account).Retry(i.accountAgain),

		web.View("/admin/users", web.Needs("portal.admin"), "The users, for administrators", i.usersPage),
		web.Query(get, "/admin/users", web.Needs("portal.admin"), "The users, newest first", i.users),
		web.Query(post, "/admin/users/{id}/roles", web.Needs("portal.admin"), "Give a user exactly these roles", i.setRoles).Redirect(users),
		web.Query(post, "/admin/users/{id}/disable", web.Needs("portal.admin"), "Shut a user out: sessions, tokens and app passwords stop at once", i.disable).Redirect(users),
		web.Query(post, "/admin/users/{id}/enable", web.Needs("portal.admin"), "Let a user in again", i.enable).Redirect(users),
	}
}

// person is a user in answers.
type person struct {
	User     string   `json:"user" doc:"the address"`
	UserID   int64    `json:"user_id"`
	Name     string   `json:"name" doc:"the name for people"`
	Roles    []string `json:"roles"`
	Disabled bool     `json:"disabled"`
}

func personOf(u auth.User) person {
	return person{User: u.Email, UserID: u.ID, Name: u.Display, Roles: u.Roles, Disabled: u.Disabled}
}

type loginParams struct {
	User     string `json:"user" web:"required" max:"320" doc:"the address, or its part before the @"`
	Password string `json:"password" web:"required" max:"4000"`
	nextField
}

// nextField is where a form goes on to.
type nextField struct {
	Next string `json:"next,omitempty" max:"2000" doc:"where to go afterwards: a path here, or an address of another of these services"`
}

func (i *Identity) loginPage(c *web.Call, in nextField) (web.Page, error) {
	return i.loginForm(c, in.Next, nil), nil
}

func (i *Identity) loginForm(c *web.Call, next string, wrong templates.FieldErrors) web.Page {
	v := templates.LoginView{User: c.Form("user"), Next: next, Domain: i.auth.Domain(), CanSignUp: i.auth.SignUpOpen(), Errors: wrong}
	if i.auth.DemoFor(c.Request) {
		v.DemoURL = "/"
	}
	return web.Page{Template: templates.PageLogin, Title: "Sign in", Data: v}
}

func (i *Identity) loginAgain(c *web.Call, err error) (web.Page, bool) {
	wrong, ok := fieldErrors(err)
	return i.loginForm(c, c.Form("next"), wrong), ok
}

// next is where a browser goes after signing in; never elsewhere than to our own pages.
func (i *Identity) next(c *web.Call, _ any) string {
	return i.opts.Site.SafeNext(c.Request, c.Form("next"))
}

func (i *Identity) login(c *web.Call, in loginParams) (person, error) {
	if err := notRepeatable(c); err != nil {
		return person{}, err
	}
	peer := auth.PeerOf(c.Request)
	u, err := i.auth.SignIn(c.Context(), in.User, in.Password, peer)
	if err != nil {
		return person{}, err
	}
	token, err := i.auth.OpenSession(c.Context(), u, peer)
	if err != nil {
		return person{}, err
	}
	i.signedIn(c, u, token)
	return personOf(u), nil
}

// signedIn gives the browser its session. A session that it had before ends: the new one must not be
// known to anybody who planted the old one.
func (i *Identity) signedIn(c *web.Call, u auth.User, token auth.SessionToken) {
	if old, err := i.auth.SessionOf(c.Request, web.Caller{Via: web.SessionCookie}); err == nil {
		err := i.auth.Store().Update(c.Context(), nil, func(tx auth.Tx) error { return i.auth.EndSession(tx, old.User, old.ID) })
		if err != nil {
			c.Log.Warn("earlier session not ended", "err", err.Error())
		}
	}
	i.auth.Changed(u)
	c.Header().Add("Set-Cookie", token.Cookie(c.Request).String())
}

func (i *Identity) logout(c *web.Call, _ web.None) (web.None, error) {
	c.Header().Add("Set-Cookie", auth.NoCookie(c.Request).String())
	s, err := i.auth.SessionOf(c.Request, web.Caller{Via: web.SessionCookie})
	if errs.Is(err, errs.Denied) {
		return web.None{}, nil // not signed in: nothing to end
	}
	if err != nil {
		return web.None{}, err
	}
	err = i.auth.Store().Update(c.Context(), nil, func(tx auth.Tx) error { return i.auth.EndSession(tx, s.User, s.ID) })
	i.auth.Changed(auth.User{ID: s.User, Name: c.Caller.User})
	if errs.Is(err, errs.NotFound) {
		err = nil
	}
	return web.None{}, err
}

type accountParams struct {
	User     string `json:"user" web:"required" max:"64" doc:"the part of the address before the @"`
	Name     string `json:"name,omitempty" doc:"the name for people"`
	Password string `json:"password" web:"required" max:"4000"`
}

func (p accountParams) account() auth.Account {
	return auth.Account{User: p.User, Display: p.Name, Password: p.Password}
}

type signupParams struct {
	accountParams
	nextField
}

func (i *Identity) signupPage(c *web.Call, in nextField) (web.Page, error) {
	return i.signupForm(c, in.Next, nil), nil
}

func (i *Identity) signupForm(c *web.Call, next string, wrong templates.FieldErrors) web.Page {
	if !i.auth.SignUpOpen() && wrong == nil {
		wrong = templates.FieldErrors{"": "Accounts of this installation are made elsewhere; sign in there."}
	}
	return web.Page{Template: templates.PageSignup, Title: "Create an account", Data: templates.SignupView{
		User: c.Form("user"), Name: c.Form("name"), Next: next, Domain: i.auth.Domain(), MinLength: auth.MinPassword, Errors: wrong}}
}

func (i *Identity) signupAgain(c *web.Call, err error) (web.Page, bool) {
	wrong, ok := fieldErrors(err)
	return i.signupForm(c, c.Form("next"), wrong), ok
}

func (i *Identity) signup(c *web.Call, in signupParams) (any, error) {
	peer := auth.PeerOf(c.Request)
	n, err := i.auth.PrepareSignUp(c.Context(), in.account(), peer)
	if err != nil {
		return nil, err
	}
	var user auth.User
	var token auth.SessionToken
	in.Password = "" // nothing that is derived from it is kept with an Idempotency-Key
	out, err := web.Update(c, in, i.auth.Store(), func(tx auth.Tx) (person, error) {
		user, token, err = i.auth.SignUp(c.Context(), tx, n, peer)
		return personOf(user), err
	})
	if err == nil && token != "" {
		i.signedIn(c, user, token)
	}
	return out, err
}

type setupPageParams struct {
	Token string `json:"token,omitempty" max:"200"`
}

type setupParams struct {
	Token string `json:"token" web:"required" max:"200" doc:"from the link that the first start prints"`
	accountParams
}

func (i *Identity) setupPage(c *web.Call, in setupPageParams) (web.Page, error) {
	works, err := i.auth.SetupWorks(c.Context(), in.Token)
	if err != nil {
		return web.Page{}, err
	}
	return i.setupForm(c, in.Token, !works, nil), nil
}

func (i *Identity) setupForm(c *web.Call, token string, gone bool, wrong templates.FieldErrors) web.Page {
	v := templates.SetupView{Gone: gone, Domain: i.auth.Domain(), MinLength: auth.MinPassword, Errors: wrong}
	if !gone {
		v.Token, v.User, v.Name = token, c.Form("user"), c.Form("name")
	}
	return web.Page{Template: templates.PageSetup, Title: "Set up UniQVerse", Data: v}
}

func (i *Identity) setupAgain(c *web.Call, err error) (web.Page, bool) {
	wrong, ok := fieldErrors(err)
	return i.setupForm(c, c.Form("token"), errs.Is(err, errs.Denied), wrong), ok
}

func (i *Identity) setup(c *web.Call, in setupParams) (any, error) {
	n, err := i.auth.PrepareSetup(c.Context(), in.Token, in.account())
	if err != nil {
		return nil, err
	}
	var user auth.User
	var session auth.SessionToken
	link := in.Token
	in.Token, in.Password = "", ""
	out, err := web.Update(c, in, i.auth.Store(), func(tx auth.Tx) (person, error) {
		user, session, err = i.auth.Setup(c.Context(), tx, link, n, auth.PeerOf(c.Request))
		return personOf(user), err
	})
	if err == nil && session != "" {
		i.signedIn(c, user, session)
	}
	return out, err
}

type tokenParams struct {
	User     string `json:"user,omitempty" max:"320" doc:"with password; leave both out to use a session or a token"`
	Password string `json:"password,omitempty" max:"4000"`
	Aud      string `json:"aud,omitempty" max:"1000" doc:"services (portal, game, email, chat) separated by spaces; all when left out"`
	Scope    string `json:"scope,omitempty" max:"1000" doc:"scopes separated by spaces; all that the caller has when left out"`
	TTL      int    `json:"ttl,omitempty" min:"60" max:"86400" doc:"seconds; 3600 when left out"`
}

// Check refuses half a password.
func (p *tokenParams) Check() error {
	if (p.User == "") != (p.Password == "") {
		return errs.BadField("password", "and user go together; give both, or neither with a session or a token")
	}
	return nil
}

// tokenAnswer is RFC 6749's, section 5.1.
type tokenAnswer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in" doc:"seconds"`
	Scope       string `json:"scope"`
}

func (i *Identity) token(c *web.Call, in tokenParams) (tokenAnswer, error) {
	if err := notRepeatable(c); err != nil {
		return tokenAnswer{}, err
	}
	g := auth.Grant{Audience: in.Aud, Scope: in.Scope, TTL: time.Duration(in.TTL) * time.Second}
	var t auth.Token
	var err error
	switch {
	case in.User != "":
		var u auth.User
		if u, err = i.auth.SignIn(c.Context(), in.User, in.Password, auth.PeerOf(c.Request)); err == nil {
			t, err = i.auth.IssueTo(u, g)
		}
	case !c.Caller.Known():
		err = errs.New(errs.Unauthenticated, "show who you are: send user and password, a session cookie, or Authorization: Bearer …")
	default:
		t, err = i.auth.IssueFor(c.Request, c.Caller, g)
	}
	return tokenAnswer{AccessToken: t.Text, TokenType: "Bearer", ExpiresIn: int(t.Expires.Seconds()), Scope: t.Scope}, err
}

type whoamiAnswer struct {
	User    string   `json:"user" doc:"the address; empty for a service that acts for nobody"`
	UserID  int64    `json:"user_id"`
	Handle  string   `json:"handle"`
	Scopes  []string `json:"scopes"`
	Demo    bool     `json:"demo"`
	Admin   bool     `json:"admin"`
	Service string   `json:"service,omitempty" doc:"the service whose call it is"`
	Via     string   `json:"via" doc:"none, bearer, query or session"`
}

func (i *Identity) whoami(c *web.Call, _ web.None) (whoamiAnswer, error) {
	w := whoamiAnswer{User: c.Caller.Email, UserID: c.Caller.ID, Scopes: c.Caller.Scopes, Demo: c.Caller.Demo, Admin: c.Caller.Admin, Service: c.Caller.Server}
	if c.Caller.User != "" {
		w.Handle = "@" + c.Caller.User
	}
	if w.Scopes == nil {
		w.Scopes = []string{}
	}
	switch c.Caller.Via {
	case web.BearerToken:
		w.Via = "bearer"
	case web.QueryToken:
		w.Via = "query"
	case web.SessionCookie:
		w.Via = "session"
	default:
		w.Via = "none"
	}
	return w, nil
}

func (i *Identity) jwks(c *web.Call, _ web.None) (json.RawMessage, error) {
	c.Header().Set("Cache-Control", "public, max-age=300")
	return i.auth.JWKS(), nil
}

// notRepeatable refuses an Idempotency-Key where the answer holds a secret: repeating the answer would mean to
// store it.
func notRepeatable(c *web.Call) error {
	if len(c.Request.Header.Values("Idempotency-Key")) == 0 {
		return nil
	}
	return errs.BadField("Idempotency-Key", "is not taken here: the answer holds a secret that is not stored; leave it out")
}

// fieldErrors turns a refusal into what a form shows; ok is false for failures of ours, which get the error page.
func fieldErrors(err error) (templates.FieldErrors, bool) {
	var e *errs.Error
	if !errors.As(err, &e) || !slices.Contains([]errs.Kind{errs.Invalid, errs.Unauthenticated, errs.Limited, errs.Conflict, errs.Denied, errs.NotFound, errs.Unavailable}, e.Kind) {
		return nil, false
	}
	wrong := templates.FieldErrors{}
	for _, f := range e.Fields {
		wrong[f.Field] = f.Detail
	}
	if len(wrong) == 0 {
		wrong[""] = sentence(e.Detail)
	}
	return wrong, true
}

// sentence begins with a capital and ends with a full stop.
func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + strings.TrimSuffix(s[1:], ".") + "."
}

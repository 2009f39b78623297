package auth

import (
	"context"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// TokenLogin signs a program in that presents a bearer token outside of HTTP, as mail programs do with OAUTHBEARER
// (RFC 7628): the token must be good for the service as it would be there, and carry the scope. local says that
// the program is on this machine, for which the demo identity may be on. A wrong token is errs.Unauthenticated,
// one without the scope errs.Denied.
func (a *Auth) TokenLogin(ctx context.Context, service, scope, token string, local bool) (User, error) {
	var (
		c   web.Caller
		err error
	)
	if token == DemoName {
		if !a.demo || !a.forced && !local {
			return User{}, refuse("the demo identity is off here; use a token of your own", nil)
		}
		c, err = a.demoCaller(ctx, web.BearerToken)
	} else {
		c, err = authenticator{a: a, audience: a.audience(service), own: serviceAudience(service)}.byToken(ctx, token, web.BearerToken)
	}
	if err != nil {
		return User{}, err
	}
	if c.User == "" {
		return User{}, refuse("the token names no user", nil)
	}
	if !c.Has(scope) {
		return User{}, errs.New(errs.Denied, "the token does not carry the scope %s", scope)
	}
	return a.UserByName(ctx, c.User)
}

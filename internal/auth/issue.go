package auth

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"uniqverse/internal/config"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// The bounds of a token's life, for those that the portal hands out.
const (
	DefaultTTL = time.Hour
	MinTTL     = time.Minute
	MaxTTL     = 24 * time.Hour
)

// Grant is what a token is asked for with.
type Grant struct {
	Audience string        // service names or audiences, separated by spaces; "" is every service
	Scope    string        // scopes separated by spaces; "" is all that the caller has
	TTL      time.Duration // 0 is DefaultTTL
}

// Token is a token that was handed out.
type Token struct {
	Text    string
	Expires time.Duration // from now
	Scope   string        // its scopes, separated by spaces
}

// IssueTo hands a token to a user who has just shown their password.
func (a *Auth) IssueTo(u User, g Grant) (Token, error) {
	return a.issue(u, g, ScopesOf(u.Roles), nil, MaxTTL)
}

// IssueFor hands a token to the caller of a request. For a session it carries at most what the user's roles
// allow; for a token at most what that one carries, for its audiences and until it expires.
func (a *Auth) IssueFor(r *http.Request, c web.Caller, g Grant) (Token, error) {
	if c.Demo || c.Server != "" || c.User == "" {
		return Token{}, errs.New(errs.Denied, "tokens are for people who signed in; the demo identity's token is the word demo")
	}
	u, err := a.UserByID(r.Context(), c.ID)
	if err != nil {
		return Token{}, err
	}
	if c.Via == web.SessionCookie {
		return a.issue(u, g, c.Scopes, nil, MaxTTL)
	}
	text, _, err := credential(r)
	if err != nil {
		return Token{}, err
	}
	v, err := a.verify(r.Context(), text)
	if err != nil {
		return Token{}, err
	}
	return a.issue(u, g, v.scopes, v.audiences, v.expires.Sub(a.now()))
}

// issue makes the token: scopes and audiences (nil is all) are what may be asked for, longest how long it may live.
func (a *Auth) issue(u User, g Grant, scopes, audiences []string, longest time.Duration) (Token, error) {
	if a.jwks != nil && a.secret == nil {
		return Token{}, errs.New(errs.NotFound, "tokens of this installation come from %s; ask there", a.external)
	}
	ttl := g.TTL
	if ttl == 0 {
		ttl = min(DefaultTTL, longest)
	}
	if ttl < MinTTL && ttl < longest || ttl > MaxTTL {
		return Token{}, errs.BadField("ttl", "must be %d to %d seconds", int(MinTTL.Seconds()), int(MaxTTL.Seconds()))
	}
	ttl = min(ttl, longest)
	give := scopes
	if g.Scope != "" {
		give = strings.Fields(g.Scope)
		for _, s := range give {
			if !slices.Contains(scopes, s) {
				return Token{}, errs.New(errs.Denied, "you do not have the scope %q yourself", s)
			}
		}
	}
	aud, err := a.audiences(g.Audience, audiences)
	if err != nil {
		return Token{}, err
	}
	c := userClaims(u.Name, a.domain, a.issuer, aud, give, a.now(), ttl)
	c.Generation = &u.Generation
	text, err := sign(c, a.secret, a.ownKeys())
	return Token{Text: text, Expires: ttl, Scope: strings.Join(give, " ")}, err
}

// audiences reads a list of services or audiences; allowed bounds it, nil is every service's.
func (a *Auth) audiences(asked string, allowed []string) ([]string, error) {
	all := everyAudience(a.audience)
	if allowed == nil {
		allowed = all
	}
	if asked == "" {
		return allowed, nil
	}
	var out []string
	for _, name := range strings.Fields(asked) {
		if slices.Contains(serviceNames(), name) {
			name = a.audience(name)
		}
		if !slices.Contains(all, name) {
			return nil, errs.BadField("aud", "must be of %s", strings.Join(serviceNames(), ", "))
		}
		if !slices.Contains(allowed, name) {
			return nil, errs.New(errs.Denied, "your token is not for %q itself", name)
		}
		out = append(out, name)
	}
	return out, nil
}

func serviceNames() []string { return []string{"portal", "game", "email", "chat"} }

func everyAudience(of func(string) string) []string {
	var all []string
	for _, s := range serviceNames() {
		all = append(all, of(s))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func userClaims(user, domain, issuer string, aud, scopes []string, now time.Time, ttl time.Duration) claims {
	if issuer == "" {
		issuer = ownIssuer
	}
	return claims{
		RegisteredClaims: jwt.RegisteredClaims{Issuer: issuer, Subject: user, Audience: aud,
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(ttl))},
		Email: user + "@" + domain, Scope: strings.Join(scopes, " "),
	}
}

// MintOptions are what `uniqverse token` makes a token from. Whoever can read the data folder may have any.
type MintOptions struct {
	Config   config.Config
	User     string        // local part, or an address in the domain
	Scopes   []string      // nil is what the role user has
	Audience []string      // names of services or audiences; nil is every service
	TTL      time.Duration // 0 is DefaultTTL; at most a year
	Now      func() time.Time
}

// Mint makes a token from the shell, without a running server: signed with VEZE_JWT_SECRET or the data folder's key,
// which is made when there is none. It is not tied to the user's roles, and it ends by its expiry, or when the user is disabled.
func Mint(ctx context.Context, o MintOptions) (string, error) {
	c := o.Config
	if c.JWKSURL != "" && c.JWTSecret == "" {
		return "", errs.New(errs.NotFound, "tokens come from the issuer that VEZE_JWKS_URL names; ask there, or unset it")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.TTL == 0 {
		o.TTL = DefaultTTL
	}
	if o.TTL < time.Second || o.TTL > 366*24*time.Hour {
		return "", errs.BadField("ttl", "must be a second to a year")
	}
	a := &Auth{domain: strings.ToLower(c.Domain)}
	user := a.LocalPart(o.User)
	if user == "" {
		return "", errs.BadField("user", "must be a local part (a-z, 0-9, dot, hyphen, underscore) or an address at %s", a.domain)
	}
	if o.Scopes == nil {
		o.Scopes = ScopesOf([]string{RoleUser})
	}
	for _, s := range o.Scopes {
		if !slices.Contains(allScopes(), s) {
			return "", errs.BadField("scopes", "holds %q, which is no scope; there are %s", s, strings.Join(allScopes(), ", "))
		}
	}
	aud := everyAudience(c.Audience)
	if o.Audience != nil {
		aud = nil
		for _, name := range o.Audience {
			if slices.Contains(serviceNames(), name) {
				name = c.Audience(name)
			}
			aud = append(aud, name)
		}
	}
	cl := userClaims(user, a.domain, c.JWTIssuer, aud, o.Scopes, o.Now(), o.TTL)
	if c.JWTSecret != "" {
		return sign(cl, []byte(c.JWTSecret.Reveal()), nil)
	}
	keys, err := loadKeys(c.DataDir, o.Now())
	if err != nil {
		return "", err
	}
	return sign(cl, nil, keys)
}

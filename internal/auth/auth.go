package auth

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"uniqverse/internal/config"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// Options make an Auth.
type Options struct {
	// Config has the data folder, the domain, how tokens are verified, the audiences, and
	// the demo identity's conditions.
	Config config.Config
	Store  Store
	Log    *slog.Logger     // nil is silent
	Now    func() time.Time // nil is time.Now
	HTTP   *http.Client     // fetches VEZE_JWKS_URL; nil takes one with a deadline of 2 s
}

// Auth knows who is calling. Make one with New.
type Auth struct {
	// Internal signs the calls between our own services.
	Internal Internal

	store    Store
	log      *slog.Logger
	now      func() time.Time
	dir      string
	domain   string
	issuer   string // that users' tokens must name; "" is any, or our own
	external string // who issues users' tokens when it is not the portal, for people; "" is the portal
	secret   []byte // of HS256, nil for none
	jwks     *keySet
	audience func(service string) string
	demo     bool // demo identity is on
	forced   bool // for any Host
	parser   *jwt.Parser
	hasher   *hasher

	byPair, byAccount, byAddress, signups, noted *throttle

	tokens   *cache[[32]byte, verified]
	sessions *cache[[32]byte, Session]
	byID     *cache[int64, User]
	byName   *cache[string, User]

	keysMu   sync.Mutex // guards keys and keysRead
	keys     []signingKey
	keysRead time.Time
}

// New reads or makes the keys of the data folder. An error is one sentence for the person who starts the program.
func New(o Options) (*Auth, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := o.Config
	a := &Auth{
		store: o.Store, log: o.Log, now: o.Now, dir: c.DataDir, domain: strings.ToLower(c.Domain), issuer: c.JWTIssuer,
		audience: c.Audience, demo: c.DemoIdentity(), forced: c.DemoForced(), parser: newParser(o.Now), hasher: newHasher(),
		byPair: newThrottle(pairBurst, pairEvery), byAccount: newThrottle(accountBurst, accountEvery), byAddress: newThrottle(addressBurst, addressEvery),
		signups: newThrottle(signupBurst, signupEvery), noted: newThrottle(1, seenEvery),
		tokens: newCache[[32]byte, verified](4_000), sessions: newCache[[32]byte, Session](10_000),
		byID: newCache[int64, User](10_000), byName: newCache[string, User](10_000),
	}
	secret, err := serviceSecret(c.ServiceToken.Reveal(), c.DataDir)
	if err != nil {
		return nil, err
	}
	if a.Internal, err = newInternal(secret, o.Now); err != nil {
		return nil, err
	}
	a.Internal.demoFar = a.demo && c.ServiceToken == ""
	if c.JWTSecret != "" {
		a.secret, a.external = []byte(c.JWTSecret.Reveal()), "the issuer that signs with VEZE_JWT_SECRET"
	}
	if c.JWKSURL != "" {
		a.jwks, a.external = newKeySet(c.JWKSURL, o.HTTP, o.Log, o.Now), "the issuer whose keys are at "+c.JWKSURL
	}
	if a.issues() {
		if a.keys, err = loadKeys(c.DataDir, o.Now()); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// Close waits for what runs in the background: a fetch of keys, two seconds at most.
func (a *Auth) Close() {
	if a.jwks != nil {
		a.jwks.running.Wait()
	}
}

// Domain returns the mail domain, the part of every address after the @.
func (a *Auth) Domain() string { return a.domain }

// Store returns the store, for web.Command and web.Update.
func (a *Auth) Store() Store { return a.store }

// For returns the authenticator of a service: tokens must name its audience.
func (a *Auth) For(service string) web.Authenticator {
	return authenticator{a: a, audience: a.audience(service), own: serviceAudience(service)}
}

type authenticator struct {
	a        *Auth
	audience string // in users' tokens
	own      string // in our services' tokens
}

// Authenticate is web.Authenticator's.
func (s authenticator) Authenticate(r *http.Request, tokenWanted bool) (web.Caller, error) {
	a := s.a
	token, via, err := credential(r)
	if err != nil {
		return web.Caller{}, err
	}
	switch {
	case token == DemoName && via != web.NoCredential:
		if !a.DemoFor(r) {
			return web.Caller{}, refuse("the demo identity is off here; sign in, or use a token of your own", nil)
		}
		return a.demoCaller(r.Context(), via)
	case via != web.NoCredential:
		return s.byToken(r.Context(), token, via)
	}
	session, found, err := a.sessionIn(r)
	if err != nil {
		return web.Caller{}, err
	}
	if found {
		c, err := a.bySession(r.Context(), session)
		if !s.mail() {
			c.Wards = nil
		}
		if err != nil || c.Known() {
			return c, err
		}
	}
	if !tokenWanted && a.DemoFor(r) {
		return a.demoCaller(r.Context(), web.NoCredential)
	}
	return web.Caller{}, nil
}

// mail reports whether this is the mail service, where alone people act for their wards.
func (s authenticator) mail() bool { return s.own == serviceAudience("email") }

// AuthenticateApp is web.AppAuthenticator's: a mail program with an app password reads and sends its user's mail, and
// does nothing else.
func (s authenticator) AuthenticateApp(r *http.Request) (web.Caller, error) {
	name, password, _ := r.BasicAuth()
	u, err := s.a.AppLogin(r.Context(), name, password)
	if err != nil {
		return web.Caller{}, err
	}
	return web.Caller{User: u.Name, Email: u.Email, ID: u.ID, Scopes: []string{"email.read", "email.send"}, Via: web.AppPassword}, nil
}

// credential finds the token in a request. An Authorization header that is not a bearer token is refused rather
// than passed over: whoever sends it means to be somebody.
func credential(r *http.Request) (token string, via web.Credential, err error) {
	headers := r.Header.Values("Authorization")
	query := queryTokens(r)
	if len(headers)+len(query) > 1 {
		return "", 0, refuse("the request carries more than one token; send one", nil)
	}
	switch {
	case len(headers) == 1:
		scheme, rest, _ := strings.Cut(headers[0], " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", 0, refuse("the Authorization header must be Bearer and a token", nil)
		}
		return strings.TrimSpace(rest), web.BearerToken, nil
	case len(query) == 1:
		return query[0], web.QueryToken, nil
	}
	return "", web.NoCredential, nil
}

func queryTokens(r *http.Request) []string {
	if !strings.Contains(r.URL.RawQuery, "access_token") {
		return nil // the common case costs no parsing
	}
	return r.URL.Query()["access_token"]
}

func (s authenticator) byToken(ctx context.Context, token string, via web.Credential) (web.Caller, error) {
	a := s.a
	v, err := a.verify(ctx, token)
	if err != nil {
		return web.Caller{}, err
	}
	want := s.audience
	if v.service != "" {
		want = s.own
	}
	if !slices.Contains(v.audiences, want) {
		return web.Caller{}, refuse("the token is for another service; it must name "+want+" as an audience", nil)
	}
	c := web.Caller{Server: v.service, Scopes: v.scopes, Demo: v.demo, Via: via}
	if v.service == "" {
		c.Expires = a.expiry(v)
	}
	if v.user == "" {
		return c, nil
	}
	u, err := a.Ensure(ctx, v.user)
	if err != nil {
		return web.Caller{}, err
	}
	if u.Disabled {
		return web.Caller{}, refuse("this account is disabled; ask an administrator to enable it", nil)
	}
	if v.generation != nil && *v.generation != u.Generation {
		return web.Caller{}, refuse("the token was withdrawn; get a new one", nil)
	}
	c.User, c.Email, c.ID = u.Name, u.Email, u.ID
	c.Admin = c.Server == "" && c.Has("portal.admin")
	if s.mail() {
		c.Wards = u.Wards
	}
	if v.service == "" {
		a.seen(ctx, u, nil)
	}
	return c, nil
}

// expiry is when what a token opened must end: at its exp, or, where a clock that goes otherwise is all that keeps it
// good, when that leeway ends.
func (a *Auth) expiry(v verified) time.Time {
	if v.expires.After(a.now()) {
		return v.expires
	}
	return v.expires.Add(leeway)
}

// bySession returns nobody for the session of a disabled user.
func (a *Auth) bySession(ctx context.Context, s Session) (web.Caller, error) {
	u, err := a.UserByID(ctx, s.User)
	if errs.Is(err, errs.NotFound) || err == nil && u.Disabled {
		return web.Caller{}, nil
	}
	if err != nil {
		return web.Caller{}, err
	}
	a.seen(ctx, u, &s)
	return web.Caller{User: u.Name, Email: u.Email, ID: u.ID, Scopes: ScopesOf(u.Roles), Via: web.SessionCookie, Admin: u.Has(RoleAdmin), Wards: u.Wards}, nil
}

// demoCaller is the demo identity; its row is made at its first call.
func (a *Auth) demoCaller(ctx context.Context, via web.Credential) (web.Caller, error) {
	u, err := a.Ensure(ctx, DemoName)
	if err != nil {
		return web.Caller{}, err
	}
	if u.Disabled {
		return web.Caller{}, refuse("the user demo is disabled, and the demo identity with it", nil)
	}
	return web.Caller{User: u.Name, Email: u.Email, ID: u.ID, Scopes: demoScopes(), Demo: true, Via: via}, nil
}

// DemoFor reports whether the demo identity is on for a request: by the settings (config.Config.DemoIdentity) and,
// unless VEZE_JWT_DEMO=1 forces it, because the request names this machine as its host. A page elsewhere whose name
// was made to resolve to this machine still sends its own name. A request that a proxy on this machine passed on for
// somebody elsewhere is not one to this machine either, whatever Host the proxy writes.
func (a *Auth) DemoFor(r *http.Request) bool {
	return a.demo && (a.forced || loopbackName(r.Host) && !forwarded(r))
}

// forwarded reports whether a proxy says that it passes the request on for another machine.
func forwarded(r *http.Request) bool {
	for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "X-Forwarded-Host"} {
		for _, line := range r.Header.Values(name) {
			for host := range strings.SplitSeq(line, ",") {
				if host = strings.TrimSpace(host); host != "" && !loopbackName(host) {
					return true
				}
			}
		}
	}
	return false
}

// loopbackName reports whether the Host header, with or without a port, names this machine.
func loopbackName(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Zone() == "" && ip.Unmap().IsLoopback()
}

package auth

import (
	"crypto/hkdf"
	"crypto/sha256"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"uniqverse/internal/web"
)

// serviceTokenLife is how long a call between our services may be on its way.
const serviceTokenLife = time.Minute

// Internal signs the calls of one of our services to another.
type Internal struct {
	key     []byte
	now     func() time.Time
	demoFar bool // no secret is shared with other hosts, and demo identity is on
}

// newInternal derives the key: the secret itself signs nothing, so a VEZE_JWT_SECRET of the same text is
// still another key.
func newInternal(secret []byte, now func() time.Time) (Internal, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "uniqverse calls between services, HS256, 1", 32)
	return Internal{key: key, now: now}, err
}

// Sign puts a service token on the request: the service as calls aud for the user (local part; "" for nobody)
// with these scopes. It takes the place of any Authorization. Our own processes alone accept it, for a minute.
func (n *Internal) Sign(req *http.Request, as, aud, user string, scopes ...string) error {
	return n.sign(req, as, aud, user, false, scopes)
}

func (n *Internal) sign(req *http.Request, as, aud, user string, demo bool, scopes []string) error {
	now := n.now()
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{Issuer: serviceIssuer, Subject: as, Audience: jwt.ClaimStrings{serviceAudience(aud)},
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(serviceTokenLife))},
		Scp: scopes, Acting: user, Demo: demo,
	})
	t.Header["kid"] = serviceIssuer
	text, err := t.SignedString(n.key)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+text)
	return nil
}

// Authorize puts on the request what lets the service as ask target on the caller's behalf, with these scopes:
// a service token for the caller's user. Where target is far, no VEZE_SERVICE_TOKEN is shared, and the caller
// is the demo identity, it is the token "demo": the other host then decides by its own demo conditions.
func (n *Internal) Authorize(req *http.Request, as, target string, far bool, caller web.Caller, scopes ...string) error {
	if far && n.demoFar && caller.Demo {
		req.Header.Set("Authorization", "Bearer "+DemoName)
		return nil
	}
	return n.sign(req, as, target, caller.User, caller.Demo, scopes)
}

// serviceAudience is the aud of calls to a service; the desk and xengine answer on chat's handler.
func serviceAudience(service string) string {
	if service == "desk" || service == "xengine" {
		service = "chat"
	}
	return "service:" + service
}

// Relay prepares a request that the portal passes on to a service on another host. The session cookie is a secret of
// this host and stays here; where it says who calls, a service token for its user, with the user's scopes, takes its
// place. ownPage is whether the request comes from a page of ours (web.Site.OriginAllowed): the other host sees no
// cookie, so protection against other sites' pages has to happen here.
func (a *Auth) Relay(out *http.Request, target string, ownPage bool) error {
	cookies := out.CookiesNamed(CookieName)
	if len(cookies) == 0 {
		return nil
	}
	session, found, err := a.sessionIn(out)
	if err != nil {
		return err
	}
	keep := out.Cookies()
	out.Header.Del("Cookie")
	for _, c := range keep {
		if c.Name != CookieName {
			out.AddCookie(c)
		}
	}
	if _, via, err := credential(out); !found || !ownPage || err != nil || via != web.NoCredential {
		return nil
	}
	c, err := a.bySession(out.Context(), session)
	if err != nil || !c.Known() {
		return err
	}
	return a.Internal.sign(out, "portal", target, c.User, false, c.Scopes)
}

package auth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"uniqverse/internal/errs"
)

const (
	// ownIssuer is the iss of tokens that the portal issues, unless VEZE_JWT_ISS names another.
	ownIssuer = "uniqverse"
	// serviceIssuer is the iss, and the key id, of calls between our own services.
	serviceIssuer = "uniqverse-service"

	leeway   = 30 * time.Second // for clocks that differ (contract, section 3)
	maxToken = 16 << 10         // bytes
	maxList  = 200              // scopes or audiences of one token

	// verifiedFor bounds how long a token is remembered as good: a key withdrawn by its issuer
	// must stop working soon.
	verifiedFor = 5 * time.Minute
)

// verified is a token whose signature and times hold, ready for the question of who and where.
type verified struct {
	user       string // local part; "" for a service that acts for nobody
	service    string // name of our own service whose call it is, "" for a user's token
	demo       bool   // our own service calls for the demo identity
	scopes     []string
	audiences  []string
	expires    time.Time
	until      time.Time // when this stops being remembered
	generation *int64    // of the user, in tokens that the portal handed out
}

func (v verified) fresh(now time.Time) bool {
	return now.Before(v.until) && now.Before(v.expires.Add(leeway))
}

// refuse is a token that does not hold. The cause is for the log: it may quote the token's claims.
func refuse(detail string, cause error) *errs.Error {
	return &errs.Error{Kind: errs.Unauthenticated, Detail: detail, Err: cause}
}

// claims are what tokens say.
type claims struct {
	jwt.RegisteredClaims
	Email         string     `json:"email,omitempty"`
	EmailVerified any        `json:"email_verified,omitempty"` // true or false, or these as text
	Scope         string     `json:"scope,omitempty"`
	Scp           stringList `json:"scp,omitempty"`

	// Ours alone.
	Generation *int64 `json:"uniq_gen,omitempty"`  // the user's generation when the portal handed the token out
	Acting     string `json:"uniq_user,omitempty"` // whom one of our services acts for
	Demo       bool   `json:"uniq_demo,omitempty"` // and that this is the demo identity
}

// stringList is a list of text, or one text, as some issuers write scp.
type stringList []string

// UnmarshalJSON takes a list of strings or one string of words; anything else is an error.
func (l *stringList) UnmarshalJSON(b []byte) error {
	var one string
	if err := json.Unmarshal(b, &one); err == nil {
		*l = strings.Fields(one)
		return nil
	}
	var many []string
	if err := json.Unmarshal(b, &many); err != nil {
		return err
	}
	*l = many
	return nil
}

// verify checks a token's signature, times and issuer and says whose it is. Results are remembered by the
// token's hash, so that a request with a token seen lately costs no signature.
func (a *Auth) verify(ctx context.Context, token string) (verified, error) {
	if len(token) > maxToken {
		return verified{}, refuse("the token is longer than any that holds", nil)
	}
	key := sha256.Sum256([]byte(token))
	if v, ok := a.tokens.get(key); ok {
		if v.fresh(a.now()) {
			return v, nil
		}
		a.tokens.drop(key)
	}
	return a.tokens.load(key, func() (verified, error) { return a.verifyAnew(ctx, token) })
}

func (a *Auth) verifyAnew(ctx context.Context, token string) (verified, error) {
	var c claims
	service := false
	parsed, err := a.parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		key, ours, err := a.keyFor(ctx, t)
		service = ours
		return key, err
	})
	if err != nil {
		return verified{}, explain(err)
	}
	if _, ok := parsed.Header["crit"]; ok {
		return verified{}, refuse("the token asks for extensions that are not understood here", nil) // RFC 7515, 4.1.11
	}
	if err := a.checkIssuer(c.Issuer, service); err != nil {
		return verified{}, err
	}
	v := verified{audiences: c.Audience, expires: c.ExpiresAt.Time, generation: c.Generation}
	v.scopes = append(strings.Fields(c.Scope), c.Scp...)
	slices.Sort(v.scopes)
	v.scopes = slices.Compact(v.scopes)
	if len(v.scopes) > maxList || len(v.audiences) > maxList {
		return verified{}, refuse("the token names more scopes or audiences than any that holds", nil)
	}
	v.until = a.now().Add(verifiedFor)
	if service {
		if c.Subject == "" || c.Acting != "" && !ValidName(c.Acting) {
			return verified{}, refuse("the service's token names no caller", nil)
		}
		v.service, v.user, v.demo = c.Subject, c.Acting, c.Demo
		return v, nil
	}
	if v.user = a.userOf(c); v.user == "" {
		return verified{}, refuse("the token's sub cannot be a user here: it must be a local part of "+a.domain+", or email an address there", nil)
	}
	return v, nil
}

// keyFor chooses the key. Each kind of key goes with one algorithm, so that a public key is never
// taken for a secret (RFC 8725, 3.1).
func (a *Auth) keyFor(ctx context.Context, t *jwt.Token) (key any, service bool, err error) {
	kid, isText := t.Header["kid"].(string)
	if _, has := t.Header["kid"]; has && !isText {
		return nil, false, refuse("the token's key id is not a text", nil)
	}
	alg := t.Method.Alg()
	switch {
	case alg == "HS256" && kid == serviceIssuer:
		return a.Internal.key, true, nil
	case alg == "HS256" && a.secret != nil:
		return a.secret, false, nil
	case alg == "HS256":
		return nil, false, refuse("tokens signed with a shared secret are not taken here", nil)
	case a.jwks != nil:
		key, err := a.jwks.find(ctx, kid, alg)
		return key, false, err
	case alg == "EdDSA" && a.issues():
		if key, ok := a.ownKey(kid); ok {
			return key, false, nil
		}
		return nil, false, refuse("the token is signed with a key that is not known here", nil)
	}
	return nil, false, refuse("tokens signed with "+alg+" are not taken here", nil)
}

// issues reports whether the portal's own keys sign users' tokens.
func (a *Auth) issues() bool { return a.external == "" }

func (a *Auth) checkIssuer(iss string, service bool) error {
	want := a.issuer
	switch {
	case service:
		want = serviceIssuer
	case want == "" && a.issues():
		want = ownIssuer
	case want == "":
		return nil
	}
	if iss != want {
		return refuse("the token comes from another issuer", nil)
	}
	return nil
}

// userOf returns the local part of the token's user, "" when there is none. The email claim counts when it
// lies in our domain and its issuer does not say that nobody verified it; sub is taken as it stands, because
// two subjects that differ in case are two people.
func (a *Auth) userOf(c claims) string {
	local, domain, ok := strings.Cut(strings.ToLower(c.Email), "@")
	if ok && domain == a.domain && c.EmailVerified != false && c.EmailVerified != "false" {
		if !ValidName(local) {
			return ""
		}
		return local
	}
	if !ValidName(c.Subject) {
		return ""
	}
	return c.Subject
}

// Expired reports whether an error of Authenticate says that the token was good until its time was over.
func Expired(err error) bool { return errors.Is(err, jwt.ErrTokenExpired) }

// explain turns the parser's error into one that says what to do, without the token.
func explain(err error) error {
	var known *errs.Error
	switch {
	case errors.As(err, &known):
		return known // from keyFor
	case errors.Is(err, jwt.ErrTokenExpired):
		return refuse("the token has expired; get a new one", err)
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return refuse("the token is not valid yet; check the clocks", err)
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return refuse("the token has no expiry (exp), and needs one", err)
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return refuse("the token's signature or algorithm is not taken here", err)
	}
	return refuse("the token cannot be read", err)
}

// newParser checks what every token must have; issuer and audience come after, as they differ.
func newParser(now func() time.Time) *jwt.Parser {
	return jwt.NewParser(jwt.WithValidMethods([]string{"HS256", "RS256", "ES256", "EdDSA"}), jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(now))
}

// sign makes a token with one of our own keys, or with the shared secret where there is one.
func sign(c claims, secret []byte, keys []signingKey) (string, error) {
	if secret != nil {
		return jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(secret)
	}
	if len(keys) == 0 {
		return "", errs.New(errs.NotFound, "tokens of this installation come from the issuer that VEZE_JWKS_URL names; ask there")
	}
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, c)
	t.Header["kid"] = keys[0].id
	return t.SignedString(keys[0].private)
}

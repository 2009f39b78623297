package auth_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"uniqverse/internal/auth"
	"uniqverse/internal/config"
	"uniqverse/internal/errs"
	"uniqverse/store"
	"uniqverse/store/storetest"
)

// FuzzToken hands any bytes to every place where a token can be. Whatever they are, the answer is nobody or
// unauthenticated, for nothing that can be made up is signed.
func FuzzToken(f *testing.F) {
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	clock := func() time.Time { return now }
	db := storetest.Open(f, func(o *store.Options) { o.Now = clock })
	cfg := config.Default()
	cfg.DataDir, cfg.JWTSecret, cfg.JWTDemo = f.TempDir(), "never in the corpus: 8d1f0c2e", config.ForcedOff
	a, err := auth.New(auth.Options{Config: cfg, Store: store.NewAuth(db), Now: clock})
	if err != nil {
		f.Fatal(err)
	}
	claims := jwt.MapClaims{"sub": "pilot", "aud": "veze-chat", "exp": now.Unix() + 60, "scope": "chat.read", "scp": []string{"a"}}
	f.Add(signed(f, jwt.SigningMethodHS256, "uniqverse-service", []byte("x"), claims))
	f.Add(signed(f, jwt.SigningMethodNone, "", jwt.UnsafeAllowNoneSignatureType, claims))
	f.Add("demo")
	f.Add("a.b.c")
	f.Add("eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjFlMzAwfQ.")
	f.Fuzz(func(t *testing.T, token string) {
		for place := range 3 {
			r := httptest.NewRequest("GET", "http://localhost/", nil)
			switch place {
			case 0:
				r.Header["Authorization"] = []string{"Bearer " + token}
			case 1:
				r.URL.RawQuery = "access_token=" + token
			case 2:
				r.Header["Cookie"] = []string{auth.CookieName + "=" + token}
			}
			c, err := a.For("chat").Authenticate(r, false)
			if c.Known() || err != nil && !errs.Is(err, errs.Unauthenticated) {
				t.Fatalf("caller %+v, error %v", c, err)
			}
		}
	})
}

package webhooks

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"uniqverse/internal/errs"
)

// Which addresses each setting lets through, before and while they are dialled.
func TestTargets(t *testing.T) {
	f, err := os.Open("testdata/targets.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cases := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		cases++
		for i, target := range []Targets{Public, Loopback, Any} {
			want := words[i+1] == "yes"
			got := false
			if ip, err := netip.ParseAddr(words[0]); err == nil {
				got = target.allows(ip)
			} else {
				got = target.check(words[0]) == nil
			}
			if got != want {
				t.Errorf("%s with %s: %v, want %v", words[0], target, got, want)
			}
		}
	}
	if cases < 30 {
		t.Errorf("only %d cases were found", cases)
	}
}

// A name may resolve to anything: what counts is where the connection would go.
func TestTheAddressDialledIsChecked(t *testing.T) {
	asked := false
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = true
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	defer srv.Close()
	_, err := Public.client().Get(srv.URL)
	if !errs.Is(err, errs.Denied) || asked {
		t.Errorf("public: %v, asked %v", err, asked)
	}
	if got := reason(err).Error(); got != "the address is not one that webhooks may go to" {
		t.Errorf("the reason that is shown: %s", got)
	}
	res, err := Loopback.client().Get(strings.Replace(srv.URL, "127.0.0.1", "localhost", 1))
	if err != nil || res.StatusCode != http.StatusFound {
		t.Fatalf("loopback: %v %v; a redirect is not followed", res, err)
	}
	res.Body.Close()
}

// The example of the Standard Webhooks libraries.
func TestSign(t *testing.T) {
	got, err := sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), `{"test": 2432232314}`)
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; err != nil || got != want {
		t.Errorf("%s %v, want %s", got, err, want)
	}
	if _, err := sign("whsec_?", "", time.Time{}, ""); err == nil {
		t.Error("a secret that is none signs")
	}
}

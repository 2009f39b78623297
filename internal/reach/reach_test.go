package reach

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

// Which addresses each setting lets through, as they are written and while they are dialled.
func TestTargets(t *testing.T) {
	f, err := os.Open("testdata/addresses.txt")
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
			ip, err := netip.ParseAddr(words[0])
			if got := err == nil && target.Allows(ip); got != want || target.AllowsHost(words[0]) != want {
				t.Errorf("%s with %s: %v, want %v", words[0], target, !want, want)
			}
		}
	}
	if cases < 24 {
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
	_, err := Public.Client(time.Second).Get(srv.URL)
	if !errs.Is(err, errs.Denied) || asked {
		t.Errorf("public: %v, asked %v", err, asked)
	}
	res, err := Loopback.Client(10 * time.Second).Get(strings.Replace(srv.URL, "127.0.0.1", "localhost", 1))
	if err != nil || res.StatusCode != http.StatusFound {
		t.Fatalf("loopback: %v %v; a redirect is not followed", res, err)
	}
	res.Body.Close()
}

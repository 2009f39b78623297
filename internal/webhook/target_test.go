package webhook

import (
	"bufio"
	"os"
	"strings"
	"testing"
	"time"

	"uniqverse/internal/reach"
)

// Which addresses each setting lets through as they are given.
func TestCheck(t *testing.T) {
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
		for i, target := range []reach.Targets{reach.Public, reach.Loopback, reach.Any} {
			if got := CheckURL(target, words[0]) == nil; got != (words[i+1] == "yes") {
				t.Errorf("%s with %s: %v, want %s", words[0], target, got, words[i+1])
			}
		}
	}
	if cases < 14 {
		t.Errorf("only %d cases were found", cases)
	}
}

// The example of the Standard Webhooks libraries.
func TestSign(t *testing.T) {
	got, err := Sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), `{"test": 2432232314}`)
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; err != nil || got != want {
		t.Errorf("%s %v, want %s", got, err, want)
	}
	if _, err := Sign("whsec_?", "", time.Time{}, ""); err == nil {
		t.Error("a secret that is none signs")
	}
}

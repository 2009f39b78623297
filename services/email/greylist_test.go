package email_test

import (
	"strings"
	"testing"
	"time"

	"uniqverse/services/email/refusals"
	"uniqverse/store/mailstore"
)

// An administrator sees whom the greylist put off until they come again, and lets them in at once.
func TestGreylistIsSeenAndReleased(t *testing.T) {
	w := start(t, "")
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	w.now.Store(now.UnixMilli())
	s := mailstore.New(w.db)
	meet := func(key string, at time.Time) time.Time {
		t.Helper()
		first, err := s.GreylistMeet(t.Context(), []string{key}, at, at.Add(-24*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		return first[0]
	}
	const slow, null = "try 192.0.2.0/24 ann@example.org pilot@" + domain, "try 198.51.100.0/24  pilot@" + domain
	meet(slow, now.Add(-time.Minute))
	meet(null, now)
	meet("try 203.0.113.0/24 known@example.org pilot@"+domain, now)
	meet("try 192.0.2.0/24 old@example.org pilot@"+domain, now.Add(-25*time.Hour))
	if err := s.GreylistTrust(t.Context(), []string{"net 203.0.113.0/24"}, now); err != nil {
		t.Fatal(err)
	}
	var g refusals.Greylist
	w.as("admin", 200, "GET", "/api/greylist", "", &g)
	if len(g.Waiting) != 2 || g.Waiting[0].Network != "198.51.100.0/24" || g.Waiting[0].From != "" || g.Waiting[1].From != "ann@example.org" || g.Waiting[1].To != "pilot@"+domain || !g.Waiting[1].FirstAt.Time().Equal(now.Add(-time.Minute)) {
		t.Fatalf("waiting are %+v", g.Waiting)
	}
	if p := w.page(200, "/refusals", "admin"); !strings.Contains(p, "Asked to come again") || !strings.Contains(p, `name="from" value="ann@example.org"`) {
		t.Errorf("an administrator's page is %s", p)
	}
	if p := w.page(200, "/refusals", "pilot"); strings.Contains(p, "Asked to come again") {
		t.Error("anybody sees who is put off")
	}
	w.as("pilot", 403, "GET", "/api/greylist", "", nil)
	w.as("pilot", 403, "POST", "/api/greylist/release", `{"network":"192.0.2.0/24","from":"ann@example.org","to":"pilot@`+domain+`"}`, nil)
	w.as("admin", 404, "POST", "/api/greylist/release", `{"network":"192.0.2.0/24","from":"bob@example.org","to":"pilot@`+domain+`"}`, nil)
	w.as("admin", 422, "POST", "/api/greylist/release", `{"network":"192.0.2.0/24"}`, nil)
	w.as("admin", 200, "POST", "/api/greylist/release", `{"network":"192.0.2.0/24","from":"Ann@example.org","to":"pilot@`+domain+`"}`, nil)
	if to := w.submit("/greylist/release", "admin", "network", "198.51.100.0/24", "from", "", "to", "pilot@"+domain); to != "/refusals" {
		t.Errorf("the form leads to %s", to)
	}
	w.as("admin", 200, "GET", "/api/greylist", "", &g)
	if len(g.Waiting) != 0 {
		t.Errorf("after the release wait %+v", g.Waiting)
	}
	for _, key := range []string{slow, null} {
		if first := meet(key, now); now.Sub(first) < time.Hour {
			t.Errorf("%s was first seen %s: the next attempt is put off, too", key, first)
		}
	}
}

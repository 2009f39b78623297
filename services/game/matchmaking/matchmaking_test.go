package matchmaking_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"uniqverse/services/game/matchmaking"
)

var now = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func ticket(id int64, user string, mmr float64, waited time.Duration) matchmaking.Ticket {
	return matchmaking.Ticket{ID: id, UserID: user, MMR: mmr, Mode: "duel", Region: "eu", QueuedAt: now.Add(-waited)}
}

func party(id string, t matchmaking.Ticket) matchmaking.Ticket { t.PartyID = id; return t }

func elsewhere(t matchmaking.Ticket) matchmaking.Ticket { t.Region = "us"; return t }

func otherMode(t matchmaking.Ticket) matchmaking.Ticket { t.Mode = "race"; return t }

// teams writes a match as "a+b|c+d"; "" is none.
func teams(m matchmaking.Match, found bool) string {
	if !found {
		return ""
	}
	var sides []string
	for _, team := range m.Teams {
		var users []string
		for _, t := range team {
			users = append(users, t.UserID)
		}
		sides = append(sides, strings.Join(users, "+"))
	}
	return strings.Join(sides, "|")
}

func TestFind(t *testing.T) {
	s := time.Second
	for name, tc := range map[string]struct {
		tickets []matchmaking.Ticket
		want    string
	}{
		"nobody":                     {nil, ""},
		"one alone":                  {[]matchmaking.Ticket{ticket(1, "a", 1000, 0)}, ""},
		"at the window":              {[]matchmaking.Ticket{ticket(1, "a", 1000, 0), ticket(2, "b", 1050, 0)}, "a|b"},
		"just over it":               {[]matchmaking.Ticket{ticket(1, "a", 1000, 0), ticket(2, "b", 1050.5, 0)}, ""},
		"below is the same":          {[]matchmaking.Ticket{ticket(1, "a", 1050, 0), ticket(2, "b", 1000, 0)}, "a|b"},
		"not yet wider":              {[]matchmaking.Ticket{ticket(1, "a", 1000, 4999*time.Millisecond), ticket(2, "b", 1075, 0)}, ""},
		"wider after 5 s":            {[]matchmaking.Ticket{ticket(1, "a", 1000, 5*s), ticket(2, "b", 1075, 0)}, "a|b"},
		"wider again after 10 s":     {[]matchmaking.Ticket{ticket(1, "a", 1000, 10*s), ticket(2, "b", 1100, 0)}, "a|b"},
		"a clock that went back":     {[]matchmaking.Ticket{ticket(1, "a", 1000, -10*s), ticket(2, "b", 1050, 0)}, "a|b"},
		"another region":             {[]matchmaking.Ticket{ticket(1, "a", 1000, 0), elsewhere(ticket(2, "b", 1000, 0))}, ""},
		"another mode":               {[]matchmaking.Ticket{ticket(1, "a", 1000, 0), otherMode(ticket(2, "b", 1000, 0))}, ""},
		"the oldest with the oldest": {[]matchmaking.Ticket{ticket(1, "a", 1000, 3*s), ticket(2, "b", 1040, 2*s), ticket(3, "c", 1001, s)}, "a|b"},
		"oldest without a partner":   {[]matchmaking.Ticket{ticket(1, "a", 5000, 3*s), ticket(2, "b", 1040, 2*s), ticket(3, "c", 1001, s)}, "b|c"},
		"the oldest queue":           {[]matchmaking.Ticket{ticket(3, "c", 1000, s), ticket(4, "d", 1000, s), elsewhere(ticket(1, "a", 1, s)), elsewhere(ticket(2, "b", 1, s))}, "a|b"},
		"a party is one side":        {[]matchmaking.Ticket{party("p", ticket(1, "a", 1000, 0)), party("p", ticket(2, "b", 1100, 0)), party("q", ticket(3, "c", 1090, 0)), party("q", ticket(4, "d", 1000, 0))}, "a+b|c+d"},
		"not against itself":         {[]matchmaking.Ticket{party("p", ticket(1, "a", 1000, 0)), party("p", ticket(2, "b", 1000, 0))}, ""},
		"two do not play one":        {[]matchmaking.Ticket{party("p", ticket(1, "a", 1000, 0)), party("p", ticket(2, "b", 1000, 0)), ticket(3, "c", 1000, 0)}, ""},
		"a party of one":             {[]matchmaking.Ticket{party("p", ticket(1, "a", 1000, 0)), ticket(2, "b", 1000, 0)}, "a|b"},
		"no party is no party":       {[]matchmaking.Ticket{ticket(1, "a", 1000, 0), ticket(2, "b", 1000, 0), ticket(3, "c", 1000, 0)}, "a|b"},
		"in any order of the list":   {[]matchmaking.Ticket{ticket(3, "c", 1001, s), ticket(1, "a", 1000, 3*s), ticket(2, "b", 1040, 2*s)}, "a|b"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := teams(matchmaking.Find(tc.tickets, now)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// slow is the rule written down plainly, for players alone.
func slow(ts []matchmaking.Ticket) string {
	for i, a := range ts {
		for _, b := range ts[i+1:] {
			if a.Region == b.Region && math.Abs(a.MMR-b.MMR) <= 50+25*math.Floor(now.Sub(a.QueuedAt).Seconds()/5) {
				return a.UserID + "|" + b.UserID
			}
		}
	}
	return ""
}

func TestFindAgreesWithThePlainRule(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	found := 0
	for range 2000 {
		var ts []matchmaking.Ticket
		n := r.IntN(12)
		for i := range n {
			tk := ticket(int64(i), fmt.Sprint("u", i), float64(r.IntN(3000)), time.Duration(n-i)*time.Second)
			if r.IntN(2) == 0 {
				tk = elsewhere(tk)
			}
			ts = append(ts, tk)
		}
		want := slow(ts)
		if want != "" {
			found++
		}
		if got := teams(matchmaking.Find(ts, now)); got != want {
			t.Fatalf("got %q, want %q for %+v", got, want, ts)
		}
	}
	if found < 200 {
		t.Errorf("only %d of the cases had a match: the test says little", found)
	}
}

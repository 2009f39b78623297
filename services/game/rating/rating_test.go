package rating_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"uniqverse/internal/errs"
	"uniqverse/services/game/rating"
)

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(a), math.Abs(b)) }

// golden are published results of other implementations of the same model.
func golden(t *testing.T) map[string]map[string]json.RawMessage {
	t.Helper()
	dir := os.Getenv("UNIQ_TEST_DATA")
	if dir == "" {
		t.Skip("UNIQ_TEST_DATA names no folder with openskill/plackettluce.json")
	}
	raw, err := os.ReadFile(filepath.Join(dir, "openskill", "plackettluce.json"))
	if os.IsNotExist(err) {
		t.Skip("UNIQ_TEST_DATA has no openskill/plackettluce.json")
	}
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestRateAgainstPublishedResults(t *testing.T) {
	all := golden(t)
	var start struct{ Mu, Sigma float64 }
	if err := json.Unmarshal(mustJSON(t, all["model"]), &start); err != nil {
		t.Fatal(err)
	}
	one := rating.Rating{Mu: start.Mu, Sigma: start.Sigma}
	for name, ranks := range map[string][]int{"normal": {1, 2}, "ranks": {2, 1, 4, 3}, "scores": {2, 1}, "ties": {1, 2, 1}} {
		t.Run(name, func(t *testing.T) {
			var teams [][]rating.Rating
			var want [][]rating.Rating
			for i := range ranks {
				var team []rating.Rating
				if err := json.Unmarshal(all[name]["team_"+string(rune('1'+i))], &team); err != nil {
					t.Fatal(err)
				}
				want = append(want, team)
				before := make([]rating.Rating, len(team))
				for j := range before {
					before[j] = one
				}
				teams = append(teams, before)
			}
			got, err := rating.Rate(rating.DefaultParams(), teams, ranks)
			if err != nil {
				t.Fatal(err)
			}
			for i := range want {
				for j := range want[i] {
					if !near(got[i][j].Mu, want[i][j].Mu) || !near(got[i][j].Sigma, want[i][j].Sigma) {
						t.Errorf("team %d player %d: %+v, want %+v", i+1, j+1, got[i][j], want[i][j])
					}
				}
			}
		})
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func rate(t *testing.T, teams [][]rating.Rating, ranks ...int) [][]rating.Rating {
	t.Helper()
	after, err := rating.Rate(rating.DefaultParams(), teams, ranks)
	if err != nil {
		t.Fatal(err)
	}
	return after
}

func TestRateInvariants(t *testing.T) {
	s := rating.Start()
	after := rate(t, [][]rating.Rating{{s}, {s}}, 1, 2)
	won, lost := after[0][0], after[1][0]
	if won.Mu <= s.Mu || lost.Mu >= s.Mu || !near(won.Mu-s.Mu, s.Mu-lost.Mu) || won.Sigma >= s.Sigma {
		t.Errorf("equals: won %+v, lost %+v", won, lost)
	}
	tie := rate(t, [][]rating.Rating{{s}, {s}}, 1, 1)
	if !near(tie[0][0].Mu, s.Mu) || !near(tie[1][0].Mu, s.Mu) {
		t.Errorf("a tie of equals moves them: %+v", tie)
	}
	strong, weak := rating.Rating{Mu: 40, Sigma: 3}, rating.Rating{Mu: 10, Sigma: 3}
	upset := rate(t, [][]rating.Rating{{strong}, {weak}}, 2, 1)[1][0].Mu - weak.Mu
	expected := rate(t, [][]rating.Rating{{strong}, {weak}}, 1, 2)[0][0].Mu - strong.Mu
	if upset <= expected || expected <= 0 {
		t.Errorf("an upset gives %f, the expected %f", upset, expected)
	}
	huge := rate(t, [][]rating.Rating{{{Mu: 1e6, Sigma: 1}}, {{Mu: -1e6, Sigma: 1}}}, 2, 1)
	for _, team := range huge {
		if math.IsNaN(team[0].Mu) || math.IsInf(team[0].Mu, 0) || team[0].Sigma <= 0 {
			t.Errorf("far apart: %+v", team)
		}
	}
	for name, bad := range map[string][][]rating.Rating{"one team": {{s}}, "empty team": {{s}, {}}, "no uncertainty": {{s}, {{Mu: 1}}}, "no number": {{s}, {{Mu: math.NaN(), Sigma: 1}}}} {
		if _, err := rating.Rate(rating.DefaultParams(), bad, make([]int, len(bad))); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := rating.Rate(rating.DefaultParams(), [][]rating.Rating{{s}, {s}}, []int{1}); !errs.Is(err, errs.Invalid) {
		t.Error("a rank is missing and nobody minds")
	}
}

func TestPredictSkill(t *testing.T) {
	base := []float64{0.5, -2, 3}
	at := rating.PredictSkill(base)
	for i := range base {
		more := append([]float64{}, base...)
		more[i]++
		if rating.PredictSkill(more) <= at {
			t.Errorf("feature %d does not raise the skill", i)
		}
	}
	if rating.PredictSkill([]float64{0, 0}) != 1500 {
		t.Error("nothing known is not the middle")
	}
	for _, x := range []float64{math.MaxFloat64, -math.MaxFloat64} {
		if s := rating.PredictSkill([]float64{x, x}); !(s >= 1000 && s <= 2000) {
			t.Errorf("%g gives %g", x, s)
		}
	}
}

func TestDetectBot(t *testing.T) {
	for name, tc := range map[string]struct {
		signals []float64
		bot     bool
	}{
		"high and even":   {[]float64{12, 12, 12.01, 12}, true},
		"low and uneven":  {[]float64{0.1, 0.4, 0.05, 0.2}, false},
		"nothing":         {[]float64{0}, false},
		"one high":        {[]float64{9}, true},
		"below zero":      {[]float64{-5, -5, -5}, false},
		"largest numbers": {[]float64{math.MaxFloat64, math.MaxFloat64}, true},
	} {
		score, bot := rating.DetectBot(tc.signals)
		if bot != tc.bot || !(score >= 0 && score <= 1) || bot != (score >= 0.5) {
			t.Errorf("%s: %g, %v", name, score, bot)
		}
	}
	even, _ := rating.DetectBot([]float64{1, 1, 1, 1})
	uneven, _ := rating.DetectBot([]float64{0.2, 1.8, 0.4, 1.6})
	if even <= uneven {
		t.Errorf("even %g, uneven %g", even, uneven)
	}
}

// Package rating holds the arithmetic about players: how a result changes ratings (Rate), and
// the two small models behind /ml (PredictSkill, DetectBot). It is pure arithmetic over its
// arguments: no store, no training, no state, safe for concurrent use.
//
// Rate is the Plackett–Luce model of Weng and Lin, "A Bayesian Approximation Method for
// Online Ranking" (JMLR 12, 2011), algorithm 4, for teams of any size and any number of
// teams. The two models of /ml are not learned from anybody's data; their formulas stand at
// their functions, and their names change when the formulas do.
package rating

import (
	"math"

	"uniqverse/internal/errs"
)

// Rating is what is believed of a player: a normal distribution of skill.
type Rating struct {
	Mu    float64 // the mean
	Sigma float64 // the uncertainty, above 0
}

// Params are the model's constants.
type Params struct {
	Beta  float64 // how much a performance varies around the skill
	Kappa float64 // what a variance is never shrunk below, as a share
	Tau   float64 // uncertainty added before each game, so that a rating can always move
}

// Start is the rating of a player of whom nothing is known.
func Start() Rating { return Rating{Mu: 25, Sigma: 25.0 / 3} }

// DefaultParams are the usual constants for ratings around Start.
func DefaultParams() Params { return Params{Beta: 25.0 / 6, Kappa: 0.0001, Tau: 25.0 / 300} }

// Rate returns the ratings after a game, in the shape of teams. ranks holds a place for each
// team, 1 the best; equal numbers are ties. errs.Invalid: fewer than two teams, an empty team, a
// rank too many or too few, or a rating that is no number or has no uncertainty.
func Rate(p Params, teams [][]Rating, ranks []int) ([][]Rating, error) {
	if err := check(teams, ranks); err != nil {
		return nil, err
	}
	n := len(teams)
	mu, variance := make([]float64, n), make([]float64, n)
	after := make([][]Rating, n)
	c := 0.0
	for i, team := range teams {
		after[i] = make([]Rating, len(team))
		for j, r := range team {
			r.Sigma = math.Hypot(r.Sigma, p.Tau)
			after[i][j] = r
			mu[i] += r.Mu
			variance[i] += r.Sigma * r.Sigma
		}
		c += variance[i] + p.Beta*p.Beta
	}
	c = math.Sqrt(c)
	omega, delta := updates(mu, ranks, c)
	for i, team := range after {
		gamma := math.Sqrt(variance[i]) / c
		for j, r := range team {
			share := r.Sigma * r.Sigma / variance[i]
			team[j].Mu += share * omega[i] * variance[i] / c
			team[j].Sigma *= math.Sqrt(max(1-share*gamma*delta[i]*variance[i]/(c*c), p.Kappa))
		}
	}
	return after, nil
}

// updates returns each team's surprise and what was learned from it. exp(mu/c) is taken
// relative to the strongest team, so that no rating is too large for it.
func updates(mu []float64, ranks []int, c float64) (omega, delta []float64) {
	n := len(mu)
	top := mu[0]
	for _, m := range mu {
		top = max(top, m)
	}
	strength := make([]float64, n)
	for i, m := range mu {
		strength[i] = math.Exp((m - top) / c)
	}
	omega, delta = make([]float64, n), make([]float64, n)
	for q := range n {
		field, tied := 0.0, 0.0 // those who were not ahead of q, and those beside it
		for s := range n {
			if ranks[s] >= ranks[q] {
				field += strength[s]
			}
			if ranks[s] == ranks[q] {
				tied++
			}
		}
		for i := range n {
			if ranks[q] > ranks[i] {
				continue
			}
			chance := strength[i] / field
			delta[i] += chance * (1 - chance) / tied
			if i == q {
				omega[i] += (1 - chance) / tied
			} else {
				omega[i] -= chance / tied
			}
		}
	}
	return omega, delta
}

func check(teams [][]Rating, ranks []int) error {
	if len(teams) < 2 || len(ranks) != len(teams) {
		return errs.New(errs.Invalid, "a game has at least two teams, and one rank for each")
	}
	for _, team := range teams {
		if len(team) == 0 {
			return errs.New(errs.Invalid, "a team has at least one player")
		}
		for _, r := range team {
			if !finite(r.Mu) || !finite(r.Sigma) || r.Sigma <= 0 {
				return errs.New(errs.Invalid, "a rating has a finite mean and an uncertainty above 0")
			}
		}
	}
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

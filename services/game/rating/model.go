package rating

import "math"

// The models' names, with a number that changes when a formula does.
const (
	SkillModel = "squashed-linear-1"
	BotModel   = "level-regularity-1"
)

// PredictSkill returns a rating between 1000 and 2000 from a list of features, the most
// telling first; features must not be empty. With s(x) = x / (1 + |x|), which maps every
// number into -1 … 1 and keeps the order, and weights w(i) = 1/(1+i) for i = 0, 1, 2 …:
//
//	skill = 1500 + 500 · Σ w(i)·s(x(i)) / Σ w(i)
//
// It grows with every feature. It was not fitted to games: it is a starting point for a
// server that knows its own features, and says so by its name.
func PredictSkill(features []float64) float64 {
	sum, weights := 0.0, 0.0
	for i, x := range features {
		w := 1 / float64(1+i)
		sum += w * squash(x)
		weights += w
	}
	return 1500 + 500*sum/weights
}

// DetectBot returns how much a player's signals look like a machine's, 0 to 1, and 0.5 and
// more counts as a bot; signals must not be empty. A signal is any figure that is larger for a machine
// (clicks a second, share of equal intervals, hits in a row). Two things speak for a machine: high signals,
// and signals that hardly vary. With level = mean of s(x), s as in PredictSkill, cv = standard
// deviation / |mean| and regularity = exp(-cv/0.15), which counts the more the more signals there are:
//
//	score = 1 / (1 + exp(2.2 - 4·level - 1.5·(1 - 1/n)·regularity))
func DetectBot(signals []float64) (score float64, bot bool) {
	n, level, largest := float64(len(signals)), 0.0, 0.0
	for _, x := range signals {
		level += squash(x) / n
		largest = max(largest, math.Abs(x))
	}
	regularity := 1.0
	if largest > 0 { // scaled by the largest, so that no sum overflows
		mean, square := 0.0, 0.0
		for _, x := range signals {
			mean += x / largest / n
		}
		for _, x := range signals {
			d := x/largest - mean
			square += d * d / n
		}
		regularity = math.Exp(-math.Sqrt(square) / (math.Abs(mean) + 1e-9) / 0.15)
	}
	score = 1 / (1 + math.Exp(2.2-4*level-1.5*(1-1/n)*regularity))
	return score, score >= 0.5
}

func squash(x float64) float64 {
	if math.IsInf(x, 0) || math.Abs(x) > 1e300 {
		return math.Copysign(1, x)
	}
	return x / (1 + math.Abs(x))
}

package spam

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// When counted words are used, and how many.
const (
	MinTrained = 5 // messages of each kind that a mailbox must have counted before its words are used
	MinUsers   = 3 // mailboxes that must have counted a word in one kind of mail before it is used for everybody

	mostWords = 150   // words that decide: the most telling ones
	least     = 0.1   // how far from 1/2 a word must be to tell something
	strength  = 0.5   // of the assumption, in messages, that a word tells nothing (Robinson's s)
	surest    = 0.001 // how near to 0 and 1 a single word gets
)

// Count is how many messages of each kind had something; of everybody's: how many mailboxes had it in mail of each kind,
// so that whoever moves a thousand messages has no more say than whoever moves one.
type Count struct{ Ham, Spam int }

// Word is what one word of a message says.
type Word struct {
	Word string  `json:"word"`
	P    float64 `json:"p"` // from 0, good, to 1, spam
	Ham  int     `json:"ham"`
	Spam int     `json:"spam"`
}

// enough reports whether so much was counted that words may be used.
func enough(total Count, everybody bool) bool {
	if everybody {
		return min(total.Ham, total.Spam) >= MinUsers
	}
	return min(total.Ham, total.Spam) >= MinTrained
}

// classify says how likely the words are those of spam, from 0 to 1, and which of them say so, the most telling first.
// 1/2 means that they tell nothing. It combines the words' probabilities as Robinson proposed, by Fisher's method, once
// for spam and once for ham.
func classify(total Count, counts map[string]Count, everybody bool) (float64, []Word) {
	if !enough(total, everybody) {
		return 0.5, nil
	}
	var words []Word
	for w, c := range counts {
		if everybody && max(c.Ham, c.Spam) < MinUsers {
			continue
		}
		if p := probability(total, c); math.Abs(p-0.5) >= least {
			words = append(words, Word{w, p, c.Ham, c.Spam})
		}
	}
	slices.SortFunc(words, func(a, b Word) int {
		return cmp.Or(cmp.Compare(math.Abs(b.P-0.5), math.Abs(a.P-0.5)), cmp.Compare(b.Ham+b.Spam, a.Ham+a.Spam), strings.Compare(a.Word, b.Word))
	})
	words = words[:min(len(words), mostWords)]
	if len(words) == 0 {
		return 0.5, nil
	}
	spam, ham := 0.0, 0.0
	for _, w := range words {
		spam -= math.Log(1 - w.P)
		ham -= math.Log(w.P)
	}
	// The tail of chi-square with 2n degrees of freedom is near 0 when the words are all of one kind.
	return (1 + chiTail(ham, len(words)) - chiTail(spam, len(words))) / 2, words
}

// probability is how much a word is one of spam, drawn towards 1/2 when it was seen rarely.
func probability(total, c Count) float64 {
	spam, ham := float64(c.Spam)/float64(total.Spam), float64(c.Ham)/float64(total.Ham)
	if spam+ham == 0 {
		return 0.5
	}
	n := float64(c.Spam + c.Ham)
	p := (strength*0.5 + n*spam/(spam+ham)) / (strength + n)
	return min(max(p, surest), 1-surest)
}

// chiTail is the probability that chi-square with 2n degrees of freedom is at least 2m.
func chiTail(m float64, n int) float64 {
	term := math.Exp(-m)
	sum := term
	for i := 1; i < n; i++ {
		term *= m / float64(i)
		sum += term
	}
	return min(sum, 1)
}

// wordsReason turns a probability into points.
func wordsReason(rule string, p float64, words []Word, ham, spam float64) (Reason, bool) {
	points := (p - 0.5) * 2
	if points > 0 {
		points *= spam
	} else {
		points *= ham
	}
	if points = round(points); points == 0 {
		return Reason{}, false
	}
	return Reason{Rule: rule, Score: points, Detail: fmt.Sprintf("%.0f %% like junk, by %s", 100*p, telling(p, words))}, true
}

// telling names the words that decided.
func telling(p float64, words []Word) string {
	var names []string
	for _, w := range words {
		if (w.P > 0.5) == (p > 0.5) && len(names) < 8 {
			names = append(names, w.Word)
		}
	}
	return strings.Join(names, ", ")
}

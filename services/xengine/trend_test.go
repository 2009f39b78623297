package xengine_test

import (
	"fmt"
	"testing"
	"time"

	"uniqverse/services/xengine"
)

func TestTrends(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		say  func(hear func(user int64, line string, after time.Duration) int) int // how many trends there were
		want int
	}{
		"five people": {func(hear func(int64, string, time.Duration) int) (n int) {
			for u := range 5 {
				n += hear(int64(u+1), "Did you see the #Quantum-Alerts?", time.Second)
			}
			return n
		}, 1},
		"a word": {func(hear func(int64, string, time.Duration) int) (n int) {
			for u := range 6 {
				n += hear(int64(u+1), "the wormhole is open", time.Second)
			}
			return n
		}, 1},
		"one who says it often": {func(hear func(int64, string, time.Duration) int) (n int) {
			for range 50 {
				n += hear(1, "#spam", time.Second)
			}
			return n
		}, 0},
		"over too long": {func(hear func(int64, string, time.Duration) int) (n int) {
			for u := range 10 {
				n += hear(int64(u+1), "#slow", 2*time.Minute)
			}
			return n
		}, 0},
		"what is said all the time": {func(hear func(int64, string, time.Duration) int) (n int) {
			for i := range 600 {
				n += hear(int64(i%3+1), "#daily", 10*time.Second)
			}
			for u := range 8 {
				n += hear(int64(u+1), "#daily", 10*time.Second)
			}
			return n
		}, 0},
		"again within the hour": {func(hear func(int64, string, time.Duration) int) (n int) {
			for range 3 {
				for u := range 6 {
					n += hear(int64(u+1), "#raid", time.Second)
				}
			}
			return n
		}, 1},
		"common words, names and links": {func(hear func(int64, string, time.Duration) int) (n int) {
			for u := range 9 {
				n += hear(int64(u+1), "because @everybody http://example.org/x 12345 # #- hi", time.Second)
			}
			return n
		}, 0},
	} {
		trends, at := xengine.NewTrends(), now
		got := tc.say(func(user int64, line string, after time.Duration) int {
			at = at.Add(after)
			all := trends.Hear(user, line, at)
			for _, tr := range all {
				if tr.Score < 4 || tr.Window != 300 {
					t.Errorf("%s: %+v", name, tr)
				}
			}
			return len(all)
		})
		if got != tc.want {
			t.Errorf("%s: %d trends, want %d", name, got, tc.want)
		}
	}
}

// However many different words are said, only so many are followed.
func TestTrendsAreBounded(t *testing.T) {
	trends, now := xengine.NewTrends(), time.Now()
	for i := range 30_000 {
		trends.Hear(1, fmt.Sprintf("#tag%d", i), now.Add(time.Duration(i)*time.Millisecond))
	}
	for u := range 5 {
		if got := trends.Hear(int64(u+1), "#later", now.Add(time.Minute)); (len(got) == 1) != (u == 4) {
			t.Errorf("person %d: %v", u+1, got)
		}
	}
}

package pace_test

import (
	"testing"
	"time"

	"uniqverse/services/chat/pace"
)

func TestABucketFillsWithTime(t *testing.T) {
	p, at := pace.New(), time.Unix(1000, 0)
	me, other := pace.Key{User: 1}, pace.Key{Room: 1, User: 1}
	for i := range 3 {
		if wait := p.Take(me, 2, 3, at); wait != 0 {
			t.Errorf("%d of a burst of 3 waits %s", i+1, wait)
		}
	}
	if wait := p.Take(me, 2, 3, at); wait != 500*time.Millisecond {
		t.Errorf("the fourth waits %s", wait)
	}
	if wait := p.Take(other, 2, 3, at); wait != 0 {
		t.Errorf("another key waits %s", wait)
	}
	if wait := p.Take(me, 2, 3, at.Add(-time.Hour)); wait == 0 {
		t.Error("a clock that goes back fills the bucket")
	}
	at = at.Add(500 * time.Millisecond)
	if wait := p.Take(me, 2, 3, at); wait != 0 {
		t.Errorf("after its wait it waits %s more", wait)
	}
	if wait := p.Take(me, 2, 3, at.Add(time.Hour)); wait != 0 {
		t.Errorf("after an hour it waits %s", wait)
	}
}

// However many people come, those who were quiet are forgotten: a full limiter goes on working.
func TestManyKeys(t *testing.T) {
	p, at := pace.New(), time.Unix(1000, 0)
	for user := range int64(30_000) {
		at = at.Add(10 * time.Millisecond)
		if wait := p.Take(pace.Key{User: user}, 1, 1, at); wait != 0 {
			t.Fatalf("user %d waits %s", user, wait)
		}
	}
	if wait := p.Take(pace.Key{User: 29_999}, 1, 1, at); wait == 0 {
		t.Error("who was here just now is forgotten")
	}
}

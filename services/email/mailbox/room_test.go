package mailbox_test

import (
	"testing"
	"time"

	"uniqverse/services/email/mailbox"
)

// A mailbox with much room is not asked again for a second; one that is half full is always asked.
func TestRoom(t *testing.T) {
	r, now := mailbox.NewRoom(100), time.Unix(1000, 0)
	if r.Has("pilot", now) {
		t.Error("there is room in a mailbox that nobody looked at")
	}
	r.Saw("pilot", 49, now)
	for after, want := range map[time.Duration]bool{0: true, 999 * time.Millisecond: true, time.Second: false, -time.Millisecond: false} {
		if got := r.Has("pilot", now.Add(after)); got != want {
			t.Errorf("after %v there is room: %v, want %v", after, got, want)
		}
	}
	r.Saw("pilot", 50, now)
	if r.Has("pilot", now) {
		t.Error("a mailbox that is half full is not asked")
	}
}

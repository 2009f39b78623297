package peers_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"uniqverse/smtpd/peers"
)

func TestCounts(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 30, 0, time.UTC)
	tab := peers.New(func() time.Time { return now })
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	if open, n := tab.Connect(a); open != 0 || n != 1 {
		t.Errorf("got %d open, %d made", open, n)
	}
	tab.Opened(a)
	if open, n := tab.Connect(a); open != 1 || n != 2 {
		t.Errorf("got %d open, %d made", open, n)
	}
	if open, n := tab.Connect(b); open != 0 || n != 1 {
		t.Errorf("another address: got %d open, %d made", open, n)
	}
	tab.Failed(a)
	tab.Message(a)
	if f, m := tab.Failures(a), tab.Message(a); f != 1 || m != 2 {
		t.Errorf("got %d failures, %d messages", f, m)
	}
	now = now.Add(time.Minute)
	if f, m := tab.Failures(a), tab.Message(a); f != 0 || m != 1 {
		t.Errorf("a minute later: got %d failures, %d messages", f, m)
	}
	if open, n := tab.Connect(a); open != 1 || n != 1 {
		t.Errorf("a minute later: got %d open, %d made", open, n)
	}
	now = now.Add(-time.Hour) // the clock was set back: counting goes on
	if open, n := tab.Connect(a); open != 1 || n != 1 {
		t.Errorf("an hour earlier: got %d open, %d made", open, n)
	}
}

// One IPv6 peer has 2^64 addresses.
func TestPrefix(t *testing.T) {
	tab := peers.New(time.Now)
	tab.Connect(netip.MustParseAddr("2001:db8::1"))
	if _, n := tab.Connect(netip.MustParseAddr("2001:db8::ffff:1")); n != 2 {
		t.Errorf("two addresses of one /64 made %d connections, want 2 counted together", n)
	}
	if _, n := tab.Connect(netip.MustParseAddr("2001:db8:0:1::1")); n != 1 {
		t.Errorf("another /64: %d", n)
	}
}

// A flood of addresses within one minute makes the table forget, but never those with a connection.
func TestFlood(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	tab := peers.New(func() time.Time { return now })
	held := netip.MustParseAddr("192.0.2.1")
	tab.Connect(held)
	tab.Opened(held)
	for i := range uint32(100_000) {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], 10<<24|i)
		tab.Connect(netip.AddrFrom4(b))
	}
	if n := tab.Len(); n > 8192 {
		t.Errorf("%d addresses are kept", n)
	}
	if open, _ := tab.Connect(held); open != 1 {
		t.Errorf("the open connection was forgotten")
	}
}

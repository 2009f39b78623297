package dnsclient

import (
	"context"
	"errors"
	"net"
	"os"
	"time"
)

// resendAfter is how long an answer may take before the query is sent once more. A look-up of
// the mail checks has 2 s, and the resolver beneath waits longer than that for one datagram,
// so without this a single lost one would make the verdict temperror.
const resendAfter = 800 * time.Millisecond

// dial connects to a DNS server; over UDP, with the query sent again when it gets lost.
func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, addr)
	if udp, ok := c.(*net.UDPConn); ok && err == nil {
		return &resending{UDPConn: udp}, nil
	}
	return c, err
}

// resending is a UDP connection for one exchange: one Write, then Reads until the answer has
// come. It is used by one goroutine, as the resolver does.
type resending struct {
	*net.UDPConn
	query []byte    // nil when there is nothing to send again
	until time.Time // the deadline of the whole exchange; zero for none
}

// SetDeadline sets when the whole exchange has to be over.
func (c *resending) SetDeadline(t time.Time) error {
	c.until = t
	return c.UDPConn.SetDeadline(t)
}

// Write sends the query and keeps it.
func (c *resending) Write(b []byte) (int, error) {
	c.query = append([]byte(nil), b...)
	return c.UDPConn.Write(b)
}

// Read waits for an answer, and once sends the query again in the meantime.
func (c *resending) Read(b []byte) (int, error) {
	again := time.Now().Add(resendAfter)
	if c.query == nil || !c.until.IsZero() && c.until.Before(again) {
		return c.UDPConn.Read(b)
	}
	c.UDPConn.SetReadDeadline(again)
	n, err := c.UDPConn.Read(b)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		c.UDPConn.SetReadDeadline(c.until)
		return n, err
	}
	query := c.query
	c.query = nil
	c.UDPConn.SetReadDeadline(c.until)
	if _, err := c.UDPConn.Write(query); err != nil {
		return 0, err
	}
	return c.UDPConn.Read(b)
}

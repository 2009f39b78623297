package registry

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"uniqverse/internal/errs"
)

func newTransport(timeout time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: time.Second, KeepAlive: 15 * time.Second}
	return &http.Transport{
		// No proxy from the environment: services are addressed by the settings alone.
		DialContext:           dialer.DialContext, // also keeps to HTTP/1.1, which upgrades need
		TLSHandshakeTimeout:   2 * time.Second,
		ResponseHeaderTimeout: timeout,
		ExpectContinueTimeout: time.Second,
		MaxIdleConns:          64,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       90 * time.Second,
		DisableCompression:    true, // a proxy passes the bytes on as they are
	}
}

// transport is the http.RoundTripper of one service's client.
type transport struct {
	r    *Registry
	name string
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		req.Body.Close()
	}
	return nil, errs.New(errs.Unavailable, "The service %s is not available; try again later", t.name)
}

// calls counts the near calls that run, so that Close can wait for them.
type calls struct {
	mu     sync.Mutex
	n      int
	closed bool
	idle   chan struct{}
	ctx    context.Context
	cancel context.CancelFunc
}

func (c *calls) init() {
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.idle = make(chan struct{})
}

func (c *calls) close(context.Context) error { return nil }

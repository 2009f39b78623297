package push

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"uniqverse/services/email/jmap/proto"
)

// ttl is for how long a push service keeps a message for a device that is away, in seconds.
const ttl = "86400"

// outgoing is one request on its way.
type outgoing struct {
	ctx  context.Context
	to   Subscription
	what map[string]any
}

// sender posts messages.
type sender struct{ client *http.Client }

// do posts a message once and returns the status of the answer, and how long it asks to wait.
func (s sender) do(m outgoing) (status int, wait time.Duration, err error) {
	body, err := proto.Marshal(m.what)
	if err != nil {
		return 0, 0, err
	}
	if len(m.to.P256DH) > 0 {
		if body, err = encrypt(m.to.P256DH, m.to.Auth, body); err != nil {
			return 0, 0, err
		}
	}
	req, err := http.NewRequestWithContext(m.ctx, http.MethodPost, m.to.URL, bytes.NewReader(body))
	if err != nil {
		return 0, 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("TTL", ttl)
	req.Header.Set("User-Agent", "UniQVerse-Push")
	if len(m.to.P256DH) > 0 {
		req.Header.Set("Content-Encoding", "aes128gcm")
	}
	res, err := s.client.Do(req)
	if err != nil {
		return 0, 0, err
	}
	io.CopyN(io.Discard, res.Body, 64<<10) // so that the connection can be used again
	res.Body.Close()
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 {
		wait = min(longestGap, time.Duration(min(seconds, 3600))*time.Second)
	}
	return res.StatusCode, wait, nil
}

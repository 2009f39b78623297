package cert

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"
)

const (
	warnBefore = 14 * 24 * time.Hour // an end that is so near is told
	watchEvery = 12 * time.Hour
)

// Watch tells the log when the certificate that cfg serves has ended or is about to, at once and twice a day, until
// ctx ends. It goes on being offered: mail servers take TLS that they cannot verify over none at all. mend says what
// the operator has to do.
func Watch(ctx context.Context, cfg *tls.Config, mend string, log *slog.Logger, now func() time.Time) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if end, err := Ends(cfg); err != nil {
			log.Warn("the mail certificate cannot be read", "err", err.Error(), "mend", mend)
		} else if left := end.Sub(now()); left <= 0 {
			log.Warn("the mail certificate has ended; it is still offered, and whoever verifies it refuses it", "ended", end, "mend", mend)
		} else if left < warnBefore {
			log.Warn("the mail certificate ends soon", "ends", end, "mend", mend)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Ends returns when the certificate that cfg serves now stops to be valid.
func Ends(cfg *tls.Config) (time.Time, error) {
	c, err := cfg.GetCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		return time.Time{}, err
	}
	if c.Leaf == nil {
		return time.Time{}, fmt.Errorf("the certificate file holds no certificate")
	}
	return c.Leaf.NotAfter, nil
}

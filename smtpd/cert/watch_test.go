package cert_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"uniqverse/smtpd/cert"
)

// A certificate that has ended is told of with the mend, and still offered.
func TestEndedCertificate(t *testing.T) {
	made := time.Now().Add(-20 * 365 * 24 * time.Hour)
	cfg, err := cert.Load(t.TempDir(), "mail.test", func() time.Time { return made })
	if err != nil {
		t.Fatal(err)
	}
	end, err := cert.Ends(cfg)
	if err != nil || !end.Before(time.Now()) {
		t.Fatalf("it ends %s, %v", end, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // one look and no more
	for _, c := range []struct {
		now  time.Time
		want string
	}{
		{time.Now(), "has ended"}, {end.Add(-24 * time.Hour), "ends soon"}, {end.Add(-30 * 24 * time.Hour), ""},
	} {
		var log bytes.Buffer
		if err := cert.Watch(ctx, cfg, "replace the files", slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return c.now }); err != nil {
			t.Fatal(err)
		}
		if got := log.String(); (c.want == "") != (got == "") || !strings.Contains(got, c.want) || c.want != "" && !strings.Contains(got, "replace the files") {
			t.Errorf("at %s the log says %q, want %q", c.now, got, c.want)
		}
	}
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	done := make(chan error, 1)
	go func() { done <- tls.Server(here, cfg).Handshake() }()
	if err := tls.Client(there, &tls.Config{InsecureSkipVerify: true}).Handshake(); err != nil {
		t.Errorf("it is not offered any more: %v", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

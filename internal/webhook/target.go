package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/reach"
)

const attemptTime = 10 * time.Second // for an answer

// CheckURL refuses an address to which nothing could be sent. What its name resolves to is checked when it is dialled.
func CheckURL(t reach.Targets, text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "" || u.Scheme != "https" && u.Scheme != "http":
		return errs.BadField("url", "must be an address such as https://example.org/hook")
	case u.User != nil || u.Fragment != "":
		return errs.BadField("url", "must have no password and no fragment; deliveries are signed")
	case u.Scheme == "http" && t == reach.Public:
		return errs.BadField("url", "must begin with https://")
	}
	if !t.AllowsHost(u.Hostname()) {
		return errs.BadField("url", "is not a public address; an administrator decides what else is allowed")
	}
	return nil
}

const secretPrefix = "whsec_"

// NewSecret is a key of 24 random bytes in the form of Standard Webhooks.
func NewSecret() string {
	key := make([]byte, 24)
	rand.Read(key) // never fails, as documented
	return secretPrefix + base64.StdEncoding.EncodeToString(key)
}

// Sign returns the header webhook-signature for a message.
func Sign(secret, id string, at time.Time, body string) (string, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, secretPrefix))
	if err != nil {
		return "", fmt.Errorf("read the secret of a webhook: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", id, at.Unix(), body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}

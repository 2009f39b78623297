package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"uniqverse/internal/errs"
)

// The argon2id parameters (RFC 9106) for new hashes: 19 MiB and two passes, OWASP's setting for small
// machines. A stored hash names its own, and is made anew at the next sign-in when these have changed.
const (
	argonMemory  = 19 * 1024 // KiB
	argonTime    = 2
	argonThreads = 1
	argonSalt    = 16 // bytes
	argonKey     = 32 // bytes
)

// hashesAtOnce bounds the memory that sign-ins take: two hashes are 38 MiB. Others wait their
// turn, at most hashesWaiting of them for at most hashWait.
const (
	hashesAtOnce  = 2
	hashesWaiting = 64
	hashWait      = 5 * time.Second
)

// MinPassword and maxPassword bound a password, in characters. The upper one bounds the work.
const (
	MinPassword = 10
	maxPassword = 256
)

// hasher makes and compares password hashes.
type hasher struct {
	turns chan struct{} // a token for each hash that may run
	queue chan struct{} // a token for each that runs or waits

	memory, time uint32 // of new hashes
}

func newHasher() *hasher {
	return &hasher{turns: make(chan struct{}, hashesAtOnce), queue: make(chan struct{}, hashesAtOnce+hashesWaiting), memory: argonMemory, time: argonTime}
}

// nobody is compared with when there is no user, so that this costs the same.
func (h *hasher) nobody() string {
	return encodePHC(h.memory, h.time, argonThreads, make([]byte, argonSalt), make([]byte, argonKey))
}

// turn waits until a hash may run; call the function when it has.
func (h *hasher) turn(ctx context.Context) (done func(), err error) {
	busy := &errs.Error{Kind: errs.Unavailable, Detail: "too many people are signing in right now; try again in a few seconds", RetryAfter: hashWait}
	select {
	case h.queue <- struct{}{}:
	default:
		return nil, busy
	}
	wait := time.NewTimer(hashWait)
	defer wait.Stop()
	select {
	case h.turns <- struct{}{}:
		return func() { <-h.turns; <-h.queue }, nil
	case <-wait.C:
		<-h.queue
		return nil, busy
	case <-ctx.Done():
		<-h.queue
		return nil, ctx.Err()
	}
}

// hash returns the PHC string of a password: $argon2id$v=19$m=…,t=…,p=…$salt$key.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	done, err := h.turn(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	salt := make([]byte, argonSalt)
	rand.Read(salt) // never fails, see its documentation
	key := argon2.IDKey(passwordBytes(password), salt, h.time, h.memory, argonThreads, argonKey)
	return encodePHC(h.memory, h.time, argonThreads, salt, key), nil
}

// matches compares a password with a PHC string in time that does not depend on how much of it
// is right. phc "" (no such user, or one without a password) costs the same and never matches.
// stale means that the hash should be made anew with today's parameters.
func (h *hasher) matches(ctx context.Context, phc, password string) (ok, stale bool, err error) {
	real := phc != ""
	if !real {
		phc = h.nobody()
	}
	p, err := decodePHC(phc)
	if err != nil {
		return false, false, err
	}
	done, err := h.turn(ctx)
	if err != nil {
		return false, false, err
	}
	defer done()
	key := argon2.IDKey(passwordBytes(password), p.salt, p.time, p.memory, p.threads, uint32(len(p.key)))
	same := subtle.ConstantTimeCompare(key, p.key) == 1
	stale = p.memory != h.memory || p.time != h.time || p.threads != argonThreads || len(p.salt) != argonSalt || len(p.key) != argonKey
	return same && real, stale, nil
}

// passwordBytes is what is hashed: the same password typed on systems that compose accents
// differently gives the same bytes (RFC 8265, 4.2). A password that is too long is cut: it
// cannot be anybody's, and the work stays bounded.
func passwordBytes(password string) []byte {
	if len(password) > 4*maxPassword {
		password = password[:4*maxPassword]
	}
	return norm.NFC.Bytes([]byte(password))
}

type phcParts struct {
	memory, time uint32
	threads      uint8
	salt, key    []byte
}

func encodePHC(memory, time uint32, threads uint8, salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, time, threads, b64.EncodeToString(salt), b64.EncodeToString(key))
}

// decodePHC reads a PHC string. Parameters far above ours are refused, so that a row written by
// another hand cannot exhaust memory.
func decodePHC(phc string) (phcParts, error) {
	var p phcParts
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, fmt.Errorf("password hash is not argon2id version %d", argon2.Version)
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.time, &p.threads); err != nil {
		return p, fmt.Errorf("password hash parameters: %w", err)
	}
	var err error
	if p.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return p, fmt.Errorf("password hash salt: %w", err)
	}
	if p.key, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil {
		return p, fmt.Errorf("password hash: %w", err)
	}
	if p.memory < 8 || p.memory > 256*1024 || p.time < 1 || p.time > 16 || p.threads < 1 || len(p.salt) < 8 || len(p.key) < 16 || len(p.key) > 64 {
		return p, fmt.Errorf("password hash parameters %q are out of bounds", parts[3])
	}
	return p, nil
}

// CheckPassword refuses passwords that are too short or long, or that anybody would try first; the error is
// errs.Invalid and names the field.
func CheckPassword(field, password, name string) error {
	n := utf8.RuneCountInString(password)
	lower := strings.ToLower(password)
	first, _ := utf8.DecodeRuneInString(password)
	switch {
	case !utf8.ValidString(password):
		return errs.BadField(field, "must be text in UTF-8")
	case n < MinPassword:
		return errs.BadField(field, "must have at least %d characters; three or four words make a good one", MinPassword)
	case n > maxPassword:
		return errs.BadField(field, "must have at most %d characters", maxPassword)
	case strings.Count(password, string(first)) == n:
		return errs.BadField(field, "must not be one character over and over")
	case name != "" && strings.Trim(strings.ReplaceAll(lower, name, ""), "0123456789!.-_ ") == "":
		return errs.BadField(field, "must not be made of the user name")
	case commonPassword(lower):
		return errs.BadField(field, "is among the first that anybody would try; choose another")
	}
	return nil
}

// commonPassword knows the shapes that fill the lists of leaked passwords and are long enough to pass.
func commonPassword(lower string) bool {
	stem := strings.TrimRight(lower, "0123456789!.?$*#@")
	switch stem {
	case "", "password", "passwort", "passw0rd", "p@ssword", "p@ssw0rd", "qwerty", "qwertyuiop", "qwertzuiop", "asdfghjkl", "letmein",
		"iloveyou", "welcome", "changeme", "administrator", "uniqverse", "vezeuniqverse", "abcdefghij":
		return true
	}
	return strings.HasPrefix("1q2w3e4r5t6y7u8i9o0p", lower) || strings.HasPrefix("qwertyuiopasdfghjklzxcvbnm", lower) ||
		strings.HasPrefix("abcdefghijklmnopqrstuvwxyz", lower)
}

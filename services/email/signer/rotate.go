package signer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"uniqverse/internal/errs"
)

// Rotate makes a new pair of keys that waits for its records to be in the DNS, unless there is one that waits already.
func (s *Signer) Rotate() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys, err := s.load()
	if err != nil {
		return err
	}
	have := of(keys, Next)
	for _, kind := range kinds() {
		found := false
		for _, k := range have {
			found = found || k.kind == kind
		}
		if found {
			continue
		}
		k, err := s.generate(kind, Next)
		if err != nil {
			return err
		}
		s.keys = append(s.keys, k)
		s.seen = time.Time{}
	}
	return nil
}

// Activate signs with the pair that waits from now on. Without one: errs.Conflict.
func (s *Signer) Activate() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.activate()
}

// activate puts the new files in place before it takes the old ones away: between the two, the newest of a kind signs.
func (s *Signer) activate() error {
	keys, err := s.load()
	if err != nil {
		return err
	}
	next := of(keys, Next)
	if len(next) == 0 {
		return errs.New(errs.Conflict, "there is no new pair of keys that could sign; make one first")
	}
	before := of(keys, Active)
	s.keys = nil // whatever happens below, the files say what is
	now := s.now()
	for _, k := range next {
		if err := s.move(k.selector, Next, Active, now); err != nil {
			return err
		}
	}
	for _, k := range before {
		if err := s.move(k.selector, Active, Former, now); err != nil {
			return err
		}
	}
	s.seen = time.Time{}
	_, err = s.load()
	return err
}

func (s *Signer) move(selector string, from, to State, now time.Time) error {
	file := filepath.Join(s.dir, selector+from.suffix())
	if err := os.Chtimes(file, now, now); err != nil {
		return fmt.Errorf("DKIM key: %w", err)
	}
	if err := os.Rename(file, filepath.Join(s.dir, selector+to.suffix())); err != nil {
		return fmt.Errorf("DKIM key: %w", err)
	}
	return nil
}

// Reminder says in a sentence what an administrator should do about the keys; "" is nothing.
func (s *Signer) Reminder() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys, err := s.load()
	if err != nil {
		return "", err
	}
	if len(of(keys, Next)) > 0 {
		return "a new pair of DKIM keys waits for its records to be in the DNS; it signs by itself an hour after they are", nil
	}
	for _, k := range of(keys, Active) {
		if age := s.now().Sub(k.since); age > Old {
			return fmt.Sprintf("the DKIM keys are %d days old; make a new pair (POST /api/dkim/rotate, or the page /dns)", int(age.Hours()/24)), nil
		}
	}
	return "", nil
}

// Tidy signs with a new pair once published said of all its records, for an hour, that they are in the DNS, and removes what
// was in use before KeepOld. It returns a sentence for what it did; "" is nothing. Call it every few minutes.
func (s *Signer) Tidy(ctx context.Context, published func(context.Context, Record) bool) (did string, err error) {
	s.mu.Lock()
	records, err := s.records()
	s.mu.Unlock()
	if err != nil {
		return "", err
	}
	waiting, there := 0, true
	for _, r := range records {
		if r.State == Next {
			waiting++
			there = there && published(ctx, r) // not under the lock: it asks the DNS
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	switch {
	case waiting == 0 || !there:
		s.seen = time.Time{}
	case s.seen.IsZero() || s.seen.After(now):
		s.seen = now
	case now.Sub(s.seen) >= seenFor:
		if err := s.activate(); err != nil {
			return "", err
		}
		return "mail is signed with the new DKIM keys; leave the old records in the DNS for another two weeks", nil
	}
	return s.forget(now)
}

// forget removes the keys whose time is over.
func (s *Signer) forget(now time.Time) (did string, err error) {
	keys, err := s.load()
	if err != nil {
		return "", err
	}
	for _, k := range of(keys, Former) {
		if now.Sub(k.since) < KeepOld {
			continue
		}
		err := os.Remove(filepath.Join(s.dir, k.selector+Former.suffix()))
		if errors.Is(err, os.ErrNotExist) {
			continue // somebody put a newer one beside it by hand, and takes it away by hand
		}
		if err != nil {
			return did, fmt.Errorf("DKIM key: %w", err)
		}
		s.keys, did = nil, "an old DKIM key was removed; the record "+k.selector+"._domainkey can leave the DNS"
	}
	return did, nil
}

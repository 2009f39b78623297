package game

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

const (
	maxUser = 128 // characters of a user id
	maxName = 64  // characters of a season, mode, region, party, sku and the like
)

// userID is a player's id as a request has it: text, or an integer that is kept as its
// decimal text.
type userID string

// UnmarshalJSON reads a string or an integer.
func (u *userID) UnmarshalJSON(b []byte) error {
	var n int64
	if json.Unmarshal(b, &n) == nil && string(b) != "null" {
		*u = userID(strconv.FormatInt(n, 10))
		return nil
	}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return errors.New("must be text or an integer")
	}
	return u.set(s)
}

// UnmarshalText reads the id from the query, a form or the path.
func (u *userID) UnmarshalText(b []byte) error { return u.set(string(b)) }

// Schema describes it in the OpenAPI document.
func (userID) Schema() map[string]any {
	return map[string]any{"type": []string{"string", "integer"}, "maxLength": maxUser}
}

func (u *userID) set(s string) error {
	s = strings.TrimSpace(s)
	if err := plain(s, maxUser); err != nil {
		return err
	}
	*u = userID(s)
	return nil
}

// plain refuses text that is too long or cannot be shown in one line.
func plain(s string, most int) error {
	if utf8.RuneCountInString(s) > most {
		return errors.New("must be at most " + strconv.Itoa(most) + " characters")
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return errors.New("must be printable text in one line")
		}
	}
	return nil
}

// cleanName trims the name of a season, mode, region, party, sku or event and says what is
// wrong with it. A slash and the names "." and ".." would not survive a path.
func cleanName(s *string) error {
	*s = strings.TrimSpace(*s)
	switch {
	case *s == "":
		return errors.New("is required and must not be empty")
	case strings.Contains(*s, "/") || *s == "." || *s == "..":
		return errors.New("must not hold a slash, nor be a dot or two")
	}
	return plain(*s, maxName)
}

// named is a field with its name, for cleanNames.
type named struct {
	field string
	value *string
}

// cleanNames cleans several fields and names each wrong one.
func cleanNames(all ...named) error {
	var bad []errs.Field
	for _, n := range all {
		if err := cleanName(n.value); err != nil {
			bad = append(bad, errs.Field{Field: n.field, Detail: err.Error()})
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return &errs.Error{Kind: errs.Invalid, Detail: bad[0].Field + " " + bad[0].Detail, Fields: bad}
}

// player returns the key under which the player is stored, after the owner check. A user who
// names nobody means themselves.
func (s *Service) player(c *web.Call, u userID) (string, error) {
	name := s.stored(string(u))
	if name == "" {
		if c.Caller.User == "" || c.Caller.Demo || c.Caller.Has("game.server") {
			return "", errs.Missing("user_id")
		}
		return c.Caller.User, nil
	}
	if err := c.Caller.ActAs(name, "game.server"); err != nil {
		return "", err
	}
	if !c.Caller.Demo && c.Caller.ActAs(name, "") == nil {
		return c.Caller.User, nil // however they wrote their own name
	}
	return name, nil
}

// stored cuts our own domain off: a player has one key, however the id is written.
func (s *Service) stored(name string) string {
	local, domain, ok := strings.Cut(name, "@")
	if ok && local != "" && strings.EqualFold(domain, s.opts.Domain) {
		return local
	}
	return name
}

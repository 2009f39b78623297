// Package people finds out who is meant in rooms: whom a request acts for, to whom something is done, and
// whom a line mentions. It knows users by id, name and address, and decides nothing about what they may do.
// A Finder keeps nothing and is safe for concurrent use when its Users are.
package people

import (
	"context"
	"fmt"
	"strings"

	"uniqverse/internal/auth"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/chat/text"
)

const (
	// MaxMentions is the most people in one line.
	MaxMentions = 20
	// ActForOthers is the scope with which a token may name somebody else.
	ActForOthers = "chat.moderate"
)

// Users finds people by id and by local part; errs.NotFound when there is none.
type Users interface {
	UserByID(ctx context.Context, id int64) (auth.User, error)
	UserByName(ctx context.Context, name string) (auth.User, error)
	// Ensure returns the user with the name, made when there is none.
	Ensure(ctx context.Context, name string) (auth.User, error)
}

// Person is somebody by id and handle; ID 0 is a service.
type Person struct {
	ID     int64
	Handle string // "@pilot"
}

// Caller is how a caller is called in rooms.
func Caller(c web.Caller) Person {
	if c.User == "" {
		return Person{c.ID, "@" + c.Server}
	}
	return Person{c.ID, "@" + c.User}
}

// Finder finds people among the users of a domain.
type Finder struct {
	Users  Users
	Domain string
}

// Author decides who a line is from. Left out, it is the caller. A user's token names nobody
// else; one with the scope names users who exist; the demo identity names whomever it likes.
func (f Finder) Author(ctx context.Context, who web.Caller, id int64, handle string) (Person, error) {
	if err := who.ActAsID(id, ActForOthers); err != nil {
		return Person{}, err
	}
	if err := who.ActAs(strings.TrimSpace(handle), ActForOthers); err != nil {
		return Person{}, err
	}
	name, err := text.Handle(handle, f.Domain)
	if err != nil {
		return Person{}, err
	}
	own := Caller(who)
	if (id == 0 || id == who.ID) && (name == "" || strings.EqualFold("@"+name, own.Handle)) {
		return own, nil
	}
	if who.Demo {
		return f.any(ctx, who, id, name)
	}
	return f.known(ctx, id, name)
}

// Other resolves to whom something is done; anybody may be named, and somebody must be.
func (f Finder) Other(ctx context.Context, who web.Caller, id int64, handle string) (Person, error) {
	name, err := text.Handle(handle, f.Domain)
	if err != nil {
		return Person{}, err
	}
	if id == 0 && name == "" {
		return Person{}, errs.BadField("user_id", "or handle is required")
	}
	if who.Demo && id != 0 {
		return f.any(ctx, who, id, name)
	}
	return f.known(ctx, id, name)
}

// any takes what the demo identity says as given and fills in what it left out.
func (f Finder) any(ctx context.Context, who web.Caller, id int64, name string) (Person, error) {
	if id != 0 && name != "" {
		return Person{id, "@" + name}, nil
	}
	if id == 0 {
		u, err := f.Users.UserByName(ctx, strings.ToLower(name))
		if errs.Is(err, errs.NotFound) {
			return Person{who.ID, "@" + name}, nil
		}
		return Person{u.ID, "@" + name}, err
	}
	u, err := f.Users.UserByID(ctx, id)
	if errs.Is(err, errs.NotFound) {
		return Person{id, fmt.Sprintf("@user%d", id)}, nil
	}
	return Person{id, "@" + u.Name}, err
}

func (f Finder) known(ctx context.Context, id int64, name string) (Person, error) {
	if id == 0 {
		u, err := f.Users.UserByName(ctx, strings.ToLower(name))
		if errs.Is(err, errs.NotFound) {
			return Person{}, errs.BadField("handle", "names nobody who is known here")
		}
		return Person{u.ID, "@" + u.Name}, err
	}
	u, err := f.Users.UserByID(ctx, id)
	switch {
	case errs.Is(err, errs.NotFound):
		return Person{}, errs.BadField("user_id", "names nobody who is known here")
	case err == nil && name != "" && !strings.EqualFold(name, u.Name):
		return Person{}, errs.BadField("handle", "is not the name of user %d; leave one of the two out", id)
	}
	return Person{u.ID, "@" + u.Name}, err
}

// Mentioned returns the users whom a line names, each once; more than MaxMentions names are errs.Invalid.
func (f Finder) Mentioned(ctx context.Context, line string) ([]int64, error) {
	names := text.Mentions(line, MaxMentions)
	if len(names) > MaxMentions {
		return nil, errs.BadField("text", "must not mention more than %d people", MaxMentions)
	}
	var users []int64
	for _, name := range names {
		u, err := f.Users.UserByName(ctx, name)
		if errs.Is(err, errs.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		users = append(users, u.ID)
	}
	return users, nil
}

package auth

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
)

// The roles. A person has any number of them.
const (
	RoleUser  = "user"
	RoleAgent = "agent"
	RoleAdmin = "admin"
)

// DemoName is the local part of the demo identity, and the token that stands for it.
const DemoName = "demo"

// User is one account. ID is the user_id of chat and tickets.
type User struct {
	ID         int64
	Name       string // local part of the address, lower-case
	Email      string // Name@domain; filled by this package, the store does not know the domain
	Display    string // name for people, "" for none
	Roles      []string
	Disabled   bool
	Password   bool // has a password, so can sign in
	Created    time.Time
	LastSeen   time.Time // to the hour; zero is never
	Generation int64     // tokens of our own issue carry it; grows when they must end
	Wards      []string  // names of the accounts that belong to the user and are not disabled; see AddAccount
}

// Has reports whether the user has the role.
func (u User) Has(role string) bool { return slices.Contains(u.Roles, role) }

// Roles returns all roles there are, the least first.
func Roles() []string { return []string{RoleUser, RoleAgent, RoleAdmin} }

// ScopesOf returns what people with these roles may do, sorted. A user may provision: the portal lets
// them do it for themselves alone. game.server is for game servers and no role has it.
func ScopesOf(roles []string) []string {
	var all []string
	for _, r := range roles {
		switch r {
		case RoleUser:
			all = append(all, "game.read_mail", "game.play", "email.read", "email.send", "chat.read", "chat.write", "portal.provision")
		case RoleAgent:
			all = append(all, "chat.read", "chat.write", "email.read", "email.send", "ticket.manage", "chat.moderate")
		case RoleAdmin:
			all = append(all, allScopes()...)
			all = slices.DeleteFunc(all, func(s string) bool { return s == "game.server" })
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func allScopes() []string {
	return []string{"game.read_mail", "game.play", "game.server", "email.read", "email.send", "email.admin",
		"chat.read", "chat.write", "chat.moderate", "ticket.manage", "portal.provision", "portal.admin"}
}

// demoScopes is every scope but those with which others or the installation could be harmed.
func demoScopes() []string {
	return slices.DeleteFunc(allScopes(), func(s string) bool {
		return s == "game.server" || s == "email.admin" || s == "portal.admin"
	})
}

// MaxName is the longest local part, in bytes (RFC 5321, 4.5.3.1.1).
const MaxName = 64

// ValidName reports whether name can be a user's local part: 1 to 64 of a-z, 0-9, dot, hyphen and
// underscore, beginning and ending with a letter or digit, without two dots in a row. It needs no
// quoting in an address, and leaves "+" to mail's sub-addresses.
func ValidName(name string) bool {
	if name == "" || len(name) > MaxName || strings.Contains(name, "..") {
		return false
	}
	for i := range len(name) {
		ch := name[i]
		alnum := ch >= 'a' && ch <= 'z' || ch >= '0' && ch <= '9'
		inner := i > 0 && i < len(name)-1 && (ch == '.' || ch == '-' || ch == '_')
		if !alnum && !inner {
			return false
		}
	}
	return true
}

// Reserved reports whether nobody can sign up with the name: it belongs to the installation (RFC 2142),
// to the demo identity, or would be taken for somebody in charge.
func Reserved(name string) bool {
	switch name {
	case DemoName, "postmaster", "abuse", "hostmaster", "webmaster", "mailer-daemon", "noreply", "no-reply", "root", "admin",
		"administrator", "support", "helpdesk", "security", "system", "uniqverse", "helm", "moderator", "info", "bounce", "bounces":
		return true
	}
	return false
}

// LocalPart returns the local part of name in lower case: name is one, or an address in the domain, or a
// handle "@name". It is "" when name is none of these or not a valid local part.
func (a *Auth) LocalPart(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if rest, ok := strings.CutPrefix(name, "@"); ok {
		name = rest
	} else if local, domain, ok := strings.Cut(name, "@"); ok {
		if domain != a.domain {
			return ""
		}
		name = local
	}
	if !ValidName(name) {
		return ""
	}
	return name
}

// Directory finds users by id and by local part.
type Directory interface {
	// UserByID returns the user with the row id, or errs.NotFound. Disabled users are found too.
	UserByID(ctx context.Context, id int64) (User, error)
	// UserByName returns the user with the local part, or errs.NotFound.
	UserByName(ctx context.Context, name string) (User, error)
	// Ensure returns the user with the local part and makes one with the role user when there is none.
	// A name that is not a valid local part is errs.Invalid. Not for use inside a transaction.
	Ensure(ctx context.Context, name string) (User, error)
}

var _ Directory = (*Auth)(nil)

// UserByID is Directory's.
func (a *Auth) UserByID(ctx context.Context, id int64) (User, error) {
	return a.byID.load(id, func() (User, error) {
		u, err := a.store.UserByID(ctx, id)
		return a.dress(u), err
	})
}

// UserByName is Directory's.
func (a *Auth) UserByName(ctx context.Context, name string) (User, error) {
	return a.byName.load(name, func() (User, error) {
		u, err := a.store.UserByName(ctx, name)
		return a.dress(u), err
	})
}

// Ensure is Directory's.
func (a *Auth) Ensure(ctx context.Context, name string) (User, error) {
	u, err := a.UserByName(ctx, name)
	if !errs.Is(err, errs.NotFound) {
		return u, err
	}
	if !ValidName(name) {
		return User{}, errs.BadField("user", "must be 1 to 64 of a-z, 0-9, dot, hyphen and underscore, with a letter or digit at both ends")
	}
	err = a.store.Update(ctx, nil, func(tx Tx) error {
		var err error
		u, _, err = a.add(ctx, tx, NewUser{Name: name, Roles: []string{RoleUser}})
		return err
	})
	return u, err
}

// userCreated is the payload of auth.user.created.
type userCreated struct {
	UserID int64  `json:"user_id"`
	User   string `json:"user"`
	Handle string `json:"handle"`
}

// add makes a user and tells so; an existing one is returned with added false.
func (a *Auth) add(ctx context.Context, tx Tx, n NewUser) (User, bool, error) {
	u, added, err := tx.AddUser(n)
	if err != nil || !added {
		return a.dress(u), false, err
	}
	u = a.dress(u)
	ev, err := event.New(event.UserCreated, tx.Now(), event.TraceOf(ctx), userCreated{UserID: u.ID, User: u.Email, Handle: "@" + u.Name})
	if err != nil {
		return User{}, false, err
	}
	tx.Emit(event.StreamPortal, ev)
	return u, true, nil
}

// dress gives a stored user their address.
func (a *Auth) dress(u User) User {
	if u.Name != "" {
		u.Email = u.Name + "@" + a.domain
	}
	return u
}

// Changed makes what was changed about a user count for the next request; call it after the commit of a
// transaction that changed one.
func (a *Auth) Changed(u User) {
	a.sessions.clear()
	a.forget(u)
}

func (a *Auth) forget(u User) {
	a.byID.drop(u.ID)
	a.byName.drop(u.Name)
}

// maxDisplay bounds the name for people, in characters.
const maxDisplay = 80

// cleanDisplay trims a name for people; control characters and lengths above 80 are errs.Invalid.
func cleanDisplay(name string) (string, error) {
	name = strings.TrimSpace(name)
	if utf8.RuneCountInString(name) > maxDisplay || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x202a && r <= 0x202e }) {
		return "", errs.BadField("name", "must be at most %d characters on one line", maxDisplay)
	}
	return name, nil
}

// SetDisplay changes the user's name for people inside a transaction; "" removes it.
func (a *Auth) SetDisplay(tx Tx, id int64, name string) (User, error) {
	name, err := cleanDisplay(name)
	if err != nil {
		return User{}, err
	}
	u, err := tx.UpdateUser(id, UserChange{Display: &name})
	return a.dress(u), err
}

// SetRoles gives the user exactly these roles inside a transaction; call Changed after its commit. Tokens
// that the portal handed out end. The last administrator keeps the role (errs.Conflict); an unknown role
// is errs.Invalid.
func (a *Auth) SetRoles(tx Tx, id int64, roles []string) (User, error) {
	clean := []string{}
	for _, r := range Roles() {
		if slices.Contains(roles, r) {
			clean = append(clean, r)
		}
	}
	for _, r := range roles {
		if !slices.Contains(Roles(), r) {
			return User{}, errs.BadField("roles", "must be of %s", strings.Join(Roles(), ", "))
		}
	}
	return a.keepAnAdmin(tx, func() (User, error) { return tx.UpdateUser(id, UserChange{Roles: &clean, EndTokens: true}) })
}

// SetDisabled shuts the user out or lets them in again, inside a transaction; call Changed after its commit.
// Shutting out ends sessions and tokens at once, and app passwords work no more while it lasts. The last
// administrator cannot be shut out (errs.Conflict).
func (a *Auth) SetDisabled(tx Tx, id int64, disabled bool) (User, error) {
	return a.keepAnAdmin(tx, func() (User, error) {
		u, err := tx.UpdateUser(id, UserChange{Disabled: &disabled, EndTokens: disabled})
		if err != nil || !disabled {
			return u, err
		}
		return u, tx.DeleteSessions(id, 0, time.Time{})
	})
}

// keepAnAdmin refuses a change that would leave an installation without its only administrator.
func (a *Auth) keepAnAdmin(tx Tx, change func() (User, error)) (User, error) {
	before, err := tx.CountAdmins()
	if err != nil {
		return User{}, err
	}
	u, err := change()
	if err != nil {
		return User{}, err
	}
	after, err := tx.CountAdmins()
	if err == nil && before > 0 && after == 0 {
		err = errs.New(errs.Conflict, "this is the only administrator left; make somebody else one first")
	}
	return a.dress(u), err
}

// Users returns a page of users for administrators, newest first, and how many match in all.
func (a *Auth) Users(ctx context.Context, q UserQuery) ([]User, int, error) {
	us, total, err := a.store.Users(ctx, q)
	for i := range us {
		us[i] = a.dress(us[i])
	}
	return us, total, err
}

package inboxes

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/auth"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/mime"
)

// Endpoints are the routes of inboxes and their page.
func (s *Service) Endpoints() []web.Endpoint {
	token, page := web.NeedsToken("email.read"), web.Needs("email.read")
	token.Describe = "one's own inboxes; others' with email.admin; never with an inbox's own password"
	page.Describe = token.Describe
	back := func(*web.Call, any) string { return "/inboxes" }
	return []web.Endpoint{
		web.Query(http.MethodPost, "/api/inboxes", token, "Make an inbox for tests; its password is shown this once", s.add).Status(201),
		web.Query(http.MethodGet, "/api/inboxes", token, "One's inboxes, newest first; everybody's with email.admin", s.list),
		web.Query(http.MethodGet, "/api/inboxes/{id}", token, "One inbox", s.one),
		web.Query(http.MethodPatch, "/api/inboxes/{id}", token, "Change an inbox's note, or what it keeps", s.change),
		web.Query(http.MethodPost, "/api/inboxes/{id}/rotate", token, "Give an inbox another password, shown this once; the one before ends", s.rotate),
		web.Query(http.MethodDelete, "/api/inboxes/{id}", token, "Remove an inbox with its mail; its password ends", s.remove),
		web.View("/inboxes", page, "Inboxes for tests", s.page),
		web.Query(http.MethodPost, "/inboxes", page, "The page's form: make an inbox; its password is shown this once", s.addForm).Retry(s.again),
		web.Query(http.MethodPost, "/inboxes/{id}", page, "The page's form: change what an inbox keeps", s.change).Redirect(back).Retry(s.again),
		web.Query(http.MethodPost, "/inboxes/{id}/rotate", page, "The page's form: another password, shown this once", s.rotateForm),
		web.Query(http.MethodPost, "/inboxes/{id}/delete", page, "The page's form: remove an inbox with its mail", s.remove).Redirect(back),
	}
}

// Wire is an inbox as the API shows it.
type Wire struct {
	ID          int64    `json:"id"`
	User        string   `json:"user"`     // its address, with which it signs in
	Patterns    []string `json:"patterns"` // the addresses whose mail it gets
	Owner       string   `json:"owner"`
	Note        string   `json:"note"`
	Outbound    bool     `json:"outbound"` // it gets all mail that would leave this host
	MaxAgeHours int      `json:"max_age_hours"`
	MaxCount    int      `json:"max_count"`
	Messages    int64    `json:"messages"`
	Unread      int64    `json:"unread"`
	Bytes       int64    `json:"bytes"`
	CreatedAt   api.Time `json:"created_at"`
}

// Made is an inbox with its password, which opens what the ports are for, JMAP, and the API with HTTP Basic.
type Made struct {
	Wire
	Password string `json:"password"`
	Ports    Ports  `json:"ports"`
}

// Ports are where an inbox's password opens something; 0 is nowhere.
type Ports struct {
	Submission  int `json:"submission"`  // SMTP with STARTTLS
	Submissions int `json:"submissions"` // SMTP over TLS
	POP3        int `json:"pop3"`
	POP3S       int `json:"pop3s"`
}

func (s *Service) address(user string) string { return user + "@" + s.Domain }

func (s *Service) wire(in Inbox) Wire {
	return Wire{ID: in.ID, User: s.address(in.User), Patterns: []string{s.address(in.User), s.address(in.User + "+*"), "*@" + in.User + "." + s.Domain}, Owner: in.Owner, Note: in.Note,
		Outbound: in.Outbound, MaxAgeHours: int(in.MaxAge / time.Hour), MaxCount: in.MaxCount, Messages: in.Messages, Unread: in.Unread, Bytes: in.Bytes, CreatedAt: api.TimeOf(in.Created)}
}

func (s *Service) made(in Inbox, secret string) Made {
	return Made{s.wire(in), secret, Ports{s.SubmissionPort, s.SubmissionsPort, s.POP3Port, s.POP3SPort}}
}

func admin(c web.Caller) bool { return c.Has("email.admin") }

// keeper refuses who can have no inboxes: services, and inboxes.
func (s *Service) keeper(ctx context.Context, c web.Caller) error {
	if c.User == "" {
		return errs.New(errs.Denied, "inboxes are for people; a service has none")
	}
	inbox, err := s.Store.IsInbox(ctx, c.User)
	if err == nil && (inbox || c.Via == web.AppPassword) {
		err = errs.New(errs.Denied, "an inbox's own password opens its mail, and no other inbox")
	}
	return err
}

// allowed returns an inbox for who keeps it; for anybody else it is not there.
func (s *Service) allowed(c *web.Call, id int64) (Inbox, error) {
	if err := s.keeper(c.Context(), c.Caller); err != nil {
		return Inbox{}, err
	}
	in, err := s.Store.InboxByID(c.Context(), id)
	if err == nil && in.Owner != c.Caller.User && !admin(c.Caller) {
		err = errs.New(errs.NotFound, "there is no such inbox")
	}
	return in, err
}

type keeping struct {
	MaxAgeHours int `json:"max_age_hours,omitempty" min:"1" max:"8760" doc:"how long a message is kept; 168 when left out"`
	MaxCount    int `json:"max_count,omitempty" min:"1" max:"10000" doc:"how many messages are kept, the newest; 500 when left out"`
}

type addIn struct {
	Name string `json:"name,omitempty" max:"40" doc:"local part of its address: 3 to 40 of a-z, 0-9 and hyphen; made up when left out"`
	Note string `json:"note,omitempty" max:"200" doc:"what it is for"`
	keeping
	Outbound bool `json:"outbound,omitempty" doc:"it gets all mail that would leave this host, whoever sends it; for email.admin and the demo identity"`
}

// badName says why a text is no name of an inbox; "" when it is one. It is a label of a host name, too.
func badName(name string) string {
	if len(name) < 3 || len(name) > 40 || name[0] == '-' || name[len(name)-1] == '-' || strings.Contains(name, "--") ||
		strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }) {
		return "must be 3 to 40 of a-z, 0-9 and single hyphens, with a letter or digit at both ends"
	}
	return ""
}

// errTaken is why a name cannot be had. It does not say who has it.
func errTaken() error {
	return errs.New(errs.Conflict, "this name is taken or reserved; choose another one")
}

// hostNames are names below a domain that hosts and services have.
func hostName(name string) bool {
	switch name {
	case "mail", "smtp", "imap", "pop", "pop3", "www", "ftp", "mta-sts", "autoconfig", "autodiscover", "api", "ns1", "ns2", "mx1", "mx2":
		return true
	}
	return false
}

func (s *Service) add(c *web.Call, in addIn) (Made, error) {
	if err := s.mayMake(c, in); err != nil {
		return Made{}, err
	}
	if c.Request.Header.Get("Idempotency-Key") != "" {
		return Made{}, errs.BadField("Idempotency-Key", "is not taken here: the answer holds a secret that is not stored; name the inbox, and a second one is refused")
	}
	owner, err := s.Accounts.UserByName(c.Context(), c.Caller.User)
	if err != nil {
		return Made{}, err
	}
	box := Inbox{User: in.Name, Owner: owner.Name, Note: mime.Line(in.Note, 200), Outbound: in.Outbound, MaxAge: DefaultAge, MaxCount: DefaultCount}
	if in.MaxAgeHours != 0 {
		box.MaxAge = time.Duration(in.MaxAgeHours) * time.Hour
	}
	if in.MaxCount != 0 {
		box.MaxCount = in.MaxCount
	}
	if box.User == "" {
		box.User = "t-" + strings.ToLower(rand.Text()[:12])
	}
	var account auth.User
	secret := ""
	err = s.Store.Update(c.Context(), nil, func(tx Tx) (err error) {
		n, err := tx.CountInboxes(owner.Name)
		if err == nil && n >= MaxOwned && !admin(c.Caller) {
			err = errs.New(errs.Conflict, "you have %d inboxes, which is the most; remove one first", n)
		}
		if err != nil {
			return err
		}
		box.Created = tx.Now()
		if account, err = s.open(tx, &box, owner); err != nil {
			return err
		}
		if secret, err = s.Accounts.RenewAppPassword(tx.Accounts(), account.ID, "inbox"); err != nil {
			return err
		}
		if _, _, err = tx.EnsureMailbox(box.User, mailbox.MadeByProvision); err != nil {
			return err
		}
		box, err = tx.SaveInbox(box)
		if errs.Is(err, errs.Conflict) {
			err = errs.New(errs.Conflict, "another inbox gets all outbound mail already")
		}
		return err
	})
	if err != nil {
		return Made{}, err
	}
	s.Accounts.Changed(account)
	s.Accounts.Changed(owner)
	return s.made(box, secret), nil
}

// mayMake checks who wants an inbox, and how it is to be called.
func (s *Service) mayMake(c *web.Call, in addIn) error {
	if err := s.keeper(c.Context(), c.Caller); err != nil {
		return err
	}
	if why := badName(in.Name); why != "" && in.Name != "" {
		return errs.BadField("name", "%s", why)
	}
	if hostName(in.Name) || auth.Reserved(in.Name) {
		return errTaken()
	}
	return mayCatch(c.Caller, in.Outbound)
}

func mayCatch(c web.Caller, outbound bool) error {
	if outbound && !c.Demo && !admin(c) {
		return errs.New(errs.Denied, "all outbound mail is for an administrator of mail (email.admin), or for the demo identity")
	}
	return nil
}

// open makes the account of an inbox, or enables the one that its owner removed before.
func (s *Service) open(tx Tx, box *Inbox, owner auth.User) (auth.User, error) {
	was, err := tx.InboxByName(box.User)
	if err == nil {
		if !was.Removed || was.Owner != owner.Name {
			return auth.User{}, errTaken()
		}
		box.ID, box.Account = was.ID, was.Account
		return s.Accounts.AccountAgain(tx.Accounts(), was.Account)
	}
	if !errs.Is(err, errs.NotFound) {
		return auth.User{}, err
	}
	taken, err := tx.NameTaken(box.User)
	if err == nil && taken {
		err = errTaken()
	}
	if err != nil {
		return auth.User{}, err
	}
	account, err := s.Accounts.AddAccount(tx.Accounts(), owner.ID, box.User, "")
	box.Account = account.ID
	return account, err
}

// List is the answer to GET /api/inboxes.
type List struct {
	Inboxes []Wire `json:"inboxes"`
	Max     int    `json:"max"` // how many one may have
}

type listIn struct{ web.Paging }

func (s *Service) list(c *web.Call, in listIn) (List, error) {
	out := List{Inboxes: []Wire{}, Max: MaxOwned}
	if err := s.keeper(c.Context(), c.Caller); err != nil {
		return out, err
	}
	owner := c.Caller.User
	if admin(c.Caller) {
		owner = ""
	}
	all, err := s.Store.Inboxes(c.Context(), owner, in.Paging)
	for _, i := range all {
		out.Inboxes = append(out.Inboxes, s.wire(i))
	}
	return out, err
}

type idIn struct {
	ID int64 `path:"id" min:"1"`
}

func (s *Service) one(c *web.Call, in idIn) (Wire, error) {
	box, err := s.allowed(c, in.ID)
	return s.wire(box), err
}

type changeIn struct {
	idIn
	Note        *string `json:"note,omitempty" max:"200"`
	MaxAgeHours *int    `json:"max_age_hours,omitempty" min:"1" max:"8760"`
	MaxCount    *int    `json:"max_count,omitempty" min:"1" max:"10000"`
	Outbound    *bool   `json:"outbound,omitempty" doc:"whether it gets all mail that would leave this host; for email.admin and the demo identity"`
}

// Check refuses a change of nothing.
func (in *changeIn) Check() error {
	if in.Note == nil && in.MaxAgeHours == nil && in.MaxCount == nil && in.Outbound == nil {
		return errs.BadField("note", "or max_age_hours, max_count or outbound is required: there is nothing to change")
	}
	return nil
}

func (s *Service) change(c *web.Call, in changeIn) (any, error) {
	if _, err := s.allowed(c, in.ID); err != nil {
		return nil, err
	}
	if err := mayCatch(c.Caller, in.Outbound != nil); err != nil {
		return nil, err
	}
	defer s.look()
	return web.Update(c, in, s.Store, func(tx Tx) (Wire, error) {
		box, err := tx.InboxByID(in.ID)
		if err != nil {
			return Wire{}, err
		}
		if in.Note != nil {
			box.Note = mime.Line(*in.Note, 200)
		}
		if in.MaxAgeHours != nil {
			box.MaxAge = time.Duration(*in.MaxAgeHours) * time.Hour
		}
		if in.MaxCount != nil {
			box.MaxCount = *in.MaxCount
		}
		if in.Outbound != nil {
			box.Outbound = *in.Outbound
		}
		box, err = tx.SaveInbox(box)
		if errs.Is(err, errs.Conflict) {
			err = errs.New(errs.Conflict, "another inbox gets all outbound mail already")
		}
		return s.wire(box), err
	})
}

func (s *Service) rotate(c *web.Call, in idIn) (Made, error) {
	box, err := s.allowed(c, in.ID)
	if err != nil {
		return Made{}, err
	}
	secret := ""
	err = s.Store.Update(c.Context(), nil, func(tx Tx) (err error) {
		if box, err = tx.InboxByID(in.ID); err != nil {
			return err
		}
		secret, err = s.Accounts.RenewAppPassword(tx.Accounts(), box.Account, "inbox")
		return err
	})
	if err != nil {
		return Made{}, err
	}
	return s.made(box, secret), nil
}

// gone says that an inbox is removed; its mail goes in the seconds after.
type gone struct {
	OK bool `json:"ok"`
}

func (s *Service) remove(c *web.Call, in idIn) (any, error) {
	box, err := s.allowed(c, in.ID)
	if err != nil {
		return nil, err
	}
	defer s.look()
	out, err := web.Update(c, in, s.Store, func(tx Tx) (gone, error) {
		now, err := tx.InboxByID(in.ID)
		if err != nil {
			return gone{}, err
		}
		now.Removed, now.Outbound = true, false
		if _, err := tx.SaveInbox(now); err != nil {
			return gone{}, err
		}
		_, err = s.Accounts.CloseAccount(tx.Accounts(), now.Account)
		return gone{true}, err
	})
	if err == nil {
		s.changed(c.Context(), box.User, box.Owner)
	}
	return out, err
}

// changed lets what was changed about accounts count for the next request.
func (s *Service) changed(ctx context.Context, names ...string) {
	for _, name := range names {
		if u, err := s.Accounts.UserByName(ctx, name); err == nil {
			s.Accounts.Changed(u)
		}
	}
}

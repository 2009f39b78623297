package alias

import (
	"crypto/rand"
	"slices"
	"strings"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/mime"
)

// Endpoints returns the routes of aliases, and of the addresses that people make for themselves.
func (d *Directory) Endpoints() []web.Endpoint {
	admin, read := web.NeedsToken("email.admin"), web.NeedsToken("email.read")
	read.Describe = "the user's own; others' with email.admin"
	return append(d.forms(),
		web.Query("GET", "/api/aliases", admin, "Every alias and where it leads", d.aliases),
		web.Command("POST", "/api/aliases", admin, "Let an alias lead to mailboxes; to none: remove it. \"*\" is the catch-all", d.Store, d.setAlias),
		web.Query("GET", "/api/addresses", read, "All addresses of a user, with what came through each", d.list),
		web.Query("POST", "/api/addresses", read, "Make another address: with a name, or a masked one", d.add),
		web.Command("PATCH", "/api/addresses/{address}", read, "Switch an address off or on, or change its note", d.Store, d.change),
		web.Command("DELETE", "/api/addresses/{address}", read, "Remove an address; nobody else can have it afterwards", d.Store, d.remove),
	)
}

// List is the answer to GET /api/aliases.
type List struct {
	Aliases []mailbox.Alias `json:"aliases"`
}

func (d *Directory) aliases(c *web.Call, _ web.None) (List, error) {
	list, err := d.Store.Aliases(c.Context())
	if list == nil {
		list = []mailbox.Alias{}
	}
	return List{list}, err
}

type aliasParams struct {
	Alias   string   `json:"alias" web:"required" max:"64" doc:"a local part, or * for whatever nobody else gets"`
	Targets []string `json:"targets,omitempty" max:"50" doc:"local parts or addresses of the domain; none removes the alias"`
}

func (d *Directory) setAlias(_ *web.Call, tx mailbox.Tx, in aliasParams) (mailbox.Alias, error) {
	alias := in.Alias
	if alias != CatchAll {
		var err error
		if alias, err = mailbox.Canonical(alias); err != nil {
			return mailbox.Alias{}, errs.BadField("alias", "%s", err)
		}
		a, err := tx.AddressByName(alias)
		if err == nil {
			return mailbox.Alias{}, errs.New(errs.Conflict, "%s is an address of %s; change it as such (PATCH /api/addresses/%s)", alias, a.User, alias)
		}
		if !errs.Is(err, errs.NotFound) {
			return mailbox.Alias{}, err
		}
	}
	targets := []string{}
	for _, t := range in.Targets {
		local, err := d.Named(t)
		if err != nil {
			return mailbox.Alias{}, errs.BadField("targets", "must be local parts or addresses at %s", d.Domain)
		}
		if !slices.Contains(targets, local) {
			targets = append(targets, local)
		}
	}
	return mailbox.Alias{Alias: alias, Targets: targets}, tx.SetAlias(alias, targets)
}

// Address is an address as the API shows it.
type Address struct {
	Address   string    `json:"address"`
	User      string    `json:"user"`    // local part of its mailbox
	Kind      string    `json:"kind"`    // main, alias, masked, or shared: an administrator's alias
	Enabled   bool      `json:"enabled"` // false: mail to it is answered 550 5.1.1
	Note      string    `json:"note"`
	Messages  int64     `json:"messages"` // that came through it; not counted for main and shared
	Spam      int64     `json:"spam"`     // of those: judged junk
	LastAt    *api.Time `json:"last_at"`  // when the last came
	CreatedAt *api.Time `json:"created_at"`
}

// Addresses is the answer to GET /api/addresses.
type Addresses struct {
	User       string    `json:"user"`
	Addresses  []Address `json:"addresses"`
	MaxAliases int       `json:"max_aliases"`
	MaxMasked  int       `json:"max_masked"`
}

func (d *Directory) wire(a mailbox.Address) Address {
	created := api.TimeOf(a.Created)
	w := Address{Address: a.Local + "@" + d.Domain, User: a.User, Kind: a.Kind, Enabled: a.Enabled, Note: a.Note, Messages: a.Messages, Spam: a.Spam, CreatedAt: &created}
	if !a.Last.IsZero() {
		at := api.TimeOf(a.Last)
		w.LastAt = &at
	}
	return w
}

type listParams struct {
	User string `json:"user,omitempty" max:"320" doc:"whose: an address of the domain, or its local part; the caller when left out"`
}

func (d *Directory) list(c *web.Call, in listParams) (Addresses, error) {
	user, err := d.Owner(c, in.User)
	if err != nil {
		return Addresses{}, err
	}
	out := Addresses{User: user, MaxAliases: MaxAliases, MaxMasked: MaxMasked, Addresses: []Address{{Address: user + "@" + d.Domain, User: user, Kind: "main", Enabled: true}}}
	shared, err := d.Store.SharedWith(c.Context(), user)
	if err != nil {
		return out, err
	}
	for _, s := range shared {
		if s != CatchAll {
			out.Addresses = append(out.Addresses, Address{Address: s + "@" + d.Domain, User: user, Kind: "shared", Enabled: true})
		}
	}
	box, err := d.Store.MailboxByName(c.Context(), user)
	if errs.Is(err, errs.NotFound) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	own, err := d.Store.AddressesOf(c.Context(), box.ID)
	for _, a := range own {
		out.Addresses = append(out.Addresses, d.wire(a))
	}
	return out, err
}

type addParams struct {
	User   string `json:"user,omitempty" max:"320" doc:"whose it is to be; the caller's when left out"`
	Name   string `json:"name,omitempty" max:"64" doc:"its local part"`
	Masked bool   `json:"masked,omitempty" doc:"instead of a name: one that tells nothing"`
	Note   string `json:"note,omitempty" max:"200" doc:"what it is for, for yourself"`
}

// Check refuses both, and neither.
func (p addParams) Check() error {
	if (p.Name == "") != p.Masked {
		return errs.BadField("name", "is required, or masked=true for an address without a name: one of the two")
	}
	return nil
}

// errTaken is why a name cannot be had. It does not say who has it.
func errTaken() error {
	return errs.New(errs.Conflict, "this name is taken or reserved; choose another one")
}

func (d *Directory) add(c *web.Call, in addParams) (any, error) {
	user, err := d.Owner(c, in.User)
	if err != nil {
		return nil, err
	}
	a := mailbox.Address{User: user, Kind: mailbox.KindMasked, Note: mime.Line(in.Note, 200), Enabled: true}
	if in.Masked {
		a.Local = masked()
	} else {
		a.Kind = mailbox.KindAlias
		if a.Local, err = d.name(c, in.Name); err != nil {
			return nil, err
		}
	}
	_, err = d.Users.UserByName(c.Context(), a.Local)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return nil, err
	}
	isUser := err == nil
	return web.Update(c, in, d.Store, func(tx mailbox.Tx) (Address, error) {
		box, _, err := tx.EnsureMailbox(user, mailbox.MadeByMail)
		if err != nil {
			return Address{}, err
		}
		a.Mailbox, a.Created = box.ID, tx.Now()
		was, err := tx.AddressByName(a.Local)
		switch {
		case err == nil && was.Removed && was.Mailbox == box.ID: // one's own, again
		case err == nil:
			return Address{}, errTaken()
		case !errs.Is(err, errs.NotFound):
			return Address{}, err
		default:
			taken, err := tx.NameTaken(a.Local)
			if err != nil {
				return Address{}, err
			}
			if taken || isUser {
				return Address{}, errTaken()
			}
		}
		limit := map[string]int{mailbox.KindAlias: MaxAliases, mailbox.KindMasked: MaxMasked}[a.Kind]
		n, err := tx.CountAddresses(box.ID, a.Kind)
		if err == nil && n >= limit && !c.Caller.Has("email.admin") {
			err = errs.New(errs.Conflict, "there are %d addresses of this kind, and may be no more; remove one first", limit)
		}
		if err != nil {
			return Address{}, err
		}
		return d.wire(a), tx.SaveAddress(a)
	})
}

// reserved are names that stand for the installation (RFC 2142), which nobody gets for themselves.
func reserved(name string) bool {
	return slices.Contains([]string{Postmaster, "abuse", "admin", "administrator", "hostmaster", "webmaster", "root", "security", "noc", "info", "sales", "marketing", "support", "help",
		"noreply", "no-reply", "mailer-daemon", "mail", "www", "ftp", "usenet", "news", "uucp", "billing", "office", "staff", "team", "moderator", "system", "everyone", "all", "list"}, name)
}

// name checks a name that somebody wants.
func (d *Directory) name(c *web.Call, text string) (string, error) {
	local, domain := mailbox.Split(strings.TrimSpace(text))
	if domain != "" {
		if _, err := d.Named(text); err != nil {
			return "", errs.BadField("name", "must be a local part, or an address at %s", d.Domain)
		}
	}
	local, err := mailbox.Canonical(local)
	if err != nil {
		return "", errs.BadField("name", "%s", err)
	}
	if len([]rune(local)) < 3 || mailbox.WithoutTag(local) != local || local[0] == '"' {
		return "", errs.BadField("name", "must have three letters or more, and no + and no quotes")
	}
	if reserved(local) && !c.Caller.Has("email.admin") {
		return "", errTaken()
	}
	return local, nil
}

// masked returns a local part that tells nothing and can be read out: 10 syllables, about 60 bits.
func masked() string {
	const consonants, vowels = "bdfghjklmnprstvz", "aeio"
	var b [10]byte
	rand.Read(b[:]) // it never fails
	out := make([]byte, 0, 21)
	for i, x := range b {
		if i == 5 {
			out = append(out, '.')
		}
		out = append(out, consonants[x>>4], vowels[x>>2&3])
	}
	return string(out)
}

type changeParams struct {
	Address string  `path:"address" max:"320" doc:"the address, or its local part"`
	User    string  `json:"user,omitempty" max:"320" doc:"whose it is; the caller's when left out"`
	Enabled *bool   `json:"enabled,omitempty" doc:"false: mail to it is answered 550 5.1.1"`
	Note    *string `json:"note,omitempty" max:"200"`
}

// mine returns an address that the caller may change.
func (d *Directory) mine(c *web.Call, tx mailbox.Tx, address, user string) (mailbox.Address, error) {
	none := errs.New(errs.NotFound, "there is no such address")
	owner, err := d.Owner(c, user)
	if err != nil {
		return mailbox.Address{}, err
	}
	local, domain := mailbox.Split(address)
	if domain != "" {
		if _, err := d.Named(address); err != nil {
			return mailbox.Address{}, none
		}
	}
	if local, err = mailbox.Canonical(local); err != nil {
		return mailbox.Address{}, none
	}
	a, err := tx.AddressByName(local)
	if errs.Is(err, errs.NotFound) || err == nil && (a.Removed || a.User != owner && c.Caller.ActAs(a.User, "email.admin") != nil) {
		return a, none
	}
	return a, err
}

func (d *Directory) change(c *web.Call, tx mailbox.Tx, in changeParams) (Address, error) {
	a, err := d.mine(c, tx, in.Address, in.User)
	if err != nil {
		return Address{}, err
	}
	if in.Enabled != nil {
		a.Enabled = *in.Enabled
	}
	if in.Note != nil {
		a.Note = mime.Line(*in.Note, 200)
	}
	return d.wire(a), tx.SaveAddress(a)
}

type removeParams struct {
	Address string `path:"address" max:"320" doc:"the address, or its local part"`
	User    string `json:"user,omitempty" max:"320" doc:"whose it is; the caller's when left out"`
}

func (d *Directory) remove(c *web.Call, tx mailbox.Tx, in removeParams) (Address, error) {
	a, err := d.mine(c, tx, in.Address, in.User)
	if err != nil {
		return Address{}, err
	}
	a.Enabled, a.Removed, a.Note = false, true, ""
	return d.wire(a), tx.SaveAddress(a)
}

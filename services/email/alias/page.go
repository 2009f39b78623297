package alias

import (
	"net/url"
	"strings"

	"uniqverse/internal/web"
	"uniqverse/internal/web/form"
	"uniqverse/templates"
)

// forms are the page of a user's addresses, and what its forms post to.
func (d *Directory) forms() []web.Endpoint {
	page := web.Needs("email.read")
	page.Describe = "the user's own; others' with email.admin"
	back := form.BackTo("/addresses", "user")
	return []web.Endpoint{
		web.View("/addresses", page, "A user's addresses, and masked ones to make", d.page),
		web.Query("POST", "/addresses", page, "The page's form: make another address", d.add).Redirect(made).Retry(d.again),
		web.Command("POST", "/addresses/{address}", page, "The page's form: switch an address off or on, or change its note", d.Store, d.change).Redirect(back),
		web.Command("POST", "/addresses/{address}/delete", page, "The page's form: remove an address", d.Store, d.remove).Redirect(back),
	}
}

// made leads to the page, which names what was made.
func made(c *web.Call, out any) string {
	to := form.BackTo("/addresses", "user")(c, out)
	a, ok := out.(Address)
	if !ok {
		return to
	}
	sep := "?"
	if strings.Contains(to, "?") {
		sep = "&"
	}
	return to + sep + url.Values{"made": {a.Address}}.Encode()
}

type pageParams struct {
	User string `json:"user,omitempty" max:"320" doc:"whose: an address of the domain, or its local part; the caller when left out"`
	Made string `json:"made,omitempty" max:"320" doc:"the address that was made just now"`
}

func (d *Directory) page(c *web.Call, in pageParams) (web.Page, error) {
	list, err := d.list(c, listParams{User: in.User})
	if err != nil {
		return web.Page{}, err
	}
	v := templates.AddressesView{Tools: templates.Tools{Mailbox: list.User + "@" + d.Domain, User: in.User, Links: templates.MailboxLinks(in.User, "/addresses")}, MaxAlias: list.MaxAliases, MaxMasked: list.MaxMasked}
	for _, a := range list.Addresses {
		row := templates.AddressRow{Address: a.Address, Kind: a.Kind, Note: a.Note, Enabled: a.Enabled, Messages: a.Messages, Spam: a.Spam}
		if a.CreatedAt != nil {
			row.Path = "/addresses/" + url.PathEscape(strings.TrimSuffix(a.Address, "@"+d.Domain))
		}
		if a.LastAt != nil {
			row.Last = a.LastAt.Time()
		}
		if a.Address == in.Made {
			v.Made = a.Address
		}
		v.Addresses = append(v.Addresses, row)
	}
	return web.Page{Template: templates.PageAddresses, Title: "Addresses", Data: v}, nil
}

// again shows the page with what was typed and why it was refused.
func (d *Directory) again(c *web.Call, err error) (web.Page, bool) {
	wrong := form.Errors(err)
	page, showErr := d.page(c, pageParams{User: c.Form("user")})
	if wrong == nil || showErr != nil {
		return web.Page{}, false
	}
	v := page.Data.(templates.AddressesView)
	v.Name, v.Note, v.Errors = c.Form("name"), c.Form("note"), wrong
	page.Data = v
	return page, true
}

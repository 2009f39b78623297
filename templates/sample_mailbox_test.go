package templates_test

import (
	"time"

	"uniqverse/templates"
)

// mailboxSamples are the pages of what a mailbox has besides its mail.
func mailboxSamples() []sample {
	at := func(path, title string) templates.Page {
		return templates.Page{Title: title, Service: templates.Email, Prefix: "/proxy/email", Path: path, User: pilot}
	}
	tools := func(path string) templates.Tools {
		return templates.Tools{Mailbox: pilot.Email, Links: templates.MailboxLinks("", path)}
	}
	main := templates.AddressRow{Address: pilot.Email, Kind: "main", Enabled: true}
	addresses := templates.AddressesView{Tools: tools("/addresses"), MaxAlias: 20, MaxMasked: 200, Made: "bagodipone.tesakirimo@vezeuniqverse.com", Addresses: []templates.AddressRow{main,
		{Address: "harbour@vezeuniqverse.com", Kind: "shared", Enabled: true},
		{Address: "bagodipone.tesakirimo@vezeuniqverse.com", Kind: "masked", Note: "the shop with the lamps", Path: "/addresses/bagodipone.tesakirimo", Enabled: true},
		{Address: "kestrel@vezeuniqverse.com", Kind: "alias", Note: "the ship", Path: "/addresses/kestrel", Enabled: true, Messages: 214, Spam: 3, Last: before(3 * time.Hour)},
		{Address: "dogetilose.hanopikaru@vezeuniqverse.com", Kind: "masked", Note: "raffle at the fair", Path: "/addresses/dogetilose.hanopikaru", Messages: 61, Spam: 58, Last: before(30 * time.Hour)}}}
	refused := templates.AddressesView{Tools: templates.Tools{Mailbox: "nova@vezeuniqverse.com", User: "nova", Links: templates.MailboxLinks("nova", "/addresses")}, MaxAlias: 20, MaxMasked: 200, Addresses: []templates.AddressRow{main}, Name: "x", Note: "short",
		Errors: templates.FieldErrors{"name": "must have three letters or more, and no + and no quotes", "": "This name is taken."}}
	return []sample{
		{templates.PageAddresses, "", at("/addresses", "Addresses").With(addresses)},
		{templates.PageAddresses, "empty", at("/addresses", "Addresses").With(templates.AddressesView{Tools: tools("/addresses"), MaxAlias: 20, MaxMasked: 200, Addresses: []templates.AddressRow{main}})},
		{templates.PageAddresses, "refused", at("/addresses", "Addresses").With(refused)},
	}
}

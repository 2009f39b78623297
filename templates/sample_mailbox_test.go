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
	away := templates.VacationView{Tools: tools("/vacation"), Days: 7, Enabled: true, Active: true, From: "2026-11-20T08:00", To: "2026-12-01T08:00", Subject: "Out with the ship", Text: "I am out with the Kestrel.\nNova has the keys.", HTML: "<p>I am out with the Kestrel.</p>"}
	wrongDays := templates.VacationView{Tools: tools("/vacation"), Days: 7, Enabled: true, From: "2026-12-20T08:00", To: "2026-12-01T08:00", Errors: templates.FieldErrors{"to_date": "must be later than from_date", "text": "is required: an answer says something"}}
	over := away
	over.Active, over.Over = false, true
	rules := templates.RulesView{Tools: tools("/rules"), TryURL: "/rules?all=true", NewURL: "/rules", Rules: []templates.RuleRow{
		{ID: 4, Position: 1, Name: "Receipts", Enabled: true, Any: true, Conditions: []string{"from contains yards.example", "subject matches *invoice*"}, Actions: []string{"move Receipts", "label bills"}, Hits: 31, LastHit: before(2 * time.Hour), EditURL: "/rules?edit=4", TryURL: "/rules?try=4"},
		{ID: 9, Position: 2, Last: true, Name: "Crew", Conditions: []string{"auth is dmarc=pass", "from contains @vezeuniqverse.com"}, Actions: []string{"star"}, EditURL: "/rules?edit=9", TryURL: "/rules?try=9"}},
		Tried: &templates.TriedView{Looked: 20, Hits: []templates.TriedRow{{Href: "/messages/440", Subject: "Invoice 2026-1107", From: "billing@yards.example", Rules: []string{"Receipts"}, Does: []string{"goes to Receipts", "gets the label bills"}}, {Href: "/messages/9", Rules: []string{"Crew"}}}}}
	rules.Runs, rules.Running, rules.LookURL = []templates.RunRow{{ID: 3, State: "running", Rule: "Receipts", Looked: 400, Changed: 31, Total: 1200, At: before(time.Minute)}, {ID: 2, State: "failed", Rule: "All rules that are on", Looked: 3, Total: 90, Error: "the folder is gone", At: before(26 * time.Hour)}}, true, "/rules#runs-title"
	changed := rules
	changed.Tried, changed.Edit = &templates.TriedView{Looked: 3}, templates.RuleForm{ID: 4, Name: "Receipts", Any: true, Conditions: "from contains yards.example\nsubject looks *invoice*", Actions: "move Receipts\nlabel bills"}
	changed.Errors = templates.FieldErrors{"": "there are 100 rules", "folder": "names no folder", "conditions": "has \"subject looks *invoice*\": subject goes with contains, is, matches, regex"}
	junk := templates.JunkView{Tools: tools("/junk"), Here: "/junk", JunkAt: 4.5, Default: 5, Own: true, Typed: "4.5", Spam: 12, Ham: 4, Needed: 8, Most: 200, Pager: templates.Pager{Next: "/junk?before=31"}, Messages: []templates.JunkRow{
		{ID: 77, Subject: "You won a moon!!!", FromName: "Lunar lottery", From: "win@raffle.example", At: before(time.Hour), Score: 8.5, Reasons: []templates.JunkReason{{Score: 3, Text: "The author's domain says that this message is not from it (DMARC)."}, {Score: 6, Text: "The words of the message are like those of mail that you moved to Junk, or that you kept.", Detail: "98 % like junk, by moon, won"}, {Score: -0.5, Text: "This verified sender has written to you for a while, and none of it was junk."}, {Text: "A scanner did not answer in time; the message was judged without it."}}},
		{ID: 31, From: "news@orbit.example", At: before(50 * time.Hour), Score: 1, Marked: true}},
		Senders: []templates.ListedSender{{ID: 3, Sender: "raffle.example", Note: "no more moons"}, {ID: 2, Sender: "nova@vezeuniqverse.com", Allow: true}}}
	wrongJunk := templates.JunkView{Tools: tools("/junk"), Here: "/junk?before=3", JunkAt: 5, Default: 5, Learnt: true, Typed: "99", Sender: "x y", Note: "why", Allow: true, Pager: templates.Pager{Prev: "/junk"}, Senders: junk.Senders[:1], Most: 1,
		Errors: templates.FieldErrors{"": "There are 1,000 senders.", "sender": "must be an address or a domain", "junk_at": "must be from 1 to 50, or 0 for the installation's"}}
	refusals := templates.RefusalsView{Tools: tools("/refusals"), AllURL: "/refusals", Address: "ann@example.org", Rule: "dmarc", Pager: templates.Pager{Next: "/refusals?before=9", Prev: "/refusals"}, Rows: []templates.RefusalRow{
		{At: before(time.Hour), From: "win@raffle.example", To: pilot.Email, Peer: "192.0.2.9", HELO: "mail.raffle.example", Code: 550, Enhanced: "5.7.26", Text: "The author's domain rejects this message", Rule: "dmarc", Detail: "raffle.example: p=reject"},
		{At: before(3 * time.Hour), Peer: "192.0.2.8", SignedIn: pilot.Email, Code: 451, Enhanced: "4.7.1", Text: "Try again in a minute"}}}
	refusals.All, refusals.Waiting = true, []templates.WaitingRow{{Network: "192.0.2.0/24", From: "first.time@shipping-and-handling.example", To: pilot.Email, At: before(40 * time.Second)}, {Network: "2001:db8:1:2::/64", To: pilot.Email, At: before(3 * time.Hour)}}
	junk.Whose, junk.AllURL = "raffle.example", "/junk"
	wrongJunk.Whose, wrongJunk.Wrong, wrongJunk.AllURL = "x y", "must be an address or a domain", "/junk"
	figures := templates.StatsView{Tools: tools("/stats"), MayAll: true, Mailboxes: 1, Messages: 1204, Unread: 17, Bytes: 84 << 20, Quota: 1 << 30,
		Folders: []templates.StatsFolder{{"Inbox", 412, 17}, {"Sent", 131, 0}, {"Crew / <b>Kestrel</b>", 640, 0}, {"Junk", 21, 0}}}
	for i := range 30 {
		n := int64(i*7%11 + i%3)
		figures.Days = append(figures.Days, templates.StatsDay{At: before(time.Duration(29-i) * 24 * time.Hour), Received: 3 * n, Junk: n % 4, Sent: n % 6, Refused: int64(i/23*(1+i%3)) - int64(1-i/23)})
		figures.Newest = append([]templates.StatsDay{figures.Days[i]}, figures.Newest...)
	}
	everybody := figures
	everybody.All, everybody.Mailboxes, everybody.Quota, everybody.Mailbox, everybody.Queue = true, 48, 0, "everybody", []templates.Count{{Label: "queued", Value: 3}, {Label: "held", Value: 120}}
	return []sample{
		{templates.PageStats, "", at("/stats", "Figures").With(figures)},
		{templates.PageStats, "all", at("/stats", "Figures").With(everybody)},
		{templates.PageStats, "empty", at("/stats", "Figures").With(templates.StatsView{Tools: tools("/stats")})},
		{templates.PageRefusals, "", at("/refusals", "Not taken").With(refusals)},
		{templates.PageRefusals, "empty", at("/refusals", "Not taken").With(templates.RefusalsView{Tools: tools("/refusals"), All: true, AllURL: "/refusals"})},
		{templates.PageJunk, "", at("/junk", "Junk review").With(junk)},
		{templates.PageJunk, "empty", at("/junk", "Junk review").With(templates.JunkView{Tools: tools("/junk"), Here: "/junk", JunkAt: 5, Default: 5, Needed: 8, Most: 200})},
		{templates.PageJunk, "refused", at("/junk", "Junk review").With(wrongJunk)},
		{templates.PageVacation, "", at("/vacation", "Away").With(away)},
		{templates.PageVacation, "empty", at("/vacation", "Away").With(templates.VacationView{Tools: tools("/vacation"), Days: 7})},
		{templates.PageVacation, "refused", at("/vacation", "Away").With(wrongDays)},
		{templates.PageVacation, "over", at("/vacation", "Away").With(over)},
		{templates.PageRules, "", at("/rules", "Rules").With(rules)},
		{templates.PageRules, "empty", at("/rules", "Rules").With(templates.RulesView{Tools: tools("/rules"), NewURL: "/rules"})},
		{templates.PageRules, "refused", at("/rules/4", "Rules").With(changed)},
		{templates.PageAddresses, "", at("/addresses", "Addresses").With(addresses)},
		{templates.PageAddresses, "empty", at("/addresses", "Addresses").With(templates.AddressesView{Tools: tools("/addresses"), MaxAlias: 20, MaxMasked: 200, Addresses: []templates.AddressRow{main}})},
		{templates.PageAddresses, "refused", at("/addresses", "Addresses").With(refused)},
	}
}

package templates_test

import (
	"fmt"
	"strings"
	"time"

	"uniqverse/templates"
)

// noon is the time at which every sample page is drawn.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func before(d time.Duration) time.Time { return noon.Add(-d) }

// sample is one page with data that looks like a day in use.
type sample struct {
	name string // of the template
	kind string // tells samples of one template apart; "" is the usual one
	page templates.Page
}

var pilot = templates.User{ID: 981, Name: "Ada Pilot", Email: "pilot@vezeuniqverse.com", Admin: true}

func samples() []sample {
	all := portalSamples()
	all = append(all, emailSamples()...)
	all = append(all, mailboxSamples()...)
	all = append(all, chatSamples()...)
	all = append(all, gameSamples()...)
	for i := range all {
		if all[i].page.User.Email == "" && all[i].kind != "signed-out" {
			all[i].page.User = pilot
		}
	}
	return all
}

func portalSamples() []sample {
	demo := templates.User{ID: 1, Email: "demo@vezeuniqverse.com", Demo: true}
	tour := []templates.TourStep{
		{Title: "Make a mailbox", Text: "A name becomes an address; asking twice changes nothing.", Command: "curl -X POST http://localhost:8000/provision/pilot"},
		{Title: "Send it a mail", Text: "Through the real SMTP listener.", Command: "swaks --server localhost:2525 --to pilot@vezeuniqverse.com", Link: templates.Link{Label: "Open the inbox", Href: "/proxy/email/inbox?user=pilot"}},
		{Title: "Talk in two browsers", Text: "Open a room, then open it again beside it, and write.", Command: "curl -X POST 'http://localhost:8010/rooms?name=Hangar&kind=global'", Link: templates.Link{Label: "Open the rooms", Href: "/proxy/chat/rooms"}},
	}
	lat := []float64{1.2, 1.4, 1.1, 1.3, 2.2, 1.6, 1.2, 1.1, 1.4, 1.9, 1.3}
	helm := templates.HelmView{
		Domain: "vezeuniqverse.com", Tour: tour, CanSignUp: true, EventsURL: "/events",
		Counts: []templates.Count{
			{Label: "Users", Value: 128, Hint: "3 new today", Trend: []float64{90, 96, 101, 110, 118, 121, 128}},
			{Label: "Mails", Value: 48210, Hint: "312 today", Trend: []float64{40, 60, 35, 80, 70, 95, 90}},
			{Label: "Lines written", Value: 1204511, Trend: []float64{4, 6, 9, 7, 12, 14, 13}},
			{Label: "Open tickets", Value: 7, Hint: "oldest 2 h", Trend: []float64{9, 12, 8, 8, 6, 9, 7}},
		},
		Services: []templates.ServiceTile{
			{Name: "email", Title: "Mail", Category: "communication", Description: "Mailboxes and a real SMTP listener, with SPF, DKIM and DMARC.", Health: templates.HealthGreen, Where: "in this process", Href: "/proxy/email/inbox", Latency: 1300 * time.Microsecond, Latencies: lat, LastSeen: before(4 * time.Second), Links: []templates.Link{{Label: "Inbox", Href: "/proxy/email/inbox"}, {Label: "API", Href: "/proxy/email/docs"}}},
			{Name: "chat", Title: "Chat and desk", Category: "communication", Description: "Rooms over WebSocket, and tickets for what must not be lost.", Health: templates.HealthAmber, Detail: "answers slowly: 640 ms", Where: "http://10.0.0.7:8010", Href: "/proxy/chat/rooms", Latency: 640 * time.Millisecond, Latencies: []float64{20, 25, 30, 180, 240, 610, 640}, LastSeen: before(9 * time.Second), Links: []templates.Link{{Label: "Rooms", Href: "/proxy/chat/rooms"}, {Label: "Tickets", Href: "/proxy/chat/inbox"}, {Label: "API", Href: "/proxy/chat/docs"}}},
			{Name: "game", Title: "Game", Category: "play", Description: "Matchmaking, leaderboards, inventory and telemetry.", Health: templates.HealthRed, Detail: "does not answer: connection refused", Where: "http://10.0.0.8:8002", Href: "/proxy/game/", LastSeen: before(11 * time.Minute), Links: []templates.Link{{Label: "Leaderboards", Href: "/proxy/game/leaderboards"}}},
			{Name: "xengine", Title: "XEngine", Category: "insight", Description: "Trends and sentiment.", Href: "https://example.org/xengine"},
		},
		Ticker: ticker(),
	}
	account := templates.AccountView{UserID: 981, Email: pilot.Email, Name: pilot.Name, Roles: []string{"admin"}, Created: before(90 * 24 * time.Hour), MinLength: 10, Submission: "127.0.0.1:2587",
		NewPassword:  &templates.NewAppPassword{Label: "Thunderbird", Password: "w7kq-m3ta-9xzd-p2vn"},
		AppPasswords: []templates.AppPassword{{ID: "a1", Label: "Thunderbird", Created: noon}, {ID: "a2", Label: "Phone", Created: before(40 * 24 * time.Hour), LastUsed: before(3 * time.Hour)}},
		Sessions: []templates.Session{{ID: "s1", Device: "Firefox on Linux", Address: "127.0.0.1", Created: before(5 * time.Hour), LastSeen: noon, Current: true},
			{ID: "s2", Device: "Safari on iPhone", Address: "192.0.2.14", Created: before(300 * time.Hour), LastSeen: before(28 * time.Hour)}}}
	users := templates.AdminUsersView{Roles: []string{"admin", "agent", "moderator"}, Pager: templates.Pager{Next: "/admin/users?offset=50", From: 1, To: 3, Total: 128},
		Users: []templates.AdminUser{{ID: 981, Email: pilot.Email, Name: pilot.Name, Roles: []string{"admin"}, Created: before(900 * time.Hour), LastSeen: noon, You: true},
			{ID: 12, Email: "nova@vezeuniqverse.com", Name: "Nova", Roles: []string{"agent", "moderator"}, Created: before(500 * time.Hour), LastSeen: before(time.Hour)},
			{ID: 77, Email: "orion@vezeuniqverse.com", Created: before(20 * time.Hour), Disabled: true}}}
	return []sample{
		{templates.PageHelm, "", templates.Page{Title: "Helm", Service: templates.Portal, Path: "/helm", Data: helm, Notice: &templates.Notice{Kind: "ok", Text: "Welcome. Your mailbox is ready."}}},
		{templates.PageHelm, "demo", templates.Page{Title: "Helm", Service: templates.Portal, Path: "/helm", User: demo, Data: helm}},
		{templates.PageHelm, "signed-out", templates.Page{Title: "Helm", Service: templates.Portal, Path: "/", Data: templates.HelmView{Domain: "vezeuniqverse.com", Tour: tour, CanSignUp: true}}},
		{templates.PageLogin, "signed-out", templates.Page{Title: "Sign in", Path: "/login", Data: templates.LoginView{User: "pilot", Next: "/proxy/chat/rooms", Domain: "vezeuniqverse.com", CanSignUp: true, DemoURL: "/demo", Errors: templates.FieldErrors{"": "Name or password is wrong. Check both and try again."}}}},
		{templates.PageSignup, "signed-out", templates.Page{Title: "Create an account", Path: "/signup", Data: templates.SignupView{User: "ada", Domain: "vezeuniqverse.com", MinLength: 10, Errors: templates.FieldErrors{"user": "is taken: choose another name"}}}},
		{templates.PageSetup, "signed-out", templates.Page{Title: "Take the helm", Path: "/setup", Data: templates.SetupView{Token: "t0k3n", Domain: "vezeuniqverse.com", MinLength: 10}}},
		{templates.PageSetup, "signed-out", templates.Page{Title: "Link used", Path: "/setup", Data: templates.SetupView{Gone: true}}},
		{templates.PageAccount, "", templates.Page{Title: "Account", Path: "/account", Data: account}},
		{templates.PageAdminUsers, "", templates.Page{Title: "Users", Path: "/admin/users", Data: users}},
		{templates.PageAdminUsers, "empty", templates.Page{Title: "Users", Path: "/admin/users", Data: templates.AdminUsersView{Query: "zzz"}}},
		{templates.PageComponents, "", templates.Page{Title: "Components", Path: "/ui"}},
		{templates.PageError, "", templates.Page{Title: "Not found", Service: templates.Chat, Prefix: "/proxy/chat", Path: "/rooms/99", Data: templates.ErrorView{Status: 404, Title: "Not found", Detail: "There is no room 99. It may have been archived.", RequestID: "0197a2c4", Back: templates.Link{Label: "All rooms", Href: "/rooms"}}}},
		{templates.PageError, "fields", templates.Page{Title: "Not accepted", Path: "/signup", Data: templates.ErrorView{Status: 422, Title: "Not accepted", Detail: "Two fields are wrong.", RetryAfter: 90 * time.Second, Fields: []templates.FieldError{{Field: "name", Detail: "is required"}, {Field: "kind", Detail: "must be global, guild, party, dm or support"}}}}},
		{templates.PageDocs, "", templates.Page{Title: "API of Chat", Service: templates.Chat, Path: "/docs", Data: docs()}},
	}
}

func ticker() []templates.TickerLine {
	return []templates.TickerLine{
		{At: before(20 * time.Second), Type: "chat.message.created", Text: "@pilot: Warp gate online", Href: "/proxy/chat/rooms/17"},
		{At: before(70 * time.Second), Type: "mail.received", Text: "Mail from Nova: Docking permit for the Kestrel"},
		{At: before(3 * time.Minute), Type: "game.leaderboard.updated", Text: "New score 9 100 by nova"},
		{At: before(11 * time.Minute), Type: "service.down", Text: "game does not answer"},
		{At: before(14 * time.Minute), Type: "ticket.solved", Text: "Ticket #31 solved"},
		{At: before(31 * time.Minute), Type: "auth.user.created", Text: "New aboard: orion@vezeuniqverse.com"},
	}
}

func docs() templates.DocsView {
	return templates.DocsView{Name: "UniQVerse Chat", Version: "0.1.0", BaseURL: "http://localhost:8010", SpecURL: "/openapi.json",
		Description: "Rooms, messages and tickets.\n\nParameters come from a JSON body, a form or the query alike.",
		Groups: []templates.DocGroup{
			{Name: "Rooms", Description: "places to talk", Endpoints: []templates.Endpoint{
				{Method: "GET", Path: "/rooms", Summary: "List the rooms", Scope: "chat.read", Params: []templates.Param{{Name: "limit", In: "query", Type: "integer", Description: "1 to 200, 50 when absent"}}, Responses: []templates.Response{{Status: "200", Description: "the rooms", Example: `[{"id":1,"name":"Hangar","kind":"global"}]`}}, Example: "curl localhost:8010/rooms"},
				{Method: "POST", Path: "/rooms/{id}/messages", Summary: "Write a line", Description: "Refuses toxic text.", Scope: "chat.write", Params: []templates.Param{{Name: "text", In: "body", Type: "string", Required: true, Description: "the line"}}, Responses: []templates.Response{{Status: "200", Description: "written"}, {Status: "404", Description: "no such room"}, {Status: "422", Description: "missing or toxic text"}}}}},
			{Name: "Tickets", Endpoints: []templates.Endpoint{{Method: "DELETE", Path: "/tickets/{id}", Summary: "Remove"}, {Method: "PATCH", Path: "/tickets/{id}", Summary: "Change"}}},
		}}
}

func emailSamples() []sample {
	inbox := templates.InboxView{Mailbox: pilot.Email, Unread: 2, Total: 214, Swaks: "swaks --server localhost:2525 --to pilot@vezeuniqverse.com", EventsURL: "/api/events?user=pilot%40vezeuniqverse.com",
		Filters: []templates.Tab{{Label: "All", Href: "/inbox", Current: true}, {Label: "Unread", Href: "/inbox?filter=unread", Count: 2}, {Label: "Starred", Href: "/inbox?filter=starred"}, {Label: "crew", Href: "/inbox?label=crew"}},
		Pager:   templates.Pager{Next: "/inbox?before=409", From: 1, To: 7, Total: 214}}
	rows := []templates.MessageRow{
		{FromName: "Nova Okafor", From: "nova@vezeuniqverse.com", Subject: "Docking permit for the Kestrel", Snippet: "Berth 14 is yours from 18:00. Please keep the fuel lines clear and", Unread: true, Labels: []string{"crew"}, Auth: templates.Auth{SPF: "pass", DKIM: "pass", DMARC: "pass"}, Size: 4210, Attachments: 1},
		{FromName: "Orbit Weekly", From: "news@orbit.example", Subject: "Ten quiet places to watch the rings", Snippet: "This week: a lighthouse on the far side, and how to read a flare forecast", Unread: true, Auth: templates.Auth{SPF: "pass", DKIM: "none", DMARC: "fail"}, Size: 88210},
		{From: "billing@yards.example", Subject: "Invoice 2026-1107", Snippet: "Thank you for your stay at the Lagrange yards.", Starred: true, Labels: []string{"bills", "2026"}, Auth: templates.Auth{SPF: "softfail", DKIM: "pass", DMARC: "pass"}, Size: 120400, Attachments: 2},
		{FromName: "Chat", From: "chat@vezeuniqverse.com", Subject: "You were mentioned in Hangar", Snippet: "@orion: @pilot the gate is green, come through", Auth: templates.Auth{SPF: "pass", DKIM: "pass", DMARC: "pass"}, Size: 2100},
		{FromName: "Desk", From: "support@vezeuniqverse.com", Subject: "Ticket #31: the warp gate does not open", Snippet: "Solved. If it happens again, answer this mail.", Auth: templates.Auth{SPF: "pass", DKIM: "fail", DMARC: "temperror"}, Size: 5100},
		{FromName: "swaks", From: "root@localhost", Subject: "test Sun, 22 Nov 2026", Snippet: "This is a test mailing", Auth: templates.Auth{SPF: "none", DKIM: "none", DMARC: "none"}, Size: 480},
		{From: "halley@comet.example", Snippet: "", Size: 1240},
	}
	for i := range rows {
		rows[i].ID = int64(442 - i)
		rows[i].Date = before(time.Duration(i*i*i)*time.Hour + 3*time.Minute)
	}
	rows[3].Count, rows[3].Names, rows[3].Answered, rows[6].Own, rows[6].Draft, rows[2].Forwarded = 4, "Orion, Nova", true, true, true, true
	inbox.Messages = rows
	inbox.Title, inbox.Role, inbox.FolderID, inbox.Threads, inbox.Here = "Inbox", "inbox", 1, true, "/inbox"
	inbox.Moves = []templates.Option{{Value: "archive", Label: "Archive"}, {Value: "17", Label: "Projects/Game"}}
	inbox.Side = templates.MailSide{ManageURL: "/folders", Bytes: 214 << 20, Quota: 1 << 30, Labels: []templates.Tab{{Label: "crew", Href: "/inbox?label=crew", Count: 12}},
		More: templates.MailboxLinks("", ""),
		Folders: []templates.FolderLink{{ID: 1, Label: "Inbox", Href: "/inbox", Icon: "inbox", Key: "i", Current: true, Unread: 2, Drop: "inbox"}, {ID: 2, Label: "Drafts", Href: "/inbox?folder=drafts", Icon: "pen", Key: "r", Count: 1},
			{ID: 6, Label: "Trash", Href: "/inbox?folder=trash", Icon: "trash", Key: "t", Drop: "trash"}, {ID: 17, Label: "Projects", Href: "/inbox?folder=17", Icon: "folder", Drop: "17"}, {ID: 18, Label: "Game", Href: "/inbox?folder=18", Icon: "folder", Depth: 1, Drop: "18"}}}
	folders := templates.FoldersView{Mailbox: pilot.Email, User: "pilot", Here: "/folders", BackURL: "/inbox", Folders: []templates.FolderRow{{ID: 1, Name: "Inbox", Path: "Inbox", Href: "/inbox", Messages: 214, Unread: 2},
		{ID: 6, Name: "Trash", Path: "Trash", Href: "/inbox?folder=trash", Messages: 3, Empty: true}, {ID: 17, Name: "Projects", Path: "Projects", Href: "/inbox?folder=17", Own: true},
		{ID: 18, Name: "Game", Path: "Projects/Game", Href: "/inbox?folder=18", Messages: 4, Depth: 1, Own: true, Parents: []templates.Option{{Value: "17", Label: "Projects", Selected: true}}}}}
	inbox.Compose = "/compose"
	write := templates.ComposeView{Mailbox: pilot.Email, Now: "2026-11-22T12:00", MaxBytes: 25 << 20, Undo: 10, BackURL: "/inbox"}
	going := write
	going.User, going.Draft, going.To, going.Cc, going.Subject, going.Text, going.Markdown, going.Answers, going.Signature = "pilot", 512, "nova@vezeuniqverse.com, oops", "crew@vezeuniqverse.com", "Re: Docking permit", "Thank you!\n\n> Berth 14 is yours", true, 442, "Ada"
	going.From = []templates.Option{{Value: pilot.Email, Label: pilot.Email, Selected: true}, {Value: "harbour@vezeuniqverse.com", Label: "harbour@vezeuniqverse.com"}}
	going.Files, going.Errors, going.SendAt = []templates.Attachment{{Part: 2, Name: "permit.pdf", Size: 81200}}, templates.FieldErrors{"": "the mailbox is full", "to": "must be addresses such as ann@example.org, and \"oops\" is none", "send_at": "must lie ahead"}, "2026-11-01T08:00"
	pass := write
	pass.Forwards, pass.Take = 442, []templates.Attachment{{Part: 2, Name: "permit.pdf", Size: 81200}}
	trash := inbox
	trash.TakeBack = "/scheduled/K3VXQ7AZ/cancel"
	trash.Title, trash.Role, trash.FolderID, trash.Threads, trash.Unread, trash.User = "Trash", "trash", 6, false, 0, "pilot"
	msg := templates.MessageView{ID: 442, Mailbox: pilot.Email, Subject: "Docking permit for the Kestrel", FromName: "Nova Okafor", From: "nova@vezeuniqverse.com", To: []string{pilot.Email, "crew@vezeuniqverse.com"}, Cc: []string{"orion@vezeuniqverse.com"},
		Date: before(3 * time.Minute), Received: before(2 * time.Minute), Size: 4210, Unread: true, Labels: []string{"crew"}, SpamScore: 0.4,
		Auth: templates.Auth{SPF: "pass", DKIM: "pass", DMARC: "fail"}, AuthDetail: map[string]string{"dkim": "signed by vezeuniqverse.com"},
		Text:        "Hello Ada,\n\nberth 14 is yours from 18:00. Please keep the fuel lines clear, and sign at https://yards.example/sign?berth=14&ship=kestrel before you land.\n\nQuestions: harbour@yards.example.\n\n> May we land today?\n\nNova\n-- \nHarbour office, Lagrange yards",
		RawURL:      "/messages/442/raw",
		Headers:     []templates.Header{{Name: "Received", Value: "from mx.yards.example by mx.vezeuniqverse.com with ESMTPS id 0197; Sun, 22 Nov 2026 11:57:03 +0000"}, {Name: "Authentication-Results", Value: "mx.vezeuniqverse.com; spf=pass; dkim=pass"}, {Name: "Subject", Value: "Docking permit for the Kestrel"}},
		Attachments: []templates.Attachment{{Name: "permit.pdf", Type: "application/pdf", Size: 81200, URL: "/messages/442/parts/2"}}, OlderURL: "/messages/441", EventsURL: inbox.EventsURL}
	msg.Role, msg.Folder, msg.CanWrite, msg.Moves, msg.BackURL = "inbox", "Inbox", true, []templates.Option{{Value: "archive", Label: "Archive"}}, "/inbox"
	msg.Views = []templates.Tab{{Label: "Message", Href: "/messages/442", Current: true}, {Label: "Headers", Href: "/messages/442?view=headers"}}
	msg.Thread = []templates.ThreadItem{{MessageRow: templates.MessageRow{ID: 441, FromName: "Orion", Snippet: "May we land today?", Date: before(time.Hour), Unread: true, Attachments: 1}, Href: "/messages/441", BodyURL: "/api/messages/441/html?any=true"}, {MessageRow: templates.MessageRow{ID: 442, FromName: "Nova Okafor", Snippet: "Berth 14", Date: before(time.Minute)}, Href: "/messages/442", Current: true}}
	views := map[string]templates.MessageView{}
	for _, name := range []string{"text", "source", "headers", "parts", "auth", "journey", "lint"} {
		m := msg
		m.View, m.Source, m.Clipped, m.Role = name, "From: <nova@vezeuniqverse.com>\n\n<b>text</b>", true, "junk"
		m.Parts = []templates.PartRow{{Type: "multipart/mixed"}, {Number: 1, Depth: 1, Type: "text/plain", Encoding: "7bit", Size: 400, URL: "/api/messages/442/parts/1"}, {Number: 2, Depth: 1, Type: "application/pdf", Name: "permit.pdf", Disposition: "attachment", Size: 81200, URL: "/api/messages/442/parts/2"}}
		m.Xray = []templates.XrayCheck{{Name: "SPF", Result: "none", Says: []string{"yards.example was asked.", "It publishes no SPF record."}, Publish: `yards.example. TXT "v=spf1 mx -all"`}}
		m.Journey = []templates.Step{{At: before(time.Minute), Title: "Received", Text: "From the host 192.0.2.7."}, {At: before(time.Minute), Title: "Judged", Text: "1.5 points.", Items: []string{"no date +0.5"}}}
		m.Lint = []templates.LintRow{{Tone: "bad", Title: "No plain text", Detail: "There is HTML alone."}, {Tone: "ok", Title: "Lines", Detail: "The longest has 70 bytes."}}
		m.Links = []templates.LinkRow{{Text: "https://bank.example/", URL: "javascript:alert(1)", Odd: "does not lead to a page"}}
		views[name] = m
	}
	html := msg
	html.HTMLURL, html.Starred, html.Unread = "/messages/442/html", true, false
	html.Pictures = &templates.Pictures{Sender: "nova@yards.example", Proven: true}
	shown := html
	shown.Pictures = &templates.Pictures{Sender: "nova@yards.example", Proven: true, Shown: true, Always: true}
	views["pictures"] = shown
	empty := templates.InboxView{Title: "Inbox", Role: "inbox", Here: "/inbox", Side: inbox.Side, Mailbox: "ada@vezeuniqverse.com", Swaks: "swaks --server localhost:2525 --to ada@vezeuniqverse.com", Filters: inbox.Filters, EventsURL: inbox.EventsURL}
	found := empty
	found.Title, found.Role, found.Query, found.Hidden = "Search", "", "permit", map[string]string{"access_token": "demo"}
	hits := found
	hits.Messages = []templates.MessageRow{{ID: 442, FromName: "Nova", Subject: "Docking permit", MarkedSubject: "Docking <mark>permit</mark>", MarkedSnippet: "the <mark>permit</mark> &amp; more", Folder: "Archive", Date: noon}}
	wrong := found
	wrong.Wrong = "larger: wants a size such as 1M"
	queue := templates.QueueView{Here: "/queue", HoldAll: true, Filters: []templates.Tab{{Label: "All", Href: "/queue", Current: true, Count: 4}, {Label: "held", Href: "/queue?state=held", Count: 1}},
		Pager: templates.Pager{Next: "/queue?before=11"}, Suppressions: []templates.SuppressionRow{{Address: "gone@comet.example", Reason: "550 5.1.1 No such user", Created: before(50 * time.Hour)}},
		Rows: []templates.OutboundRow{
			{ID: 14, MessageID: 442, QueueID: "K3VXQ7AZ2M5PLD4T", From: pilot.Email, Recipient: "harbour@yards.example", State: "held", Reason: "this installation sends nothing to other hosts by itself", Created: before(2 * time.Minute), Actions: []string{"release", "drop"}},
			{ID: 13, QueueID: "R8VXQ7AZ2M5PLD4T", From: pilot.Email, Recipient: "news@orbit.example", State: "queued", Attempts: 2, Next: noon.Add(11 * time.Minute), LastReply: "450 4.2.1 Mailbox busy, try again later", Host: "mx.orbit.example [192.0.2.7]", Created: before(20 * time.Minute), Actions: []string{"retry", "hold", "drop"}},
			{ID: 12, QueueID: "A1VXQ7AZ2M5PLD4T", Recipient: "gone@comet.example", State: "bounced", Attempts: 1, LastReply: "550 5.1.1 No such user", Host: "mx.comet.example [192.0.2.9]", Created: before(50 * time.Hour), Actions: []string{"retry"}},
			{ID: 11, MessageID: 400, QueueID: "B2VXQ7AZ2M5PLD4T", From: pilot.Email, Recipient: "nova@yards.example", State: "sent", Attempts: 1, LastReply: "250 2.0.0 queued as 7", Host: "mx.yards.example [192.0.2.8]", Created: before(60 * time.Hour)}}}
	queue.Paused, queue.PauseReason, queue.State, queue.Bulk = true, "the smarthost moves tonight", "held", []string{"release", "drop"}
	queue.Domains = []templates.QueueDomain{{Name: "orbit.example", Paused: true, Reason: "asked us to stop"}, {Name: "dead.example", Failures: 3, Retry: noon.Add(20 * time.Minute), LastReply: "the host did not answer in time"}}
	queue.Rules = []templates.QueueRule{{ID: 1, Pattern: "*.yards.example", Redirect: "qa@vezeuniqverse.com"}, {ID: 2, Pattern: "nova@comet.example"}}
	entry := templates.QueueEntryView{OutboundRow: queue.Rows[1], Here: "/queue/13", Original: "all@orbit.example", Notify: "of failure and delay", CanMove: true, SendAt: before(20 * time.Minute), Attempt: []templates.AttemptRow{
		{Number: 1, At: before(19 * time.Minute), Took: 30 * time.Second, Verdict: "later", Reply: "the host did not answer in time"},
		{Number: 2, At: before(4 * time.Minute), Took: 420 * time.Millisecond, Verdict: "later", Host: "mx.orbit.example [192.0.2.7]", TLS: "TLS 1.3, verified", Reply: "450 4.2.1 Mailbox busy, try again later"}}}
	frame := templates.Page{Title: "Inbox", Service: templates.Email, Prefix: "/proxy/email", Path: "/inbox"}
	at := func(path, title string) templates.Page { p := frame; p.Path, p.Title = path, title; return p }
	return []sample{
		{templates.PageInbox, "", frame.With(inbox)},
		{templates.PageInbox, "empty", frame.With(empty)},
		{templates.PageInbox, "trash", at("/inbox?folder=trash", "Trash").With(trash)},
		{templates.PageMessage, "text", at("/messages/442?view=text", "Mail").With(views["text"])}, {templates.PageMessage, "source", at("/messages/442?view=source", "Mail").With(views["source"])},
		{templates.PageMessage, "headers", at("/messages/442?view=headers", "Mail").With(views["headers"])}, {templates.PageMessage, "parts", at("/messages/442?view=parts", "Mail").With(views["parts"])},
		{templates.PageMessage, "auth", at("/messages/442?view=auth", "Mail").With(views["auth"])}, {templates.PageMessage, "journey", at("/messages/442?view=journey", "Mail").With(views["journey"])},
		{templates.PageMessage, "lint", at("/messages/442?view=lint", "Mail").With(views["lint"])}, {templates.PageMessage, "pictures", at("/messages/442", "Mail").With(views["pictures"])},
		{templates.PageCompose, "", at("/compose", "Write").With(write)},
		{templates.PageCompose, "refused", at("/compose?draft=512", "Write").With(going)},
		{templates.PageCompose, "forward", at("/compose?forward=442", "Write").With(pass)},
		{templates.PageFolders, "", at("/folders", "Folders").With(folders)},
		{templates.PageInbox, "nothing-found", at("/search?q=permit", "Search").With(found)},
		{templates.PageInbox, "found", at("/search?q=permit", "Search").With(hits)},
		{templates.PageInbox, "wrong-query", at("/search?q=larger:x", "Search").With(wrong)},
		{templates.PageMessage, "", at("/messages/442", msg.Subject).With(msg)},
		{templates.PageMessage, "html", at("/messages/442", msg.Subject).With(html)},
		{templates.PageQueue, "", at("/queue", "Queue").With(queue)},
		{templates.PageQueue, "empty", at("/queue?state=held", "Queue").With(templates.QueueView{Here: "/queue?state=held"})},
		{templates.PageQueueEntry, "", at("/queue/13", "Mail to news@orbit.example").With(entry)},
		{templates.PageQueueEntry, "untried", at("/queue/14", "Mail to harbour@yards.example").With(templates.QueueEntryView{OutboundRow: queue.Rows[0], Here: "/queue/14", Notify: "none wanted"})},
		{templates.PageChaos, "", at("/chaos", "Chaos").With(templates.ChaosView{Rules: []templates.ChaosRow{
			{ID: 1, Pattern: "shop.example", Stage: "rcpt", Effect: "answers 451 4.2.2", Probability: 30, Enabled: true, Note: "does the shop try again?", Hits: 12, LastHit: noon.Add(-3 * time.Minute)},
			{ID: 2, Pattern: "*", Stage: "tls", Effect: "lets the handshake fail", Probability: 100}}})},
		{templates.PageInboxes, "", at("/inboxes", "Inboxes for tests").With(templates.InboxesView{Domain: "vezeuniqverse.com", Max: 50, All: true, Made: &templates.NewInbox{Address: "signup@vezeuniqverse.com", Password: "abcdef-ghijkl-mnopqr-stuvwx", Submission: 2587, Submissions: 2465, POP3: 110, POP3S: 995},
			Inboxes: []templates.InboxRow{{ID: 2, Address: "signup@vezeuniqverse.com", Pattern: "*@signup.vezeuniqverse.com", Note: "the form of <the> shop", MaxAge: 168, MaxCount: 500, Messages: 12, Unread: 3, Open: "/inbox?user=signup"},
				{ID: 1, Address: "all@vezeuniqverse.com", Pattern: "*@all.vezeuniqverse.com", Owner: "nova", Outbound: true, MaxAge: 1, MaxCount: 10000, Open: "/inbox?user=all"}}})},
		{templates.PageInboxes, "refused", at("/inboxes", "Inboxes for tests").With(templates.InboxesView{Domain: "vezeuniqverse.com", Max: 50, Name: "a b", Note: "mine", Errors: templates.FieldErrors{"": "this name is taken", "name": "must be 3 to 40 of a-z"}})},
		{templates.PageWebhooks, "", at("/webhooks", "Webhooks").With(templates.WebhooksView{User: "pilot@vezeuniqverse.com", Of: "user=pilot", Most: 10, Types: []string{"mail.received", "mail.sent"}, Made: "https://example.org/<hook>", Secret: "whsec_abc",
			Webhooks: []templates.WebhookRow{{ID: 2, URL: "https://example.org/hook?a=<b>", Events: []string{"mail.received", "mail.sent"}, Enabled: true, Failures: 1, Deliveries: []templates.WebhookDelivery{
				{ID: 9, Type: "mail.received", State: "waiting", At: noon, Tries: 1, Status: 500, Error: "answered 500"}, {ID: 8, Type: "mail.sent", State: "delivered", At: noon, Tries: 1, Status: 200}, {ID: 7, Type: "mail.sent", State: "dropped", At: noon, Tries: 10, Error: "no answer in time"}, {ID: 6, Type: "mail.sent", State: "waiting", At: noon}}},
				{ID: 1, URL: "https://example.org/b", Reason: "the other side says that it is gone (410)"}}})},
		{templates.PageWebhooks, "refused", at("/webhooks?all=true", "Webhooks").With(templates.WebhooksView{All: true, Of: "all=true", Most: 50, Typed: "http://x", Errors: templates.FieldErrors{"": "there are 50 webhooks", "url": "must begin with https://"}})},
		{templates.PageChaos, "calm", at("/chaos", "Chaos").With(templates.ChaosView{})},
		{templates.PageDNS, "", at("/dns", "DNS").With(templates.DNSView{Domain: "vezeuniqverse.com", Own: true, Reminder: "a new pair of DKIM keys waits for its records to be in the DNS", NewKeys: true, Records: []templates.DNSRecord{
			{Purpose: "MX", Name: "vezeuniqverse.com", Type: "MX", Value: "10 vezeuniqverse.com.", Found: []string{"10 vezeuniqverse.com."}, Verdict: "ok", Says: "Mail for the domain finds its host."},
			{Purpose: "SPF", Name: "vezeuniqverse.com", Type: "TXT", Value: "v=spf1 mx ~all", Verdict: "missing", Says: "Nothing says which hosts send mail for the domain.", Mend: "Publish the record."},
			{Purpose: "DKIM", Name: "uq20261122r._domainkey.vezeuniqverse.com", Type: "TXT", Value: "v=DKIM1; k=rsa; p=" + strings.Repeat("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A", 12), Verdict: "wrong", Found: []string{"v=DKIM1; p=x"}, Says: "The record is not that of the key that signs all mail.", Mend: "Publish the record in place of what is there."},
			{Purpose: "MTA-STS", Name: "_mta-sts.vezeuniqverse.com", Type: "TXT", Verdict: "unknown", Says: "The DNS does not answer.", Mend: "Try again."},
			{Purpose: "TLSRPT", Name: "_smtp._tls.vezeuniqverse.com", Type: "TXT", Verdict: "advice", Says: "Nobody reports when TLS fails."}}})},
		{templates.PageDNS, "other", at("/dns?domain=orbit.example", "DNS").With(templates.DNSView{Domain: "orbit.example"})},
		{templates.PageDMARC, "", at("/dmarc", "DMARC").With(templates.DMARCView{Domain: "vezeuniqverse.com", Days: []templates.DMARCDay{{Day: before(48 * time.Hour), Messages: 120, Passed: 118}, {Day: before(24 * time.Hour), Messages: 90, Passed: 12}},
			Senders: []templates.DMARCSender{{IP: "192.0.2.7", Messages: 130, DKIM: 130, SPF: 120}, {IP: "2001:db8::25", Messages: 60, DKIM: 20}, {IP: "198.51.100.9", Messages: 20}},
			Reports: []templates.DMARCReport{{Org: "yards.example", Begin: before(24 * time.Hour), Messages: 90, Passed: 12}}})},
		{templates.PageDMARC, "empty", at("/dmarc", "DMARC").With(templates.DMARCView{Domain: "vezeuniqverse.com", Address: "dmarc-reports@vezeuniqverse.com"})},
		{templates.PageMessage, "bare", at("/messages/9", "(no subject)").With(templates.MessageView{ID: 9, Mailbox: pilot.Email})},
	}
}

func chatSamples() []sample {
	rooms := []templates.RoomRow{
		{ID: 17, Name: "Hangar", Kind: "global", LastHandle: "@pilot", LastText: "Warp gate online", LastAt: before(20 * time.Second), Online: 12, Current: true},
		{ID: 18, Name: "Navigation", Kind: "global", LastHandle: "nova", LastText: "Flare forecast: quiet until Tuesday", LastAt: before(48 * time.Minute), Online: 4, Unread: 7, Mentions: 1},
		{ID: 21, Name: "Kestrel crew", Kind: "guild", LastHandle: "orion", LastText: "who has the keys to the cargo bay?", LastAt: before(5 * time.Hour)},
		{ID: 30, Name: "Party 4411", Kind: "party"},
		{ID: 33, Name: "Help desk", Kind: "support", LastHandle: "vega", LastText: "thank you!", LastAt: before(60 * time.Hour)},
	}
	kinds := []templates.Option{{Value: "global", Label: "Global: for everybody", Selected: true}, {Value: "guild", Label: "Guild"}, {Value: "party", Label: "Party"}, {Value: "dm", Label: "Direct"}, {Value: "support", Label: "Support"}}
	list := templates.RoomsView{Kinds: kinds, CanCreate: true, CanDirect: true, Domain: "vezeuniqverse.com", Query: "na", EventsURL: "/events", Groups: []templates.RoomGroup{{Kind: "global", Title: "Global", Rooms: rooms[:2]}, {Kind: "guild", Title: "Guilds", Rooms: rooms[2:3]}, {Kind: "party", Title: "Parties", Rooms: rooms[3:4]}, {Kind: "support", Title: "Support", Rooms: rooms[4:]}}}
	texts := []struct{ who, text string }{{"nova", "Morning. The flare forecast says quiet until Tuesday."}, {"orion", "Then we take the long way past the rings."}, {"pilot", "Agreed. Fuel is at 82 %, the manifest is at https://yards.example/kestrel"}, {"nova", "Berth 14 is ours from 18:00.\nKeep the fuel lines clear, please."}, {"vega", "Is the cargo bay locked? I left my gloves in there."}, {"orion", "Open. Mind the crates."}, {"pilot", "Warp gate online"}}
	var lines []templates.Line
	for i, t := range texts {
		at := before(time.Duration(len(texts)-i) * 7 * time.Minute)
		if i < 2 {
			at = at.Add(-24 * time.Hour)
		}
		lines = append(lines, templates.Line{ID: int64(430 + i), Seq: int64(11 + i), UserID: int64(i), Handle: "@" + t.who, Text: t.text, At: at, Own: t.who == "pilot", Edited: i == 3, Deleted: i == 5})
	}
	for i := range lines {
		lines[i].Path, lines[i].ReplyURL = fmt.Sprintf("/rooms/17/messages/%d", lines[i].ID), fmt.Sprintf("/rooms/17?reply=%d", lines[i].ID)
		lines[i].CanEdit, lines[i].CanDelete, lines[i].CanPin = lines[i].Own, lines[i].Own, true
	}
	lines[4].FirstNew, lines[4].Mention = true, true
	lines[2].Files = []templates.File{{Name: "berths.png", Href: "/rooms/17/attachments/5", Size: 48211, Width: 320, Height: 200}, {Name: "manifest.pdf", Href: "/rooms/17/attachments/6", Size: 1204511}}
	lines[0].JumpURL = "/rooms/17?around=430#line-430"
	lines[6].Reply, lines[6].Reactions = &lines[0], []templates.Reaction{{Emoji: "🚀", Count: 2, Mine: true}}
	room := templates.RoomView{ID: 17, Name: "Hangar", Kind: "global", Topic: "departures and arrivals", Lines: lines, Seq: 17, Epoch: "e1", OlderURL: "/rooms/17?before=430", Newest: true, CanWrite: true, Handle: "pilot", UserID: 981, Rooms: rooms, Online: 4, Role: "owner", CanLeave: true, CanInvite: true, Moderates: true, SlowMode: 5,
		People:  []templates.Person{{ID: 981, Handle: "@pilot", Role: "owner", Online: true, You: true}, {ID: 12, Handle: "@nova", Role: "moderator", Online: true, CanAct: true, Roles: []templates.Option{{Value: "moderator", Label: "Moderator", Selected: true}, {Value: "member", Label: "Member"}}}, {ID: 14, Handle: "@vega", Online: true, CanAct: true}, {ID: 13, Handle: "@orion", Role: "member", Muted: true, CanAct: true}},
		Acts:    []templates.ModAct{{Did: "muted", UserID: 13, Handle: "@orion", By: "@nova", Reason: "shouting", At: before(time.Hour), Until: noon.Add(time.Hour), Lift: "unmute"}, {Did: "took out", Handle: "@x", By: "@pilot", At: before(30 * time.Hour)}},
		ReplyTo: &lines[2], ToolsAll: true, CanAttach: true, Requests: true, LaterURL: "/rooms/17?after=436",
		Tools: &templates.Line{Path: "/rooms/17/messages/0", ReplyURL: "/rooms/17?reply=0", Own: true, CanEdit: true, CanDelete: true}}
	quiet := templates.RoomView{ID: 30, Name: "Party 4411", Kind: "party", NewestURL: "/rooms/30", LaterURL: "/rooms/30?after=9", CanJoin: true, Archived: true, WhyNot: "Only members of the party write here."}
	refused := room
	refused.Draft, refused.Error = "some rude words", "That reads as toxic. Say it another way."
	tickets := []templates.TicketRow{
		{ID: 32, Subject: "The warp gate does not open", Status: "open", Requester: "vega", Tags: []string{"gate", "urgent"}, Created: before(12 * time.Minute), LastAt: before(9 * time.Minute)},
		{ID: 31, Subject: "Invoice names the wrong berth", Status: "assigned", Requester: "halley@comet.example", Assignee: "nova", Created: before(7 * time.Hour), LastAt: before(time.Hour)},
		{ID: 29, Subject: "How do I change my call sign?", Status: "solved", Requester: "juno", Assignee: "orion", Created: before(80 * time.Hour), LastAt: before(70 * time.Hour)},
	}
	filters := []templates.Tab{{Label: "All", Href: "/inbox", Current: true}, {Label: "Open", Href: "/inbox?status=open", Count: 1}, {Label: "Assigned", Href: "/inbox?status=assigned", Count: 1}, {Label: "Solved", Href: "/inbox?status=solved"}}
	desk := templates.TicketsView{Filters: filters, Tickets: tickets, CanCreate: true, CreatedBy: 981, EventsURL: "/events", Pager: templates.Pager{Next: "/inbox?before=29"}}
	ticket := templates.TicketView{TicketRow: tickets[1], CanAssign: true, CanComment: true, SelfID: 981, AssigneeID: 12, Agents: []templates.Option{{Value: "12", Label: "nova", Selected: true}, {Value: "981", Label: "pilot"}}, EventsURL: "/events",
		Comments: []templates.Comment{{Author: "halley", Text: "My invoice says berth 12, but I was in 14. See https://yards.example/i/1107.", At: before(7 * time.Hour)}, {Author: "pilot", Text: "assigned to nova", At: before(6 * time.Hour), Event: true}, {Author: "nova", Text: "The yard's list was a day old. Mending it.", At: before(2 * time.Hour), Internal: true}, {Author: "nova", Text: "Corrected, a new invoice is on its way.", At: before(time.Hour)}}}
	plain := templates.TicketView{TicketRow: templates.TicketRow{ID: 40, Subject: "Bare", Status: "open", Created: noon}, CanAssign: true}
	chat := templates.Page{Title: "Rooms", Service: templates.Chat, Prefix: "/proxy/chat", Path: "/rooms"}
	at := func(service, path, title string) templates.Page {
		p := chat
		p.Service, p.Path, p.Title = service, path, title
		return p
	}
	return []sample{
		{templates.PageChatHome, "", at(templates.Chat, "/", "Chat").With(templates.ChatHomeView{Counts: []templates.Count{{Label: "Rooms", Value: 5, Href: "/rooms"}, {Label: "Online", Value: 16}, {Label: "Open tickets", Value: 1, Href: "/inbox"}}, Rooms: rooms[:3], Tickets: tickets[:2]})},
		{templates.PageChatHome, "empty", at(templates.Chat, "/", "Chat").With(templates.ChatHomeView{})},
		{templates.PageRooms, "", chat.With(list)},
		{templates.PageRooms, "empty", chat.With(templates.RoomsView{Kinds: kinds, CanCreate: true, CanDirect: true, Query: "zz", Name: "Hangar", With: "x@y", Errors: templates.FieldErrors{"name": "is taken: choose another"}})},
		{templates.PageRoom, "", at(templates.Chat, "/rooms/17", "Hangar").With(room)},
		{templates.PageChatList, "", at(templates.Chat, "/search?q=gate", "Search").With(templates.ChatListView{Title: "Search", Searches: true, Keys: true, Filters: filters[:2], Query: "gate", RoomID: 17, RoomName: "Hangar", NextURL: "/search?before=3", Rows: []templates.ChatListRow{
			{ID: 436, Who: "@pilot", Room: "Hangar", At: before(7 * time.Minute), Href: "/rooms/17?around=436#line-436", Parts: []templates.TextPart{{Text: "Warp "}, {Text: "gate", Hit: true}, {Text: " online"}}, Note: "map.png"},
			{ID: 12, Who: "@nova", At: before(time.Hour), Parts: []templates.TextPart{{Text: "may I?"}}, Acts: []templates.RowAct{{Label: "Let in", Action: "/rooms/17/requests/12/approve", Fields: map[string]string{"a": "b"}}, {Label: "Decline", Action: "/rooms/17/requests/12/decline", Danger: true, Key: "d"}}, Around: []templates.Said{{Who: "@orion", Text: "before", Before: true}, {Who: "@vega", Text: "after"}}}}})},
		{templates.PageChatList, "empty", at(templates.Chat, "/search", "Search").With(templates.ChatListView{Title: "Search", Searches: true, Errors: templates.FieldErrors{"": "Give a word to look for."}, EmptyTitle: "Nothing found", EmptyText: "Fewer words find more."})},
		{templates.PagePrograms, "", at(templates.Chat, "/webhooks?room_id=17", "Programs that are told").With(templates.ProgramsView{Title: "Programs that are told", Lede: "What happens in the room is posted to these addresses.", RoomID: 17, RoomName: "Hangar", Tabs: filters[:2],
			Made: &templates.MadeSecret{Text: "Its secret, shown this once:", Value: "whsec_" + strings.Repeat("Zm9v", 11)}, Form: &templates.ProgramForm{Title: "Tell a program", Action: "/webhooks", Button: "Add", Name: "url", Label: "Address", Value: "ftp://x", Hint: "https://bot.example/hook", Type: "url", Max: 2000, Room: 17,
				Events: []templates.Option{{Value: "chat.message.created", Label: "Lines", Selected: true}, {Value: "chat.message.edited", Label: "Changed lines"}}, Note: "Signed."}, Errors: templates.FieldErrors{"url": "must begin with https://"}, NextURL: "/webhooks?before=3",
			Rows: []templates.ProgramRow{{ID: 5, Title: "https://bot.example/" + strings.Repeat("long", 30), Href: "/webhooks/5/deliveries", State: "on", Tone: "ok", Note: "Every event", At: before(time.Hour), Acts: []templates.RowAct{{Label: "Pause", Action: "/webhooks/5/change", Fields: map[string]string{"enabled": "false"}}, {Label: "Remove", Action: "/webhooks/5/delete", Danger: true}}},
				{ID: 6, Title: "chat.message.created", State: "waiting", At: before(time.Minute), Tries: []string{"1: answered 500 after 3 ms"}}}})},
		{templates.PagePrograms, "empty", at(templates.Chat, "/rooms/17/hooks", "Programs that post").With(templates.ProgramsView{Title: "Programs that post", RoomName: "Hangar", RoomID: 17, Errors: templates.FieldErrors{"": "No."}, EmptyTitle: "None yet", EmptyText: "Make an address for each program."})},
		{templates.PageRoom, "refused", at(templates.Chat, "/rooms/17", "Hangar").With(refused)},
		{templates.PageRoom, "quiet", at(templates.Chat, "/rooms/30", "Party 4411").With(quiet)},
		{templates.PageTickets, "", at(templates.Desk, "/inbox", "Tickets").With(desk)},
		{templates.PageTickets, "empty", at(templates.Desk, "/inbox", "Tickets").With(templates.TicketsView{Filters: filters, CanCreate: true})},
		{templates.PageTicket, "", at(templates.Desk, "/tickets/31", tickets[1].Subject).With(ticket)},
		{templates.PageTicket, "bare", at(templates.Desk, "/tickets/40", "Bare").With(plain)},
	}
}

func gameSamples() []sample {
	var rows []templates.BoardRow
	for i, n := range []string{"nova", "orion", "vega", "halley", "pilot", "juno", "kepler", "lyra", "cassini", "tycho"} {
		rows = append(rows, templates.BoardRow{Rank: i + 1, UserID: fmt.Sprint(100 + i), Name: n, Score: float64(9100 - i*i*83 - i*140), At: before(time.Duration(i*i) * time.Hour), You: n == "pilot"})
	}
	board := templates.LeaderboardView{Season: "s1", Mode: "ranked", Rows: rows, Players: 4210, EventsURL: "/ws/events",
		You:     &templates.BoardRow{Rank: 318, UserID: "981", Name: "pilot", Score: 1200.5, You: true},
		Seasons: []templates.Tab{{Label: "s1", Href: "/leaderboards?season=s1", Current: true}, {Label: "s0", Href: "/leaderboards?season=s0"}}, Modes: []templates.Tab{{Label: "ranked", Href: "/leaderboards?season=s1&mode=ranked", Current: true}, {Label: "casual", Href: "/leaderboards?season=s1&mode=casual"}},
		Pager: templates.Pager{Next: "/leaderboards?season=s1&mode=ranked&offset=10", From: 1, To: 10, Total: 4210}}
	home := templates.GameHomeView{Season: "s1", Mode: "ranked", Top: rows[:5], EventsURL: "/ws/events", Recent: ticker()[2:3],
		Counts: []templates.Count{{Label: "Waiting for a match", Value: 3}, {Label: "Matches today", Value: 214, Trend: []float64{10, 14, 9, 22, 31, 28}}, {Label: "Players ranked", Value: 4210, Href: "/leaderboards"}, {Label: "Telemetry events", Value: 908112}},
		Queues: []templates.QueueRow{{Mode: "ranked", Region: "eu", Waiting: 2, Oldest: 14 * time.Second}, {Mode: "casual", Region: "us", Waiting: 1, Oldest: 3 * time.Minute}}}
	frame := templates.Page{Title: "Game control", Service: templates.Game, Prefix: "/proxy/game", Path: "/"}
	boards := frame
	boards.Title, boards.Path = "Leaderboards", "/leaderboards"
	return []sample{
		{templates.PageGameHome, "", frame.With(home)},
		{templates.PageGameHome, "empty", frame.With(templates.GameHomeView{})},
		{templates.PageLeaderboard, "", boards.With(board)},
		{templates.PageLeaderboard, "empty", boards.With(templates.LeaderboardView{Submit: "curl -d 'user_id=1&score=9100&season=s1&mode=ranked' localhost:8002/leaderboards/submit"})},
	}
}

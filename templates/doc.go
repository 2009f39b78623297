// Package templates is the look of UniQVerse: every page as an html/template, and the plain structs that the services
// fill for them. Floor F1; it imports static and nothing else of the tree.
//
// It is not a router and knows no request: a service builds a Page, whose Data is the view struct named beside the
// template's constant in views.go, and calls Set.Render. Everything is escaped by html/template; the few functions that
// return HTML themselves (times, links in plain text, charts, icons) escape what they are given. No page holds an inline
// script, an inline style or an event attribute, so the strict Content-Security-Policy of package web fits all of them.
//
// # Pages and views
//
//	constant          template            Data              path
//	PageHelm          portal_helm         HelmView          portal / and /helm
//	PageLogin         portal_login        LoginView         portal /login
//	PageSignup        portal_signup       SignupView        portal /signup
//	PageSetup         portal_setup        SetupView         portal /setup
//	PageAccount       portal_account      AccountView       portal /account
//	PageAdminUsers    portal_users        AdminUsersView    portal /admin/users
//	PageComponents    components          nil               portal /ui
//	PageError         error               ErrorView         any error, for Accept: text/html
//	PageDocs          docs                DocsView          /docs of every service
//	PageInbox         email_inbox         InboxView         email / and /inbox
//	PageMessage       email_message       MessageView       email /messages/{id}
//	PageFolders       email_folders       FoldersView       email /folders
//	PageAddresses     email_addresses     AddressesView     email /addresses
//	PageVacation      email_vacation      VacationView      email /vacation
//	PageJunk          email_junk          JunkView          email /junk
//	PageRefusals      email_refusals      RefusalsView      email /refusals
//	PageStats         email_stats         StatsView         email /stats
//	PageRules         email_rules         RulesView         email /rules
//	PageCompose       email_compose       ComposeView       email /compose
//	PageQueue         email_queue         QueueView         email /queue
//	PageChaos         email_chaos         ChaosView         email /chaos
//	PageInboxes       email_inboxes       InboxesView       email /inboxes
//	PageWebhooks      email_webhooks      WebhooksView      email /webhooks
//	PageQueueEntry    email_queue_entry   QueueEntryView    email /queue/{id}
//	PageDNS           email_dns           DNSView           email /dns
//	PageDMARC         email_dmarc         DMARCView         email /dmarc
//	PageChatHome      chat_home           ChatHomeView      chat /
//	PageRooms         chat_rooms          RoomsView         chat /rooms
//	PageRoom          chat_room           RoomView          chat /rooms/{id}
//	PageChatList      chat_list           ChatListView      chat /search, /moderation/queue, /rooms/{id}/pins and requests
//	PagePrograms      chat_programs       ProgramsView      chat /rooms/{id}/hooks, /webhooks and /webhooks/{wid}/deliveries
//	PageTickets       desk_tickets        TicketsView       desk /inbox
//	PageTicket        desk_ticket         TicketView        desk /tickets/{id}
//	PageGameHome      game_home           GameHomeView      game /
//	PageLeaderboard   game_leaderboards   LeaderboardView   game /leaderboards
//
// # Addresses
//
// A service runs on its own port and under the portal's proxy at the same time. In a view every Href that starts with
// "/" is a path of the service itself, without the prefix; the templates put Page.Prefix before it. Links to the portal
// and to the other services are made from Page.PortalBase.
//
// # Without JavaScript, and with it
//
// Every action is a form that is POSTed and answered with a redirect (303); a form that is refused is the same page
// again (422) with the view's Errors set. A browser's own form post is known by its Accept header, which has text/html.
// With JavaScript, live pages listen to EventsURL and take a fresh copy of their fragment when something happened.
//
// # Files
//
// A file whose name starts with "_" is shared (layout, components, fragments), any other is a page and defines the
// blocks "main" and, if it wants, "scripts". Times come from Options.Now.
package templates

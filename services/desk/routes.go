package desk

import (
	"net/http"

	"uniqverse/internal/web"
)

// Endpoints are the desk's routes; they are mounted beside those of chat.
func (s *Service) Endpoints() []web.Endpoint {
	read, write, manage := web.Needs("chat.read"), web.Needs("chat.write"), web.Needs("ticket.manage")
	read.Describe = "only tickets that the caller opened or has; all with ticket.manage"
	write.Describe = "as themselves, on their own tickets; for others with ticket.manage"
	return []web.Endpoint{
		web.View("/inbox", read, "Tickets, and a form to open one", s.inbox),
		web.Query(http.MethodGet, "/inbox", read, "The same as GET /tickets", s.tickets),
		web.Query(http.MethodGet, "/tickets", read, "Tickets, newest first; Link leads on", s.tickets),
		web.Query(http.MethodPost, "/tickets", write, "Open a ticket", s.open).Redirect(s.toNew).Retry(s.openRefused),
		web.View("/tickets/{id}", read, "One ticket with its history", s.ticketPage),
		web.Query(http.MethodGet, "/tickets/{id}", read, "One ticket", s.ticket),
		web.Query(http.MethodPost, "/tickets/{id}/assign", manage, "Give the ticket to somebody; 409 when it is solved", s.assign).
			Redirect(s.toTicket).Retry(s.changeRefused),
		web.Query(http.MethodGet, "/tickets/{id}/comments", read, "The ticket's history, newest first; Link leads on", s.comments),
		web.Command(http.MethodPost, "/tickets/{id}/comments", write, "Say something on the ticket", s.store, s.comment).
			Redirect(s.toTicket).Retry(s.changeRefused),
		web.Command(http.MethodPost, "/tickets/{id}/solve", write, "The ticket is done; 409 when it is already", s.store, s.solve).
			Redirect(s.toTicket).Retry(s.changeRefused),
		web.Command(http.MethodPost, "/tickets/{id}/reopen", write, "The ticket is not done after all; 409 when it is not solved", s.store, s.reopen).
			Redirect(s.toTicket).Retry(s.changeRefused),
	}
}

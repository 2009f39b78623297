// Package desk is the support desk: people open tickets, agents take them, both talk in
// comments until the ticket is solved. It answers on chat's port beside services/chat.
//
// It is not a chat (rooms of kind support are services/chat's), sends no mail and routes
// nothing by itself yet. A ticket is seen by who opened it, by its assignee, and by the holders of
// ticket.manage; nobody else.
//
// A ticket is open until it is assigned, assigned until it is solved, and can be reopened: it is
// then assigned again when it has an assignee, else open. Every change is one transaction with
// its entry in the ticket's history and its event on veze.chat.
//
// A Service is safe for concurrent use and needs nothing to run in the background.
package desk

package email

import (
	"slices"

	"uniqverse/internal/web"
)

// Endpoints returns every route of the service. What an owner check says is the same
// everywhere: people see and change their own mail; the demo identity, and tokens with
// email.admin, anybody's.
func (s *Service) Endpoints() []web.Endpoint {
	read, page := web.NeedsToken("email.read"), web.Needs("email.read")
	own := "the user's own mailbox; others' with email.admin"
	read.Describe, page.Describe = own, own
	anyToken := web.NeedsToken("")
	anyToken.Describe = "email.read for one's own mailbox; portal.provision or email.admin for others'"

	all := []web.Endpoint{
		web.Query("GET", "/api/messages", read, "A mailbox, newest first", s.list),
		web.Query("GET", "/api/messages/{id}", read, "One message with its text, parts and what the checks found", s.get),
		web.Command("POST", "/api/messages/{id}/read", read, "Mark as read, or as unread with read=false", s.Store, s.markRead),
		web.Command("POST", "/api/messages/{id}/star", read, "Set or remove the star; without a body: the other way round", s.Store, s.star),
		web.Command("POST", "/api/messages/{id}/labels", read, "Replace the labels", s.Store, s.label),
		web.Command("POST", "/api/messages/{id}/move", read, "Move to another folder", s.Store, s.move),
		web.Query("DELETE", "/api/messages/{id}", read, "Move to the trash; what is there already goes for good", s.deleteMessage),
		web.Query("GET", "/api/messages/{id}/thread", read, "The message's thread, the first that came first", s.thread),
		web.Query("POST", "/api/messages/bulk", read, "Change up to 200 messages at once, all or none", s.Bulk),
		web.Query("GET", "/api/folders", read, "The folders of a mailbox", s.folders),
		web.Command("POST", "/api/folders", read, "Make a folder", s.Store, s.newFolder),
		web.Command("PATCH", "/api/folders/{id}", read, "Rename, move or order a folder", s.Store, s.patchFolder),
		web.Command("DELETE", "/api/folders/{id}", read, "Remove a folder; what lies in no other goes to the trash", s.Store, s.removeFolder),
		web.Query("POST", "/api/folders/{id}/empty", read, "Remove what lies in the trash or the junk for good, 1,000 messages at most", s.emptyFolder),
		web.Stream("GET", "/api/events", read, "The mailbox's events as they happen (server-sent events)", s.events),

		web.Query("GET", "/api/mailboxes", read, "The mailboxes that the caller may see, newest first", s.mailboxes),
		web.Command("POST", "/api/mailboxes", anyToken, "Make a mailbox unless it is there", s.Store, s.provision),

		// What the forms of the pages (package webmail) post to: the same as under /api, for whoever the pages open for.
		web.Command("POST", "/messages/{id}/read", page, "The page's form: mark as read or unread", s.Store, s.markRead).Redirect(back),
		web.Command("POST", "/messages/{id}/star", page, "The page's form: set or remove the star", s.Store, s.star).Redirect(back),
		web.Command("POST", "/messages/{id}/labels", page, "The page's form: replace the labels", s.Store, s.label).Redirect(back),
		web.Command("POST", "/folders", page, "The page's form: make a folder", s.Store, s.newFolder).Redirect(back),
		web.Command("POST", "/folders/{id}", page, "The page's form: rename or move a folder", s.Store, s.patchFolder).Redirect(back),
		web.Command("POST", "/folders/{id}/delete", page, "The page's form: remove a folder", s.Store, s.removeFolder).Redirect(back),
		web.Query("POST", "/folders/{id}/empty", page, "The page's form: empty the trash or the junk", s.emptyFolder).Redirect(back),
	}
	return slices.Concat(all, s.Sender().Endpoints(), s.queue.Endpoints(), s.directory.Endpoints(), s.sorter.Endpoints())
}

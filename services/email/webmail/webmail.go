// Package webmail is the pages of the mail service: folders, messages and compose, for people with a browser.
//
// It decides nothing about mail: whose mailbox may be seen, what may be sent and what a change does, is for package email.
// Its forms post to the mail service's own, or to endpoints here that translate a form into what that package offers.
// Every page works without JavaScript. Its handlers are safe for concurrent use.
package webmail

import (
	"net/url"
	"strings"

	"uniqverse/internal/web"
	"uniqverse/services/email"
	"uniqverse/services/email/drafts"
	"uniqverse/services/email/images"
	"uniqverse/services/email/journey"
)

// Pages are the pages. Make them with New.
type Pages struct {
	mail   *email.Service
	drafts *drafts.Drafts
	ways   *journey.Teller
	images *images.Images
}

// New returns the pages of a mail service, which show what ways tells and the pictures that their readers ask for.
func New(mail *email.Service, ways *journey.Teller, pictures *images.Images) *Pages {
	return &Pages{mail: mail, drafts: drafts.New(mail), ways: ways, images: pictures}
}

// Endpoints are the routes of the pages.
func (w *Pages) Endpoints() []web.Endpoint {
	page := web.Needs("email.read")
	page.Describe = "the user's own mailbox; others' with email.admin"
	send := web.Needs("email.send")
	send.Describe = page.Describe
	return []web.Endpoint{
		web.View("/", page, "Inbox", w.inboxPage),
		web.View("/inbox", page, "A folder", w.inboxPage),
		web.View("/search", page, "What a search finds in the whole mailbox", w.inboxPage),
		web.View("/folders", page, "The folders, for making, renaming and removing them", w.foldersPage),
		web.View("/messages/{id}", page, "One message", w.messagePage),
		web.Query("POST", "/messages/bulk", page, "The page's form: change the chosen messages", w.act).Redirect(back),
		web.Command("POST", "/messages/{id}/images", page, "The page's form: show the message's pictures from elsewhere, once or always from its sender", w.mail.Store, w.chooseImages).Redirect(func(_ *web.Call, out any) string {
			o, _ := out.(imagesChosen)
			return o.Next
		}),
		web.View("/compose", send, "Write a mail", w.composePage),
		web.Query("POST", "/compose", send, "The page's form: save, send or discard a mail", w.write).MaxBody(maxForm).TakesFiles("attachments").Redirect(func(_ *web.Call, out any) string {
			o, _ := out.(Written)
			return o.Next
		}).Retry(w.again),
		web.Command("POST", "/compose/signature", send, "The page's form: what a new mail ends with", w.mail.Store, w.setSignature).Redirect(back),
	}
}

// back sends a form's browser to the page that it names, which must be a path of this service.
func back(c *web.Call, _ any) string {
	next := c.Form("next")
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/inbox"
	}
	return next
}

// token adds the demo identity's token to an address of the API, which always wants one, where
// the page was opened without.
func token(c *web.Call, path string, q url.Values) string {
	if c.Caller.Demo && c.Caller.Via == web.NoCredential {
		if q == nil {
			q = url.Values{}
		}
		q.Set("access_token", "demo")
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

func (w *Pages) eventsURL(c *web.Call, user string) string {
	return token(c, "/api/events", url.Values{"user": {w.mail.Address(user)}})
}

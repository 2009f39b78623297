package spam

import (
	"uniqverse/internal/web"
	"uniqverse/internal/web/form"
)

// MostShown is how many listed senders Settings has.
const MostShown = 200

// Settings is what a page shows of a user's filter.
type Settings struct {
	Stats
	Listed []Sender // the newest, MostShown at most
}

// Settings returns what a page shows of the filter of the user that a request names, after the owner check.
func (f *Filter[T]) Settings(c *web.Call, user string) (Settings, error) {
	u := userParams{User: user}
	stats, err := f.stats(c, statsParams{userParams: u})
	if err != nil {
		return Settings{}, err
	}
	list, err := f.list(c, listParams{userParams: u, Paging: web.Paging{Limit: MostShown}})
	return Settings{stats, list.Senders}, err
}

// Forms are the routes that the forms of the page at a path post to; again shows that page when one is refused.
func (f *Filter[T]) Forms(path string, again func(*web.Call, error) (web.Page, bool)) []web.Endpoint {
	page := web.Needs("email.read")
	page.Describe = "the user's own; others' with email.admin"
	back := form.BackTo(path, "user")
	return []web.Endpoint{
		web.Command("POST", path+"/threshold", page, "The page's form: from which score on mail is junk", f.Store, f.setThreshold).Redirect(back).Retry(again),
		web.Command("POST", path+"/senders", page, "The page's form: allow or block a sender", f.Store, f.addSender).Redirect(back).Retry(again),
		web.Command("POST", path+"/senders/{id}/delete", page, "The page's form: take a sender off the list", f.Store, f.removeSender).Redirect(back),
	}
}

package queue

import (
	"strconv"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// TakenBackReason is the Reason of entries that their sender took back before their time.
const TakenBackReason = "taken back by its sender"

// scheduledEndpoints are for the people who send.
func (q *Queue[T]) scheduledEndpoints() []web.Endpoint {
	own := web.NeedsToken("email.send")
	own.Describe = "the user's own mail; others' with email.admin"
	form := web.Needs("email.send")
	form.Describe = own.Describe
	return []web.Endpoint{
		web.Query("GET", "/api/scheduled", own, "Mail that waits for its time, the newest first", q.scheduled),
		web.Command("POST", "/api/scheduled/{queue_id}/cancel", own, "Take mail back before its time; nobody gets it", q.Store, q.takeBack),
		web.Command("POST", "/scheduled/{queue_id}/cancel", form, "The page's form: take mail back before its time", q.Store, q.takeBack).Redirect(toDraft),
	}
}

// toDraft leads to the draft that mail which was taken back is now.
func toDraft(_ *web.Call, out any) string {
	if o, ok := out.(api.EmailScheduled); ok && o.MessageID != 0 {
		return "/compose?draft=" + strconv.FormatInt(o.MessageID, 10)
	}
	return "/inbox?folder=drafts"
}

type scheduledParams struct {
	User string `json:"user,omitempty" doc:"whose; the caller's when left out" max:"64"`
	web.Paging
}

func (q *Queue[T]) scheduled(c *web.Call, in scheduledParams) (api.EmailScheduledList, error) {
	out := api.EmailScheduledList{Scheduled: []api.EmailScheduled{}}
	if in.User == "" {
		in.User = c.Caller.User
	}
	if in.User == "" {
		return out, errs.Missing("user")
	}
	if err := c.Caller.ActAs(in.User, "email.admin"); err != nil {
		return out, err
	}
	list, err := q.Store.Entries(c.Context(), Filter{User: in.User, Waiting: c.Now}, in.Paging)
	for _, e := range list {
		if n := len(out.Scheduled); n == 0 || out.Scheduled[n-1].QueueID != e.QueueID {
			out.Scheduled = append(out.Scheduled, api.EmailScheduled{QueueID: e.QueueID, MessageID: e.MessageID, User: e.User, SendAt: api.TimeOf(e.NotBefore)})
		}
		last := &out.Scheduled[len(out.Scheduled)-1]
		last.Recipients = append(last.Recipients, e.Recipient)
	}
	return out, err
}

type takeBackParams struct {
	QueueID string `path:"queue_id" max:"64" doc:"of the mail, as POST /api/send answered"`
}

// takeBack drops all of a mail, or nothing of it: what one recipient has cannot be taken back from the others.
func (q *Queue[T]) takeBack(c *web.Call, tx T, in takeBackParams) (api.EmailScheduled, error) {
	out := api.EmailScheduled{QueueID: in.QueueID, Recipients: []string{}}
	missing := errs.New(errs.NotFound, "there is no such mail that waits for its time")
	list, err := tx.EntriesOf(in.QueueID)
	if err != nil || len(list) == 0 {
		if err == nil {
			err = missing
		}
		return out, err
	}
	if c.Caller.ActAs(list[0].User, "email.admin") != nil {
		return out, missing
	}
	now := tx.Now()
	for _, was := range list {
		if !was.Waiting(now) {
			return out, errs.New(errs.Conflict, "it is too late to take this mail back: it is %s", was.State)
		}
		e := was
		e.State, e.Reason, e.Updated = Dropped, TakenBackReason, now
		if err := tx.SaveEntry(was, e); err != nil {
			return out, err
		}
		out.User, out.SendAt = e.User, api.TimeOf(e.NotBefore)
		out.Recipients = append(out.Recipients, e.Recipient)
	}
	out.MessageID, err = q.Office.TakenBack(c.Context(), tx, list)
	return out, err
}

package rules

import (
	"time"

	"uniqverse/internal/web"
	"uniqverse/internal/web/form"
	"uniqverse/templates"
)

// forms are the pages of rules and of the answer while away, and what their forms post to.
func (s *Set[T]) forms() []web.Endpoint {
	page := web.Needs("email.read")
	page.Describe = "the user's own; others' with email.admin"
	toRules := form.BackTo("/rules", "user")
	return []web.Endpoint{
		web.View("/vacation", page, "The answer that senders get while a user is away", s.vacationPage),
		web.Command("POST", "/vacation", page, "The page's form: set the answer that senders get", s.Store, s.setVacation).Redirect(form.BackTo("/vacation", "user")).Retry(s.vacationAgain),
		web.View("/rules", page, "A user's rules, one to change, and what they would do", s.rulesPage),
		web.Command("POST", "/rules", page, "The page's form: add a rule", s.Store, s.add).Redirect(toRules).Retry(s.rulesAgain),
		web.Command("POST", "/rules/{id}", page, "The page's form: change a rule, or its place", s.Store, s.change).Redirect(toRules).Retry(s.rulesAgain),
		web.Command("POST", "/rules/{id}/delete", page, "The page's form: remove a rule", s.Store, s.remove).Redirect(toRules),
		web.Query("POST", "/rules/run", page, "The page's form: run a rule, or all of them, on mail that is there already", s.begin).Redirect(toRules).Retry(s.runAgain),
		web.Command("POST", "/rules/runs/{id}/stop", page, "The page's form: stop a run of rules", s.Store, s.stop).Redirect(toRules),
	}
}

func (s *Set[T]) vacationPage(c *web.Call, in userParams) (web.Page, error) {
	now, err := s.vacation(c, in)
	if err != nil {
		return web.Page{}, err
	}
	v := templates.VacationView{Tools: templates.Tools{Mailbox: now.User, User: in.User, Links: templates.MailboxLinks(in.User, "/vacation")}, Enabled: now.Enabled, Active: now.Active,
		Subject: now.Subject, Text: now.Text, HTML: now.HTML, Days: int(AnswerEvery / (24 * time.Hour))}
	if now.FromDate != nil {
		v.From = now.FromDate.Time().Format("2006-01-02T15:04")
	}
	if now.ToDate != nil {
		v.To = now.ToDate.Time().Format("2006-01-02T15:04")
		v.Over = now.Enabled && !c.Now.Before(now.ToDate.Time())
	}
	return web.Page{Template: templates.PageVacation, Title: "Away", Data: v}, nil
}

// vacationAgain shows the page with what was typed and why it was refused.
func (s *Set[T]) vacationAgain(c *web.Call, err error) (web.Page, bool) {
	wrong := form.Errors(err)
	page, showErr := s.vacationPage(c, userParams{User: c.Form("user")})
	if wrong == nil || showErr != nil {
		return web.Page{}, false
	}
	v := page.Data.(templates.VacationView)
	v.Enabled, v.From, v.To, v.Errors = c.Form("enabled") == "true", c.Form("from_date"), c.Form("to_date"), wrong
	v.Subject, v.Text, v.HTML = c.Form("subject"), c.Form("text"), c.Form("html")
	page.Data = v
	return page, true
}

package rules

import (
	"net/url"
	"strconv"
	"strings"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/internal/web/form"
	"uniqverse/templates"
)

type pageParams struct {
	userParams
	Edit int64 `json:"edit,omitempty" min:"1" doc:"the rule that is to be changed"`
	Try  int64 `json:"try,omitempty" min:"1" doc:"the rule that is tried on the newest mail"`
	All  bool  `json:"all,omitempty" doc:"all rules that are on are tried on the newest mail"`
}

func (s *Set[T]) rulesPage(c *web.Call, in pageParams) (web.Page, error) {
	list, err := s.list(c, in.userParams)
	if err != nil {
		return web.Page{}, err
	}
	v := templates.RulesView{Tools: templates.Tools{Mailbox: list.User, User: in.User, Links: templates.MailboxLinks(in.User, "/rules")}, TryURL: rulesURL(in.User, "all", "true"), NewURL: rulesURL(in.User, "", "")}
	found := in.Edit == 0
	for i, r := range list.Rules {
		id := strconv.FormatInt(r.ID, 10)
		row := templates.RuleRow{ID: r.ID, Position: i + 1, Last: i == len(list.Rules)-1, Name: r.Name, Enabled: r.Enabled, Any: r.Match == "any", Hits: r.Hits,
			EditURL: rulesURL(in.User, "edit", id), TryURL: rulesURL(in.User, "try", id)}
		if r.LastHit != nil {
			row.LastHit = r.LastHit.Time()
		}
		for _, x := range r.Conditions {
			row.Conditions = append(row.Conditions, x.String())
		}
		for _, x := range r.Actions {
			row.Actions = append(row.Actions, x.String())
		}
		if r.ID == in.Edit {
			found = true
			v.Edit = templates.RuleForm{ID: r.ID, Name: r.Name, Any: row.Any, Conditions: strings.Join(row.Conditions, "\n"), Actions: strings.Join(row.Actions, "\n")}
		}
		v.Rules = append(v.Rules, row)
	}
	if !found {
		return web.Page{}, errs.New(errs.NotFound, "there is no such rule; it may have been removed")
	}
	if err := s.runView(c, in.userParams, &v); err != nil {
		return web.Page{}, err
	}
	if in.Try != 0 || in.All {
		if v.Tried, err = s.triedView(c, in); err != nil {
			return web.Page{}, err
		}
	}
	return web.Page{Template: templates.PageRules, Title: "Rules", Data: v}, nil
}

// rulesURL is the page with one more parameter; name "" is none.
func rulesURL(user, name, value string) string {
	q := url.Values{}
	if user != "" {
		q.Set("user", user)
	}
	if name != "" {
		q.Set(name, value)
	}
	if len(q) == 0 {
		return "/rules"
	}
	return "/rules?" + q.Encode()
}

// triedView is what a rule, or all of them, would do to the newest mail.
func (s *Set[T]) triedView(c *web.Call, in pageParams) (*templates.TriedView, error) {
	out, err := s.try(c, tryParams{ruleParams: ruleParams{userParams: in.userParams}, Rule: in.Try})
	if err != nil {
		return nil, err
	}
	v := &templates.TriedView{Looked: out.Looked}
	for _, e := range out.Hits {
		row := templates.TriedRow{Href: "/messages/" + strconv.FormatInt(e.Message, 10), Subject: e.Subject, From: e.From}
		for _, h := range e.Rules {
			row.Rules = append(row.Rules, h.Name)
		}
		if e.Folder != "" {
			row.Does = append(row.Does, "goes to "+e.Folder)
		}
		for _, l := range e.Labels {
			row.Does = append(row.Does, "gets the label "+l)
		}
		if e.Star {
			row.Does = append(row.Does, "gets a star")
		}
		if e.Read {
			row.Does = append(row.Does, "is marked as read")
		}
		for _, a := range e.Redirect {
			row.Does = append(row.Does, "is sent on to "+a)
		}
		v.Hits = append(v.Hits, row)
	}
	return v, nil
}

// rulesAgain shows the page with what was typed and why it was refused.
func (s *Set[T]) rulesAgain(c *web.Call, err error) (web.Page, bool) {
	wrong := form.Errors(err)
	id, _ := strconv.ParseInt(c.Request.PathValue("id"), 10, 64) // 0: a new one
	in := pageParams{userParams: userParams{User: c.Form("user")}}
	typed := c.Form("name") != "" || id == 0
	if !typed { // a button was refused: the form shows the rule as it is
		in.Edit = id
	}
	page, showErr := s.rulesPage(c, in)
	if wrong == nil || showErr != nil {
		return web.Page{}, false
	}
	v := page.Data.(templates.RulesView)
	if typed {
		v.Edit = templates.RuleForm{ID: id, Name: c.Form("name"), Any: c.Form("match") == "any", Conditions: c.Form("conditions"), Actions: c.Form("actions")}
	}
	v.Errors = wrong
	page.Data = v
	return page, true
}

// shownRuns is how many runs the page tells of.
const shownRuns = 5

// runView tells how far the newest runs are; the others were long ago.
func (s *Set[T]) runView(c *web.Call, in userParams, v *templates.RulesView) error {
	list, err := s.runs(c, in)
	if err != nil {
		return err
	}
	v.LookURL = rulesURL(in.User, "", "") + "#runs-title"
	for _, r := range list.Runs[:min(len(list.Runs), shownRuns)] {
		row := templates.RunRow{ID: r.ID, State: r.State, Rule: "All rules that are on", Looked: r.Looked, Changed: r.Changed, Total: r.Total, Error: r.Error, At: r.CreatedAt.Time()}
		if r.Rule != 0 {
			row.Rule = "A rule that was removed"
			for _, x := range v.Rules {
				if x.ID == r.Rule {
					row.Rule = x.Name
				}
			}
		}
		v.Running = v.Running || row.Running()
		v.Runs = append(v.Runs, row)
	}
	return nil
}

// runAgain shows the page with the run that was asked for and why there is none.
func (s *Set[T]) runAgain(c *web.Call, err error) (web.Page, bool) {
	wrong := form.Errors(err)
	page, showErr := s.rulesPage(c, pageParams{userParams: userParams{User: c.Form("user")}})
	if wrong == nil || showErr != nil {
		return web.Page{}, false
	}
	v := page.Data.(templates.RulesView)
	v.Errors, v.RunFolder = wrong, c.Form("folder")
	v.RunRule, _ = strconv.ParseInt(c.Form("rule"), 10, 64)
	page.Data = v
	return page, true
}

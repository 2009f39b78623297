package webhooks

import (
	"net/url"

	"uniqverse/internal/web"
	"uniqverse/internal/web/form"
	"uniqverse/templates"
)

// shownDeliveries is how many of the newest the page shows of each webhook.
const shownDeliveries = 5

func (s *Service) page(c *web.Call, in listIn) (web.Page, error) {
	list, err := s.list(c, in)
	if err != nil {
		return web.Page{}, err
	}
	v := templates.WebhooksView{User: in.User, All: in.All, Most: MaxOfUser, Types: Types()}
	q := url.Values{}
	if in.User != "" {
		q.Set("user", in.User)
	}
	if in.All {
		q.Set("all", "true")
		v.Most = MaxOfAll
	}
	v.Of = q.Encode()
	for _, w := range list.Webhooks {
		row := templates.WebhookRow{ID: w.ID, URL: w.URL, Events: w.Events, Enabled: w.Enabled, Reason: w.Reason, Failures: w.Failures}
		ds, err := s.Store.Deliveries(c.Context(), w.ID, web.Paging{}, shownDeliveries)
		if err != nil {
			return web.Page{}, err
		}
		for _, d := range ds {
			line := templates.WebhookDelivery{ID: d.ID, Type: d.Type, State: d.State, At: d.CreatedAt.Time(), Tries: d.Tries}
			if n := len(d.Attempts); n > 0 {
				line.Status, line.Error = d.Attempts[n-1].Status, d.Attempts[n-1].Error
			}
			row.Deliveries = append(row.Deliveries, line)
		}
		v.Webhooks = append(v.Webhooks, row)
	}
	return web.Page{Template: templates.PageWebhooks, Title: "Webhooks", Data: v}, nil
}

func (s *Service) addForm(c *web.Call, in addIn) (any, error) {
	made, err := s.add(c, in)
	if err != nil || !c.WantsPage() {
		return made, err
	}
	p, err := s.page(c, listIn{User: in.User, All: in.All})
	if err != nil {
		return nil, err
	}
	v := p.Data.(templates.WebhooksView)
	v.Made, v.Secret = made.URL, made.Secret
	p.Data = v
	return p, nil
}

// again shows the page with what was typed and why it was refused.
func (s *Service) again(c *web.Call, err error) (web.Page, bool) {
	wrong := form.Errors(err)
	p, showErr := s.page(c, listIn{User: c.Form("user"), All: c.Form("all") == "true"})
	if wrong == nil || showErr != nil {
		return web.Page{}, false
	}
	v := p.Data.(templates.WebhooksView)
	v.Typed, v.Errors = c.Form("url"), wrong
	p.Data = v
	return p, true
}

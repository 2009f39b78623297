package dmarcreport

import (
	"sort"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/web"
	"uniqverse/templates"
)

// shownDays is how far the chart goes back.
const shownDays = 30

// Endpoints returns the routes.
func (d *Desk) Endpoints() []web.Endpoint {
	return []web.Endpoint{
		web.Query("GET", "/api/dmarc/reports", web.NeedsToken("email.admin"), "What others report of mail that says it is from the mail domain, newest first", d.list),
		web.View("/dmarc", web.Needs("email.admin"), "Who sends as the mail domain, as others report it", d.page),
	}
}

type listParams struct{ web.Paging }

// Reports is the answer to GET /api/dmarc/reports.
type Reports struct {
	Reports []Wire `json:"reports"`
}

// Wire is a report on the wire.
type Wire struct {
	ID         int64    `json:"id"`
	Org        string   `json:"org"`
	ReportID   string   `json:"report_id"`
	Domain     string   `json:"domain"`
	BeginAt    api.Time `json:"begin_at"`
	EndAt      api.Time `json:"end_at"`
	ReceivedAt api.Time `json:"received_at"`
	Messages   int64    `json:"messages"`
	Passed     int64    `json:"passed"` // of messages: DKIM or SPF vouched for the domain
	Rows       []Row    `json:"rows"`
}

func (d *Desk) list(c *web.Call, in listParams) (Reports, error) {
	out := Reports{Reports: []Wire{}}
	list, err := d.Store.DMARCReports(c.Context(), in.Paging)
	for _, r := range list {
		if r.Rows == nil {
			r.Rows = []Row{}
		}
		out.Reports = append(out.Reports, Wire{ID: r.ID, Org: r.Org, ReportID: r.ReportID, Domain: r.Domain, BeginAt: api.TimeOf(r.Begin), EndAt: api.TimeOf(r.End), ReceivedAt: api.TimeOf(r.Received),
			Messages: r.Messages, Passed: r.Passed, Rows: r.Rows})
	}
	return out, err
}

// page shows the days as bars, who sends, and the newest reports.
func (d *Desk) page(c *web.Call, in listParams) (web.Page, error) {
	days, err := d.Store.DMARCDays(c.Context(), c.Now.Add(-shownDays*24*time.Hour))
	if err != nil {
		return web.Page{}, err
	}
	list, err := d.Store.DMARCReports(c.Context(), in.Paging)
	if err != nil {
		return web.Page{}, err
	}
	v := templates.DMARCView{Domain: d.Domain, Address: Users()[0] + "@" + d.Domain}
	for _, day := range days {
		v.Days = append(v.Days, templates.DMARCDay{Day: day.Day, Messages: day.Messages, Passed: day.Passed})
	}
	senders := map[string]*templates.DMARCSender{}
	for _, r := range list {
		v.Reports = append(v.Reports, templates.DMARCReport{Org: r.Org, Begin: r.Begin, Messages: r.Messages, Passed: r.Passed})
		for _, row := range r.Rows {
			s := senders[row.IP]
			if s == nil {
				s = &templates.DMARCSender{IP: row.IP}
				senders[row.IP] = s
			}
			s.Messages += row.Count
			if row.DKIM == "pass" {
				s.DKIM += row.Count
			}
			if row.SPF == "pass" {
				s.SPF += row.Count
			}
		}
	}
	for _, s := range senders {
		v.Senders = append(v.Senders, *s)
	}
	sort.Slice(v.Senders, func(i, j int) bool {
		a, b := v.Senders[i], v.Senders[j]
		return a.Messages > b.Messages || a.Messages == b.Messages && a.IP < b.IP
	})
	v.Senders = v.Senders[:min(len(v.Senders), 50)]
	return web.Page{Template: templates.PageDMARC, Title: "DMARC", Data: v}, nil
}

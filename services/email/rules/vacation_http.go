package rules

import (
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// VacationWire is the answer while away, as the API shows it.
type VacationWire struct {
	User     string    `json:"user"` // local part
	Enabled  bool      `json:"enabled"`
	Active   bool      `json:"active"` // enabled, and its time has come
	FromDate *api.Time `json:"from_date"`
	ToDate   *api.Time `json:"to_date"`
	Subject  string    `json:"subject"`
	Text     string    `json:"text"`
	HTML     string    `json:"html"`
}

func wireVacation(user string, v Vacation, now time.Time) VacationWire {
	w := VacationWire{User: user, Enabled: v.Enabled, Active: v.Active(now), Subject: v.Subject, Text: v.Text, HTML: v.HTML}
	if !v.From.IsZero() {
		at := api.TimeOf(v.From)
		w.FromDate = &at
	}
	if !v.To.IsZero() {
		at := api.TimeOf(v.To)
		w.ToDate = &at
	}
	return w
}

func (s *Set[T]) vacation(c *web.Call, in userParams) (VacationWire, error) {
	user, box, err := s.owned(c, in.User)
	if err != nil || box == 0 {
		return VacationWire{User: user}, err
	}
	v, err := s.Store.VacationOf(c.Context(), box)
	return wireVacation(user, v, c.Now), err
}

type vacationParams struct {
	userParams
	Enabled  bool   `json:"enabled,omitempty" doc:"whether senders are answered"`
	FromDate string `json:"from_date,omitempty" max:"40" doc:"from when on, RFC 3339, or a day (2026-12-24); at once when left out"`
	ToDate   string `json:"to_date,omitempty" max:"40" doc:"until when; for ever when left out"`
	Subject  string `json:"subject,omitempty" doc:"Re: and the subject of the message when left out"`
	Text     string `json:"text,omitempty"`
	HTML     string `json:"html,omitempty"`
}

// readTime reads a time, or a day in UTC.
func readTime(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() >= 1970 && t.Year() < 10000 {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errs.BadField(field, "must be a time such as 2026-12-24T08:00:00Z, or a day such as 2026-12-24")
}

func (s *Set[T]) setVacation(c *web.Call, tx T, in vacationParams) (VacationWire, error) {
	user, err := s.Office.Owner(c, in.User)
	if err != nil {
		return VacationWire{}, err
	}
	v := Vacation{Enabled: in.Enabled, Subject: in.Subject, Text: in.Text, HTML: in.HTML, Updated: tx.Now()}
	if v.From, err = readTime("from_date", in.FromDate); err != nil {
		return VacationWire{}, err
	}
	if v.To, err = readTime("to_date", in.ToDate); err != nil {
		return VacationWire{}, err
	}
	if err := v.Check(); err != nil {
		return VacationWire{}, err
	}
	if v.Mailbox, err = s.Office.Ensure(tx, user); err != nil {
		return VacationWire{}, err
	}
	return wireVacation(user, v, tx.Now()), tx.SaveVacation(v)
}

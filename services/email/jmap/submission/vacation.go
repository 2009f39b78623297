package submission

import (
	"encoding/json"
	"slices"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/services/email/jmap/account"
	"uniqverse/services/email/jmap/message"
	"uniqverse/services/email/jmap/proto"
	"uniqverse/services/email/jmap/record"
	"uniqverse/services/email/rules"
)

// singleton is the id of the one VacationResponse of an account.
const singleton = "singleton"

// usualAnswer is sent when an answer is switched on that says nothing: the RFC leaves its text to the server.
const usualAnswer = "I am away at the moment and will read your mail when I am back."

func vacationProperties() []string {
	return []string{"id", "isEnabled", "fromDate", "toDate", "subject", "textBody", "htmlBody"}
}

func shownVacation(v rules.Vacation) map[string]any {
	orNull := func(s string) any {
		if s == "" || s == usualAnswer {
			return nil
		}
		return s
	}
	date := func(t time.Time) any {
		if t.IsZero() {
			return nil
		}
		return message.UTCDate(t)
	}
	return map[string]any{"id": singleton, "isEnabled": v.Enabled, "fromDate": date(v.From), "toDate": date(v.To), "subject": orNull(v.Subject), "textBody": orNull(v.Text), "htmlBody": orNull(v.HTML)}
}

func (m *Methods) vacationGet(c *proto.Call) (any, error) {
	var a proto.GetArgs
	if err := proto.Decode(c.Args, &a); err != nil {
		return nil, err
	}
	acct, err := m.accounts.Find(c, a.AccountID)
	if err != nil {
		return nil, err
	}
	ids, all, failed := c.Wanted(a.IDs)
	if failed != nil {
		return nil, failed
	}
	properties, failed := proto.Properties(a.Properties, vacationProperties())
	if failed != nil {
		return nil, failed
	}
	v, err := m.store.VacationOf(c.Context, acct.Mailbox.ID)
	if err != nil {
		return nil, err
	}
	out := proto.GetResult{AccountID: a.AccountID, State: m.accounts.State(vacationState(v)), List: []map[string]any{}, NotFound: []string{}}
	if all || slices.Contains(ids, singleton) {
		out.List = append(out.List, proto.Only(shownVacation(v), properties))
	}
	for _, id := range ids {
		if id != singleton {
			out.NotFound = append(out.NotFound, id)
		}
	}
	return out, nil
}

func vacationState(v rules.Vacation) int64 {
	if v.Updated.IsZero() {
		return 0
	}
	return v.Updated.UnixMilli()
}

func (m *Methods) vacationSet(c *proto.Call) (any, error) {
	var peek proto.SetArgs
	if err := proto.Decode(c.Args, &peek); err != nil {
		return nil, err
	}
	acct, err := m.accounts.Find(c, peek.AccountID)
	if err != nil {
		return nil, err
	}
	v, err := m.store.VacationOf(c.Context, acct.Mailbox.ID)
	if err != nil {
		return nil, err
	}
	out, err := m.set(c, func(st record.States) int64 { return st.Vacation }, func(tx record.Tx, acct *account.Account, a proto.SetArgs, out *proto.SetResult) error {
		for key := range a.Create {
			proto.Refused(&out.NotCreated, key, proto.Refuse("singleton", "there is one VacationResponse, which is updated"))
		}
		for _, id := range a.Destroy {
			proto.Refused(&out.NotDestroyed, id, proto.Refuse("singleton", "the VacationResponse stays; disable it instead"))
		}
		for _, id := range proto.Keys(a.Update) {
			if id != singleton {
				proto.Refused(&out.NotUpdated, id, proto.Refuse("notFound", "the VacationResponse is called singleton"))
				continue
			}
			next, refused := applyVacation(v, a.Update[id])
			if refused != nil {
				proto.Refused(&out.NotUpdated, id, refused)
				continue
			}
			next.Mailbox = acct.Mailbox.ID
			if next.Updated = tx.Now(); !next.Updated.After(v.Updated) {
				next.Updated = v.Updated.Add(time.Millisecond)
			}
			if err := tx.SaveVacation(next); err != nil {
				return err
			}
			proto.Done(&out.Updated, id, nil)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func applyVacation(v rules.Vacation, patch proto.Object) (rules.Vacation, *proto.SetError) {
	var bad []string
	for _, name := range proto.Keys(patch) {
		value, ok := patch[name], false
		var text *string
		isText := json.Unmarshal(value, &text) == nil
		date := func(into *time.Time) bool {
			if !isText || text == nil {
				*into = time.Time{}
				return isText
			}
			t, err := time.Parse(time.RFC3339, *text)
			*into = t.UTC()
			return err == nil && t.Year() >= 1970 && t.Year() < 2200
		}
		or := func() string {
			if text == nil {
				return ""
			}
			return *text
		}
		switch name {
		case "isEnabled":
			var yes *bool
			if ok = json.Unmarshal(value, &yes) == nil && yes != nil; ok {
				v.Enabled = *yes
			}
		case "fromDate":
			ok = date(&v.From)
		case "toDate":
			ok = date(&v.To)
		case "subject":
			v.Subject, ok = or(), isText
		case "textBody":
			v.Text, ok = or(), isText
		case "htmlBody":
			v.HTML, ok = or(), isText
		case "id":
			ok = isText && text != nil && *text == singleton
		}
		if !ok {
			bad = append(bad, name)
		}
	}
	if bad != nil {
		return v, proto.InvalidProperties(bad, "%.60s cannot be set, or not to this", bad[0])
	}
	if v.Enabled && v.Text == "" && v.HTML == "" {
		v.Text = usualAnswer
	}
	if v.Text == usualAnswer && v.HTML != "" {
		v.Text = ""
	}
	if err := v.Check(); err != nil {
		names := map[string]string{"text": "textBody", "html": "htmlBody", "subject": "subject", "to_date": "toDate"}
		var e *errs.Error
		if ok := errsAs(err, &e); ok && len(e.Fields) > 0 {
			return v, proto.InvalidProperties([]string{names[e.Fields[0].Field]}, "%s", e.Detail)
		}
		return v, proto.InvalidProperties(nil, "%s", err)
	}
	return v, nil
}

package refusals

import (
	"strings"

	"uniqverse/internal/api"
	"uniqverse/internal/web"
)

// Endpoints returns the routes of the journal.
func (j *Journal) Endpoints() []web.Endpoint {
	read := web.NeedsToken("email.read")
	read.Describe = "what concerns the user's own mailbox; everything with email.admin"
	page := web.Needs("email.read")
	page.Describe = read.Describe
	admin, adminPage := web.NeedsToken("email.admin"), web.Needs("email.admin")
	return []web.Endpoint{
		web.Query("GET", "/api/greylist", admin, "Senders whom the greylist put off and who have not come again yet, the last first", j.greylisted),
		web.Query("POST", "/api/greylist/release", admin, "Let a sender's next attempt in without delay", j.release),
		web.Query("POST", "/greylist/release", adminPage, "The page's form: let a sender's next attempt in without delay", j.release).Redirect(func(*web.Call, any) string { return "/refusals" }),
		web.Query("GET", "/api/refusals", read, "Mail of the last seven days that was not taken, and why, newest first", j.list),
		web.View("/refusals", page, "Mail that was not taken, and why", j.page),
	}
}

type listParams struct {
	User    string `json:"user,omitempty" max:"320" doc:"whose missed or refused mail: an address of the domain, or its local part; the caller's own unless given, everybody's with email.admin"`
	Address string `json:"address,omitempty" max:"320" doc:"only what came from, or was for, exactly this address; - is the null sender"`
	Rule    string `json:"rule,omitempty" max:"40" doc:"only what this rule refused, such as dmarc, spf, greylist or quota"`
	web.Paging
}

// List is the answer to GET /api/refusals.
type List struct {
	Refusals []Entry `json:"refusals"`
}

// Entry is one row as it is shown.
type Entry struct {
	ID       int64    `json:"id"`
	At       api.Time `json:"at"`
	User     string   `json:"user"`      // address of the mailbox that it concerns; "" for nobody here
	From     string   `json:"from"`      // reverse-path; "" is the null sender
	To       string   `json:"to"`        // "" when no recipient was named yet
	Port     string   `json:"port"`      // mx, submission or submissions
	Peer     string   `json:"peer"`      // IP address of who sent it
	HELO     string   `json:"helo"`      // what it calls itself
	SignedIn string   `json:"signed_in"` // address of who had signed in; "" for nobody
	Command  string   `json:"command"`   // MAIL, RCPT or DATA
	QueueID  string   `json:"queue_id"`  // id of the message in our log; "" before its content came
	Code     int      `json:"code"`
	Enhanced string   `json:"enhanced"`
	Text     string   `json:"text"`
	Rule     string   `json:"rule"`
	Detail   string   `json:"detail"`
}

func (j *Journal) list(c *web.Call, in listParams) (List, error) {
	f := Filter{Paging: in.Paging, Address: strings.ToLower(strings.TrimSpace(in.Address)), Rule: in.Rule}
	out := List{Refusals: []Entry{}}
	user := in.User
	all := c.Caller.Has("email.admin") && user == ""
	if user == "" {
		user = c.Caller.User
	}
	if !all {
		if user == "" {
			return out, nil // a server without the scope has no mailbox of its own
		}
		local, err := j.Named(user)
		if err == nil {
			err = c.Caller.ActAs(local, "email.admin")
		}
		if err != nil {
			return out, err
		}
		f.Mailbox = local
	}
	rows, err := j.Store.Refusals(c.Context(), f)
	for _, r := range rows {
		out.Refusals = append(out.Refusals, Entry{ID: r.ID, At: api.TimeOf(r.At), User: j.address(r.Mailbox), From: r.Sender, To: r.Recipient, Port: r.Mode, Peer: r.Peer,
			HELO: r.HELO, SignedIn: j.address(r.User), Command: r.Verb, QueueID: r.Message, Code: r.Code, Enhanced: r.Enhanced, Text: r.Text, Rule: r.Rule, Detail: r.Detail})
	}
	return out, err
}

func (j *Journal) address(user string) string {
	if user == "" {
		return ""
	}
	return user + "@" + j.Domain
}

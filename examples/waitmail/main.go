// Command waitmail waits for a mail to an address whose subject matches, prints its first link and code, and removes it: an
// example of how a test works with an inbox of its own. README.md says more. It uses the API as documented and nothing of
// this module; Wait is there to be copied.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Inbox is where mail is waited for.
type Inbox struct {
	URL      string // of the mail service, such as http://localhost:8004
	User     string // the inbox's address
	Password string
}

// Mail is what a test wants of a message.
type Mail struct {
	ID      int64  `json:"id"`
	Subject string `json:"subject"`
	Link    string `json:"link"` // the first of its text, "" for none
	Code    string `json:"code"` // the first 4 to 8 digits of its text, "" for none
}

func (b Inbox) call(ctx context.Context, method, path string, query url.Values) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, b.URL+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(b.User, b.Password)
	res, err := http.DefaultClient.Do(req)
	if err == nil && res.StatusCode != http.StatusOK {
		res.Body.Close()
		err = fmt.Errorf("%s %s: %s", method, path, res.Status)
	}
	return res, err
}

func (b Inbox) json(ctx context.Context, method, path string, query url.Values, out any) error {
	res, err := b.call(ctx, method, path, query)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(out)
}

// message is a row of the list, and what mail.received carries.
type message struct {
	ID        int64  `json:"id"`
	MessageID int64  `json:"message_id"` // its id, in an event
	To        string `json:"to"`
	Recipient string `json:"recipient"` // of the envelope
	Subject   string `json:"subject"`
}

// Wait returns the newest mail to an address whose subject matches, and removes it from the inbox. It waits for one until
// ctx ends.
func (b Inbox) Wait(ctx context.Context, to string, subject *regexp.Regexp) (Mail, error) {
	m, err := b.wait(ctx, to, subject)
	if err != nil {
		err = fmt.Errorf("no mail to %s with a subject that matches %s: %w", to, subject, err)
	}
	return m, err
}

func (b Inbox) wait(ctx context.Context, to string, subject *regexp.Regexp) (Mail, error) {
	events, err := b.call(ctx, "GET", "/api/events", url.Values{"user": {b.User}}) // first: nothing comes unseen after the look at the list
	if err != nil {
		return Mail{}, err
	}
	defer events.Body.Close()
	meant := func(m message) bool {
		return (strings.Contains(m.To, to) || m.Recipient == to) && subject.MatchString(m.Subject)
	}
	var list struct{ Messages []message }
	if err := b.json(ctx, "GET", "/api/messages", url.Values{"user": {b.User}}, &list); err != nil {
		return Mail{}, err
	}
	for _, m := range list.Messages {
		if meant(m) {
			return b.take(ctx, m.ID)
		}
	}
	lines := bufio.NewReader(events.Body)
	name := ""
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return Mail{}, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if field, ok := bytes.CutPrefix(line, []byte("event: ")); ok {
			name = string(field)
		}
		data, ok := bytes.CutPrefix(line, []byte("data: "))
		var m message
		if ok && name == "mail.received" && json.Unmarshal(data, &m) == nil && meant(m) {
			return b.take(ctx, m.MessageID)
		}
	}
}

// take reads a message and removes it for good.
func (b Inbox) take(ctx context.Context, id int64) (Mail, error) {
	path := "/api/messages/" + strconv.FormatInt(id, 10)
	var m struct{ Subject, Text string }
	if err := b.json(ctx, "GET", path, nil, &m); err != nil {
		return Mail{}, err
	}
	links := regexp.MustCompile(`https?://[^\s<>"]+`)
	out := Mail{ID: id, Subject: m.Subject, Link: links.FindString(m.Text)}
	out.Code = regexp.MustCompile(`\b[0-9]{4,8}\b`).FindString(links.ReplaceAllString(m.Text, ""))
	return out, b.json(ctx, "DELETE", path, url.Values{"forever": {"true"}}, &struct{}{})
}

func run() error {
	if len(os.Args) != 4 {
		return fmt.Errorf("usage: waitmail to subject-pattern seconds, with MAIL_URL, MAIL_USER and MAIL_PASSWORD set")
	}
	subject, err := regexp.Compile(os.Args[2])
	if err != nil {
		return err
	}
	seconds, err := strconv.Atoi(os.Args[3])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds)*time.Second)
	defer cancel()
	m, err := Inbox{os.Getenv("MAIL_URL"), os.Getenv("MAIL_USER"), os.Getenv("MAIL_PASSWORD")}.Wait(ctx, os.Args[1], subject)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(m)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

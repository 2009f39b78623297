package desk

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
)

// The states of a ticket.
const (
	StatusOpen     = "open"     // waits for somebody
	StatusAssigned = "assigned" // somebody has it
	StatusSolved   = "solved"   // done
)

// Statuses returns all states in the order of a ticket's life.
func Statuses() []string { return []string{StatusOpen, StatusAssigned, StatusSolved} }

// The kinds of entries in a ticket's history.
const (
	KindComment = "comment" // something said
	KindEvent   = "event"   // something done
)

const (
	maxSubject = 200    // characters
	maxComment = 10_000 // characters
	maxTags    = 10
	maxTag     = 40 // characters

	// manage is the scope with which somebody sees and changes everybody's tickets.
	manage = "ticket.manage"
)

func checkStatus(status string) error {
	if status == "" || slices.Contains(Statuses(), status) {
		return nil
	}
	return errs.BadField("status", "must be one of %s", strings.Join(Statuses(), ", "))
}

// cleanLine trims a text of one line; empty, too long or with control characters is errs.Invalid.
func cleanLine(field, text string, most int) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case !shows(text):
		return "", errs.BadField(field, "is required and must not be empty")
	case utf8.RuneCountInString(text) > most:
		return "", errs.BadField(field, "must be at most %d characters", most)
	case strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }):
		return "", errs.BadField(field, "must be one line without control characters")
	}
	return text, nil
}

// cleanComment returns a comment as it is stored: the line ends of forms become \n.
func cleanComment(text string) (string, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	switch {
	case !shows(text):
		return "", errs.BadField("text", "is required and must not be empty")
	case utf8.RuneCountInString(text) > maxComment:
		return "", errs.BadField("text", "must be at most %d characters", maxComment)
	case strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }):
		return "", errs.BadField("text", "must not hold control characters other than line ends and tabs")
	}
	return text, nil
}

// cleanTags trims tags and leaves repeats out; the order is kept.
func cleanTags(tags []string) ([]string, error) {
	out := []string{}
	for _, t := range tags {
		t, err := cleanLine("tags", t, maxTag)
		if err != nil {
			return nil, errs.BadField("tags", "must each be one line of 1 to %d characters", maxTag)
		}
		if !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	if len(out) > maxTags {
		return nil, errs.BadField("tags", "must be at most %d", maxTags)
	}
	return out, nil
}

// shows reports whether a text has anything to see.
func shows(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.Is(unicode.Mn, r)
	})
}

// nameOf returns the name of the user with the id. Nobody by that id is errs.Invalid, except
// for the demo identity, whose word is taken: the name is then "".
func (s *Service) nameOf(ctx context.Context, who web.Caller, field string, id int64) (string, error) {
	if id == who.ID {
		return callerName(who), nil
	}
	u, err := s.opts.Users.UserByID(ctx, id)
	if errs.Is(err, errs.NotFound) {
		if who.Demo {
			return "", nil
		}
		return "", errs.BadField(field, "names nobody who is known here")
	}
	return u.Name, err
}

func callerName(who web.Caller) string {
	if who.User != "" {
		return who.User
	}
	return who.Server
}

// mayTouch decides whether the caller may see and talk on a ticket.
func mayTouch(who web.Caller, t api.Ticket) error {
	mine := who.ID != 0 && (t.CreatedBy == who.ID || t.AssigneeID != nil && *t.AssigneeID == who.ID)
	if mine || who.Demo || who.Has(manage) {
		return nil
	}
	return errs.New(errs.Denied, "ticket %d belongs to somebody else; only who opened it, its assignee and the holders of %s see it", t.ID, manage)
}

// tell emits an event about a ticket: it concerns the one who opened it.
func (s *Service) tell(c *web.Call, tx Tx, t api.Ticket, typ string, payload any) error {
	ev, err := c.Event(typ, payload)
	if err != nil {
		return err
	}
	if ev.Trace != nil {
		ev.Trace = ev.Trace.Step("desk", s.opts.Now().Sub(c.Now))
	}
	ev.User = t.Requester
	if ev.User == "" {
		ev.User = label("", t.CreatedBy) // nobody's name, so that it is not everybody's event
	}
	tx.Emit(event.StreamChat, ev)
	return nil
}

// note writes something done into a ticket's history.
func note(c *web.Call, tx Tx, ticket int64, text string) error {
	_, err := tx.AddComment(api.TicketComment{
		TicketID: ticket, AuthorID: c.Caller.ID, Author: callerName(c.Caller), Kind: KindEvent, Text: text, CreatedAt: api.TimeOf(tx.Now()),
	})
	return err
}

// label is how a page names a user: "@pilot", or "user 981" when there is no name.
func label(name string, id int64) string {
	switch {
	case name != "":
		return "@" + name
	case id != 0:
		return fmt.Sprintf("user %d", id)
	}
	return ""
}

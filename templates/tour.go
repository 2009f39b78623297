package templates

import "fmt"

// TourHosts are the addresses that the five-minute tour names, as a person would type them.
type TourHosts struct {
	Domain                    string // "vezeuniqverse.com"
	Portal, Game, Email, Chat string // base URLs without a slash at the end; an empty one leaves its steps out
	SMTP                      string // "localhost:2525"; "" leaves out the step that sends a mail
}

// FiveMinuteTour returns the steps that show the whole product to somebody who has just started it with demo identity on.
func FiveMinuteTour(h TourHosts) []TourStep {
	who := "pilot@" + h.Domain
	var steps []TourStep
	if h.Portal != "" && h.Email != "" {
		steps = append(steps, TourStep{Title: "Make a mailbox", Text: "A name becomes an address; asking twice changes nothing.",
			Command: fmt.Sprintf("curl -X POST %s/provision/pilot", h.Portal)})
	}
	if h.SMTP != "" {
		steps = append(steps, TourStep{Title: "Send it a mail", Text: "Through the real SMTP listener. It is in the inbox within a second.",
			Command: fmt.Sprintf("swaks --server %s --to %s", h.SMTP, who), Link: Link{Label: "Open the inbox", Href: "/proxy/email/inbox?user=" + who}})
	}
	if h.Game != "" && h.Email != "" {
		steps = append(steps, TourStep{Title: "Read it from inside the game", Text: "The game asks the mail service, with a token of its own.",
			Command: fmt.Sprintf("curl '%s/email/mail?user=%s&access_token=demo'", h.Game, who)})
	}
	if h.Chat != "" {
		steps = append(steps,
			TourStep{Title: "Talk in two browsers", Text: "Open a room, then open it again beside it, and write.",
				Command: fmt.Sprintf("curl -X POST '%s/rooms?name=Hangar&kind=global'", h.Chat), Link: Link{Label: "Open the rooms", Href: "/proxy/chat/rooms"}},
			TourStep{Title: "Open a ticket", Text: "What must not be forgotten goes to the desk.",
				Command: fmt.Sprintf("curl -X POST '%s/tickets?subject=The+gate+is+stuck&created_by=1'", h.Chat), Link: Link{Label: "Open the desk", Href: "/proxy/chat/inbox"}})
	}
	return steps
}

package queue

import "strings"

// explain says in plain words why a mail was not delivered, and what its sender can do. The enhanced status code of the
// reply tells the cases apart (RFC 3463 and its registry); the words of a reply are the other host's own, and stand beside.
func explain(e Entry, failed bool) (why, do string) {
	status := Status(e.LastReply, failed)
	subject := status[2:]
	if rest, ok := strings.CutPrefix(e.LastReply, "given up after "); ok && failed {
		_, last, _ := strings.Cut(rest, "the last reply was: ")
		if subject = Status(last, false)[2:]; subject == "0.0" && !isReply(last) {
			subject = "4.1"
		}
		why, _ = cause(subject, e.Domain)
		return "We tried for days, and it did not work. " + why, "Ask the recipient by other means whether their mail works, and send it again later."
	}
	if subject == "0.0" && !isReply(e.LastReply) {
		subject = "4.1"
	}
	why, do = cause(subject, e.Domain)
	if !failed {
		do = "You need not do anything: it is tried again by itself."
	}
	return why, do
}

// cause is the subject and detail of a status code, in words.
func cause(subject, domain string) (why, do string) {
	again := "Send it again later."
	switch subject {
	case "1.1", "1.6", "1.0":
		return "There is no mailbox with this address at " + domain + ".", "Check the address for a slip of the pen, or ask the recipient for the one they use now."
	case "1.2":
		return "No host takes mail for " + domain + ": the domain does not exist, or is not set up for mail.", "Check what comes after the @ in the address."
	case "1.3":
		return "The host at " + domain + " does not understand the address.", "Check the address."
	case "1.10":
		return domain + " says that it takes no mail at all.", "Ask the recipient for another address."
	case "1.8", "1.7", "7.27":
		return "The host at " + domain + " does not accept your own address as a sender.", "Ask your administrator to look at the page \"DNS\" of this server."
	case "2.1":
		return "The mailbox is there, but takes no mail: it is switched off.", "Ask the recipient for another address."
	case "2.2":
		return "The recipient's mailbox is full.", "Tell them by other means, and send it again when they have made room."
	case "2.3", "3.4":
		return "The mail is too large for " + domain + ".", "Send it without the attachments, or put them where the recipient can fetch them."
	case "4.1", "4.2", "4.4":
		return "The mail server of " + domain + " could not be reached.", again
	case "4.3":
		return "It could not be found out where mail for " + domain + " goes: the DNS did not answer.", again
	case "4.6":
		return "The mail would come back here for ever: " + domain + " names this very server.", "Ask the administrator of " + domain + " to correct its MX record."
	case "4.7":
		return "The time in which it may be delivered is over.", again
	case "5.3":
		return "The mail has more recipients than " + domain + " takes at once.", "Send it to fewer people at a time."
	case "6.0", "6.1", "6.3":
		return "The host at " + domain + " cannot handle what is in the mail.", "Send it as plain text, without attachments of unusual kinds."
	case "6.7":
		return "The address has letters beyond ASCII, and the mail server of " + domain + " does not take those.", "Ask the recipient for an address in plain letters."
	case "7.5":
		return domain + " wants encrypted connections, and its server did not offer one that can be trusted.", "The administrator of " + domain + " has to mend this; tell the recipient."
	case "7.23", "7.24", "7.20", "7.21", "7.22", "7.26", "7.29":
		return "The host at " + domain + " does not believe that this mail is from you (SPF, DKIM or DMARC).", "Ask your administrator to look at the page \"DNS\" of this server."
	case "7.25":
		return "The host at " + domain + " does not know this server's name.", "Ask your administrator to set the reverse DNS (PTR) of this server's address."
	case "7.30":
		return "You asked that this mail travels encrypted all the way, and that cannot be had to " + domain + ".", "Send it again without that wish, if it may be read on the way."
	}
	switch {
	case strings.HasPrefix(subject, "1."):
		return "The host at " + domain + " does not accept the address.", "Check the address."
	case strings.HasPrefix(subject, "2."):
		return "Something is wrong with the recipient's mailbox.", "Tell them by other means."
	case strings.HasPrefix(subject, "7."):
		return "The host at " + domain + " refuses the mail because of its own rules.", "Its answer below may say which. If it takes your mail for spam, ask the recipient to allow your address."
	}
	return "The host at " + domain + " does not take the mail now.", again
}

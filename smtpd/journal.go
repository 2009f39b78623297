package smtpd

import "time"

// Journal hears of every message that was refused, so that whoever misses it can find out why. Refused is
// called from the sessions and must neither wait nor keep the slices.
type Journal interface {
	Refused(r Refusal)
}

// Refusal is a message, or one recipient of it, that was not taken.
type Refusal struct {
	At      time.Time // UTC
	Session Session   // who was at the other end
	Verb    string    // the command that was refused: MAIL, RCPT or DATA
	ID      string    // of the message; "" before its content came
	From    string    // reverse-path; "" is the null sender
	To      []string  // the recipients that it was refused for; none at MAIL
	Reply   Reply     // what the peer was told, with the rule and the finding behind it; Err is nil
}

// journal tells the Journal, if there is one. Only what is about a message is told: a session that
// breaks the protocol has no reader who misses anything.
func (g *guard) journal(verb, id, from string, to []string, r *Reply) {
	j := g.srv.opt.Journal
	if j == nil {
		return
	}
	reply := *r
	reply.Err = nil
	j.Refused(Refusal{At: g.srv.opt.Now().UTC(), Session: g.session(), Verb: verb, ID: id, From: from, To: append([]string(nil), to...), Reply: reply})
}

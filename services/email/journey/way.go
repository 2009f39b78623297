package journey

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"uniqverse/internal/api"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/queue"
	"uniqverse/services/email/reading"
	"uniqverse/services/email/rules"
	"uniqverse/services/email/spam"
	"uniqverse/smtpd/senderauth"
)

// way is everything that is known of a message.
type way struct {
	m       mailbox.Message
	raw     mailbox.Raw
	kept    Kept
	address string // of the mailbox
	at      map[string]time.Time
	folders []mailbox.Folder
	own     []spam.Reason
	hits    []rules.Hit
	sent    []delivery

	steps []Step
}

// delivery is an entry of the queue and how its attempts went.
type delivery struct {
	queue.Entry
	attempts []queue.Attempt
}

// add adds a step; a zero time is not known.
func (w *way) add(step, title string, at time.Time, format string, args ...any) *Step {
	s := Step{Step: step, Title: title, Text: fmt.Sprintf(format, args...)}
	if !at.IsZero() {
		t := api.TimeOf(at)
		s.At = &t
	}
	w.steps = append(w.steps, s)
	return &w.steps[len(w.steps)-1]
}

// between is how long it took from one mark to another; not known when either is missing.
func (w *way) between(from, to string) *float64 {
	a, b := w.at[from], w.at[to]
	if a.IsZero() || b.IsZero() || b.Before(a) {
		return nil
	}
	return milliseconds(b.Sub(a))
}

func milliseconds(d time.Duration) *float64 {
	ms := float64(d.Microseconds()) / 1000
	return &ms
}

// tell tells the steps in their order.
func (w *way) tell() []Step {
	switch {
	case w.raw.Mode == "draft" || w.raw.Mode == "import" || w.raw.Mode == "local":
		how := map[string]string{"draft": "it was written here", "import": "it was brought in from elsewhere", "local": "this server wrote it"}[w.raw.Mode]
		w.add("put", "Put here", w.at["stored"], "It did not come over SMTP: %s.", how)
	case w.raw.AuthUser != "" && w.raw.Mode == "mx":
		w.add("put", "Put here", w.raw.Received, "It did not come over SMTP: this server wrote it.")
	case w.raw.AuthUser != "":
		w.connection()
		w.add("received", "Handed in", w.raw.Received, "%s signed in and handed it in (%s), for %s. Its number is %s.", w.raw.AuthUser, w.raw.Mode, w.recipients(), w.raw.EnvelopeID).MS = w.between("data", "received")
	default:
		w.arrival()
	}
	if len(w.raw.Faults) > 0 {
		w.add("read", "Read", time.Time{}, "Broken in it: %s. It was stored as it came.", strings.ReplaceAll(strings.Join(w.raw.Faults, ", "), "_", " "))
	}
	w.judged()
	w.filed()
	for _, d := range w.sent {
		w.delivery(d)
	}
	w.rest()
	if names := w.names(w.m.Folders); names != "" {
		w.add("now", "Now", time.Time{}, "It lies in %s.", names)
	}
	return w.steps
}

// connection tells of the connection that brought it, as far as that was kept.
func (w *way) connection() {
	if w.raw.RemoteIP == "" {
		return
	}
	w.add("connected", "Connected", w.at["connected"], "The host %s connected and called itself %s.", w.raw.RemoteIP, named(w.raw.HELO))
	if w.raw.TLS != "" {
		w.add("tls", "Encrypted", w.at["tls"], "The connection went on over %s.", w.raw.TLS).MS = w.between("connected", "tls")
	} else {
		w.add("tls", "Not encrypted", time.Time{}, "The host did not ask for TLS.").Result = "none"
	}
}

func named(helo string) string {
	if helo == "" {
		return "nothing"
	}
	return helo
}

// arrival tells how a message from another host came.
func (w *way) arrival() {
	w.connection()
	from := w.raw.ReversePath
	if from == "" {
		from = "the null sender"
	}
	w.add("received", "Received", w.raw.Received, "The envelope: from %s to %s. Its number is %s.", from, w.recipients(), w.raw.EnvelopeID).MS = w.between("data", "received")
	r, err := reading.Auth(w.raw.Auth)
	if err != nil {
		r = senderauth.Results{}
	}
	for _, k := range []struct {
		step, title, result string
		took                float64
		found               []string
	}{
		{"spf", "SPF", w.m.SPF, r.Took.SPF, found(r.MailFrom.Domain, r.MailFrom.Reason)},
		{"dkim", "DKIM", w.m.DKIM, r.Took.DKIM, signatures(r)},
		{"dmarc", "DMARC", w.m.DMARC, r.Took.DMARC, found(r.Author.From, r.Author.Reason)},
	} {
		s := w.add(k.step, k.title, w.at["checked"], "%s", map[string]string{"spf": "May this host send for the domain of the envelope?", "dkim": "Do the signatures in it hold?", "dmarc": "Does the domain of its author vouch for it?"}[k.step])
		s.Result, s.Items = k.result, k.found
		if r.Took != (senderauth.Took{}) {
			s.MS = &k.took
		}
	}
	if r.Peer.Result != "" && r.Peer.Result != senderauth.None {
		s := w.add("peer", "The host's name", w.at["checked"], "Does a name in the DNS lead back to the host?")
		s.Result, s.Items = string(r.Peer.Result), found(r.Peer.Name, r.Peer.Reason)
	}
	for _, p := range r.Policy {
		s := w.add("policy", "Policy", time.Time{}, "Rule %s: a server that refuses would have answered %d %s %s.", p.Rule, p.Code, p.Enhanced, p.Text)
		s.Result, s.Items = "noted", found(p.Detail)
	}
}

// recipients are those of the envelope to whoever sent it; anybody else sees their own address, for the others may be blind
// copies.
func (w *way) recipients() string {
	if w.raw.AuthUser == w.address {
		return list(w.raw.Recipients)
	}
	return firstOf(w.m.Recipient, w.address)
}

// found are the texts that are not empty.
func found(texts ...string) []string {
	return slices.DeleteFunc(texts, func(t string) bool { return t == "" })
}

func signatures(r senderauth.Results) (out []string) {
	for _, s := range r.Signatures {
		line := fmt.Sprintf("%s (%s) %s", s.Domain, s.Selector, s.Result)
		if s.Reason != "" {
			line += ": " + s.Reason
		}
		out = append(out, line)
	}
	return out
}

// judged tells what the spam filter and the rules said.
func (w *way) judged() {
	reasons := append(slices.Clone(w.raw.SpamReasons), w.own...)
	if w.raw.AuthUser == "" && w.raw.Mode == "mx" {
		s := w.add("spam", "Judged", w.at["judged"], "The spam filter gave %.1f points.", w.m.SpamScore)
		s.MS, s.Result = w.between("checked", "judged"), "good"
		if slices.Contains(w.m.Flags, "spam") {
			s.Result = "junk"
		}
		for _, r := range reasons {
			line := fmt.Sprintf("%s %+.1f", strings.ReplaceAll(r.Rule, "_", " "), r.Score)
			if r.Detail != "" {
				line += ": " + r.Detail
			}
			s.Items = append(s.Items, line)
		}
	}
	if len(w.hits) > 0 {
		s := w.add("rules", "Rules", time.Time{}, "Rules of this mailbox held.")
		for _, h := range w.hits {
			s.Items = append(s.Items, firstOf(h.Name, fmt.Sprintf("rule %d", h.Rule))+": "+strings.Join(h.Actions, ", "))
		}
	}
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// filed tells where it was put, and who can see it from then on.
func (w *way) filed() {
	if w.m.Recipient != "" && w.raw.AuthUser == "" && w.raw.Mode == "mx" {
		w.add("addressed", "Addressed", time.Time{}, "It was for %s; the mailbox is %s.", w.m.Recipient, w.address)
	}
	at := w.at["stored"]
	if names := w.names(w.kept.Folders); names != "" {
		w.add("filed", "Filed", at, "It was stored, and put into %s.", names).MS = w.between("judged", "stored")
	} else if !at.IsZero() {
		w.add("filed", "Filed", at, "It was stored; the folder that it was put into is gone.").MS = w.between("judged", "stored")
	}
	if at.IsZero() {
		return
	}
	w.add("told", "Told", time.Time{}, "From then on lists, programs and the game's mail proxy have it; the mailbox's event streams were told after that. It was change %d of the mailbox.", w.m.CreatedModseq)
}

// names are the folders' paths; one that is gone has none.
func (w *way) names(ids []int64) string {
	var out []string
	for _, id := range ids {
		for _, f := range w.folders {
			if f.ID == id {
				out = append(out, mailbox.FolderPath(w.folders, f))
			}
		}
	}
	return strings.Join(out, " and ")
}

// delivery tells what the queue did for one recipient.
func (w *way) delivery(d delivery) {
	e := d.Entry
	s := w.add("queued", "Queued", e.Created, "For %s.", e.Recipient)
	if !e.NotBefore.IsZero() {
		s.Text = fmt.Sprintf("For %s, not before %s.", e.Recipient, e.NotBefore.UTC().Format("2006-01-02 15:04 UTC"))
	}
	s.Result = string(e.State)
	if e.Reason != "" {
		s.Items = []string{e.Reason}
	}
	for _, a := range d.attempts {
		to := firstOf(a.Host, "no host")
		if a.TLS != "" {
			to += " (" + a.TLS + ")"
		}
		s := w.add("attempt", fmt.Sprintf("Attempt %d", a.Number), a.Ended, "%s, by %s.", e.Recipient, to)
		s.MS, s.Result = milliseconds(a.Ended.Sub(a.Began)), a.Verdict
		s.Items = found(a.Reply)
	}
	switch e.State {
	case queue.Queued:
		w.add("next", "Next", e.NextAt, "It is tried again at this time.").Result = "queued"
	case queue.Held:
		w.add("held", "Held", e.Updated, "It waits until somebody releases it.").Result = "held"
	case queue.Dropped:
		w.add("dropped", "Dropped", e.Updated, "Somebody took it out of the queue; %s does not get it.", e.Recipient).Result = "dropped"
	case queue.Bounced:
		s := w.add("bounced", "Returned", e.Updated, "It could not be delivered to %s.", e.Recipient)
		s.Result, s.Items = "bounced", found(e.LastReply)
		if e.ReversePath != "" && e.User != "" && e.Wants("FAILURE") {
			s.Text += " A report of that went to " + e.ReversePath + "."
		}
	}
}

// rest tells of the recipients of what was handed in that the queue has nothing about.
func (w *way) rest() {
	if w.raw.AuthUser == "" || w.raw.AuthUser != w.address {
		return
	}
	_, domain := mailbox.Split(w.raw.AuthUser)
	var here, forgotten []string
	for _, r := range w.raw.Recipients {
		if slices.ContainsFunc(w.sent, func(d delivery) bool {
			return strings.EqualFold(d.Recipient, r) || strings.HasSuffix(strings.ToLower(d.ORCPT), ";"+strings.ToLower(r))
		}) {
			continue
		}
		if _, d := mailbox.Split(r); strings.EqualFold(d, domain) {
			here = append(here, r)
		} else {
			forgotten = append(forgotten, r)
		}
	}
	if len(here) > 0 && !w.at["stored"].IsZero() && w.at["later"].IsZero() {
		w.add("delivered", "Delivered here", w.at["stored"], "%s have it since it was stored.", list(here)).Result = "delivered"
	}
	if len(forgotten) > 0 {
		w.add("forgotten", "Not known any more", time.Time{}, "What became of it for %s is not kept any more: the queue remembers finished mail for %d days.", list(forgotten), int(queue.RetireAfter.Hours()/24))
	}
}

// list writes addresses as a sentence has them, at most ten.
func list(all []string) string {
	const most = 10
	if len(all) == 0 {
		return "nobody"
	}
	if len(all) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
	}
	return strings.Join(all, ", ")
}

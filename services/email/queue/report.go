package queue

import (
	"bytes"
	"fmt"
	"net/mail"
	"strings"
	"time"
)

// maxHeader bounds how much of the message's header a report shows, in bytes.
const maxHeader = 32 << 10

// MaxWhole is up to which size a message comes back whole where its sender asked for that (RET=FULL), in bytes.
const MaxWhole = 200 << 10

// Report is a delivery status notification about one entry (RFC 3464).
type Report struct {
	Entry     Entry
	Domain    string // ours, in ASCII
	To        string // who it goes to: the reverse-path of the message
	MessageID string // of the report itself, without <>
	Boundary  string // a text that is in no part
	Now       time.Time
	Outcome   Outcome // Failed, Late, Relayed, or Arrived in a mailbox here
	Subject   string  // of the message, decoded; only printable ASCII of it is shown
	Header    []byte  // header section of the message
	Whole     []byte  // the whole message, where it is to come back; nil for its header alone
}

// titles are the subject of a report and the action in it, by outcome.
func (r Report) titles() (subject, action string) {
	to := r.Entry.Recipient
	if !ascii(to) {
		to = "a recipient"
	}
	switch r.Outcome {
	case Late:
		return "Your mail to " + to + " takes longer", "delayed"
	case Relayed:
		return "Your mail to " + to + " is on its way", "relayed"
	case Arrived:
		return "Your mail to " + to + " was delivered", "delivered"
	}
	return "Your mail to " + to + " could not be delivered", "failed"
}

// Bytes returns the report as a whole message with CRLF line ends.
func (r Report) Bytes() []byte {
	var b bytes.Buffer
	line := func(format string, args ...any) {
		b.WriteString(strings.NewReplacer("\r", "", "\n", " ").Replace(fmt.Sprintf(format, args...)))
		b.WriteString("\r\n")
	}
	subject, _ := r.titles()
	line("From: Mail delivery <postmaster@%s>", r.Domain)
	line("To: %s", (&mail.Address{Address: r.To}).String())
	line("Subject: %s", subject)
	line("Date: %s", r.Now.UTC().Format(dateForm))
	line("Message-ID: <%s>", r.MessageID)
	line("Auto-Submitted: auto-replied")
	line("MIME-Version: 1.0")
	line("Content-Type: multipart/report; report-type=delivery-status; boundary=%q", r.Boundary)
	line("")
	line("--%s", r.Boundary)
	line("Content-Type: text/plain; charset=utf-8")
	line("Content-Transfer-Encoding: 8bit")
	line("")
	for _, l := range r.words() {
		line("%s", l)
	}
	line("")
	line("--%s", r.Boundary)
	r.status(line)
	line("")
	line("--%s", r.Boundary)
	back, kinds := shorten(r.Header), []string{"text/rfc822-headers", "message/global-headers"}
	if r.Whole != nil && len(r.Whole) <= MaxWhole && !bytes.Contains(r.Whole, []byte("\r\n--"+r.Boundary)) {
		back, kinds = r.Whole, []string{"message/rfc822", "message/global"}
	}
	if ascii(string(back)) {
		line("Content-Type: %s", kinds[0])
	} else {
		line("Content-Type: %s", kinds[1])
		line("Content-Transfer-Encoding: 8bit")
	}
	line("")
	b.Write(back)
	line("")
	line("--%s--", r.Boundary)
	return b.Bytes()
}

const dateForm = "Mon, 02 Jan 2006 15:04:05 -0700"

// status writes the part for programs.
func (r Report) status(line func(string, ...any)) {
	e, global := r.Entry, !ascii(r.Entry.Recipient+r.Entry.ORCPT)
	kind, address := "message/delivery-status", "rfc822"
	if global {
		kind = "message/global-delivery-status"
	}
	if !ascii(e.Recipient) {
		address = "utf-8"
	}
	line("Content-Type: %s", kind)
	if global {
		line("Content-Transfer-Encoding: 8bit")
	}
	line("")
	line("Reporting-MTA: dns; %s", r.Domain)
	if e.EnvelopeID != "" {
		line("Original-Envelope-Id: %s", e.EnvelopeID)
	}
	line("X-Queue-ID: %s", e.QueueID)
	line("Arrival-Date: %s", e.Created.UTC().Format(dateForm))
	line("")
	if kind, first, ok := strings.Cut(e.ORCPT, ";"); ok {
		line("Original-Recipient: %s; %s", kind, first)
	}
	line("Final-Recipient: %s; %s", address, e.Recipient)
	_, action := r.titles()
	line("Action: %s", action)
	status := "2.0.0"
	if r.Outcome == Failed || r.Outcome == Late {
		status = Status(e.LastReply, r.Outcome == Failed)
	}
	line("Status: %s", status)
	if host, _, _ := strings.Cut(e.Host, " "); host != "" {
		line("Remote-MTA: dns; %s", host)
	}
	if isReply(e.LastReply) {
		line("Diagnostic-Code: smtp; %s", e.LastReply)
	} else if e.LastReply != "" {
		line("Diagnostic-Code: x-uniqverse; %s", e.LastReply)
	}
	line("Last-Attempt-Date: %s", e.Updated.UTC().Format(dateForm))
	if r.Outcome == Late {
		line("Will-Retry-Until: %s", r.until().Format(dateForm))
	}
}

// words is the report for people: what happened, why, what they can do, and what an administrator wants to know.
func (r Report) words() []string {
	e := r.Entry
	about := "Your mail"
	if s := strings.TrimSpace(r.Subject); s != "" {
		about += " \"" + s + "\""
	}
	to := []string{"", "    " + e.Recipient}
	if _, first, ok := strings.Cut(e.ORCPT, ";"); ok && !strings.EqualFold(first, e.Recipient) {
		to = append(to, "    (you wrote to "+first+")")
	}
	var out []string
	switch r.Outcome {
	case Arrived:
		out = append(append([]string{about + " was delivered to:"}, to...), "", "It is in the mailbox there. Whether it was read is not known.")
	case Relayed:
		out = append(append([]string{about + " was handed on to the mail server of:"}, to...), "", "That server took it and sends no report of its own, so this is the last that we know.")
	case Late:
		why, do := explain(e, false)
		out = append(append([]string{about + " has not been delivered yet to:"}, to...), "", "Why: "+why,
			fmt.Sprintf("What now: %s It goes on until %s; you need not send it again.", do, r.until().Format("2 January 2006, 15:04 UTC")))
	default:
		why, do := explain(e, true)
		out = append(append([]string{about + " was not delivered to:"}, to...), "", "Why: "+why, "What to do: "+do, "It will not be tried again by itself.")
	}
	out = append(out, "", "For an administrator:", "", "    "+firstOf(e.LastReply, "(no reply)"))
	if e.Host != "" {
		out = append(out, "    said by "+e.Host)
	}
	out = append(out, "    "+count(e.Attempts, "attempt")+", queue id "+e.QueueID)
	if r.Whole != nil {
		return append(out, "", "Your mail is attached.", "-- ", "The mail server of "+r.Domain)
	}
	return append(out, "", "The header of your mail is attached.", "-- ", "The mail server of "+r.Domain)
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// until is about when the last attempt is made.
func (r Report) until() time.Time {
	at := r.Entry.NextAt
	for n := r.Entry.Attempts + 1; ; n++ {
		wait, again := Wait(n, 0.5)
		if !again {
			return at.UTC().Truncate(time.Minute)
		}
		at = at.Add(wait)
	}
}

// Status returns the enhanced status code (RFC 3463) that a reply carries, else a general one that fits the outcome.
func Status(reply string, failed bool) string {
	class := byte('4')
	if failed {
		class = '5'
	}
	for i, w := range strings.Fields(reply) {
		if i > 1 {
			break
		}
		if p := strings.Split(w, "."); len(p) == 3 && len(w) <= 9 && digits(p[0]+p[1]+p[2]) && w[0] == class {
			return w
		}
	}
	if failed && !strings.HasPrefix(reply, "5") {
		return "5.4.7" // given up: the time ran out
	}
	return string(class) + ".0.0"
}

// isReply reports whether the text begins as an SMTP reply does.
func isReply(s string) bool { return len(s) > 3 && digits(s[:3]) && s[3] == ' ' }

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// shorten cuts a header section between lines, and takes the empty line off its end.
func shorten(h []byte) []byte {
	if len(h) > maxHeader {
		h = h[:bytes.LastIndexByte(h[:maxHeader], '\n')+1]
	}
	return append(bytes.TrimRight(h, "\r\n"), "\r\n"...)
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

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

// Report is a delivery status notification about one entry (RFC 3464).
type Report struct {
	Entry     Entry
	Domain    string // ours, in ASCII
	To        string // who it goes to: the reverse-path of the message
	MessageID string // of the report itself, without <>
	Boundary  string // a text that is in no part
	Now       time.Time
	Failed    bool   // false: it only takes longer
	Subject   string // of the message, decoded; only printable ASCII of it is shown
	Header    []byte // header section of the message
}

// Bytes returns the report as a whole message with CRLF line ends.
func (r Report) Bytes() []byte {
	var b bytes.Buffer
	line := func(format string, args ...any) {
		b.WriteString(strings.NewReplacer("\r", "", "\n", " ").Replace(fmt.Sprintf(format, args...)))
		b.WriteString("\r\n")
	}
	e, global := r.Entry, !ascii(r.Entry.Recipient)
	subject, action := "Your mail to "+e.Recipient+" could not be delivered", "failed"
	if !r.Failed {
		subject, action = "Your mail to "+e.Recipient+" takes longer", "delayed"
	}
	if global {
		subject = strings.Replace(subject, e.Recipient, "a recipient", 1)
	}
	line("From: Mail delivery <postmaster@%s>", r.Domain)
	line("To: %s", (&mail.Address{Address: r.To}).String())
	line("Subject: %s", subject)
	line("Date: %s", r.Now.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700"))
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
	kind, address := "message/delivery-status", "rfc822"
	if global {
		kind, address = "message/global-delivery-status", "utf-8"
	}
	line("Content-Type: %s", kind)
	if global {
		line("Content-Transfer-Encoding: 8bit")
	}
	line("")
	line("Reporting-MTA: dns; %s", r.Domain)
	line("X-Queue-ID: %s", e.QueueID)
	line("Arrival-Date: %s", e.Created.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	line("")
	line("Final-Recipient: %s; %s", address, e.Recipient)
	line("Action: %s", action)
	line("Status: %s", Status(e.LastReply, r.Failed))
	if host, _, _ := strings.Cut(e.Host, " "); host != "" {
		line("Remote-MTA: dns; %s", host)
	}
	if isReply(e.LastReply) {
		line("Diagnostic-Code: smtp; %s", e.LastReply)
	} else if e.LastReply != "" {
		line("Diagnostic-Code: x-uniqverse; %s", e.LastReply)
	}
	line("Last-Attempt-Date: %s", e.Updated.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	if !r.Failed {
		line("Will-Retry-Until: %s", r.until().Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	}
	line("")
	line("--%s", r.Boundary)
	head := shorten(r.Header)
	if ascii(string(head)) {
		line("Content-Type: text/rfc822-headers")
	} else {
		line("Content-Type: message/global-headers")
		line("Content-Transfer-Encoding: 8bit")
	}
	line("")
	b.Write(head)
	line("")
	line("--%s--", r.Boundary)
	return b.Bytes()
}

// words is the report for people.
func (r Report) words() []string {
	e := r.Entry
	out := []string{"This is the mail server of " + r.Domain + ".", ""}
	about := "Your mail"
	if s := strings.TrimSpace(r.Subject); s != "" {
		about += " \"" + s + "\""
	}
	if r.Failed {
		out = append(out, about+" was not delivered to:", "", "    "+e.Recipient, "", "It will not be tried again. What we were told:")
	} else {
		out = append(out, about+" has not been delivered yet to:", "", "    "+e.Recipient, "",
			fmt.Sprintf("It is tried again by itself until %s; you need not send it again. What we were told:", r.until().Format("2 January 2006, 15:04 UTC")))
	}
	out = append(out, "", "    "+e.LastReply)
	if e.Host != "" {
		out = append(out, "    ("+e.Host+")")
	}
	return append(out, "", "The header of your mail is attached.")
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

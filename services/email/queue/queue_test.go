package queue_test

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"bufio"

	"uniqverse/internal/errs"
	"uniqverse/services/email/queue"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// The schedule: 5 m, 15 m, 30 m, 1 h, 2 h, 4 h, 8 h, 16 h, 24 h after one another, each spread over a fifth.
func TestSchedule(t *testing.T) {
	want := []time.Duration{5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 16 * time.Hour, 24 * time.Hour}
	for i, d := range want {
		low, ok := queue.Wait(i+1, 0)
		high, _ := queue.Wait(i+1, 1)
		middle, _ := queue.Wait(i+1, 0.5)
		if !ok || low != d*9/10 || high != d*11/10 || middle != d {
			t.Errorf("after attempt %d: %v to %v, want %v", i+1, low, high, d)
		}
	}
	if d, ok := queue.Wait(len(want)+1, 0.5); ok {
		t.Errorf("after the last attempt there is another one in %v", d)
	}
	if queue.MaxAttempts() != 10 {
		t.Errorf("%d attempts", queue.MaxAttempts())
	}
}

// An entry whose host always says "later" is tried as often as it may be, is reported late once and failed once.
func TestLifeOfAnUnluckyEntry(t *testing.T) {
	e, now := queue.Entry{State: queue.Queued, Recipient: "bob@example.org", Created: noon}, noon
	var told []queue.Outcome
	for n := 1; e.State == queue.Queued; n++ {
		e.State, e.Attempts, e.LeaseUntil = queue.Sending, e.Attempts+1, now.Add(queue.Lease)
		var o queue.Outcome
		e, o = e.Finish(queue.Result{Reply: "450 4.2.1 later", Host: "mx"}, now, 0.5)
		if o != queue.Waits {
			told = append(told, o)
		}
		if o == queue.Late && (n != 5 || !e.Delayed) {
			t.Errorf("reported late after attempt %d", n)
		}
		if !e.LeaseUntil.IsZero() || e.Host != "mx" {
			t.Fatalf("after attempt %d: %+v", n, e)
		}
		if e.State == queue.Queued {
			now = e.NextAt
		}
	}
	if e.State != queue.Bounced || e.Attempts != 10 || !strings.Contains(e.LastReply, "given up after 10 attempts") || !strings.HasSuffix(e.LastReply, "450 4.2.1 later") {
		t.Errorf("at the end: %+v", e)
	}
	if len(told) != 2 || told[0] != queue.Late || told[1] != queue.Failed {
		t.Errorf("the sender was told %v", told)
	}
	if d := now.Sub(noon); d != 55*time.Hour+50*time.Minute {
		t.Errorf("the last attempt was after %v", d)
	}
}

func TestFinish(t *testing.T) {
	e := queue.Entry{State: queue.Sending, Attempts: 1, LastReply: "before", Host: "old"}
	for _, c := range []struct {
		r     queue.Result
		state queue.State
		out   queue.Outcome
		reply string
		next  time.Time
	}{
		{queue.Result{Verdict: queue.Delivered, Reply: "250 ok"}, queue.Sent, queue.Arrived, "250 ok", time.Time{}},
		{queue.Result{Verdict: queue.Permanent, Reply: "550 no"}, queue.Bounced, queue.Failed, "550 no", time.Time{}},
		{queue.Result{Verdict: queue.Temporary, Reply: "451 x"}, queue.Queued, queue.Waits, "451 x", noon.Add(5 * time.Minute)},
		{queue.Result{Verdict: queue.Interrupted}, queue.Queued, queue.Waits, "before", noon},
	} {
		got, out := e.Finish(c.r, noon, 0.5)
		if got.State != c.state || out != c.out || got.LastReply != c.reply || !got.NextAt.Equal(c.next) {
			t.Errorf("%+v: %+v, %v", c.r, got, out)
		}
	}
}

// Every action in every state: what it leads to, "" where it is refused.
func TestActions(t *testing.T) {
	table := map[queue.State]map[queue.Action]queue.State{
		queue.Queued:  {queue.Retry: queue.Queued, queue.Hold: queue.Held, queue.Drop: queue.Dropped},
		queue.Held:    {queue.Release: queue.Queued, queue.Drop: queue.Dropped},
		queue.Bounced: {queue.Retry: queue.Queued},
	}
	for _, s := range queue.States() {
		for _, a := range []queue.Action{queue.Release, queue.Retry, queue.Hold, queue.Drop, "else"} {
			e := queue.Entry{State: s, Attempts: 10, Delayed: true, Reason: "x", NextAt: noon.Add(time.Hour)}
			got, err := e.Act(a, noon)
			want := table[s][a]
			if e.Can(a) != (want != "") {
				t.Errorf("%s of %s: Can says %v", a, s, e.Can(a))
			}
			if want == "" {
				if !errs.Is(err, errs.Conflict) || got.State != s {
					t.Errorf("%s of %s: %v, %v", a, s, got.State, err)
				}
				continue
			}
			if err != nil || got.State != want || want == queue.Queued && (!got.NextAt.Equal(noon) || got.Reason != "") {
				t.Errorf("%s of %s: %+v, %v", a, s, got, err)
			}
			if s == queue.Bounced && got.Attempts != 0 {
				t.Errorf("a bounced entry begins anew with %d attempts", got.Attempts)
			}
		}
	}
}

func TestSplit(t *testing.T) {
	for in, want := range map[string]string{"Bob@Example.ORG": "Bob example.org", "b@müller.example": "b xn--mller-kva.example", `"a b"@example.org`: `"a b" example.org`, "b@example.org.": "b example.org",
		"a@b": "", "a@localhost": "", "a@[192.0.2.1]": "", "a@192.0.2.1": "", "bob": "", "@example.org": "", "a@b..example": "", "a@-x.example": "", "a@example.org\r\nRCPT": "", "a b@example.org": "",
		"<a@example.org>": "", "": "", "a@" + strings.Repeat("a.", 130) + "example": ""} {
		local, domain, err := queue.Split(in)
		got := local + " " + domain
		if err != nil {
			got = ""
		}
		if got != want {
			t.Errorf("%.60q is %q, want %q (%v)", in, got, want, err)
		}
	}
	if got := queue.Address("Bob@MÜLLER.example"); got != "bob@xn--mller-kva.example" {
		t.Errorf("on the suppression list it is %q", got)
	}
}

// parts reads a report back with the standard library, strictly.
func parts(t *testing.T, raw []byte) (head mail.Header, bodies []string, kinds []string) {
	t.Helper()
	if i := bytes.IndexFunc(bytes.ReplaceAll(raw, []byte("\r\n"), nil), func(r rune) bool { return r == '\r' || r == '\n' }); i >= 0 {
		t.Error("a line end that is no CRLF")
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Fatalf("the report is a %s %v (%v)", kind, params, err)
	}
	r := multipart.NewReader(m.Body, params["boundary"])
	for {
		p, err := r.NextPart()
		if err == io.EOF {
			return m.Header, bodies, kinds
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		bodies, kinds = append(bodies, string(b)), append(kinds, p.Header.Get("Content-Type"))
	}
}

// groups reads the header groups of a delivery status.
func groups(t *testing.T, body string) (out []textproto.MIMEHeader) {
	t.Helper()
	r := textproto.NewReader(bufio.NewReader(strings.NewReader(body + "\r\n\r\n")))
	for range 2 {
		h, err := r.ReadMIMEHeader()
		if err != nil {
			t.Fatalf("%v in %q", err, body)
		}
		out = append(out, h)
	}
	return out
}

func TestReport(t *testing.T) {
	e := queue.Entry{QueueID: "ABC", Recipient: "bob@example.org", State: queue.Bounced, Attempts: 1, LastReply: "550 5.1.1 No such user", Host: "mx.example.org [192.0.2.1]", Created: noon, Updated: noon.Add(time.Minute)}
	r := queue.Report{Entry: e, Domain: "vezeuniqverse.com", To: "ann@vezeuniqverse.com", MessageID: "1@vezeuniqverse.com", Boundary: "b1", Now: noon.Add(time.Hour), Outcome: queue.Failed,
		Subject: "Grüße", Header: []byte("From: ann@vezeuniqverse.com\r\nSubject: x\r\n\r\n")}
	head, bodies, kinds := parts(t, r.Bytes())
	for name, want := range map[string]string{"From": "Mail delivery <postmaster@vezeuniqverse.com>", "To": "<ann@vezeuniqverse.com>", "Auto-Submitted": "auto-replied", "Message-Id": "<1@vezeuniqverse.com>",
		"Subject": "Your mail to bob@example.org could not be delivered", "Date": "Sun, 22 Nov 2026 13:00:00 +0000"} {
		if got := head.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if strings.Join(kinds, " | ") != "text/plain; charset=utf-8 | message/delivery-status | text/rfc822-headers" {
		t.Fatalf("the parts are %v", kinds)
	}
	for _, want := range []string{"Grüße", "bob@example.org", "550 5.1.1 No such user", "will not be tried again"} {
		if !strings.Contains(bodies[0], want) {
			t.Errorf("the text lacks %q:\n%s", want, bodies[0])
		}
	}
	g := groups(t, bodies[1])
	for name, want := range map[string]string{"Final-Recipient": "rfc822; bob@example.org", "Action": "failed", "Status": "5.1.1", "Remote-Mta": "dns; mx.example.org", "Diagnostic-Code": "smtp; 550 5.1.1 No such user",
		"Last-Attempt-Date": "Sun, 22 Nov 2026 12:01:00 +0000", "Will-Retry-Until": ""} {
		if got := g[1].Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if g[0].Get("Reporting-Mta") != "dns; vezeuniqverse.com" || g[0].Get("X-Queue-Id") != "ABC" {
		t.Errorf("about us: %v", g[0])
	}
	if strings.TrimRight(bodies[2], "\r\n") != "From: ann@vezeuniqverse.com\r\nSubject: x" {
		t.Errorf("the header is %q", bodies[2])
	}

	r.Outcome, r.Entry.LastReply, r.Entry.NextAt, r.Entry.Attempts = queue.Late, "450 4.2.1 later", noon, 5
	_, bodies, _ = parts(t, r.Bytes())
	g = groups(t, bodies[1])
	if g[1].Get("Action") != "delayed" || g[1].Get("Status") != "4.2.1" || g[1].Get("Will-Retry-Until") != "Tue, 24 Nov 2026 16:00:00 +0000" || !strings.Contains(bodies[0], "need not send it again") {
		t.Errorf("the report that it takes longer: %v\n%s", g[1], bodies[0])
	}
}

// Nothing that another host or a sender wrote can break a report, and it never grows with the message.
func TestHostileReport(t *testing.T) {
	evil := "x\r\nBcc: eve@example.org\r\n\r\n--b1--\r\n"
	r := queue.Report{Entry: queue.Entry{QueueID: evil, Recipient: "böb@example.org", LastReply: evil, Host: evil}, Domain: "us.example", To: "ann@us.example", MessageID: "1@us.example", Boundary: "b1", Outcome: queue.Failed,
		Subject: evil, Header: []byte("Subject: ü\r\nX: " + strings.Repeat("x", 900) + "\r\n" + strings.Repeat("X-Long: y\r\n", 100000))}
	raw := r.Bytes()
	if len(raw) > 40<<10 {
		t.Errorf("the report has %d bytes", len(raw))
	}
	head, bodies, kinds := parts(t, raw)
	if head.Get("Bcc") != "" || len(bodies) != 3 || kinds[1] != "message/global-delivery-status" || kinds[2] != "message/global-headers" {
		t.Fatalf("%v %v", head, kinds)
	}
	if g := groups(t, bodies[1]); g[1].Get("Final-Recipient") != "utf-8; böb@example.org" || g[1].Get("Bcc") != "" {
		t.Errorf("about the recipient: %v", g[1])
	}
}

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		reply  string
		failed bool
		want   string
	}{
		{"550 5.1.1 No", true, "5.1.1"}, {"550 No 5.1.1", true, "5.0.0"}, {"450 4.2.1 later", false, "4.2.1"}, {"the connection failed", false, "4.0.0"},
		{"given up after 10 attempts; the last reply was: 450 4.2.1", true, "5.4.7"}, {"550", true, "5.0.0"}, {"", true, "5.4.7"}, {"550 4.1.1 odd", true, "5.0.0"},
	} {
		if got := queue.Status(c.reply, c.failed); got != c.want {
			t.Errorf("%q is %s, want %s", c.reply, got, c.want)
		}
	}
}

// Every report says why and what to do in words, and names what the sender wrote.
func TestReportsExplain(t *testing.T) {
	base := queue.Entry{QueueID: "ABC", Recipient: "qa@example.net", Domain: "example.net", ORCPT: "rfc822;bob@example.org", EnvelopeID: "env-7", Attempts: 1, Host: "mx.example.net [192.0.2.1]", Created: noon, Updated: noon}
	for _, c := range []struct {
		reply   string
		outcome queue.Outcome
		want    []string
	}{
		{"550 5.1.1 No such user", queue.Failed, []string{"There is no mailbox with this address at example.net", "What to do: Check the address"}},
		{"552 5.2.2 Over quota", queue.Failed, []string{"mailbox is full", "made room"}},
		{"550 5.7.26 Unauthenticated", queue.Failed, []string{"does not believe that this mail is from you", "administrator"}},
		{"556 5.1.10 example.net says that it takes no mail (null MX)", queue.Failed, []string{"takes no mail at all"}},
		{"given up after 10 attempts; the last reply was: the host did not answer in time", queue.Failed, []string{"We tried for days", "could not be reached"}},
		{"given up after 10 attempts; the last reply was: 452 4.2.2 full", queue.Failed, []string{"We tried for days", "mailbox is full"}},
		{"554 No", queue.Failed, []string{"does not take the mail now"}},
		{"450 4.7.1 Greylisted", queue.Late, []string{"has not been delivered yet", "tried again by itself", "because of its own rules"}},
		{"250 2.0.0 ok", queue.Relayed, []string{"handed on to the mail server", "sends no report of its own"}},
		{"250 2.1.5 ok", queue.Arrived, []string{"It is in the mailbox there"}},
	} {
		e := base
		e.LastReply = c.reply
		raw := queue.Report{Entry: e, Domain: "us.example", To: "ann@us.example", MessageID: "1@us.example", Boundary: "b1", Now: noon, Outcome: c.outcome, Subject: "hi", Header: []byte("Subject: hi\r\n")}.Bytes()
		_, bodies, _ := parts(t, raw)
		for _, want := range append(c.want, "\"hi\"", "qa@example.net", "you wrote to bob@example.org", c.reply, "mx.example.net", "queue id ABC") {
			if !strings.Contains(bodies[0], want) {
				t.Errorf("%s: the text lacks %q:\n%s", c.reply, want, bodies[0])
			}
		}
		g := groups(t, bodies[1])
		action := map[queue.Outcome]string{queue.Failed: "failed", queue.Late: "delayed", queue.Relayed: "relayed", queue.Arrived: "delivered"}[c.outcome]
		if g[0].Get("Original-Envelope-Id") != "env-7" || g[1].Get("Original-Recipient") != "rfc822; bob@example.org" || g[1].Get("Action") != action {
			t.Errorf("%s: %v", c.reply, g)
		}
		if good := c.outcome == queue.Relayed || c.outcome == queue.Arrived; good != (g[1].Get("Status") == "2.0.0") {
			t.Errorf("%s: status %s", c.reply, g[1].Get("Status"))
		}
	}
}

// Whoever asked for it gets the whole message back, up to a size.
func TestReportWithTheWholeMessage(t *testing.T) {
	r := queue.Report{Entry: queue.Entry{Recipient: "b@example.org", LastReply: "550 no"}, Domain: "us.example", To: "a@us.example", MessageID: "1@us.example", Boundary: "b1", Outcome: queue.Failed,
		Header: []byte("Subject: x\r\n"), Whole: []byte("Subject: x\r\n\r\nthe text\r\n")}
	_, bodies, kinds := parts(t, r.Bytes())
	if kinds[2] != "message/rfc822" || !strings.Contains(bodies[2], "the text") {
		t.Errorf("%v %q", kinds, bodies[2])
	}
	for _, whole := range [][]byte{bytes.Repeat([]byte("x\r\n"), queue.MaxWhole), []byte("Subject: x\r\n\r\n\r\n--b1--\r\nevil\r\n")} {
		r.Whole = whole
		if _, bodies, kinds := parts(t, r.Bytes()); kinds[2] != "text/rfc822-headers" || len(bodies) != 3 {
			t.Errorf("%v", kinds)
		}
	}
}

// What a sender wants to hear of.
func TestWants(t *testing.T) {
	for notify, want := range map[string]string{"": "FAILURE DELAY", "NEVER": "", "SUCCESS": "SUCCESS", "FAILURE": "FAILURE", "SUCCESS,FAILURE,DELAY": "SUCCESS FAILURE DELAY", "DELAY": "DELAY"} {
		var got []string
		for _, what := range []string{"SUCCESS", "FAILURE", "DELAY"} {
			if (queue.Entry{Notify: notify}).Wants(what) {
				got = append(got, what)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %v", notify, got)
		}
	}
}

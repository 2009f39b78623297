package e2e_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/smtp"
	"net/url"
	"strings"
)

// peopled is a community as it looks after a while: all of it came in through the API and SMTP.
type peopled struct {
	room, ticket, solved, mail, html int64 // ids of a busy room, tickets, a plain mail and one laid out as HTML
}

// screen is a page with its name and address.
type screen struct{ name, address string }

// populate says, sends and plays what the pages are to show.
func (s *system) populate() peopled {
	s.t.Helper()
	var w peopled
	for i, score := range []int{4180, 3975, 3960, 2210, 1750} {
		s.post(200, fmt.Sprintf("game/leaderboards/submit?user_id=%s&score=%d&season=2026-11&mode=duel", []string{"nova", "orbit", "pilot", "vega", "lyra"}[i], score), "")
	}
	for i, r := range [][2]string{{"Hangar", "global"}, {"Kepler guild", "guild"}, {"Raid on Friday", "party"}, {"Support", "support"}} {
		id := s.id("POST", "chat/rooms?"+url.Values{"name": {r[0]}, "kind": {r[1]}}.Encode())
		if i == 0 {
			w.room = id
		}
	}
	lines := [][2]string{
		{"@orbit", "Warp gate is online again. Took the crew two hours."}, {"@nova", "Confirmed from Kepler station, transit in 40 s."},
		{"@pilot", "What was it in the end?"}, {"@orbit", "A coolant valve that reported open while it was shut. We log both ends now: https://vezeuniqverse.com/log/4417"},
		{"@nova", "Nice catch. I open a ticket so that the other gates get the same sensor."}, {"@pilot", "Thank you both. See you at the raid at eight."},
	}
	ids := make([]int64, len(lines))
	say := func(from, to int) {
		for i, l := range lines[from:to] {
			q := url.Values{"user_id": {map[string]string{"@orbit": "11", "@nova": "12", "@pilot": "13"}[l[0]]}, "handle": {l[0]}, "text": {l[1]}}
			if from+i == 4 {
				q.Set("reply_to", fmt.Sprint(ids[3]))
			}
			ids[from+i] = s.id("POST", fmt.Sprintf("chat/rooms/%d/messages?", w.room)+q.Encode())
		}
	}
	say(0, 4)
	for room, text := range map[int64]string{w.room + 1: "Two places free in the guild, write to @nova", w.room + 2: "I bring the shields"} {
		s.id("POST", fmt.Sprintf("chat/rooms/%d/messages?", room)+url.Values{"user_id": {"12"}, "handle": {"@nova"}, "text": {text}}.Encode())
	}
	for i, subject := range []string{"I cannot sign in on my phone", "Gate sensors: log both ends", "Refund for the season pass", "Skin is missing after the patch"} {
		id := s.id("POST", "chat/tickets?"+url.Values{"subject": {subject}, "created_by": {fmt.Sprint(11 + i)}}.Encode())
		switch i {
		case 1:
			w.ticket = id
			s.post(200, fmt.Sprintf("chat/tickets/%d/assign?assignee_id=12", id), "")
			s.id("POST", fmt.Sprintf("chat/tickets/%d/comments?text=", id)+url.QueryEscape("The valve at gate 4 reported open while it was shut. Could the other gates get the second sensor, too?"))
			s.id("POST", fmt.Sprintf("chat/tickets/%d/comments?text=", id)+url.QueryEscape("Ordered for gates 1 to 3, they come on Thursday."))
		case 2:
			w.solved = id
			s.post(200, fmt.Sprintf("chat/tickets/%d/solve", id), "")
		}
	}
	send := func(from, subject, text, html string) {
		body := "From: " + from + "\nTo: demo@vezeuniqverse.com\nSubject: " + subject + "\nDate: Sun, 22 Nov 2026 10:00:00 +0000\n" +
			fmt.Sprintf("Message-ID: <%d.%d@example.org>", len(subject), len(text)) + "\nMIME-Version: 1.0\n"
		if html == "" {
			body += "Content-Type: text/plain; charset=utf-8\n\n" + text
		} else {
			body += "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: multipart/alternative; boundary=b\n\n" +
				"--b\nContent-Type: text/plain; charset=utf-8\n\n" + text + "\n--b\nContent-Type: text/html; charset=utf-8\n\n" + html + "\n--b--\n" +
				"--x\nContent-Type: text/csv; name=\"readings.csv\"\nContent-Disposition: attachment; filename=\"readings.csv\"\nContent-Transfer-Encoding: base64\n\n" +
				base64.StdEncoding.EncodeToString([]byte("gate,open,shut\n4,1,0\n")) + "\n--x--"
		}
		bare := from[strings.Index(from, "<")+1 : len(from)-1]
		s.handIn(bare, "demo@vezeuniqverse.com", body)
	}
	send("Kepler Station <dispatch@kepler.example>", "Transit slots for the weekend", "Slots 14 and 15 are yours.\n\nBook the return by Saturday noon.", "")
	send("Nova Reyes <nova@crew.example>", "Gate 4 sensor readings", "The readings are attached.", `<div style="font-family:sans-serif"><h2 style="color:#3457cf">Gate 4</h2><p>The readings of the night are attached. In short:</p><table border="1" cellpadding="6"><tr><th>Valve</th><th>Reported</th><th>Was</th></tr><tr><td>Coolant A</td><td>open</td><td>shut</td></tr><tr><td>Coolant B</td><td>shut</td><td>shut</td></tr></table><p>See <a href="https://example.org/log">the log</a>.</p></div>`)
	send("The Guild <hello@guild.example>", "Raid on Friday at eight", "Bring shields. We meet in the hangar at half past seven and leave on time.", "")
	send("Orbit <orbit@crew.example>", "Re: Warp gate", "It is online. Full report tomorrow: https://vezeuniqverse.com/log/4417", "")
	var box struct{ Messages []struct{ ID int64 } }
	s.get(200, "email/api/messages?user=demo@vezeuniqverse.com&access_token=demo").JSON(s.t, &box)
	if len(box.Messages) < 4 {
		s.t.Fatalf("the mailbox has %d messages, want 4 or more", len(box.Messages))
	}
	w.mail, w.html = box.Messages[0].ID, box.Messages[2].ID
	s.post(200, fmt.Sprintf("email/api/messages/%d/read?access_token=demo&read=true", w.html), "")
	s.post(200, fmt.Sprintf("email/api/messages/%d/star?access_token=demo&starred=true", w.html), "")
	s.post(200, fmt.Sprintf("email/api/messages/%d/labels?access_token=demo", w.html), `{"labels":["crew","gates"]}`)
	say(4, len(lines))
	for i, emoji := range []string{"🚀", "🚀", "🎉"} {
		s.post(200, fmt.Sprintf("chat/rooms/%d/messages/%d/react?", w.room, ids[0])+url.Values{"emoji": {emoji}}.Encode(), "")
		if i == 0 {
			continue
		}
		if r := s.call("PUT", fmt.Sprintf("chat/rooms/%d/messages/%d/reactions/%s?user_id=%d&handle=@crew", w.room, ids[i-1], url.PathEscape(emoji), 11+i), ""); r.StatusCode != 200 {
			s.t.Fatalf("a reaction: %d %s", r.StatusCode, r.body)
		}
	}
	s.post(200, "game/matchmaking/enqueue?user_id=orbit&mmr=1500&mode=duel&region=eu", "")
	return w
}

// handIn gives a message, whose lines end with \n, to the MX listener as a plain client does.
func (s *system) handIn(from, to, message string) {
	s.t.Helper()
	c, err := smtp.Dial(s.mx())
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	err = errors.Join(c.Mail(from), c.Rcpt(to))
	if err == nil {
		var w io.WriteCloser
		if w, err = c.Data(); err == nil {
			_, err = io.WriteString(w, strings.ReplaceAll(message, "\n", "\r\n"))
			err = errors.Join(err, w.Close(), c.Quit())
		}
	}
	if err != nil {
		s.t.Fatalf("mail from %s to %s: %v", from, to, err)
	}
}

// id makes a call and returns the id that it answers with.
func (s *system) id(method, target string) int64 {
	s.t.Helper()
	r := s.call(method, target, "")
	if r.StatusCode >= 300 {
		s.t.Fatalf("%s %s: %d\n%.300s", method, target, r.StatusCode, r.body)
	}
	var o struct{ ID int64 }
	r.JSON(s.t, &o)
	return o.ID
}

// pages are all pages that open without signing in, on the ports of the services.
func (w peopled) pages(s *system) []screen {
	portal, email, chat, game := s.URL("portal"), s.URL("email"), s.URL("chat"), s.URL("game")
	return []screen{
		{"portal", portal + "/"}, {"helm", portal + "/helm"}, {"login", portal + "/login"}, {"signup", portal + "/signup"}, {"ui", portal + "/ui"},
		{"docs", portal + "/docs"}, {"docs-email", email + "/docs"}, {"docs-chat", chat + "/docs"}, {"docs-game", game + "/docs"},
		{"mail-home", email + "/"}, {"inbox", email + "/inbox"}, {"message", fmt.Sprintf("%s/messages/%d", email, w.mail)}, {"message-html", fmt.Sprintf("%s/messages/%d", email, w.html)},
		{"chat-home", chat + "/"}, {"rooms", chat + "/rooms"}, {"room", fmt.Sprintf("%s/rooms/%d", chat, w.room)},
		{"tickets", chat + "/inbox"}, {"ticket", fmt.Sprintf("%s/tickets/%d", chat, w.ticket)}, {"ticket-solved", fmt.Sprintf("%s/tickets/%d", chat, w.solved)},
		{"game-home", game + "/"}, {"leaderboards", game + "/leaderboards"},
	}
}

// proxied is a page's address under the portal.
func proxied(s *system, address string) string {
	for _, service := range []string{"email", "chat", "game"} {
		if rest, ok := strings.CutPrefix(address, s.URL(service)); ok {
			return s.URL("portal") + "/proxy/" + service + rest
		}
	}
	return address
}

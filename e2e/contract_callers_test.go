package e2e_test

import (
	"fmt"
	"net/http"
	"net/smtp"
	"net/url"
	"strings"
	"testing"
	"time"

	"uniqverse/internal/config"
)

// cookieOf is the session cookie that a browser has for the portal, as a Cookie header.
func cookieOf(t *testing.T, s *system, browser *http.Client) string {
	t.Helper()
	at, err := url.Parse(s.URL("portal"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range browser.Jar.Cookies(at) {
		if c.Name == "uniq_session" {
			return c.Name + "=" + c.Value
		}
	}
	t.Fatal("the browser has no session cookie")
	return ""
}

// A bearer token, access_token in the query and the portal's cookie show who calls, on every service and behind
// the portal; none of them, nor a password, is ever in the log.
func TestWaysToShowWhoCalls(t *testing.T) {
	s, log := startLogged(t)
	cookie := cookieOf(t, s, signUp(t, s, "ann"))
	const password = "a long enough passphrase"
	token := s.token("ann", "chat.read chat.write game.play game.read_mail email.read email.send portal.provision")
	for _, target := range []string{"portal/auth/whoami", "chat/rooms", "chat/tickets", "game/leaderboards/seasons", "game/email/mail?user=ann", "email/api/messages?user=ann",
		"portal/proxy/chat/rooms", "portal/proxy/email/api/messages?user=ann", "portal/proxy/game/email/mail?user=ann"} {
		sep := "?"
		if strings.Contains(target, "?") {
			sep = "&"
		}
		s.get(200, target, "Authorization", "Bearer "+token)
		s.get(200, target+sep+"access_token="+token)
		s.get(200, target, "Cookie", cookie)
		s.get(401, target+sep+"access_token="+token+"x")
		s.get(401, target, "Authorization", "Bearer "+token+"x")
	}
	for via, headers := range map[string][]string{"bearer": {"Authorization", "Bearer " + token}, "session": {"Cookie", cookie}, "none": {}} {
		if who := decodeObject(t, s.get(200, "portal/auth/whoami", headers...).body); who["via"] != via || who["demo"] != (via == "none") {
			t.Errorf("whoami with %s: %v", via, who)
		}
	}
	s.post(401, "portal/login", `{"user":"ann","password":"`+password+`x"}`)
	s.post(200, "portal/login", `{"user":"ann","password":"`+password+`"}`)
	s.post(200, "chat/rooms?name=Bridge&access_token="+token, "")
	s.post(422, "chat/rooms?wrong=1&access_token="+token, "")
	s.get(404, "chat/nowhere?access_token="+token)
	s.dial("portal/proxy/chat/ws/rooms/1?access_token=" + token).Close()
	s.listen("portal/proxy/chat/events?access_token=" + token).close()
	page := s.call("GET", "email/inbox?access_token="+token+"&user=bob", "", "Accept", "text/html")
	if contains(page.body, token) {
		t.Error("a page shows the token that it was asked with")
	}
	s.end()
	text := log.String()
	s.boot()
	if !strings.Contains(text, "path=/rooms") {
		t.Error("the log does not even name the requests")
	}
	for what, secret := range map[string]string{"the token": token[len(token)-20:], "the session": cookie[len("uniq_session="):], "the password": password, "a query": "access_token="} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is in the log", what)
		}
	}
}

// The session cookie is out of reach of scripts, and not sent along by other sites' forms; a session changes
// state from our own pages alone, whichever service is asked.
func TestSessionCookieAndForeignPages(t *testing.T) {
	s := start(t)
	res, err := http.PostForm(s.URL("portal")+"/signup", url.Values{"user": {"ann"}, "password": {"a long enough passphrase"}})
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	set := res.Header.Get("Set-Cookie")
	if !strings.Contains(set, "HttpOnly") || !strings.Contains(set, "SameSite=Lax") || !strings.Contains(set, "Path=/") || strings.Contains(set, "Domain") {
		t.Errorf("Set-Cookie: %s", set)
	}
	cookie, _, _ := strings.Cut(set, ";")
	s.post(200, "chat/rooms?name=Bridge", "", "Cookie", cookie, "Origin", s.URL("chat"))
	for _, origin := range []string{s.URL("portal"), s.URL("chat")} { // our own pages, at whichever port
		s.post(200, "chat/rooms/1/messages?text=hello", "", "Cookie", cookie, "Origin", origin)
	}
	for _, c := range []string{"chat/rooms/1/messages?text=hello", "game/inventory/ann?sku=gem&qty=1", "portal/account/profile?name=Eve", "portal/logout", "portal/proxy/chat/rooms/1/messages?text=x"} {
		s.post(403, c, "", "Cookie", cookie, "Origin", "https://evil.example")
		s.post(403, c, "", "Cookie", cookie, "Origin", "null")
		s.post(403, c, "", "Cookie", cookie, "Sec-Fetch-Site", "cross-site")
	}
	if _, r, err := s.tryDial("chat/ws/rooms/1", "Cookie", cookie, "Origin", "https://evil.example"); err == nil || r == nil || r.StatusCode != 403 {
		t.Errorf("a foreign page opened a socket with somebody's session: %v", err)
	}
	if _, r, err := s.tryDial("game/ws/events", "Cookie", cookie, "Origin", "https://evil.example"); err == nil || r == nil || r.StatusCode != 403 {
		t.Errorf("a foreign page opened the game's socket with somebody's session: %v", err)
	}
	s.get(200, "portal/auth/whoami", "Cookie", cookie)
}

// The demo identity works under exactly its conditions.
func TestDemoConditions(t *testing.T) {
	const evil = "rebound.example"
	for _, c := range []struct {
		name      string
		env       []string
		here      int // without a token, from this machine
		token     int // with the token demo
		elsewhere int // with the token demo, under another host's name
		foreign   int // without a token, by a page elsewhere
		mail      int // Email's API without a token
	}{
		{"by itself", nil, 200, 200, 401, 403, 401},
		{"a secret", []string{"VEZE_JWT_SECRET=" + secret}, 401, 401, 401, 401, 401},
		{"a JWKS", []string{"VEZE_JWKS_URL=http://127.0.0.1:1/jwks.json"}, 401, 401, 401, 401, 401},
		{"beyond loopback", []string{"VEZE_LISTEN=0.0.0.0"}, 401, 401, 401, 401, 401},
		{"forced off", []string{"VEZE_JWT_DEMO=0"}, 401, 401, 401, 401, 401},
		{"forced on", []string{"VEZE_JWT_DEMO=1"}, 200, 200, 200, 403, 401},
		{"forced on beside a secret", []string{"VEZE_JWT_DEMO=1", "VEZE_JWT_SECRET=" + secret}, 200, 200, 200, 403, 401},
		{"forced on beyond loopback", []string{"VEZE_JWT_DEMO=1", "VEZE_LISTEN=0.0.0.0"}, 200, 200, 200, 403, 401},
		{"forced off beside a secret", []string{"VEZE_JWT_DEMO=0", "VEZE_JWT_SECRET=" + secret}, 401, 401, 401, 401, 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, c.env...)
			for _, target := range []string{"chat/rooms", "game/leaderboards/seasons", "portal/auth/whoami", "portal/proxy/chat/rooms"} {
				s.get(c.here, target)
				s.get(c.token, target, "Authorization", "Bearer demo")
				s.get(c.elsewhere, target, "Authorization", "Bearer demo", "Host", evil)
				s.get(c.foreign, target, "Origin", "https://evil.example")
				s.get(c.foreign, target, "Sec-Fetch-Site", "cross-site")
			}
			if c.here == 200 {
				s.get(200, "chat/rooms", "Host", "127.0.0.1")
				s.get(200, "chat/rooms", "Host", "[::1]:8010")
				s.get(200, "chat/rooms", "Origin", s.URL("chat"))
			}
			s.get(c.mail, "email/api/messages?user=demo")
			s.get(c.mail, "game/email/mail?user=demo")
			s.get(c.token, "email/api/messages?user=demo&access_token=demo")
			s.get(c.token, "game/email/mail?user=demo&access_token=demo")
			_, warnings, err := config.Load(nil, func(k string) string { return s.env[k] }, nil)
			if err != nil {
				t.Fatal(err)
			}
			if warned := strings.Contains(strings.Join(warnings, "\n"), "VEZE_JWT_DEMO"); warned != (s.env["VEZE_JWT_DEMO"] == "1") {
				t.Errorf("warnings %q", warnings)
			}
		})
	}
}

// The demo identity may name anybody, and ids and handles that nobody has are taken as given; it has every scope but three.
func TestDemoNamesAnybody(t *testing.T) {
	s := start(t)
	s.post(200, "chat/rooms?name=Bridge", "")
	s.post(200, "chat/rooms/1/messages?text=hello&user_id=4242&handle=%40nobody", "")
	s.post(200, "chat/tickets?subject=help&created_by=4243", "")
	s.post(200, "chat/tickets/1/assign?assignee_id=4244", "")
	like(t, "the line", `[{"id":1,"room_id":1,"user_id":4242,"handle":"@nobody","text":"hello","created_at":"<time>","seq":1,"flags":"<any>"}]`, s.get(200, "chat/rooms/1/messages").body)
	like(t, "the ticket", `{"created_by":4243,"assignee_id":4244,"…":0}`, s.get(200, "chat/tickets/1").body)
	s.get(200, "email/api/messages?user=anybody&access_token=demo")
	var who struct {
		User   string
		Scopes []string
	}
	s.get(200, "portal/auth/whoami").JSON(t, &who)
	want := strings.NewReplacer("game.server ", "", "email.admin ", "", " portal.admin", "").Replace(strings.Join(everyScope(), " "))
	if got := strings.Join(who.Scopes, " "); got != want || who.User != "demo@vezeuniqverse.com" {
		t.Errorf("demo is %s with %s, want demo with %s", who.User, got, want)
	}
}

// A token's user has a row from the first call on: its id is the user_id of chat and tickets, its address the key of all services.
func TestOneUserEverywhere(t *testing.T) {
	s := start(t)
	token := s.token("newbie", strings.Join(everyScope()[:10], " ")+" portal.provision")
	bearer := []string{"Authorization", "Bearer " + token}
	user := s.token("newbie", "chat.read chat.write game.play email.read portal.provision")
	own := []string{"Authorization", "Bearer " + user}
	id := fmt.Sprint(decodeObject(t, s.get(200, "portal/auth/whoami", own...).body)["user_id"])
	s.post(200, "chat/rooms?name=Bridge", "", own...)
	s.post(200, "chat/rooms/1/messages?text=hello", "", own...)
	s.post(200, "chat/tickets?subject=help", "", own...)
	like(t, "the line", `[{"user_id":`+id+`,"handle":"@newbie","…":0}]`, s.get(200, "chat/rooms/1/messages", own...).body)
	like(t, "the ticket", `{"created_by":`+id+`,"…":0}`, s.get(200, "chat/tickets/1", own...).body)
	like(t, "the mailbox", `{"user":"newbie@vezeuniqverse.com","provisioned":true,"messages":[]}`, s.post(200, "portal/provision/newbie", "", own...).body)
	s.post(200, "game/inventory/newbie?sku=gem&qty=1", "", own...)
	if r := s.get(200, "game/inventory/newbie@vezeuniqverse.com", own...); !contains(r.body, "gem") {
		t.Errorf("the address is another player than the name: %s", r.body)
	}
	again := s.get(200, "portal/auth/whoami", bearer...)
	if fmt.Sprint(decodeObject(t, again.body)["user_id"]) != id {
		t.Errorf("another token of the same user has another id: %s", again.body)
	}
}

// The portal is the issuer: who signs in gets tokens that hold on every service until they expire, for the audience and scope asked for.
func TestPortalIssuesTokens(t *testing.T) {
	s := start(t)
	signUp(t, s, "ann")
	issue := func(more string) string {
		r := s.post(200, "portal/auth/token", `{"user":"ann","password":"a long enough passphrase"`+more+`}`)
		like(t, "the token", `{"access_token":"<text>","token_type":"Bearer","expires_in":"<int>","scope":"<text>"}`, r.body)
		return "Bearer " + decodeObject(t, r.body)["access_token"].(string)
	}
	all := issue("")
	for _, target := range []string{"portal/auth/whoami", "chat/rooms", "game/leaderboards/seasons", "email/api/messages?user=ann"} {
		s.get(200, target, "Authorization", all)
	}
	chat := issue(`,"aud":"chat","scope":"chat.read"`)
	s.get(200, "chat/rooms", "Authorization", chat)
	s.get(401, "game/leaderboards/seasons", "Authorization", chat)
	s.post(403, "chat/rooms?name=x", "", "Authorization", chat)
	s.post(403, "portal/auth/token", `{"user":"ann","password":"a long enough passphrase","scope":"email.admin"}`)
	like(t, "the keys", `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"<text>","kid":"<text>","alg":"EdDSA","use":"sig","…":0}]}`, s.get(200, "portal/.well-known/jwks.json").body)
	s.restart()
	s.get(200, "chat/rooms", "Authorization", all)
}

// Each service wants its own audience, and the settings name it.
func TestAudiencesOfTheSettings(t *testing.T) {
	s := start(t, "VEZE_JWT_SECRET="+secret, "VEZE_GAME_AUD=g", "VEZE_EMAIL_AUD=e", "VEZE_CHAT_AUD=c")
	targets := map[string]string{"g": "game/leaderboards/seasons", "e": "email/api/mailboxes", "c": "chat/rooms", "veze-portal": "portal/auth/whoami"}
	for audience := range targets {
		token := "Bearer " + s.token("ann", "game.play email.read chat.read", audience)
		for wanted, target := range targets {
			status := 401
			if wanted == audience {
				status = 200
			}
			s.get(status, target, "Authorization", token)
		}
	}
	s.get(401, "chat/rooms", "Authorization", "Bearer "+s.token("ann", "chat.read", "veze-chat"))
}

// Leeway is half a minute: a token that expired a moment ago still holds, one that expired a minute ago does not; one
// from the future does not hold yet.
func TestTimesOfTokens(t *testing.T) {
	s := start(t, "VEZE_JWT_SECRET="+secret)
	for at, status := range map[time.Duration]int{-time.Minute - 10*time.Second: 200, -2 * time.Minute: 401, 2 * time.Minute: 401} {
		s.get(status, "chat/rooms", "Authorization", "Bearer "+s.tokenFrom(time.Now().Add(at), time.Minute, "ann", "chat.read"))
	}
}

// rcpt tells a mail server for whom there is mail, and returns the reply: "250" or "550 5.1.1".
func (s *system) rcpt(to string) string {
	s.t.Helper()
	c, err := smtp.Dial(s.mx())
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	if err := c.Mail("eve@example.org"); err != nil {
		s.t.Fatal(err)
	}
	if err := c.Rcpt(to); err != nil {
		code, rest, _ := strings.Cut(strings.ReplaceAll(err.Error(), `"`, ""), " ")
		enhanced, _, _ := strings.Cut(rest, " ")
		return code + " " + enhanced
	}
	return "250"
}

// With the demo identity on every valid name has a mailbox; without it users, aliases and the catch-all alone.
func TestWhoHasAMailbox(t *testing.T) {
	on := start(t)
	for to, want := range map[string]string{"anybody": "250", "any.body+tag": "250", "two..dots": "501 5.1.3"} {
		if got := on.rcpt(to + "@vezeuniqverse.com"); got != want {
			t.Errorf("demo on, %s: %s, want %s", to, got, want)
		}
	}
	if boxes := on.get(200, "email/api/mailboxes?access_token=demo"); !contains(boxes.body, "anybody@vezeuniqverse.com") {
		t.Errorf("RCPT made no mailbox: %s", boxes.body)
	}
	off := start(t, "VEZE_JWT_DEMO=0")
	admin := []string{"Authorization", "Bearer " + off.token("root", "email.admin email.read")}
	expect := func(to, want string) {
		t.Helper()
		if got := off.rcpt(to + "@vezeuniqverse.com"); got != want {
			t.Errorf("demo off, %s: %s, want %s", to, got, want)
		}
	}
	expect("anybody", "550 5.1.1")
	signUp(t, off, "ann")
	expect("ann", "250")
	expect("ann+shop", "250")
	off.post(200, "email/api/aliases", `{"alias":"helpline","targets":["ann"]}`, admin...)
	expect("helpline", "250")
	expect("anybody", "550 5.1.1")
	off.post(200, "email/api/aliases", `{"alias":"*","targets":["ann"]}`, admin...)
	expect("anybody", "250")
}

// Calls between services are signed with the folder's own key, whatever users' tokens are verified with.
func TestServicesTrustEachOther(t *testing.T) {
	s := start(t, "VEZE_JWT_SECRET="+secret)
	s.post(200, "portal/provision/ann", "", "Authorization", "Bearer "+s.token("ann", "portal.provision"))
	s.sendMail("eve@example.org", "ann@vezeuniqverse.com", "hello", "x")
	r := s.get(200, "game/email/mail?user=ann", "Authorization", "Bearer "+s.token("ann", "game.read_mail", "game"))
	if !contains(r.body, "hello") {
		t.Errorf("the Game reads no mail: %s", r.body)
	}
}

package e2e_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// mailProxy is what the Game promises of a user's mail, wherever mail lives: game has the
// Game's HTTP, mail the MX listener and Mail's own HTTP. token is a person's, who is user.
func mailProxy(t *testing.T, game, mail *system, token, user string) {
	t.Helper()
	address := user + "@vezeuniqverse.com"
	for _, subject := range []string{"first", "second", "third"} {
		mail.sendMail("ann@example.org", address, subject, "The gate is online.")
	}
	k := kept{}
	for _, r := range []row{
		{call: "GET game/email/mail", status: 422},
		{call: "GET game/email/mail?access_token=" + token, status: 422},
		{call: "GET game/email/mail?user=" + address, status: 401},
		{call: "GET game/email/mail?user=" + address + "&access_token=nonsense", status: 401},
		{call: "GET game/email/mail?user=x@example.org&access_token=" + token, status: 403},
		{call: "GET game/email/mail?user=" + address + "&colour=red&access_token=" + token, status: 422},
		{call: "GET game/email/mail?user=" + address + "&limit=201&access_token=" + token, status: 422},
		{call: "GET game/email/mail?user=" + address + "&access_token=" + token, status: 200, want: `{"user":"` + address + `","messages":[` + message + `],"…":0}`},
		{call: "GET game/email/mail?user=" + user + "&limit=1&access_token=" + token, status: 200, want: `{"user":"` + address + `","messages":[` + message + `],"…":0}`},
	} {
		game.ask(t, k, r)
	}
	subjects := func(query string) (all []string) {
		var list struct{ Messages []struct{ Subject string } }
		game.get(200, "game/email/mail?user="+address+"&access_token="+token+query).JSON(t, &list)
		for _, m := range list.Messages {
			all = append(all, m.Subject)
		}
		return all
	}
	for query, want := range map[string]string{"": "third second first", "&limit=1": "third", "&limit=1&offset=1": "second", "&offset=2": "first"} {
		if got := strings.Join(subjects(query), " "); got != want {
			t.Errorf("mail%s is %q, want %q", query, got, want)
		}
	}
	var direct, proxied struct{ Messages []object }
	mail.get(200, "email/api/messages?user="+address+"&access_token="+token).JSON(t, &direct)
	game.get(200, "game/email/mail?user="+address+"&access_token="+token).JSON(t, &proxied)
	a, _ := json.Marshal(direct.Messages)
	b, _ := json.Marshal(proxied.Messages)
	if string(a) != string(b) {
		t.Errorf("the Game shows\n%s\nand Mail\n%s", b, a)
	}
}

// The Game's mail proxy is the same in one process and over two, with the demo identity, with a user's own
// token, and the second only where the two trust each other.
func TestMailProxyNearAndFar(t *testing.T) {
	const scopes = "game.read_mail email.read"
	t.Run("one process", func(t *testing.T) {
		s := start(t)
		mailProxy(t, s, s, "demo", "pilot")
		mailProxy(t, s, s, s.token("demo", scopes), "demo")
	})
	t.Run("two processes, demo identity", func(t *testing.T) {
		mail := start(t, "VEZE_SERVICES=email")
		game := start(t, "VEZE_SERVICES=game", "VEZE_SERVICE_EMAIL="+mail.URL("email"))
		mailProxy(t, game, mail, "demo", "pilot")
	})
	t.Run("two processes, users' tokens", func(t *testing.T) {
		shared := []string{"VEZE_JWT_SECRET=" + secret, "VEZE_SERVICE_TOKEN=a token between two processes"}
		mail := start(t, append(shared, "VEZE_SERVICES=email")...)
		provision := mail.call("POST", "email/api/mailboxes", `{"user":"ann"}`, "Content-Type", "application/json", "Authorization", "Bearer "+mail.token("ann", "email.read"))
		if provision.StatusCode != 200 {
			t.Fatalf("%d %s", provision.StatusCode, provision.body)
		}
		game := start(t, append(shared, "VEZE_SERVICES=game", "VEZE_SERVICE_EMAIL="+mail.URL("email"))...)
		mailProxy(t, game, mail, game.token("ann", scopes), "ann")
		game.get(403, "game/email/mail?user=bob&access_token="+game.token("ann", scopes))
		game.get(403, "game/email/mail?user=ann&access_token="+game.token("ann", "email.read"))
		game.get(200, "game/email/mail?user=bob&access_token="+game.token("robot", scopes+" game.server"))
		game.get(401, "game/email/mail?user=ann&access_token=demo")
	})
	t.Run("two processes that share no secret", func(t *testing.T) {
		mail := start(t, "VEZE_JWT_SECRET="+secret, "VEZE_SERVICES=email")
		game := start(t, "VEZE_JWT_SECRET="+secret, "VEZE_SERVICES=game", "VEZE_SERVICE_EMAIL="+mail.URL("email"))
		r := game.get(502, "game/email/mail?user=ann&access_token="+game.token("ann", scopes))
		if contains(r.body, "token is") {
			t.Errorf("what is between the services is told to the user: %s", r.body)
		}
	})
}

// BASE_URL is asked after VEZE_SERVICE_<NAME>, and this process last.
func TestWhereAServiceIs(t *testing.T) {
	mail, other := start(t, "VEZE_SERVICES=email"), start(t, "VEZE_SERVICES=email")
	mail.sendMail("ann@example.org", "pilot@vezeuniqverse.com", "here", "x")
	other.sendMail("ann@example.org", "pilot@vezeuniqverse.com", "there", "x")
	for _, c := range []struct {
		env  []string
		want string
	}{
		{[]string{"VEZE_SERVICES=game", "VEZE_SERVICE_EMAIL=" + mail.URL("email"), "EMAIL_BASE_URL=" + other.URL("email")}, "here"},
		{[]string{"VEZE_SERVICES=game", "EMAIL_BASE_URL=" + other.URL("email")}, "there"},
		{[]string{"VEZE_SERVICES=game,email", "EMAIL_BASE_URL=" + other.URL("email")}, "there"},
		{[]string{"VEZE_SERVICES=game,email"}, ""},
	} {
		game := start(t, c.env...)
		r := game.get(200, "game/email/mail?user=pilot&access_token=demo")
		var list struct{ Messages []struct{ Subject string } }
		r.JSON(t, &list)
		got := ""
		for _, m := range list.Messages {
			got += m.Subject
		}
		if got != c.want {
			t.Errorf("%v: the mail is %q, want %q", c.env, got, c.want)
		}
	}
	nowhere := start(t, "VEZE_SERVICES=game")
	if r := nowhere.call("GET", "game/email/mail?user=pilot&access_token=demo", ""); r.StatusCode != 503 {
		t.Errorf("mail is nowhere: %d, want 503", r.StatusCode)
	}
}

// A service that dies is a 502 or 503 from its caller within three seconds and a red tile, and comes back by itself.
func TestDeadServiceAndItsReturn(t *testing.T) {
	t.Parallel()
	mail := start(t, "VEZE_SERVICES=email")
	mail.keepPorts()
	game := start(t, "VEZE_SERVICES=game", "VEZE_SERVICE_EMAIL="+mail.URL("email"))
	portal := start(t, "VEZE_SERVICES=portal", "VEZE_SERVICE_EMAIL="+mail.URL("email"), "VEZE_SERVICE_GAME="+game.URL("game"))
	mail.sendMail("ann@example.org", "pilot@vezeuniqverse.com", "before", "x")

	tile := func(status string) func() bool {
		return func() bool {
			var list struct {
				Services []struct{ Name, Status string }
			}
			portal.get(200, "portal/api/services").JSON(t, &list)
			for _, e := range list.Services {
				if e.Name == "email" {
					return e.Status == status
				}
			}
			t.Fatal("mail has no tile")
			return false
		}
	}
	quick := func(target string) int {
		service, path, _ := strings.Cut(target, "/")
		base := game.URL(service)
		if base == "" {
			base = portal.URL(service)
		}
		client := &http.Client{Timeout: 3 * time.Second}
		res, err := client.Get(base + "/" + path)
		if err != nil {
			t.Fatalf("GET %s: %v", target, err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	asked := []string{"game/email/mail?user=pilot&access_token=demo", "portal/proxy/email/api/messages?user=pilot&access_token=demo"}
	eventually(t, "mail's tile is green", tile("green"))
	events := portal.listen("portal/events")
	for _, target := range asked {
		if status := quick(target); status != 200 {
			t.Errorf("GET %s: %d, want 200", target, status)
		}
	}

	mail.end()
	for _, target := range asked {
		if status := quick(target); status != 502 && status != 503 {
			t.Errorf("GET %s with mail dead: %d, want 502 or 503", target, status)
		}
	}
	eventually(t, "mail's tile is red", tile("red"))
	if ev := events.until("service.down"); ev.data["service"] != "email" {
		t.Errorf("service.down of %v, want email", ev.data["service"])
	}
	if r := portal.get(200, "portal/helm", "Accept", "text/html"); !contains(r.body, "cannot be reached") {
		t.Error("Helm does not say why the tile is red")
	}

	mail.boot()
	eventually(t, "mail's tile is green again", tile("green"))
	if ev := events.until("service.up"); ev.data["service"] != "email" {
		t.Errorf("service.up of %v, want email", ev.data["service"])
	}
	for _, target := range asked {
		if status := quick(target); status != 200 {
			t.Errorf("GET %s with mail back: %d, want 200", target, status)
		}
	}
}

package e2e_test

import (
	"bytes"
	"encoding/json"
	"html"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"uniqverse/internal/config"
	"uniqverse/internal/node"
	"uniqverse/smtpd"
)

// Port 0 is a free one that the start-up block names, off opens none, and the service answers behind the portal all the same.
func TestPortsZeroAndOff(t *testing.T) {
	s := prepare(t, "CHAT_PORT=off", "EMAIL_SMTP_465=off")
	var block bytes.Buffer
	n, err := node.Start(t.Context(), node.Options{Config: s.settings(), Version: "test", Out: &block, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s.Node = n
	t.Cleanup(s.end)
	if u := s.URL("chat"); u != "" {
		t.Errorf("chat is off and listens at %s", u)
	}
	if at := s.SMTP(smtpd.Submissions); at != "" {
		t.Errorf("submissions are off and listen at %s", at)
	}
	for _, at := range []string{s.URL("portal"), s.URL("game"), s.URL("email"), s.SMTP(smtpd.MX), s.SMTP(smtpd.Submission)} {
		if at == "" || strings.HasSuffix(at, ":0") || !strings.Contains(block.String(), at) {
			t.Errorf("the start-up block does not name %q:\n%s", at, &block)
		}
		conn, err := net.Dial("tcp", strings.TrimPrefix(at, "http://"))
		if err != nil {
			t.Error(err)
			continue
		}
		conn.Close()
	}
	s.post(200, "portal/proxy/chat/rooms?name=Bridge", "")
	if !strings.HasSuffix(block.String(), "\nUniQVerse ready\n") || !strings.Contains(block.String(), s.dir) || !strings.Contains(block.String(), "Demo identity") {
		t.Errorf("the start-up block lacks something:\n%s", &block)
	}
	portalOff := start(t, "UNI_PORT=off")
	portalOff.get(200, "chat/rooms")
}

// A process runs the services that it was told to, and knows the others for missing.
func TestServicesOfTheProcess(t *testing.T) {
	s := start(t, "VEZE_SERVICES=portal,chat")
	if s.URL("game") != "" || s.URL("email") != "" || s.mx() != "" {
		t.Error("services that are not of the process listen")
	}
	s.get(200, "portal/proxy/chat/rooms")
	s.get(404, "portal/proxy/game/leaderboards")
	if r := s.call("POST", "portal/provision/ann", ""); r.StatusCode != 503 {
		t.Errorf("provisioning without mail: %d, want 503", r.StatusCode)
	}
}

// The domain of the settings is the domain of addresses, mail and direct rooms.
func TestDomainOfTheSettings(t *testing.T) {
	s := start(t, "DOMAIN_GATE=Warp.Example")
	like(t, "provisioning", `{"user":"pilot@warp.example","provisioned":true,"messages":[]}`, s.post(200, "portal/provision/pilot", "").body)
	s.sendMail("eve@example.org", "pilot@warp.example", "hello", "x")
	s.get(200, "email/api/messages?user=pilot@warp.example&access_token=demo")
	s.get(403, "email/api/messages?user=pilot@vezeuniqverse.com&access_token=demo")
	if got := s.rcpt("pilot@vezeuniqverse.com"); !strings.HasPrefix(got, "550 5.7.1") {
		t.Errorf("mail for another domain: %s, want 550 5.7.1", got)
	}
	s.post(200, "chat/rooms?name=us&kind=dm", "")
}

// The file and the variable add to the directory, the variable last, and both survive in what Helm shows.
func TestDirectoryIsExtended(t *testing.T) {
	file := filepath.Join(t.TempDir(), "services.json")
	if err := os.WriteFile(file, []byte(`[{"name":"wiki","title":"Wiki","href":"https://wiki.example.org/"},{"name":"map","title":"Map","href":"https://map.example.org/"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, "VEZE_SERVICES_PATH="+file, `VEZE_SERVICES_JSON=[{"name":"map","title":"Star map","href":"https://stars.example.org/"}]`)
	var list struct {
		Services []struct{ Name, Title, Href string }
	}
	s.get(200, "portal/api/services").JSON(t, &list)
	found := map[string]string{}
	for _, e := range list.Services {
		found[e.Name] = e.Title + " " + e.Href
	}
	if found["wiki"] != "Wiki https://wiki.example.org/" || found["map"] != "Star map https://stars.example.org/" || found["chat"] == "" {
		t.Errorf("the directory is %v", found)
	}
	page := s.get(200, "portal/helm", "Accept", "text/html")
	if !contains(page.body, "https://stars.example.org/") || !contains(page.body, "https://wiki.example.org/") {
		t.Error("Helm does not show what was added")
	}
}

// Secrets, keys and the database are in the one folder, for their owner's eyes alone.
func TestOneFolderHoldsEverything(t *testing.T) {
	s := bare(t, t.TempDir())
	s.boot()
	t.Cleanup(s.end)
	s.get(200, "portal/.well-known/jwks.json")
	files := 0
	err := filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return nil // a file of the database that went away meanwhile
		}
		if files++; info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil || files < 4 {
		t.Errorf("%d files, %v", files, err)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "uniqverse.db")); err != nil {
		t.Error(err)
	}
}

var address = regexp.MustCompile(`(?:href|src|action|hx-get|hx-post|hx-sse:connect|hx-ws:connect|sse-connect|ws-connect)="(/[^"]*)"`)

// Under the portal every page's links, forms and parts lead where they should: under the same prefix, or to the portal's own pages.
func TestPagesWorkUnderTheProxy(t *testing.T) {
	s := start(t)
	s.post(200, "chat/rooms?name=Bridge", "")
	s.post(200, "chat/rooms/1/messages?text=hello", "")
	s.post(200, "chat/tickets?subject=help", "")
	s.sendMail("eve@example.org", "demo@vezeuniqverse.com", "hello", "x")
	s.post(200, "game/leaderboards/submit?user_id=ann&score=1&season=s1&mode=duel", "")
	tried := map[string]int{}
	for _, page := range []string{"chat/", "chat/rooms", "chat/rooms/1", "chat/inbox", "chat/tickets/1", "chat/docs", "email/", "email/inbox", "email/messages/1", "email/docs", "game/", "game/leaderboards", "game/docs"} {
		prefix := "/proxy/" + page[:strings.IndexByte(page, '/')]
		r := s.get(200, "portal/proxy/"+page, "Accept", "text/html")
		found := address.FindAllSubmatch(r.body, -1)
		if len(found) < 5 {
			t.Errorf("page %s has %d addresses; the test looks for the wrong thing", page, len(found))
		}
		for _, m := range found {
			to := html.UnescapeString(string(m[1]))
			if !strings.HasPrefix(to, prefix+"/") && to != prefix && !strings.HasPrefix(to, "/proxy/") && !strings.HasPrefix(to, "/static/") && !ofPortal(to) {
				t.Errorf("page %s leads to %s, which is outside of %s", page, to, prefix)
			}
			if tried[to] == 0 {
				tried[to] = s.head("portal" + to)
			}
			if tried[to] == 404 {
				t.Errorf("page %s leads to %s, which does not exist", page, to)
			}
		}
	}
	if len(tried) < 30 {
		t.Errorf("only %d addresses were tried", len(tried))
	}
}

// ofPortal reports whether a path is one of the portal's own pages.
func ofPortal(path string) bool {
	path, _, _ = strings.Cut(path, "?")
	return slices.Contains([]string{"/", "/helm", "/login", "/logout", "/signup", "/account", "/admin/users", "/ui", "/docs", "/openapi.json", "/api/services"}, path)
}

// head is the status of a GET whose body is not read: it may be an event stream.
func (s *system) head(target string) int {
	s.t.Helper()
	service, path, _ := strings.Cut(target, "/")
	req, err := http.NewRequestWithContext(s.t.Context(), "GET", s.URL(service)+"/"+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// Redirects, Links, the sign-in, sockets and event streams keep the prefix, and the browser's own host.
func TestAnswersKeepThePrefix(t *testing.T) {
	s := start(t)
	form := []string{"Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html"}
	for target, c := range map[string]struct{ body, to string }{
		"portal/proxy/chat/rooms":              {"name=Bridge", "/proxy/chat/rooms/1"},
		"chat/rooms":                           {"name=Deck", "/rooms/2"},
		"portal/proxy/chat/tickets":            {"subject=help", "/proxy/chat/tickets/1"},
		"portal/proxy/chat/tickets/1/comments": {"text=hello", "/proxy/chat/tickets/1"},
	} {
		if strings.HasSuffix(target, "comments") {
			s.call("POST", "portal/proxy/chat/tickets", "subject=help", form...) // whichever comes first
		}
		r := s.call("POST", target, c.body, form...)
		to := r.Header.Get("Location")
		if r.StatusCode != 303 || !regexp.MustCompile("^"+regexp.QuoteMeta(strings.TrimRight(c.to, "0123456789"))+`\d+(#.*)?$`).MatchString(to) {
			t.Errorf("POST %s: %d to %q, want 303 to %s", target, r.StatusCode, to, c.to)
		}
	}
	if r := s.get(200, "portal/proxy/chat/rooms?limit=1"); r.Header.Get("Link") != `</proxy/chat/rooms?after=1&limit=1>; rel="next"` {
		t.Errorf("Link: %s", r.Header.Get("Link"))
	}
	conn, stream := s.dial("portal/proxy/chat/ws/rooms/1"), s.listen("portal/proxy/chat/events")
	s.post(200, "portal/proxy/chat/rooms/1/messages?text=hello", "")
	if ev := nextFrame(t, conn); ev["text"] != "hello" {
		t.Errorf("the socket behind the portal got %v", ev)
	}
	if ev := stream.until("chat.message.created"); ev.data["text"] != "hello" {
		t.Errorf("the stream behind the portal got %v", ev)
	}
	game := s.dial("portal/proxy/game/ws/events")
	s.post(200, "portal/proxy/game/ws/inputs?type=input", "")
	if ev := nextFrame(t, game); ev["type"] != "input" {
		t.Errorf("the game's socket behind the portal got %v", ev)
	}
	var doc struct{ Servers []struct{ URL string } }
	s.get(200, "portal/proxy/chat/openapi.json").JSON(t, &doc)
	if len(doc.Servers) != 1 || doc.Servers[0].URL != "/proxy/chat/" {
		t.Errorf("the OpenAPI document is at %v", doc.Servers)
	}
	off := start(t, "VEZE_JWT_DEMO=0")
	r := off.call("GET", "portal/proxy/chat/rooms?kind=global", "", "Accept", "text/html")
	to, err := url.Parse(r.Header.Get("Location"))
	if err != nil || to.Path != "/login" || to.Query().Get("next") != "/proxy/chat/rooms?kind=global" {
		t.Errorf("the sign-in is %s", r.Header.Get("Location"))
	}
	for _, prefix := range []string{"//evil.example", "/x\"onload=", "https://evil.example", "/../..", "/a/"} {
		r := s.get(200, "chat/rooms?limit=1", "X-Forwarded-Prefix", prefix)
		if contains([]byte(r.Header.Get("Link")), prefix) {
			t.Errorf("the prefix %q of a stranger is in %s", prefix, r.Header.Get("Link"))
		}
	}
}

// What the proxied service is told: where it is shown, for whom, and under which host.
func TestProxyTellsThePrefix(t *testing.T) {
	var got http.Header
	var host string
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" {
			got, host = r.Header.Clone(), r.Host
		}
		json.NewEncoder(w).Encode(map[string]string{"status": "ok", "path": r.URL.EscapedPath(), "query": r.URL.RawQuery, "method": r.Method})
	}))
	defer far.Close()
	s := start(t, "VEZE_SERVICES=portal", "VEZE_SERVICE_GAME="+far.URL)
	like(t, "the call", `{"status":"ok","path":"/a%2Fb/c","query":"x=1&y=%20","method":"PUT"}`,
		s.call("PUT", "portal/proxy/game/a%2Fb/c?x=1&y=%20", "body", "traceparent", traceparent, "X-Forwarded-For", "203.0.113.9", "X-Forwarded-Prefix", "/evil/..").body)
	for name, want := range map[string]string{"X-Forwarded-Prefix": "/proxy/game", "X-Forwarded-Host": strings.TrimPrefix(s.URL("portal"), "http://"), "X-Forwarded-Proto": "http"} {
		if got.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got.Get(name), want)
		}
	}
	if host != strings.TrimPrefix(s.URL("portal"), "http://") {
		t.Errorf("Host %q", host)
	}
	if from := got.Get("X-Forwarded-For"); !regexp.MustCompile(`(^|, )(127\.0\.0\.1|::1)$`).MatchString(from) {
		t.Errorf("X-Forwarded-For: %q, which does not end with the caller", from)
	}
	if !strings.HasPrefix(got.Get("Traceparent"), "00-"+traceID) {
		t.Errorf("traceparent %q", got.Get("Traceparent"))
	}
}

// The settings of the contract's table are settings of the program, with these flags and defaults.
func TestSettingsOfTheContract(t *testing.T) {
	raw, err := os.ReadFile("../docs/contract.md")
	if err != nil {
		t.Fatal(err)
	}
	type setting struct{ flag, fallback string }
	ours := map[string]setting{}
	for field := range reflect.TypeFor[config.Config]().Fields() {
		for name := range strings.SplitSeq(field.Tag.Get("env"), ",") {
			ours[name] = setting{field.Tag.Get("flag"), field.Tag.Get("default")}
		}
	}
	seen := 0
	quoted := regexp.MustCompile("`([^`]+)`")
	for row := range strings.Lines(string(raw)) {
		cells := strings.Split(row, "|")
		if len(cells) != 6 || !regexp.MustCompile("^ `[A-Z]").MatchString(cells[1]) {
			continue
		}
		names, flags, defaults := quoted.FindAllStringSubmatch(cells[1], -1), quoted.FindAllStringSubmatch(cells[2], -1), strings.Split(cells[3], " / ")
		for i, name := range names {
			if strings.HasSuffix(name[1], "*") {
				continue // a family, of which the row names one member
			}
			seen++
			have, ok := ours[name[1]]
			if !ok {
				t.Errorf("%s is no setting of the program", name[1])
				continue
			}
			if i < len(flags) && "--"+have.flag != flags[i][1] {
				t.Errorf("%s has the flag --%s, want %s", name[1], have.flag, flags[i][1])
			}
			if len(defaults) != len(names) && len(names) > 1 {
				continue // a default in words
			}
			if want := strings.TrimSpace(defaults[i]); regexp.MustCompile("^(`.*`|[0-9]+)$").MatchString(want) && have.fallback != strings.Trim(want, "`") {
				t.Errorf("%s is %q by default, want %s", name[1], have.fallback, want)
			}
		}
	}
	if seen < 30 {
		t.Errorf("found only %d settings in the contract", seen)
	}
}

package email_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"uniqverse/hub"
	"uniqverse/internal/api"
	"uniqverse/internal/auth"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/reach"
	"uniqverse/internal/web"
	"uniqverse/services/email"
	"uniqverse/services/email/archive"
	"uniqverse/services/email/body"
	"uniqverse/services/email/images"
	"uniqverse/services/email/journey"
	"uniqverse/services/email/refusals"
	"uniqverse/services/email/signer"
	"uniqverse/services/email/stats"
	"uniqverse/services/email/webmail"
	"uniqverse/smtpd"
	"uniqverse/smtpd/senderauth"
	"uniqverse/store"
	"uniqverse/store/journeystore"
	"uniqverse/store/mailstore"
	"uniqverse/store/refusalstore"
	"uniqverse/store/statstore"
	"uniqverse/store/storetest"
	"uniqverse/templates"
)

const domain = "vezeuniqverse.com"

// who authenticates by a fixed table of tokens; where no token is wanted, none is the demo identity.
type who struct{}

func (who) Authenticate(r *http.Request, tokenWanted bool) (web.Caller, error) {
	via := web.BearerToken
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if token == "" {
		token, via = r.URL.Query().Get("access_token"), web.QueryToken
	}
	person := func(id int64, scopes ...string) (web.Caller, error) {
		return web.Caller{User: token, Email: token + "@" + domain, ID: id, Scopes: scopes, Via: via}, nil
	}
	switch token {
	case "", "demo":
		if token == "" {
			if tokenWanted {
				return web.Caller{}, nil
			}
			via = web.NoCredential
		}
		return web.Caller{User: "demo", Email: "demo@" + domain, ID: 1, Scopes: []string{"email.read", "email.send", "portal.provision"}, Demo: true, Via: via}, nil
	case "pilot":
		return person(2, "email.read")
	case "mallory":
		return person(3, "email.read")
	case "player":
		return person(4, "game.play")
	case "admin":
		return person(5, "email.read", "email.admin")
	case "writer":
		return person(6, "email.read", "email.send")
	case "sender2":
		return person(7, "email.send")
	case "desk":
		return web.Caller{Server: "desk", Scopes: []string{"email.send", "email.admin"}, Via: via}, nil
	case "portal":
		return web.Caller{Server: "portal", Scopes: []string{"portal.provision"}, Via: via}, nil
	}
	return web.Caller{}, errs.New(errs.Unauthenticated, "the token is not valid")
}

// people are the users there are: pilot and mallory; eve is disabled.
type people struct{}

func (people) UserByName(_ context.Context, name string) (auth.User, error) {
	switch name {
	case "pilot", "mallory", "eve":
		return auth.User{ID: 1, Name: name, Disabled: name == "eve"}, nil
	}
	return auth.User{}, errs.New(errs.NotFound, "there is no such user")
}

func (p people) AppLogin(ctx context.Context, name, password string) (auth.User, error) {
	local, _, _ := strings.Cut(name, "@")
	u, err := p.UserByName(ctx, local)
	if err != nil || password != "app-password" {
		return u, errs.New(errs.Unauthenticated, "the user name or the app password is wrong")
	}
	return u, nil
}

func (p people) TokenLogin(ctx context.Context, service, scope, token string, local bool) (auth.User, error) {
	switch {
	case service != "email" || scope != "email.send":
		return auth.User{}, errs.New(errs.Internal, "asked for %s %s", service, scope)
	case token == "read-only":
		return auth.User{}, errs.New(errs.Denied, "the token does not carry the scope email.send")
	case token == "pilot-token" || token == "local-token" && local:
		return p.UserByName(ctx, "pilot")
	}
	return auth.User{}, errs.New(errs.Unauthenticated, "the token is not valid")
}

// world is a running mail service on a real store.
type world struct {
	t    *testing.T
	dir  string
	db   *store.DB
	hub  *hub.Local
	svc  *email.Service
	srv  *httptest.Server
	now  *atomic.Int64 // unix ms of the clock; 0 follows the real one
	peer *peer         // the next host
	stop func()
}

// start opens a world in dir ("" for a new one); the test's end closes it.
func start(t *testing.T, dir string, change ...func(*email.Options)) *world {
	t.Helper()
	if dir == "" {
		dir = storetest.Dir(t)
	}
	w := &world{t: t, dir: dir, now: new(atomic.Int64), peer: &peer{}}
	now := func() time.Time {
		if ms := w.now.Load(); ms != 0 {
			return time.UnixMilli(ms)
		}
		return time.Now()
	}
	ctx := context.Background()
	var err error
	w.db, err = store.Open(ctx, store.Options{Dir: dir, Now: now, Publish: func(stream string, evs []event.Event) {
		if _, err := w.hub.Publish(ctx, stream, evs...); err != nil {
			t.Errorf("publish: %v", err)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.hub, err = hub.NewLocal(ctx, hub.LocalOptions{Epoch: w.db.Epoch(), Reserve: w.db.ReserveIDs})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	opts := email.Options{Store: mailstore.New(w.db), Hub: w.hub, Users: people{}, Domain: domain, Demo: true, Dir: filepath.Join(dir, "mail"),
		Log: log, Now: now, Metrics: metrics.NewSet(), DiskFull: store.IsFull, Closed: store.IsClosed,
		Deliverer: w.peer, Signer: signer.New(filepath.Join(dir, "dkim"), domain, now), HoldAll: true}
	for _, c := range change {
		c(&opts)
	}
	w.svc, err = email.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	set, err := templates.New(templates.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	pictures := images.New(images.Options{Targets: reach.Loopback, Now: now})
	ways := journey.New(w.svc, journeystore.New(w.db))
	figures, err := stats.New(stats.Options{Store: statstore.New(w.db), Named: w.svc.Named, Address: w.svc.Address, Quota: w.svc.Quota})
	if err != nil {
		t.Fatal(err)
	}
	journal, err := refusals.New(refusals.Options{Store: refusalstore.New(w.db), Owners: w.svc.Owners, Named: w.svc.Named, Domain: domain, Log: log, Now: now, Metrics: metrics.NewSet()})
	if err != nil {
		t.Fatal(err)
	}
	h, err := web.New(web.Options{Service: "email", Title: "Mail", Version: "test", Discovery: w.svc.Discovery(), Endpoints: append(w.svc.Endpoints(), slices.Concat(webmail.New(w.svc, ways, pictures).Endpoints(), ways.Endpoints(), figures.Endpoints(), journal.Endpoints(), pictures.Endpoints(), body.New(w.svc, pictures).Endpoints(), archive.New(w.svc, mailstore.New(w.db), log).Endpoints())...),
		Auth: who{}, Templates: set, Site: &web.Site{}, Metrics: metrics.NewSet(), Log: log, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	w.srv = httptest.NewServer(h)
	closed := false
	w.stop = func() {
		if closed {
			return
		}
		closed = true
		w.srv.CloseClientConnections()
		w.srv.Close()
		w.hub.Close()
		if err := w.db.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	}
	t.Cleanup(w.stop)
	return w
}

// session is a peer on the MX port.
func session() smtpd.Session {
	return smtpd.Session{ID: "s", RemoteIP: netip.MustParseAddr("192.0.2.7"), HELO: "mx.example.org"}
}

// envelope is how a message of ann comes for somebody.
func envelope(to ...string) *smtpd.Envelope {
	return &smtpd.Envelope{ID: "ABCDEFGH23456789", ReversePath: "ann@example.org", Recipients: to, HELO: "mx.example.org", ESMTP: true,
		RemoteIP: netip.MustParseAddr("192.0.2.7"), ReceivedAt: time.Now().UTC(), Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		Auth: smtpd.AuthResults{SPF: senderauth.Pass, DKIM: senderauth.None, DMARC: senderauth.Pass}}
}

// receive delivers raw for somebody, after their addresses were accepted; it fails the test when that is refused.
func (w *world) receive(raw string, to ...string) {
	w.t.Helper()
	if err := w.tryReceive(raw, to...); err != nil {
		w.t.Fatalf("deliver to %v: %v", to, err)
	}
}

// bring delivers raw in an envelope of the test's own.
func (w *world) bring(env *smtpd.Envelope, raw string) {
	w.t.Helper()
	if err := w.svc.Deliver(context.Background(), env, smtpd.NewMessage(nil, []byte(raw))); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) tryReceive(raw string, to ...string) error {
	ctx := context.Background()
	for _, a := range to {
		if err := w.svc.CheckRecipient(ctx, session(), a); err != nil {
			return err
		}
	}
	return w.svc.Deliver(ctx, envelope(to...), smtpd.NewMessage([]byte("Received: from mx.example.org by "+domain+"\r\n"), []byte(raw)))
}

// mail is a small message; id "" leaves the Message-ID out.
func mail(subject, id, body string) string {
	m := "From: Ann Pilot <ann@example.org>\r\nTo: pilot@" + domain + "\r\nSubject: " + subject + "\r\nDate: Sun, 22 Nov 2026 08:33:42 +0000\r\n"
	if id != "" {
		m += "Message-ID: <" + id + ">\r\n"
	}
	return m + "\r\n" + body + "\r\n"
}

// call makes a request and returns status, body and header. body "" sends none; a body that begins with
// "{" is JSON, another one a form.
func (w *world) call(method, path, token, body string, headers ...string) (int, string, http.Header) {
	w.t.Helper()
	req, err := http.NewRequest(method, w.srv.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	switch {
	case strings.HasPrefix(body, "{"):
		req.Header.Set("Content-Type", "application/json")
	case body != "":
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, string(b), res.Header
}

// list returns a mailbox through the API.
func (w *world) list(token, user string, query ...string) api.EmailList {
	w.t.Helper()
	q := "user=" + url.QueryEscape(user)
	for _, x := range query {
		q += "&" + x
	}
	status, body, _ := w.call("GET", "/api/messages?"+q, token, "")
	if status != 200 {
		w.t.Fatalf("list %s: %d %s", user, status, body)
	}
	var out api.EmailList
	dec := json.NewDecoder(bytes.NewReader([]byte(body)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&out); err != nil {
		w.t.Fatalf("%v in %s", err, body)
	}
	return out
}

// callerOf is whom a token stands for.
func callerOf(t *testing.T, token string) web.Caller {
	t.Helper()
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	c, err := who{}.Authenticate(r, true)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func decode(t *testing.T, text string, out any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), out); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

package email_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"uniqverse/services/email"
	"uniqverse/services/email/alias"
	"uniqverse/smtpd"
	"uniqverse/smtpd/senderauth"
)

// makeAddress makes an address and returns it.
func (w *world) makeAddress(token, body string) alias.Address {
	w.t.Helper()
	status, text, _ := w.call("POST", "/api/addresses", token, body)
	var a alias.Address
	if err := json.Unmarshal([]byte(text), &a); status != 200 || err != nil {
		w.t.Fatalf("%s: %d %s", body, status, text)
	}
	return a
}

// reply is what a sender hears at RCPT: 250, or the code and the enhanced code.
func (w *world) rcpt(to string) string {
	w.t.Helper()
	err := w.svc.CheckRecipient(context.Background(), session(), to)
	if r, ok := err.(*smtpd.Reply); ok {
		return fmt.Sprint(r.Code, " ", r.Enhanced)
	}
	if err != nil {
		return err.Error()
	}
	return "250"
}

func TestMaskedAddresses(t *testing.T) {
	for _, demo := range []bool{true, false} {
		w := start(t, "", func(o *email.Options) { o.Demo = demo })
		a := w.makeAddress("pilot", `{"masked":true,"note":"the shop"}`)
		local, at0, _ := strings.Cut(a.Address, "@")
		if !regexp.MustCompile(`^[a-z]{10}\.[a-z]{10}$`).MatchString(local) || at0 != domain || a.Kind != "masked" || !a.Enabled || a.Note != "the shop" || a.User != "pilot" {
			t.Errorf("%+v", a)
		}
		if b := w.makeAddress("pilot", `{"masked":true}`); b.Address == a.Address {
			t.Error("twice the same")
		}
		id := w.deliver(plainEnvelope(a.Address), mail("offer", "m1@x", "x"), "pilot")
		if d := get[email.Detail](w, fmt.Sprintf("/api/messages/%d", id), "pilot"); d.Recipient != a.Address {
			t.Errorf("it came through %q", d.Recipient)
		}
		junk := plainEnvelope(local + "+tag@" + domain)
		junk.Auth.DMARC, junk.Auth.SPF = senderauth.Fail, senderauth.Fail
		w.deliver(junk, mail("offer", "m2@x", "x"), "pilot")
		all := get[alias.Addresses](w, "/api/addresses?user=pilot", "pilot")
		if len(all.Addresses) != 3 || all.Addresses[0].Kind != "main" {
			t.Fatalf("%+v", all)
		}
		for _, x := range all.Addresses {
			if x.Address == a.Address && (x.Messages != 2 || x.Spam != 1 || x.LastAt == nil) {
				t.Errorf("%+v", x)
			}
		}
		// Switched off it is like one that never was, also where every other name is taken in; and it can be switched on again.
		path := "/api/addresses/" + local
		turn := func(method, path, token, body string, want int) {
			t.Helper()
			if status, text, _ := w.call(method, path, token, body); status != want {
				t.Errorf("%s %s as %s with %s: %d %s", method, path, token, body, status, text)
			}
		}
		turn("PATCH", path, "mallory", `{"enabled":false}`, 404)
		turn("PATCH", path, "pilot", `{"enabled":false}`, 200)
		if got := w.rcpt(a.Address); got != "550 5.1.1" {
			t.Errorf("switched off: %s", got)
		}
		turn("PATCH", path, "pilot", `{"enabled":true,"note":"again"}`, 200)
		if got := w.rcpt(a.Address); got != "250" {
			t.Errorf("switched on: %s", got)
		}
		turn("DELETE", "/api/addresses/"+a.Address, "mallory", "", 404)
		turn("DELETE", "/api/addresses/"+a.Address, "pilot", "", 200)
		turn("DELETE", "/api/addresses/"+a.Address, "pilot", "", 404)
		if got := w.rcpt(a.Address); got != "550 5.1.1" {
			t.Errorf("removed: %s", got)
		}
		turn("POST", "/api/addresses", "mallory", `{"name":"`+local+`"}`, 409)
		turn("POST", "/api/addresses", "pilot", `{"name":"`+local+`"}`, 200)
		if got := w.rcpt(a.Address); got != "250" {
			t.Errorf("its owner has it again: %s", got)
		}
	}
}

func TestPeopleMakeAliases(t *testing.T) {
	w := start(t, "", func(o *email.Options) { o.Demo = false })
	a := w.makeAddress("pilot", `{"name":"Captain.Ann@`+domain+`"}`)
	if a.Address != "captain.ann@"+domain || a.Kind != "alias" || w.rcpt("CAPTAIN.ANN@"+domain) != "250" {
		t.Errorf("%+v, %s", a, w.rcpt(a.Address))
	}
	// They write under it, and nobody else does.
	ctx := context.Background()
	for user, want := range map[string]bool{"pilot": true, "mallory": false} {
		ses := session()
		ses.User = at(user)
		if err := w.svc.CheckSender(ctx, ses, a.Address); (err == nil) != want {
			t.Errorf("%s writes as %s: %v", user, a.Address, err)
		}
	}
	if status, body, _ := w.call("POST", "/api/aliases", "admin", `{"alias":"crew","targets":["pilot"]}`); status != 200 {
		t.Fatal(status, body)
	}
	if all := get[alias.Addresses](w, "/api/addresses", "pilot"); len(all.Addresses) != 3 || all.Addresses[1].Kind != "shared" || all.Addresses[1].Address != "crew@"+domain {
		t.Errorf("%+v", all)
	}
	for _, c := range []struct {
		method, path, token, body string
		want                      int
	}{
		{"POST", "/api/addresses", "pilot", `{}`, 422},
		{"POST", "/api/addresses", "pilot", `{"name":"x","masked":true}`, 422},
		{"POST", "/api/addresses", "pilot", `{"name":"ab"}`, 422},
		{"POST", "/api/addresses", "pilot", `{"name":"a b"}`, 422},
		{"POST", "/api/addresses", "pilot", `{"name":"tag+tag"}`, 422},
		{"POST", "/api/addresses", "pilot", `{"name":"me@example.org"}`, 422},
		{"POST", "/api/addresses", "pilot", `{"name":"*"}`, 422},
		{"POST", "/api/addresses", "pilot", `{"name":"crew"}`, 409},       // an alias
		{"POST", "/api/addresses", "pilot", `{"name":"mallory"}`, 409},    // a user
		{"POST", "/api/addresses", "pilot", `{"name":"Postmaster"}`, 409}, // reserved
		{"POST", "/api/addresses", "mallory", `{"name":"captain.ann"}`, 409},
		{"POST", "/api/addresses", "mallory", `{"name":"other","user":"pilot"}`, 403},
		{"GET", "/api/addresses?user=pilot", "mallory", "", 403},
		{"POST", "/api/aliases", "admin", `{"alias":"captain.ann","targets":["mallory"]}`, 409},
		{"PATCH", "/api/addresses/crew", "pilot", `{"enabled":false}`, 404},
		{"PATCH", "/api/addresses/x@example.org", "pilot", `{"enabled":false}`, 404},
		{"PATCH", "/api/addresses/captain.ann", "admin", `{"note":"by an administrator"}`, 200},
	} {
		if status, body, _ := w.call(c.method, c.path, c.token, c.body); status != c.want {
			t.Errorf("%s %s as %s with %s: %d %s; want %d", c.method, c.path, c.token, c.body, status, body, c.want)
		}
	}
	for i := 1; i < alias.MaxAliases; i++ {
		w.makeAddress("pilot", fmt.Sprintf(`{"name":"name%d"}`, i))
	}
	if status, _, _ := w.call("POST", "/api/addresses", "pilot", `{"name":"onemore"}`); status != 409 {
		t.Errorf("beyond the limit: %d", status)
	}
	if status, body, _ := w.call("POST", "/api/addresses", "admin", `{"user":"pilot","name":"onemore"}`); status != 200 {
		t.Errorf("an administrator: %d %s", status, body)
	}
}

// A name that somebody made for themselves does not take the mail of a user who comes later and is called so.
func TestAUserGoesBeforeSomebodysAlias(t *testing.T) {
	w := start(t, "", func(o *email.Options) { o.Demo = false })
	a := w.makeAddress("pilot", `{"name":"newcomer"}`)
	w.deliver(plainEnvelope(a.Address), mail("x", "n1@x", "x"), "pilot")
	if status, body, _ := w.call("POST", "/api/mailboxes", "portal", `{"user":"newcomer"}`); status != 200 {
		t.Fatal(status, body)
	}
	w.deliver(plainEnvelope(a.Address), mail("x", "n2@x", "x"), "newcomer")
	if n := len(w.list("admin", "pilot").Messages); n != 1 {
		t.Errorf("pilot has %d messages", n)
	}
	ses := session()
	ses.User = at("pilot")
	if err := w.svc.CheckSender(context.Background(), ses, a.Address); err == nil {
		t.Error("pilot still writes as the newcomer")
	}
}

package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// Every action is a form that works with JavaScript off, on the service's own port and under the portal.
func TestBrowserFormsWithoutJavaScript(t *testing.T) {
	b, s := startBrowser(t), start(t)
	w := s.populate()
	for _, under := range []string{"own port", "portal"} {
		t.Run(under, func(t *testing.T) {
			base := func(service string) string {
				if under == "portal" {
					return "/proxy/" + service
				}
				return ""
			}
			host := func(service string) string {
				if under == "portal" {
					return s.URL("portal") + base(service)
				}
				return s.URL(service)
			}
			p := b.tab(t)
			p.noScripts()

			p.open(host("chat") + "/rooms")
			p.fill("#name", "Room of "+under)
			look[string](p, `document.querySelector("#kind").value = "guild"`)
			p.click(`form[action$="/rooms"] button`)
			p.reads("Nobody has said anything yet")
			room := look[string](p, `location.pathname`)
			if !strings.HasPrefix(room, base("chat")+"/rooms/") {
				t.Fatalf("a new room is at %s", room)
			}
			p.fill("#text", "said without scripts <b>&</b>")
			p.click("[data-composer] button")
			p.reads("said without scripts <b>&</b>")
			p.at(room)
			p.fill("#text", "and again")
			p.click("[data-composer] button")
			p.reads("and again")
			if n := look[int](p, `document.querySelectorAll(".line").length`); n != 2 {
				t.Errorf("the room has %d lines, want 2", n)
			}
			p.open(host("chat") + "/rooms")
			p.fill("#name", "Room of "+under) // taken
			p.click(`form[action$="/rooms"] button`)
			p.until("the form tells what is wrong and keeps what was written", `document.querySelector(".field-error, .notice.tone-bad") && document.querySelector("#name").value === `+quote("Room of "+under))

			p.open(host("chat") + "/inbox")
			p.fill("#subject", "Lost cargo, "+under)
			p.click(`form[action$="/tickets"] button`)
			p.reads("Nothing said yet")
			p.fill("#text", "It was a red container.")
			p.click(`form[action$="/comments"] button`)
			p.reads("It was a red container.")
			p.click(`form[action$="/assign"] .btn.primary`) // take it
			p.reads("assigned")
			p.fill("#assignee_id", "12")
			p.click(`.row-form button`)
			p.reads("user 12")

			inbox := host("email") + "/inbox"
			p.open(inbox)
			row := fmt.Sprintf("#m%d ", w.mail)
			starred := look[string](p, `document.querySelector(`+quote(row+".star")+`).getAttribute("aria-pressed")`)
			p.click(row + ".star")
			p.until("the star has changed", `document.querySelector(`+quote(row+".star")+`)?.getAttribute("aria-pressed") !== `+quote(starred))
			p.at(base("email") + "/inbox")
			p.click(row + "a")
			p.reads("Full report tomorrow")
			for range 2 { // there and back
				unread := look[bool](p, `document.querySelector("form[action$='/read'] button").textContent.includes("Mark read")`)
				p.click("form[action$='/read'] button")
				if !unread { // leads back to the inbox, since to look would be to read
					p.at(base("email") + "/inbox")
					p.click(row + "a")
				}
				p.until("it is the other way round", fmt.Sprintf(`document.querySelector("form[action$='/read'] button")?.textContent.includes("Mark read") === %v`, !unread))
			}
			p.fill("#labels", "alpha, "+strings.ReplaceAll(under, " ", "-"))
			p.click("form[action$='/labels'] button")
			p.until("the labels are there", `[...document.querySelectorAll(".tag")].map(e => e.textContent).join() === `+quote("alpha,"+strings.ReplaceAll(under, " ", "-")))
			p.clean("forms on "+under, "Failed to load resource: the server responded with a status of 409", "Failed to load resource: the server responded with a status of 422")
		})
	}
}

// The first administrator, people and their app passwords, with JavaScript off.
func TestBrowserAccountsWithoutJavaScript(t *testing.T) {
	b := startBrowser(t)
	s := launched(t, "VEZE_JWT_DEMO=0")
	var setup string
	for line := range strings.SplitSeq(s.out.String(), "\n") {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "Make the admin"); ok {
			setup = strings.TrimSpace(rest)
		}
	}
	if setup == "" {
		t.Fatalf("the start prints no link for the administrator:\n%s", s.out)
	}
	portal := s.urls["portal"]
	p := b.tab(t)
	p.noScripts()

	p.open(setup)
	p.fit(setup, 360, 1280)
	p.fill("#user", "root.captain")
	p.fill("#password", "a long enough password")
	p.click("form.form button")
	p.at("/")
	p.reads("root.captain")
	p.open(setup) // works once
	p.reads("This link has been used")
	p.open(portal + "/admin/users")
	p.reads("root.captain@vezeuniqverse.com")
	p.fit("the users", 360, 1280)

	crew := b.tab(t)
	crew.noScripts()
	crew.open(s.urls["email"] + "/inbox") // needs somebody, and leads back here
	crew.until("it leads to the sign-in", `location.pathname === "/login" && location.search.includes("next=")`)
	crew.open(portal + "/signup")
	crew.fill("#user", "nova")
	crew.fill("#password", "short")
	crew.do(chromedp.RemoveAttribute(chromedp.CSS("#password"), "minlength"))
	crew.click("form.form button")
	crew.until("it tells what is wrong and keeps the name", `document.querySelector("#password-error") && document.querySelector("#user").value === "nova"`)
	crew.fill("#password", "another good password")
	crew.fill("#name", "Nova Reyes")
	crew.click("form.form button")
	crew.at("/")
	crew.reads("Welcome aboard, nova")

	crew.open(portal + "/account")
	crew.reads("Nova Reyes")
	crew.fill("#label", "Thunderbird")
	crew.click(`form[action$="/app-passwords"] button`)
	crew.until("the app password is shown", `document.querySelector(".secret output")?.textContent.trim().length >= 12`)
	crew.fit("the account", 360, 1280)
	secret := look[string](crew, `document.querySelector(".secret output").textContent.trim()`)
	crew.open(portal + "/account")
	crew.reads("Thunderbird")
	if look[bool](crew, `document.documentElement.outerHTML.includes(`+quote(secret)+`)`) {
		t.Error("the app password is shown a second time")
	}
	crew.open(s.urls["email"] + "/inbox") // one sign-in for all services
	crew.reads("nova@vezeuniqverse.com")
	crew.open(portal + "/account")
	crew.fill("#current", "another good password")
	crew.fill("#password", "yet another password")
	crew.click(`form[action$="/account/password"] button`)
	crew.until("it is done, and the form is empty again", `document.querySelector("#current").value === "" && document.querySelector("#password").value === ""`)
	crew.open(portal + "/account")
	crew.click(`form[action*="/revoke"] button`)
	crew.until("the app password is gone", `!document.body.innerText.includes("Thunderbird ")&& !document.querySelector("form[action*='app-passwords/'][action$='/revoke']")`)

	crew.open(portal + "/")
	crew.click("details.menu summary")
	crew.click(`form[action$="/logout"] button`)
	crew.until("signed out", `!document.querySelector("details.menu") && document.body.innerText.includes("Sign in")`)
	crew.open(portal + "/account")
	crew.until("signed out indeed", `location.pathname === "/login"`)
	crew.fill("#user", "nova")
	crew.fill("#password", "another good password") // the old one
	crew.click("form.form button")
	crew.until("refused", `document.querySelector(".notice.tone-bad, .field-error")`)
	crew.fill("#password", "yet another password")
	crew.click("form.form button")
	crew.at("/account")
	for _, tab := range []*tab{p, crew} {
		tab.clean("accounts", "Failed to load resource: the server responded with a status of 4")
	}
}

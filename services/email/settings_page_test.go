package email_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// submit sends a form as a browser does, and returns where it leads.
func (w *world) submit(path, token string, fields ...string) string {
	w.t.Helper()
	q := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		q.Set(fields[i], fields[i+1])
	}
	status, body, h := w.call("POST", path, token, q.Encode(), "Accept", "text/html")
	if status != 303 {
		w.t.Fatalf("POST %s: %d %s", path, status, body)
	}
	return h.Get("Location")
}

// look opens a page as a browser does.
func (w *world) look(path, token string) string {
	w.t.Helper()
	status, body, _ := w.call("GET", path, token, "", "Accept", "text/html")
	if status != 200 {
		w.t.Fatalf("GET %s: %d %s", path, status, body)
	}
	return body
}

func TestAddressesPage(t *testing.T) {
	w := start(t, "")
	if p := w.look("/inbox", "pilot"); !strings.Contains(p, `href="/addresses"`) {
		t.Error("the inbox does not lead to the addresses")
	}
	to := w.submit("/addresses", "pilot", "masked", "true", "note", "a <b>shop</b>")
	p := w.look(to, "pilot")
	address := regexp.MustCompile(`[a-z.]{21}@` + regexp.QuoteMeta(domain)).FindString(p)
	if address == "" || !strings.Contains(p, "Yours: <strong>"+address) || !strings.Contains(p, "a &lt;b&gt;shop&lt;/b&gt;") {
		t.Fatalf("what was made is not on %s: %s", to, p)
	}
	local, _, _ := strings.Cut(address, "@")
	w.receive(mail("lamps", "1@example.org", "on sale"), address)
	if p = w.look("/addresses", "pilot"); !strings.Contains(p, `data-label="Messages">1<`) || !strings.Contains(p, "0 %") {
		t.Errorf("the mail that came is not counted: %s", p)
	}
	if to := w.submit("/addresses/"+local, "pilot", "enabled", "false"); to != "/addresses" {
		t.Errorf("the switch leads to %s", to)
	}
	if p = w.look("/addresses", "pilot"); !strings.Contains(p, "Switch on") || w.tryReceive(mail("more", "2@example.org", "x"), address) == nil {
		t.Error("the address is not off")
	}
	w.submit("/addresses/"+local, "pilot", "note", "sold me")
	if to := w.submit("/addresses/"+local+"/delete", "admin", "user", "pilot"); to != "/addresses?user=pilot" {
		t.Errorf("the removal leads to %s", to)
	}
	if p = w.look("/addresses", "pilot"); strings.Contains(p, local) {
		t.Error("the address is still there")
	}
	status, p, _ := w.call("POST", "/addresses", "pilot", "name=postmaster&note=mine", "Accept", "text/html")
	if status != 409 || !strings.Contains(p, "taken or reserved") || !strings.Contains(p, `value="mine"`) {
		t.Errorf("a name that nobody gets: %d %s", status, p)
	}
	if status, _, _ := w.call("GET", "/addresses?user=pilot", "mallory", "", "Accept", "text/html"); status != 403 {
		t.Errorf("another's addresses: %d", status)
	}
}

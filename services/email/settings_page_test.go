package email_test

import (
	"net/url"
	"regexp"
	"strconv"
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

func TestAddressesPage(t *testing.T) {
	w := start(t, "")
	if p := w.page(200, "/inbox", "pilot"); !strings.Contains(p, `href="/addresses"`) {
		t.Error("the inbox does not lead to the addresses")
	}
	to := w.submit("/addresses", "pilot", "masked", "true", "note", "a <b>shop</b>")
	p := w.page(200, to, "pilot")
	address := regexp.MustCompile(`[a-z.]{21}@` + regexp.QuoteMeta(domain)).FindString(p)
	if address == "" || !strings.Contains(p, "Yours: <strong>"+address) || !strings.Contains(p, "a &lt;b&gt;shop&lt;/b&gt;") {
		t.Fatalf("what was made is not on %s: %s", to, p)
	}
	local, _, _ := strings.Cut(address, "@")
	w.receive(mail("lamps", "1@example.org", "on sale"), address)
	if p = w.page(200, "/addresses", "pilot"); !strings.Contains(p, `data-label="Messages">1<`) || !strings.Contains(p, "0 %") {
		t.Errorf("the mail that came is not counted: %s", p)
	}
	if to := w.submit("/addresses/"+local, "pilot", "enabled", "false"); to != "/addresses" {
		t.Errorf("the switch leads to %s", to)
	}
	if p = w.page(200, "/addresses", "pilot"); !strings.Contains(p, "Switch on") || w.tryReceive(mail("more", "2@example.org", "x"), address) == nil {
		t.Error("the address is not off")
	}
	w.submit("/addresses/"+local, "pilot", "note", "sold me")
	if to := w.submit("/addresses/"+local+"/delete", "admin", "user", "pilot"); to != "/addresses?user=pilot" {
		t.Errorf("the removal leads to %s", to)
	}
	if p = w.page(200, "/addresses", "pilot"); strings.Contains(p, local) {
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

func TestVacationPage(t *testing.T) {
	w := start(t, "")
	if p := w.page(200, "/vacation", "pilot"); !strings.Contains(p, `<span class="badge">off</span>`) {
		t.Errorf("the page of somebody who never was away is %s", p)
	}
	if to := w.submit("/vacation", "pilot", "enabled", "true", "from_date", "2020-01-02T08:00", "to_date", "", "subject", "Out <b>", "text", "Back on Monday."); to != "/vacation" {
		t.Errorf("the form leads to %s", to)
	}
	p := w.page(200, "/vacation", "pilot")
	for _, want := range []string{"answering now", `value="2020-01-02T08:00"`, "Out &lt;b&gt;", "Back on Monday."} {
		if !strings.Contains(p, want) {
			t.Errorf("the page lacks %s: %s", want, p)
		}
	}
	status, p, _ := w.call("POST", "/vacation", "pilot", "enabled=true&subject=Mine&text=+", "Accept", "text/html")
	if status != 422 || !strings.Contains(p, "an answer says something") || !strings.Contains(p, `value="Mine"`) {
		t.Errorf("an answer without text: %d %s", status, p)
	}
	w.submit("/vacation", "pilot", "text", "Back on Monday.")
	if p = w.page(200, "/vacation", "pilot"); strings.Contains(p, "answering now") || !strings.Contains(p, "Back on Monday.") {
		t.Errorf("the answer that was switched off is %s", p)
	}
}

func TestRulesPage(t *testing.T) {
	w := start(t, "")
	w.receive(mail("invoice 7", "1@example.org", "pay"), at("pilot"))
	if p := w.page(200, "/rules", "pilot"); !strings.Contains(p, "No rules yet") {
		t.Errorf("the page without rules is %s", p)
	}
	w.submit("/rules", "pilot", "name", "Bills <b>", "match", "any", "conditions", "subject contains invoice\r\nfrom is x@example.org", "actions", "label bills\r\nstar")
	w.submit("/rules", "pilot", "name", "Second", "match", "all", "conditions", "subject contains nothing", "actions", "read")
	p := w.page(200, "/rules", "pilot")
	if !strings.Contains(p, "1. Bills &lt;b&gt;") || !strings.Contains(p, "<code>from is x@example.org</code>") || !strings.Contains(p, "2. Second") || !strings.Contains(p, "When any of:") {
		t.Fatalf("what was posted is not there: %s", p)
	}
	ids := regexp.MustCompile(`/rules\?edit=(\d+)`).FindAllStringSubmatch(p, -1)
	first, second := ids[0][1], ids[1][1]
	p = w.page(200, "/rules?try="+first, "pilot")
	if !strings.Contains(p, "1 message looked at") || !strings.Contains(p, "gets the label bills, gets a star") || w.list("demo", "pilot").Messages[0].Starred {
		t.Errorf("the rule that is tried: %s", p)
	}
	if p = w.page(200, "/rules?edit="+first, "pilot"); !strings.Contains(p, "subject contains invoice\nfrom is x@example.org</textarea>") || !strings.Contains(p, `action="/rules/`+first+`"`) {
		t.Errorf("the form of a rule: %s", p)
	}
	w.submit("/rules/"+second, "pilot", "position", "1")
	w.submit("/rules/"+second, "pilot", "enabled", "false")
	if p = w.page(200, "/rules", "pilot"); !strings.Contains(p, "1. Second <span class=\"badge\">off") {
		t.Errorf("the rule was not moved and switched off: %s", p)
	}
	w.submit("/rules/"+first, "pilot", "name", "Bills", "match", "all", "conditions", "size over 1", "actions", "trash")
	if p = w.page(200, "/rules", "pilot"); !strings.Contains(p, "2. Bills<") || !strings.Contains(p, "<code>size over 1</code>") || strings.Contains(p, "When any of:") {
		t.Errorf("the rule was not changed: %s", p)
	}
	status, p, _ := w.call("POST", "/rules/"+first, "pilot", "name=Bills&conditions=colour+is+red&actions=star", "Accept", "text/html")
	if status != 422 || !strings.Contains(p, "colour is red</textarea>") || !strings.Contains(p, "there is nothing of this name to ask for") || !strings.Contains(p, "Change the rule") {
		t.Errorf("a wrong rule: %d %s", status, p)
	}
	if status, p, _ = w.call("POST", "/rules/"+first, "pilot", "position=1&match=odd", "Accept", "text/html"); status != 422 || !strings.Contains(p, "size over 1</textarea>") {
		t.Errorf("a refused button does not show the rule as it is: %d %s", status, p)
	}
	w.submit("/rules/"+first+"/delete", "pilot")
	if p = w.page(200, "/rules", "pilot"); strings.Contains(p, "Bills") {
		t.Error("the rule is still there")
	}
	if status, _, _ := w.call("POST", "/rules/"+second+"/delete", "mallory", "user=mallory", "Accept", "text/html"); status != 404 {
		t.Errorf("another's rule: %d", status)
	}
}

func TestJunkPage(t *testing.T) {
	w := start(t, "")
	if p := w.page(200, "/junk", "pilot"); !strings.Contains(p, "No junk here") {
		t.Errorf("the page without junk is %s", p)
	}
	w.submit("/junk/senders", "pilot", "sender", "Example.ORG", "action", "block", "note", "no <more>")
	w.submit("/junk/threshold", "pilot", "junk_at", "4.5")
	p := w.page(200, "/junk", "pilot")
	for _, want := range []string{"example.org", "no &lt;more&gt;", `tone-bad">blocked`, `value="4.5"`, "junk from 4.50 points on"} {
		if !strings.Contains(p, want) {
			t.Errorf("the page lacks %s: %s", want, p)
		}
	}
	var ids []string
	for _, subject := range []string{"first <b>", "second"} {
		id := w.deliver(plainEnvelope(at("pilot")), mail(subject, subject[:5]+"@example.org", "buy"), "pilot")
		if w.folderOf(id) != "junk" {
			t.Fatalf("blocked mail goes to %s", w.folderOf(id))
		}
		ids = append(ids, strconv.FormatInt(id, 10))
	}
	p = w.page(200, "/junk", "pilot")
	if !strings.Contains(p, "first &lt;b&gt;") || !strings.Contains(p, "The sender is on your block list.") || !strings.Contains(p, ">&#43;20.0<") {
		t.Errorf("the junk and its reasons are not there: %s", p)
	}
	for whose, want := range map[string]string{"example.org": "first &lt;b&gt;", "other.example": "Nothing from this sender", "x+y": "must be an address such as"} {
		if found := w.page(200, "/junk?whose="+whose, "pilot"); !strings.Contains(found, want) || want[0] == 'N' && strings.Contains(found, "first &lt;b&gt;") {
			t.Errorf("looking up %s does not say %s: %s", whose, want, found)
		}
	}
	if to := w.submit("/messages/"+ids[0]+"/ham", "pilot", "next", "/junk"); to != "/junk" {
		t.Errorf("Not spam leads to %s", to)
	}
	if to := w.submit("/messages/bulk", "pilot", "ids", ids[1], "do", "delete", "next", "/junk"); to != "/junk" {
		t.Errorf("Delete leads to %s", to)
	}
	if p = w.page(200, "/junk", "pilot"); !strings.Contains(p, "No junk here") || !strings.Contains(w.page(200, "/inbox", "pilot"), "first &lt;b&gt;") {
		t.Errorf("what was decided is not done: %s", p)
	}
	entry := regexp.MustCompile(`/junk/senders/\d+/delete`).FindString(p)
	w.submit(entry, "pilot")
	status, p, _ := w.call("POST", "/junk/senders", "pilot", "sender=x+y&action=allow&note=mine", "Accept", "text/html")
	if status != 422 || !strings.Contains(p, `value="x y"`) || !strings.Contains(p, `value="mine"`) || strings.Contains(p, "Example.ORG") || strings.Contains(p, entry) {
		t.Errorf("a wrong sender: %d %s", status, p)
	}
}

// A rule works through mail that is there from the page, which tells how far it is, and stops it.
func TestRulesRunFromThePage(t *testing.T) {
	w := start(t, "")
	for _, id := range []string{"1@example.org", "2@example.org"} {
		w.receive(mail("invoice", id, "pay"), at("pilot"))
	}
	if p := w.page(200, "/rules", "pilot"); strings.Contains(p, "there already") {
		t.Error("there is nothing to run, and the page offers it")
	}
	w.submit("/rules", "pilot", "name", "Bills <b>", "conditions", "subject contains invoice", "actions", "star")
	status, p, _ := w.call("POST", "/rules/run", "pilot", "rule=&folder=Nowhere", "Accept", "text/html")
	if status != 422 || !strings.Contains(p, `value="Nowhere" aria-invalid="true" aria-describedby="folder-error"`) {
		t.Errorf("a folder that is not there: %d %s", status, p)
	}
	if to := w.submit("/rules/run", "admin", "user", "pilot", "rule", "1", "folder", "inbox"); to != "/rules?user=pilot" {
		t.Errorf("the form leads to %s", to)
	}
	if p = w.page(200, "/rules", "pilot"); !strings.Contains(p, `Bills &lt;b&gt; <span class="badge tone-info">running`) || !strings.Contains(p, "0 of about 2 messages looked at, 0 changed") {
		t.Errorf("nothing tells of the run: %s", p)
	}
	w.submit("/rules/runs/1/stop", "pilot")
	if p = w.page(200, "/rules", "pilot"); !strings.Contains(p, `tone-warn">stopped`) || strings.Contains(p, "/stop") {
		t.Errorf("it is not stopped: %s", p)
	}
	w.submit("/rules/run", "pilot", "rule", "", "folder", "")
	if status, p, _ = w.call("POST", "/rules/run", "pilot", "rule=&folder=", "Accept", "text/html"); status != 409 || !strings.Contains(p, "form-error") && !strings.Contains(p, "tone-bad") {
		t.Errorf("a second one beside it: %d %s", status, p)
	}
	w.runUntil(func() bool {
		return strings.Contains(w.page(200, "/rules", "pilot"), "2 of 2 messages looked at, 2 changed")
	})
	w.submit("/rules/1/delete", "pilot")
	if p = w.page(200, "/rules", "pilot"); !strings.Contains(p, "A rule that was removed") || !strings.Contains(p, "All rules that are on") || strings.Contains(p, "Run it") {
		t.Errorf("what was run is not told of any more: %s", p)
	}
}

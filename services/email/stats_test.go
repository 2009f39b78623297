package email_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"uniqverse/services/email/refusals"
	"uniqverse/services/email/stats"
	"uniqverse/store/mailstore"
)

// The figures of a mailbox are its own, by folder and by day; those of everybody are an administrator's.
func TestStats(t *testing.T) {
	w := start(t, "")
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	w.now.Store(now.UnixMilli())
	var f stats.Figures
	w.as("pilot", 200, "GET", "/api/stats", "", &f)
	if f.User != "pilot@"+domain || f.Messages != 0 || len(f.Folders) != 0 || len(f.Days) != stats.Days || f.Queue != nil {
		t.Errorf("of nobody yet: %+v", f)
	}
	for i, to := range []string{"pilot", "pilot", "pilot", "nova"} {
		env := envelope(at(to))
		env.ReceivedAt = now
		w.bring(env, mail("hello", fmt.Sprint(i, "@example.org"), "x"))
	}
	w.as("pilot", 200, "POST", "/api/messages/bulk", `{"ids":[1],"action":"move","folder":"junk"}`, nil)
	w.as("writer", 202, "POST", "/api/send", `{"to":["x@example.org"],"subject":"s","text":"x"}`, nil)
	if err := mailstore.New(w.db).AddRefusals(t.Context(), []refusals.Refusal{{At: now, Mailbox: "pilot"}, {At: now.Add(-24 * time.Hour), Mailbox: "pilot"}, {At: now}}); err != nil {
		t.Fatal(err)
	}
	w.as("pilot", 200, "GET", "/api/stats?user=pilot", "", &f)
	today, before := f.Days[stats.Days-1], f.Days[stats.Days-2]
	if today.Day != now.UTC().Format(time.DateOnly) || today.Received != 2 || today.Junk != 1 || today.Sent != 0 || today.Refused == nil || *today.Refused != 1 || *before.Refused != 1 || before.Received != 0 {
		t.Errorf("the days end with %+v, %+v", before, today)
	}
	if first := f.Days[0]; first.Refused != nil || first.Day != now.UTC().AddDate(0, 0, 1-stats.Days).Format(time.DateOnly) {
		t.Errorf("the days begin with %+v", first)
	}
	if f.Messages != 3 || f.Unread != 3 || f.Bytes == 0 || f.Quota == 0 || f.Folders[0].Name != "Inbox" || f.Folders[0].Messages != 2 {
		t.Errorf("of pilot: %+v", f)
	}
	w.as("admin", 200, "GET", "/api/stats?all=true", "", &f)
	if today = f.Days[stats.Days-1]; today.Received != 3 || today.Sent != 1 || today.Junk != 1 || *today.Refused != 2 || f.Messages != 5 || f.User != "" || f.Mailboxes != 3 {
		t.Errorf("of all: %+v", f)
	}
	if f.Queue["held"] != 1 || f.Folders[0].Name != "Inbox" || f.Folders[0].Messages != 3 {
		t.Errorf("the queue has %v, the folders %v", f.Queue, f.Folders)
	}
	w.as("pilot", 403, "GET", "/api/stats?all=true", "", nil)
	w.as("pilot", 403, "GET", "/api/stats?user=nova", "", nil)

	p := w.page(200, "/stats", "pilot")
	if !strings.Contains(p, `<rect class="is-junk"`) || !strings.Contains(p, `<td class="end num">2</td><td class="end num">1</td><td class="end num">1</td><td class="end num">0</td>`) || strings.Contains(p, "all=true") {
		t.Errorf("the page is %s", p)
	}
	if p = w.page(200, "/stats?all=true", "admin"); !strings.Contains(p, "On its way") || !strings.Contains(p, `href="/stats"`) {
		t.Errorf("everybody's page is %s", p)
	}
	if status, _, _ := w.call(http.MethodGet, "/stats?all=true", "pilot", "", "Accept", "text/html"); status != 403 {
		t.Errorf("everybody's figures are shown to anybody: %d", status)
	}
}

package e2e_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// Opening a mail fetches no picture from elsewhere; when its reader asks, this server fetches it and the browser never does. The
// mails of its conversation are on the page, each in a frame of its own.
func TestBrowserPicturesAndConversation(t *testing.T) {
	b, s := startBrowser(t), start(t, "EMAIL_IMAGE_TARGETS=loopback")
	var fetched, others atomic.Int64
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.UserAgent(), "Chrome") || r.Header.Get("Referer") != "" || r.URL.Path != "/dot.png" {
			others.Add(1)
			t.Errorf("the host was asked for %s with %v", r.URL, r.Header)
		}
		fetched.Add(1)
		dot, _ := base64.StdEncoding.DecodeString("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
		w.Write(dot)
	}))
	defer there.Close()
	s.handIn("orbit@crew.example", "demo@vezeuniqverse.com", "From: Orbit <orbit@crew.example>\nTo: demo@vezeuniqverse.com\nSubject: Berth\nMessage-ID: <b1@crew.example>\n\nThe plain words that came first.\n")
	s.handIn("nova@crew.example", "demo@vezeuniqverse.com", "From: Nova <nova@crew.example>\nTo: demo@vezeuniqverse.com\nSubject: Re: Berth\nMessage-ID: <b2@crew.example>\nIn-Reply-To: <b1@crew.example>\nMIME-Version: 1.0\nContent-Type: text/html\n\n"+
		"<p>The laid-out words.</p><img id=\"far\" src=\""+there.URL+"/dot.png\"><style>p{background:url("+there.URL+"/css.png)}</style>\n")
	var box struct{ Messages []struct{ ID int64 } }
	s.get(200, "email/api/messages?user=demo@vezeuniqverse.com&access_token=demo&limit=2").JSON(t, &box)
	newest, first := box.Messages[0].ID, box.Messages[1].ID

	p := b.tab(t)
	p.open(fmt.Sprintf("%s/messages/%d", s.URL("email"), newest))
	p.reads("Pictures from elsewhere are not shown")
	p.until("the message's frame is loaded", `performance.getEntriesByType("resource").some(e => e.initiatorType === "iframe")`)
	p.reads("The plain words that came first") // as its start, folded
	p.until("the mail before is folded", `document.querySelectorAll(".conversation details").length === 1 && !document.querySelector(".conversation details").open`)
	p.click(".conversation summary")
	p.until("it is unfolded, in a frame that can do nothing", `document.querySelector(".conversation details").open && document.querySelector(".conversation iframe").sandbox.value === "allow-popups allow-popups-to-escape-sandbox"`)
	p.clean("the conversation", "Blocked script execution", "sandbox")
	if fetched.Load() != 0 {
		t.Fatal("a picture was fetched before anybody asked")
	}
	p.click(`.pictures button[value="once"]`)
	p.reads("shown this once")
	eventually(t, "the frame's picture to be fetched", func() bool { return fetched.Load() > 0 })
	address := look[string](p, `document.querySelector("article iframe.msg-html").src`)
	p.open(address)
	p.until("the picture is there, from this server", `(i => i && i.complete && i.naturalWidth === 1 && i.src.startsWith(location.origin + "/api/messages/"))(document.querySelector("#far"))`)
	p.clean("the document with its picture", "favicon.ico")
	if fetched.Load() == 0 || others.Load() != 0 {
		t.Errorf("%d pictures were fetched, %d by others", fetched.Load(), others.Load())
	}
	// An older message of a conversation opens the newest with it.
	p.open(fmt.Sprintf("%s/messages/%d", s.URL("email"), first))
	p.until("the newest is open", `document.querySelector(".conversation details[open] summary")?.textContent.includes("Nova")`)
	p.clean("the older message", "favicon.ico", "Blocked script execution", "sandbox")
}

package jmap_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"uniqverse/services/email/jmap"
)

// device is where push messages arrive: an address, and a key if it has one.
type device struct {
	t      *testing.T
	srv    *httptest.Server
	got    chan map[string]any
	status atomic.Int64 // what it answers
	key    *ecdh.PrivateKey
	auth   []byte
}

func newDevice(t *testing.T, encrypted bool) *device {
	d := &device{t: t, got: make(chan map[string]any, 100)}
	d.status.Store(201)
	if encrypted {
		var err error
		if d.key, err = ecdh.P256().GenerateKey(rand.Reader); err != nil {
			t.Fatal(err)
		}
		d.auth = make([]byte, 16)
		rand.Read(d.auth)
	}
	d.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != "POST" || r.Header.Get("TTL") == "" || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Authorization") != "" {
			t.Errorf("a push message is %s %v: %v", r.Method, r.Header, err)
		}
		status := int(d.status.Load())
		w.WriteHeader(status)
		if d.key != nil {
			if r.Header.Get("Content-Encoding") != "aes128gcm" {
				t.Errorf("the message is not encrypted: %v", r.Header)
			}
			body = d.open(body)
		}
		var m map[string]any
		if err := json.Unmarshal(body, &m); err != nil {
			t.Errorf("%v in %q", err, body)
		}
		m["answered"] = status
		d.got <- m
	}))
	t.Cleanup(d.srv.Close)
	return d
}

// open decrypts as a device does (RFC 8291), by its own key.
func (d *device) open(body []byte) []byte {
	derive := func(secret, salt []byte, info string, n int) []byte {
		key, err := hkdf.Key(sha256.New, secret, salt, info, n)
		if err != nil {
			d.t.Error(err)
		}
		return key
	}
	server, err := ecdh.P256().NewPublicKey(body[21:86])
	if err != nil {
		d.t.Error(err)
		return nil
	}
	shared, err := d.key.ECDH(server)
	if err != nil {
		d.t.Error(err)
	}
	ikm := derive(shared, d.auth, "WebPush: info\x00"+string(d.key.PublicKey().Bytes())+string(body[21:86]), 32)
	block, err := aes.NewCipher(derive(ikm, body[:16], "Content-Encoding: aes128gcm\x00", 16))
	if err != nil {
		d.t.Error(err)
		return nil
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		d.t.Error(err)
		return nil
	}
	text, err := gcm.Open(nil, derive(ikm, body[:16], "Content-Encoding: nonce\x00", 12), body[86:], nil)
	if err != nil || len(text) == 0 || text[len(text)-1] != 2 {
		d.t.Errorf("the message cannot be read: %v %q", err, text)
		return nil
	}
	return text[:len(text)-1]
}

// method calls one method and returns its answer.
func (w *world) method(as, name string, args map[string]any) map[string]any {
	w.t.Helper()
	request, err := json.Marshal(map[string]any{"using": everything(), "methodCalls": []any{[]any{name, args, "0"}}})
	if err != nil {
		w.t.Fatal(err)
	}
	_, body := w.call("POST", "/jmap/api", as, "application/json", request)
	var out struct {
		MethodResponses [][3]any `json:"methodResponses"`
	}
	if err := json.Unmarshal(body, &out); err != nil || len(out.MethodResponses) != 1 {
		w.t.Fatalf("%v in %s", err, body)
	}
	return out.MethodResponses[0][1].(map[string]any)
}

// at follows members down; nil when there is none.
func at(v any, path ...string) any {
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func (d *device) subscribe(w *world, as string, more map[string]any) (id, code string) {
	d.t.Helper()
	args := map[string]any{"deviceClientId": "phone", "url": d.srv.URL + "/push"}
	if d.key != nil {
		args["keys"] = map[string]any{"p256dh": base64.RawURLEncoding.EncodeToString(d.key.PublicKey().Bytes()), "auth": base64.URLEncoding.EncodeToString(d.auth)}
	}
	for k, v := range more {
		args[k] = v
	}
	out := w.method(as, "PushSubscription/set", map[string]any{"create": map[string]any{"p": args}})
	id, _ = at(out, "created", "p", "id").(string)
	if id == "" || at(out, "created", "p", "expires") == nil {
		d.t.Fatalf("created: %v", out)
	}
	m := <-d.got
	code, _ = m["verificationCode"].(string)
	if m["@type"] != "PushVerification" || m["pushSubscriptionId"] != id || len(code) < 20 {
		d.t.Fatalf("the first message is %v", m)
	}
	return id, code
}

func (w *world) updatePush(as, id string, patch map[string]any) map[string]any {
	return w.method(as, "PushSubscription/set", map[string]any{"update": map[string]any{id: patch}})
}

// awaitNoPush waits until all subscriptions of a caller are forgotten.
func (w *world) awaitNoPush(as string) {
	w.t.Helper()
	for len(w.method(as, "PushSubscription/get", map[string]any{})["list"].([]any)) > 0 {
		time.Sleep(5 * time.Millisecond)
	}
}

// An address is sent nothing but a code until that comes back; from then on it is told what changed, of the types that it wants,
// until it says that it is gone.
func TestPush(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		t.Run(fmt.Sprintf("encrypted=%v", encrypted), func(t *testing.T) {
			t.Parallel()
			w := start(t)
			d := newDevice(t, encrypted)
			acct := w.accountOf("pilot")
			id, code := d.subscribe(w, "pilot", map[string]any{"types": []string{"Mailbox", "Calendar"}, "expires": "2100-01-01T00:00:00Z"})
			w.receive(fmt.Sprintf(hello, "before"), "pilot@"+domain)
			if out := w.updatePush("pilot", id, map[string]any{"verificationCode": code + "x"}); at(out, "notUpdated", id, "type") != "invalidProperties" {
				t.Errorf("a wrong code: %v", out)
			}
			for _, other := range []string{"mallory", "pilot@" + domain + ":secret"} { // another person, and another credential
				if out := w.updatePush(other, id, map[string]any{"verificationCode": code}); at(out, "notUpdated", id, "type") != "notFound" {
					t.Errorf("the code, brought by %s: %v", other, out)
				}
			}
			if out := w.updatePush("pilot", id, map[string]any{"verificationCode": code}); out["notUpdated"] != nil {
				t.Fatalf("the code: %v", out)
			}
			// What came before is told now, once: nothing was sent in between.
			m := <-d.got
			changed, _ := at(m, "changed", acct).(map[string]any)
			if m["@type"] != "StateChange" || len(changed) != 1 || changed["Mailbox"] != at(w.method("pilot", "Mailbox/get", map[string]any{"accountId": acct, "ids": []string{}}), "state") {
				t.Errorf("told of %v", m)
			}
			if out := w.updatePush("pilot", id, map[string]any{"types": nil}); out["notUpdated"] != nil {
				t.Fatalf("types: %v", out)
			}
			d.status.Store(410)
			w.receive(fmt.Sprintf(hello, "after"), "pilot@"+domain)
			if m := <-d.got; at(m, "changed", acct, "Email") == nil || at(m, "changed", acct, "Thread") == nil {
				t.Errorf("all types: %v", m)
			}
			w.awaitNoPush("pilot")
		})
	}
}

// What an address refused is told again, with what came since; nobody who has other credentials sees or ends a subscription.
func TestPushIsRepeated(t *testing.T) {
	w := start(t)
	d := newDevice(t, false)
	acct := w.accountOf("pilot")
	id, code := d.subscribe(w, "pilot", nil)
	got := w.method("pilot", "PushSubscription/get", map[string]any{})
	shown := got["list"].([]any)[0]
	if at(shown, "id") != id || at(shown, "deviceClientId") != "phone" || at(shown, "verificationCode") != nil || at(shown, "types") != nil || at(shown, "url") != nil {
		t.Errorf("shown: %v", shown)
	}
	for _, other := range []string{"mallory", "pilot@" + domain + ":secret"} {
		out := w.method(other, "PushSubscription/set", map[string]any{"destroy": []string{id}})
		if at(out, "notDestroyed", id, "type") != "notFound" || len(w.method(other, "PushSubscription/get", map[string]any{})["list"].([]any)) > 0 {
			t.Errorf("%s: %v", other, out)
		}
	}
	d.status.Store(503)
	w.updatePush("pilot", id, map[string]any{"verificationCode": code})
	w.receive(fmt.Sprintf(hello, "one"), "pilot@"+domain)
	if m := <-d.got; m["answered"] != 503 || at(m, "changed", acct, "Email") == nil {
		t.Errorf("first: %v", m)
	}
	d.status.Store(200)
	w.now.Store(time.Now().UnixMilli())
	for again := false; !again; {
		select {
		case m := <-d.got: // an attempt that was under way may still be refused
			if at(m, "changed", acct, "Email") == nil {
				t.Fatalf("again: %v", m)
			}
			again = m["answered"] == 200
		case <-time.After(20 * time.Millisecond):
			w.now.Add(10_000) // its pause passes
		}
	}
	w.now.Store(0)
	if out := w.method("pilot", "PushSubscription/set", map[string]any{"destroy": []string{id}}); len(out["destroyed"].([]any)) != 1 {
		t.Errorf("destroyed: %v", out)
	}
}

// A program that starts knows the subscriptions, and what they were told, from the store: what came in between is told, once.
func TestPushAfterAStart(t *testing.T) {
	w := start(t)
	d := newDevice(t, false)
	acct := w.accountOf("pilot")
	id, code := d.subscribe(w, "pilot", map[string]any{"types": []string{"Email"}})
	w.updatePush("pilot", id, map[string]any{"verificationCode": code})
	w.receive(fmt.Sprintf(hello, "one"), "pilot@"+domain)
	first := at(<-d.got, "changed", acct, "Email")
	for told := ""; told != first; { // it is written down
		list, err := w.options.Push.PushSubscriptions(t.Context())
		if err != nil || len(list) != 1 || !list[0].Verified {
			t.Fatalf("%v %v", list, err)
		}
		told = list[0].Told["Email"]
		time.Sleep(5 * time.Millisecond)
	}
	w.stop()
	w.receive(fmt.Sprintf(hello, "two"), "pilot@"+domain)
	again, err := jmap.New(w.options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- again.Run(ctx) }()
	want := at(w.method("pilot", "Email/get", map[string]any{"accountId": acct, "ids": []string{}}), "state")
	if now := at(<-d.got, "changed", acct, "Email"); now != want || now == first {
		t.Errorf("after the start: %v, want %v", now, want)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// With the app password that it was made with a subscription ends, and nothing more is sent.
func TestPushEndsWithItsCredential(t *testing.T) {
	w := start(t)
	d := newDevice(t, false)
	app := "pilot@" + domain + ":secret"
	id, code := d.subscribe(w, app, nil)
	w.updatePush(app, id, map[string]any{"verificationCode": code})
	w.withdrawn.Store(true)
	w.receive(fmt.Sprintf(hello, "one"), "pilot@"+domain)
	for {
		list, err := w.options.Push.PushSubscriptions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	select {
	case m := <-d.got:
		t.Errorf("it was still told of %v", m)
	default:
	}
}

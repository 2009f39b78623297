package push

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/reach"
	"uniqverse/internal/webhook"
	"uniqverse/services/email/jmap/account"
	"uniqverse/services/email/jmap/message"
	"uniqverse/services/email/jmap/proto"
)

// Register adds the methods to a registry, under a capability.
func (p *Push) Register(r *proto.Registry, capability string) {
	r.Add(capability, "PushSubscription/get", p.get)
	r.Add(capability, "PushSubscription/set", p.set)
}

// own finds the caller's mailbox: subscriptions belong to who signed in, and to no account that they may look into.
func (p *Push) own(c *proto.Call) (*account.Account, error) {
	if err := p.load(c.Context); err != nil {
		return nil, err
	}
	own, err := p.Accounts.Own(c.Context, c.Caller)
	if err == nil && own == nil {
		err = proto.Fail("forbidden", "a server has no account of its own to tell about")
	}
	return own, err
}

// mine returns the subscriptions that the caller may see, by id.
func (p *Push) mine(box int64, credential string) map[string]Subscription {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]Subscription{}
	for id, l := range p.all {
		if l.MailboxID == box && l.Credential == credential && l.Expires.After(p.Now()) {
			out[id] = l.Subscription
		}
	}
	return out
}

func (p *Push) get(c *proto.Call) (any, error) {
	var a struct {
		IDs        *[]string `json:"ids"`
		Properties *[]string `json:"properties"`
	}
	if err := proto.Decode(c.Args, &a); err != nil {
		return nil, err
	}
	ids, all, failed := c.Wanted(a.IDs)
	if failed != nil {
		return nil, failed
	}
	if a.Properties != nil && (slices.Contains(*a.Properties, "url") || slices.Contains(*a.Properties, "keys")) {
		return nil, proto.Fail("forbidden", "url and keys are never told")
	}
	properties, failed := proto.Properties(a.Properties, []string{"id", "deviceClientId", "verificationCode", "expires", "types"})
	if failed != nil {
		return nil, failed
	}
	own, err := p.own(c)
	if err != nil {
		return nil, err
	}
	mine := p.mine(own.Mailbox.ID, c.Credential)
	if all {
		ids = proto.Keys(mine)
	}
	list, notFound := []map[string]any{}, []string{}
	for _, id := range ids {
		s, ok := mine[id]
		if !ok {
			notFound = append(notFound, id)
			continue
		}
		shown := map[string]any{"id": id, "deviceClientId": s.Device, "verificationCode": nil, "expires": message.UTCDate(s.Expires), "types": s.Types}
		if s.Verified {
			shown["verificationCode"] = s.Code
		}
		list = append(list, proto.Only(shown, properties))
	}
	return map[string]any{"list": list, "notFound": notFound}, nil
}

// setResult is the answer to PushSubscription/set, which knows no account and no state.
type setResult struct {
	Created      map[string]map[string]any  `json:"created"`
	Updated      map[string]map[string]any  `json:"updated"`
	Destroyed    []string                   `json:"destroyed"`
	NotCreated   map[string]*proto.SetError `json:"notCreated"`
	NotUpdated   map[string]*proto.SetError `json:"notUpdated"`
	NotDestroyed map[string]*proto.SetError `json:"notDestroyed"`
}

func (p *Push) set(c *proto.Call) (any, error) {
	var a struct {
		Create  map[string]proto.Object `json:"create"`
		Update  map[string]proto.Object `json:"update"`
		Destroy []string                `json:"destroy"`
	}
	if err := proto.Decode(c.Args, &a); err != nil {
		return nil, err
	}
	if err := c.CheckSet(&proto.SetArgs{Create: a.Create, Update: a.Update, Destroy: a.Destroy}); err != nil {
		return nil, err
	}
	own, err := p.own(c)
	if err != nil {
		return nil, err
	}
	defer p.look()
	var out setResult
	for _, key := range proto.Keys(a.Create) {
		made, refused, err := p.create(c, own, a.Create[key])
		if err != nil {
			return nil, err
		}
		if refused != nil {
			proto.Refused(&out.NotCreated, key, refused)
			continue
		}
		c.Created(key, made["id"].(string))
		proto.Done(&out.Created, key, made)
	}
	none := proto.Refuse("notFound", "there is no such push subscription")
	for _, text := range proto.Keys(a.Update) {
		id, _ := c.ID(text)
		s, ok := p.mine(own.Mailbox.ID, c.Credential)[id]
		refused := none
		var changed map[string]any
		if ok {
			if changed, refused, err = p.update(c, s, a.Update[text]); err != nil {
				return nil, err
			}
		}
		if refused != nil {
			proto.Refused(&out.NotUpdated, text, refused)
			continue
		}
		proto.Done(&out.Updated, id, changed)
	}
	for _, text := range a.Destroy {
		id, _ := c.ID(text)
		if _, ok := p.mine(own.Mailbox.ID, c.Credential)[id]; !ok {
			proto.Refused(&out.NotDestroyed, text, none)
			continue
		}
		if err := p.Store.RemovePush(c.Context, id); err != nil {
			return nil, err
		}
		p.forget(id)
		out.Destroyed = append(out.Destroyed, id)
	}
	return out, nil
}

// allowed decides about an address as it is written: https, but for programs on this machine where those are allowed at all.
func allowed(t reach.Targets, text string) bool {
	u, err := url.Parse(text)
	if err != nil || len(text) > maxURL || webhook.CheckURL(t, text) != nil {
		return false
	}
	return u.Scheme == "https" || !reach.Public.AllowsHost(u.Hostname())
}

// given is what a client may say of a subscription.
type given struct {
	Device  string            `json:"deviceClientId" jmap:"required"`
	URL     string            `json:"url" jmap:"required"`
	Keys    map[string]string `json:"keys"`
	Expires *string           `json:"expires"`
	Types   []string          `json:"types"`
}

// check reads what a client says; the error says what is wrong with it.
func (p *Push) check(c *proto.Call, in proto.Object) (Subscription, *proto.SetError) {
	var s Subscription
	for name, raw := range in {
		if name == "verificationCode" && proto.IsNull(raw) {
			continue
		}
		if !slices.Contains([]string{"deviceClientId", "url", "keys", "expires", "types"}, name) {
			return s, proto.InvalidProperties([]string{name}, "%.60s cannot be set", name)
		}
	}
	var g given
	rest := maps.Clone(in)
	delete(rest, "verificationCode")
	if err := proto.Decode(rest, &g); err != nil {
		name, _, _ := strings.Cut(err.Description, " ")
		return s, proto.InvalidProperties([]string{name}, "%s", err.Description)
	}
	if g.Device == "" || len(g.Device) > maxDevice {
		return s, proto.InvalidProperties([]string{"deviceClientId"}, "deviceClientId has 1 to %d bytes", maxDevice)
	}
	if !allowed(p.Targets, g.URL) {
		return s, proto.InvalidProperties([]string{"url"}, "url must be a public address that begins with https://")
	}
	s.Device, s.URL = g.Device, g.URL
	if g.Keys != nil {
		var ok bool
		if s.P256DH, s.Auth, ok = readKeys(g.Keys); !ok {
			return s, proto.InvalidProperties([]string{"keys"}, "keys must be p256dh, a point of P-256, and auth, 16 bytes, both in URL-safe Base64")
		}
	}
	var refused *proto.SetError
	if s.Types, refused = readTypes(in["types"]); refused != nil {
		return s, refused
	}
	s.Expires, refused = p.until(c, g.Expires)
	return s, refused
}

func readKeys(keys map[string]string) (p256dh, auth []byte, ok bool) {
	read := func(name string) []byte {
		text := strings.TrimRight(keys[name], "=")
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || len(text) > maxKey {
			return nil
		}
		return raw
	}
	p256dh, auth = read("p256dh"), read("auth")
	_, err := ecdh.P256().NewPublicKey(p256dh)
	return p256dh, auth, err == nil && len(auth) == authSize && len(keys) == 2
}

// readTypes reads a list of types; null is all. Types that this server does not have never change.
func readTypes(raw json.RawMessage) ([]string, *proto.SetError) {
	var list []string
	if proto.IsNull(raw) {
		return nil, nil
	}
	if json.Unmarshal(raw, &list) != nil || len(list) > maxTypes || slices.ContainsFunc(list, func(t string) bool { return len(t) > 100 }) {
		return nil, proto.InvalidProperties([]string{"types"}, "types must be a list of at most %d names of types", maxTypes)
	}
	if list == nil {
		list = []string{}
	}
	return list, nil
}

// until is when a subscription ends: in Life at the latest, and with its credential.
func (p *Push) until(c *proto.Call, asked *string) (time.Time, *proto.SetError) {
	now := p.Now()
	end := now.Add(Life)
	if e := c.Caller.Expires; !e.IsZero() && e.Before(end) {
		end = e
	}
	if asked != nil {
		t, err := time.Parse(time.RFC3339, *asked)
		if err != nil || !strings.HasSuffix(*asked, "Z") || !t.After(now) {
			return end, proto.InvalidProperties([]string{"expires"}, "expires must be a UTCDate in the future")
		}
		if t.Before(end) {
			end = t
		}
	}
	return end.Truncate(time.Second), nil
}

func (p *Push) create(c *proto.Call, own *account.Account, in proto.Object) (map[string]any, *proto.SetError, error) {
	s, refused := p.check(c, in)
	if refused != nil {
		return nil, refused, nil
	}
	if refused := p.room(own.Mailbox.ID); refused != nil {
		return nil, refused, nil
	}
	var err error
	s.ID, s.Code, s.MailboxID, s.User, s.Credential = "P"+rand.Text(), rand.Text(), own.Mailbox.ID, own.User, c.Credential
	if s.Told, err = p.States(c.Context, s.MailboxID); err != nil { // what changes from now on is told
		return nil, nil, err
	}
	if err := p.Store.AddPush(c.Context, s); err != nil {
		return nil, nil, err
	}
	p.mu.Lock()
	p.all[s.ID] = &live{Subscription: s, still: c.Still}
	p.mu.Unlock()
	return map[string]any{"id": s.ID, "expires": message.UTCDate(s.Expires)}, nil, nil
}

// room refuses one more when a mailbox has many, or has made many just now.
func (p *Push) room(box int64) *proto.SetError {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, l := range p.all {
		if l.MailboxID == box {
			n++
		}
	}
	if n >= maxOf {
		return proto.Refuse("overQuota", "a mailbox has at most %d push subscriptions; destroy one", maxOf)
	}
	now := p.Now()
	recent := slices.DeleteFunc(p.fresh[box], func(t time.Time) bool { return now.Sub(t) > time.Hour })
	if len(recent) >= maxNew {
		return proto.Refuse("rateLimit", "at most %d push subscriptions are made in an hour; try again later", maxNew)
	}
	p.fresh[box] = append(recent, now)
	return nil
}

// update verifies a subscription, renews it, or changes what it is told of.
func (p *Push) update(c *proto.Call, s Subscription, patch proto.Object) (map[string]any, *proto.SetError, error) {
	var shown map[string]any
	for _, name := range proto.Keys(patch) {
		raw := patch[name]
		var refused *proto.SetError
		switch name {
		case "verificationCode":
			var code string
			if json.Unmarshal(raw, &code) != nil || subtle.ConstantTimeCompare([]byte(code), []byte(s.Code)) != 1 {
				return nil, proto.InvalidProperties([]string{name}, "the code is not the one that was sent to the address"), nil
			}
			s.Verified = true
		case "expires":
			var asked *string
			if json.Unmarshal(raw, &asked) != nil {
				return nil, proto.InvalidProperties([]string{name}, "expires must be a UTCDate"), nil
			}
			if s.Expires, refused = p.until(c, asked); refused != nil {
				return nil, refused, nil
			}
			if asked == nil || message.UTCDate(s.Expires) != *asked {
				shown = map[string]any{"expires": message.UTCDate(s.Expires)}
			}
		case "types":
			if s.Types, refused = readTypes(raw); refused != nil {
				return nil, refused, nil
			}
		default:
			return nil, proto.InvalidProperties([]string{name}, "%.60s cannot be changed", name), nil
		}
	}
	err := p.Store.SavePush(c.Context, s)
	if errs.Is(err, errs.NotFound) {
		return nil, proto.Refuse("notFound", "there is no such push subscription"), nil
	}
	if err != nil {
		return nil, nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.all[s.ID]; l != nil {
		l.Verified, l.Expires, l.Types, l.still, l.dirty = s.Verified, s.Expires, s.Types, c.Still, true
	}
	return shown, nil, nil
}

package jmap

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"uniqverse/hub"
	"uniqverse/internal/reach"
	"uniqverse/internal/web"
	"uniqverse/internal/ws"
	"uniqverse/services/email"
	"uniqverse/services/email/jmap/account"
	"uniqverse/services/email/jmap/blob"
	"uniqverse/services/email/jmap/mail"
	"uniqverse/services/email/jmap/proto"
	"uniqverse/services/email/jmap/push"
	"uniqverse/services/email/jmap/record"
	"uniqverse/services/email/jmap/submission"
)

// The capabilities (RFC 8620, RFC 8621, RFC 8887, RFC 9404, RFC 9425).
const (
	capCore      = "urn:ietf:params:jmap:core"
	capWebSocket = "urn:ietf:params:jmap:websocket"
	capQuota     = "urn:ietf:params:jmap:quota"
	capBlob      = "urn:ietf:params:jmap:blob"
)

// Limits are those that the session tells and that are held.
func Limits() proto.Limits {
	return proto.Limits{MaxSizeUpload: blob.MaxSize, MaxConcurrentUpload: 4, MaxSizeRequest: 10 << 20, MaxConcurrentRequests: 8, MaxCallsInRequest: 64,
		MaxObjectsInGet: 500, MaxObjectsInSet: 500}
}

// Options is all that a Service needs; every field is required.
type Options struct {
	Mail  *email.Service
	Store record.Store
	Push  push.Store
	Hub   hub.Hub
	Dir   string // folder for larger uploads; made when it is first needed
	// Targets says where push subscriptions may lie.
	Targets reach.Targets
	Log     *slog.Logger
	Now     func() time.Time
}

// Service is the JMAP edge. Make one with New.
type Service struct {
	Options
	limits   proto.Limits
	accounts *account.Accounts
	blobs    *blob.Blobs
	push     *push.Push
	registry *proto.Registry
	sockets  *ws.Edge

	requests, uploads, streams *web.Quota

	done    chan struct{} // closed when Run ends: streams end
	over    sync.Once
	running sync.WaitGroup // what goes on beside requests
}

// New returns the edge; it opens nothing and starts nothing.
func New(o Options) (*Service, error) {
	if o.Mail == nil || o.Store == nil || o.Push == nil || o.Hub == nil || o.Dir == "" || o.Targets == "" || o.Log == nil || o.Now == nil {
		return nil, errors.New("jmap: every option is required")
	}
	s := &Service{Options: o, limits: Limits(), registry: proto.NewRegistry(), sockets: ws.NewEdge(ws.EdgeOptions{MaxConns: 5000, Log: o.Log}), done: make(chan struct{})}
	s.accounts = account.New(o.Mail, o.Store, o.Hub.Epoch())
	s.blobs = blob.New(o.Mail, o.Store, s.accounts, o.Dir, o.Log, o.Now)
	s.push = push.New(push.Options{Store: o.Push, Accounts: s.accounts, States: s.statesOf, Hub: o.Hub, Targets: o.Targets, Log: o.Log, Now: o.Now})
	s.requests = web.NewQuota("JMAP requests", s.limits.MaxConcurrentRequests)
	s.uploads = web.NewQuota("uploads", s.limits.MaxConcurrentUpload)
	s.streams = web.NewQuota("JMAP streams", maxStreams)
	submission.New(o.Mail, o.Store, s.accounts, o.Log, o.Now).Register(s.registry)
	mail.New(o.Mail, o.Store, s.accounts, s.blobs, o.Log, o.Now).Register(s.registry)
	s.registry.Add(capCore, "Core/echo", func(c *proto.Call) (any, error) { return c.Args, nil })
	s.registry.Add(capCore, "Blob/copy", s.blobCopy)
	s.registry.Add(capBlob, "Blob/upload", s.blobUpload)
	s.registry.Add(capBlob, "Blob/get", s.blobGet)
	s.registry.Add(capBlob, "Blob/lookup", s.blobLookup)
	s.push.Register(s.registry, capCore)
	s.registry.Add(capQuota, "Quota/get", s.quotaGet)
	s.registry.Add(capQuota, "Quota/changes", s.quotaChanges)
	s.registry.Add(capQuota, "Quota/query", s.quotaQuery)
	s.registry.Add(capQuota, "Quota/queryChanges", s.quotaQueryChanges)
	return s, nil
}

// Run removes uploads that have expired, tells push subscriptions and keeps the streams open, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	pushed := make(chan error, 1)
	go func() { pushed <- s.push.Run(ctx) }()
	err := errors.Join(s.blobs.Run(ctx), <-pushed)
	s.over.Do(func() { close(s.done) })
	stop, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	err = errors.Join(err, s.sockets.Shutdown(stop))
	s.running.Wait()
	return err
}

// capabilities are the names that a request may use.
func (s *Service) capabilities() []string {
	var names []string
	for name := range s.accountCapabilities() {
		names = append(names, name)
	}
	return append(names, capCore, capWebSocket)
}

// accountCapabilities is what every account can do.
func (s *Service) accountCapabilities() map[string]any {
	return map[string]any{mail.Capability: mail.AccountCapability(), capQuota: map[string]any{}, capBlob: blobCapability(),
		submission.Capability: submission.AccountCapability(), submission.CapabilityVacation: map[string]any{}}
}

// Endpoints are the routes.
func (s *Service) Endpoints() []web.Endpoint {
	read := web.Access{Scope: "email.read", Token: true, Basic: true, Describe: "the caller's own account; others' with email.admin"}
	const often = 20
	return []web.Endpoint{
		web.Query("GET", "/.well-known/jmap", read, "The JMAP session (RFC 8620)", s.session).Often(often),
		web.Query("GET", "/jmap/session", read, "The JMAP session (RFC 8620)", s.session).Often(often),
		web.Stream("POST", "/jmap/api", read, "JMAP method calls (RFC 8620, RFC 8621)", s.api).ReadsBody(s.limits.MaxSizeRequest, "application/json").Often(often),
		web.Stream("POST", "/jmap/upload/{accountId}", read, "Upload a blob to attach or import", s.upload).ReadsBody(s.limits.MaxSizeUpload, "*/*").Often(often),
		web.Stream("GET", "/jmap/download/{accountId}/{blobId}/{name}", read, "Download a blob: an upload, a message, or a part of one", s.download).Often(often),
		web.Stream("GET", "/jmap/eventsource", read, "Tells of changed states (server-sent events, RFC 8620 section 7.3)", s.eventSource),
		web.Stream("GET", "/jmap/ws", read, "JMAP over a WebSocket (RFC 8887)", s.socket),
	}
}

// runner is in whose name requests of a call run.
func (s *Service) runner(c *web.Call) proto.Runner {
	return proto.Runner{Caller: c.Caller, Credential: credential(c), Still: c.Visitor().Still, Trace: c.Trace(), Limits: s.limits, Failed: func(method string, err error) {
		c.Log.Error("JMAP method failed", "method", method, "err", err.Error())
	}}
}

// credential names the app password of a call without telling it; "" for sessions and tokens, which one person has many of in turn.
func credential(c *web.Call) string {
	if c.Caller.Via != web.AppPassword {
		return ""
	}
	h := sha256.Sum256([]byte("push\n" + c.Request.Header.Get("Authorization")))
	return hex.EncodeToString(h[:16])
}

// serve runs the text of a request.
func (s *Service) serve(ctx context.Context, text []byte, caller web.Caller, who proto.Runner) (*proto.Response, *proto.RequestError, error) {
	req, refused := proto.ParseRequest(text, s.limits, s.capabilities())
	if refused != nil {
		return nil, refused, nil
	}
	release, err := s.requests.Take(caller)
	if err != nil {
		return nil, proto.OverLimit("maxConcurrentRequests", "at most %d requests run at a time; wait for one to end", s.limits.MaxConcurrentRequests), nil
	}
	defer release()
	own, err := s.accounts.Own(ctx, caller)
	if err != nil {
		return nil, nil, err
	}
	out := s.registry.Run(ctx, req, who)
	out.SessionState = s.sessionState(own)
	return out, nil, nil
}

// Methods returns the names of all methods, sorted.
func (s *Service) Methods() []string { return slices.Clone(s.registry.Methods()) }

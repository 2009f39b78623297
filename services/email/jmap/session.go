package jmap

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"uniqverse/internal/web"
	"uniqverse/services/email/jmap/account"
	"uniqverse/services/email/jmap/mail"
	"uniqverse/services/email/jmap/proto"
)

// Session is the session resource (RFC 8620 section 2).
type Session struct {
	Capabilities    map[string]any            `json:"capabilities"`
	Accounts        map[string]SessionAccount `json:"accounts"`
	PrimaryAccounts map[string]string         `json:"primaryAccounts"`
	Username        string                    `json:"username"`
	APIURL          string                    `json:"apiUrl"`
	DownloadURL     string                    `json:"downloadUrl"`
	UploadURL       string                    `json:"uploadUrl"`
	EventSourceURL  string                    `json:"eventSourceUrl"`
	State           string                    `json:"state"`
}

// SessionAccount is an account in a Session.
type SessionAccount struct {
	Name                string         `json:"name"`
	IsPersonal          bool           `json:"isPersonal"`
	IsReadOnly          bool           `json:"isReadOnly"`
	AccountCapabilities map[string]any `json:"accountCapabilities"`
}

// base is the address of this service as the caller asked for it, without a slash at the end.
func base(c *web.Call, scheme string) string {
	if web.Secure(c.Request) {
		scheme += "s"
	}
	return scheme + "://" + c.Request.Host + c.Prefix
}

func (s *Service) session(c *web.Call, _ web.None) (Session, error) {
	own, err := s.accounts.Own(c.Context(), c.Caller)
	if err != nil {
		return Session{}, err
	}
	here := base(c, "http")
	out := Session{Accounts: map[string]SessionAccount{}, PrimaryAccounts: map[string]string{}, Username: c.Caller.Email, APIURL: here + "/jmap/api",
		DownloadURL: here + "/jmap/download/{accountId}/{blobId}/{name}?type={type}", UploadURL: here + "/jmap/upload/{accountId}",
		EventSourceURL: here + "/jmap/eventsource?types={types}&closeafter={closeafter}&ping={ping}", State: s.sessionState(own)}
	out.Capabilities = map[string]any{
		capCore: map[string]any{"maxSizeUpload": s.limits.MaxSizeUpload, "maxConcurrentUpload": s.limits.MaxConcurrentUpload, "maxSizeRequest": s.limits.MaxSizeRequest,
			"maxConcurrentRequests": s.limits.MaxConcurrentRequests, "maxCallsInRequest": s.limits.MaxCallsInRequest, "maxObjectsInGet": s.limits.MaxObjectsInGet,
			"maxObjectsInSet": s.limits.MaxObjectsInSet, "collationAlgorithms": mail.Collations()},
		capWebSocket: map[string]any{"url": base(c, "ws") + "/jmap/ws", "supportsPush": true},
	}
	for name := range s.accountCapabilities() {
		out.Capabilities[name] = map[string]any{}
	}
	if own == nil {
		return out, nil
	}
	out.Accounts[own.ID] = SessionAccount{Name: own.Address, IsPersonal: true, AccountCapabilities: s.accountCapabilities()}
	for name := range s.accountCapabilities() {
		out.PrimaryAccounts[name] = own.ID
	}
	return out, nil
}

// sessionState changes when the session would say something else.
func (s *Service) sessionState(own *account.Account) string {
	h := sha256.New()
	for _, name := range s.registry.Methods() {
		h.Write([]byte(name + "\n"))
	}
	if own != nil {
		h.Write([]byte(own.ID + own.Address))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// problem answers a refused request.
func problem(c *web.Call, w http.ResponseWriter, e *proto.RequestError) {
	members := e.Problem()
	members["request_id"] = c.ID
	body, err := proto.Marshal(members)
	if err != nil {
		body = []byte("{}")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(e.Status)
	w.Write(body)
}

// isJSON reports whether a Content-Type is that of JSON.
func isJSON(header string) bool {
	kind, _, _ := strings.Cut(header, ";")
	return strings.EqualFold(strings.TrimSpace(kind), "application/json")
}

func (s *Service) api(c *web.Call, w http.ResponseWriter, _ web.None) error {
	if !isJSON(c.Request.Header.Get("Content-Type")) {
		problem(c, w, proto.NotJSON("a request is sent with Content-Type: application/json"))
		return nil
	}
	text, err := io.ReadAll(c.Request.Body)
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		problem(c, w, proto.OverLimit("maxSizeRequest", "a request has at most %d bytes", s.limits.MaxSizeRequest))
		return nil
	}
	if err != nil {
		return web.BodyError(err)
	}
	out, refused, err := s.serve(c.Context(), text, c.Caller, s.runner(c))
	if err != nil {
		return err
	}
	if refused != nil {
		problem(c, w, refused)
		return nil
	}
	return answer(w, http.StatusOK, out)
}

// answer writes JSON.
func answer(w http.ResponseWriter, status int, v any) error {
	body, err := proto.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body) // a caller who is gone hears nothing
	return nil
}

// Package web is the HTTP edge that every service stands behind: it decodes, authorises,
// limits, answers and logs, so that a service's routes file shows nothing but what the
// service offers.
//
// A service lists its Endpoints and hands them to New, which returns one http.Handler with
// everything the contract's section 2 promises: parameters from JSON, form or query alike,
// RFC 9457 problem documents, idempotency keys stored with the effect, security headers,
// CSRF protection, access logs without secrets, /health, /metrics, /.veze/service.json,
// /openapi.json and /docs.
//
// It is not a framework for others, knows no service by name and holds no SQL. Who may call
// is asked of an Authenticator (package auth); what is stored goes through a Transactor
// (package store).
//
// A Handler is safe for concurrent use. A Call belongs to one request and one goroutine.
package web

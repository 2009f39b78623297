// Package api holds what goes over the wire between services, and to outside clients written
// in Go: one file per service with its JSON types and, where a service is called by another,
// a small typed client.
//
// A client speaks HTTP through an *http.Client that package registry made, so that the same
// code reaches a service in this process and one on another host. It is not a second set of
// rules: what is allowed is decided by the service that answers.
//
// Types are plain data. Clients are immutable and safe for concurrent use.
package api

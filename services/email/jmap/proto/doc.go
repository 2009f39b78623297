// Package proto is the request machinery of JMAP (RFC 8620 sections 3 and 5): requests with their method calls, result
// references and creation ids, the errors of requests, methods and objects, and how arguments, patches and lists of changes are read.
//
// It knows no data type, no store and no HTTP: whoever serves a request gives it a Registry of methods. What a request holds that
// is not understood is refused in the terms of the RFC, never ignored.
//
// A Registry does not change once it is made; everything else belongs to one request and to one goroutine.
package proto

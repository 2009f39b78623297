// Package jmap is the JMAP edge of the mail service (RFC 8620, RFC 8887): the session, the API over HTTP and WebSocket, uploads and
// downloads, and the streams that tell of changes. Mail programs sign in with a token (Bearer) or an app password (Basic).
//
// The request machinery is package proto, the data types are in packages mail (RFC 8621 sections 2 to 5), submission (sections 6 to 8) and
// here (Quota, RFC 9425; blobs within method calls, RFC 9404). Changes are told by event stream, WebSocket and push subscription (package push). Accounts are mailboxes: whoever may not use one is told that there is
// none. Nothing here holds SQL; package record says what a store has to do.
//
// Service is safe for concurrent use. Streams end when the context of Run does.
package jmap

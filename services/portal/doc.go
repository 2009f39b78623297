// Package portal is Helm, the front door of UniQVerse: the directory of services with their
// health, the ticker of events, every service under one port at /proxy/<service>/, the
// provisioning of mailboxes, and the pages on which people sign up and in.
//
// It holds no data of its own beside the accounts (package auth): what a tile shows was asked
// of the service a moment ago, and what the ticker shows was heard on the hub. It is not a
// load balancer and not an API gateway: a proxied request is answered, authorised and limited
// by the service behind.
//
// A Service is safe for concurrent use. Run must be running for the tiles to change.
package portal

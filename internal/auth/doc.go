// Package auth knows who is calling: users with their roles, passwords, app passwords and
// sessions, the tokens of section 3 of the contract, and the calls between our own services.
//
// Auth.For gives the web.Authenticator of a service. It takes, in this order, a bearer token,
// access_token in the query, the session cookie, and, where it is on, the demo identity:
//
//   - A user's token is a JWT (RFC 7519). With VEZE_JWT_SECRET it is HS256; with VEZE_JWKS_URL
//     it is RS256, ES256 or EdDSA by a key that is published there (RFC 7517); with neither it
//     is EdDSA by a key in the data folder, which the portal publishes. Algorithm, kind of
//     key, issuer, audience, exp, nbf and iat are all checked (RFC 8725).
//   - A service's token is HS256 by a key derived from the installation's service secret,
//     valid for a minute and for one service. It holds whatever users' tokens are verified with.
//   - The token "demo" is the demo identity, on the conditions of Auth.DemoFor.
//
// It is not the sign-in pages (services/portal has them), not an OAuth server, and holds no SQL:
// its Store is satisfied by package store. It decides no owner checks; web.Caller has those.
//
// # Guarantees
//
// A user who is disabled, and whose roles change, is so for the very next request: users are
// cached, and each change through this package empties the cache's entry after its commit. The
// caches are bounded. Secrets at rest are hashed: passwords with argon2id (password.go),
// session tokens, app passwords and the setup link, which are random, with SHA-256. Password hashing
// runs at most two at a time, so that sign-ins cannot exhaust a small machine's memory.
//
// Everything here is safe for concurrent use. Methods that change something run a transaction
// of their own: never call them, nor Ensure, from inside another transaction.
package auth

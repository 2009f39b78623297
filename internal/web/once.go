package web

// Once makes a repeated request answer as the first one did. The store looks it up and
// writes it in the same transaction as the effect.
type Once struct {
	Caller      string // who the key belongs to: keys of different callers never meet
	Key         string // Idempotency-Key, 1 to 128 bytes
	Fingerprint string // hash of method, path and parameters

	Status   int    // the answer: set inside the transaction, or found by the store
	Body     []byte // its JSON
	Location string // its redirect, "" for none
	Replayed bool   // set by the store when an earlier answer was found
}

// Package mime reads mail as it really comes: it finds the parts of a message (RFC 2045,
// RFC 2046), decodes headers (RFC 2047, RFC 2231) and bodies, and never refuses anything.
//
// It is not a validator and not a composer, it stores nothing, and it never decides about a
// message: what it cannot make sense of is named in Tree.Faults and shown as text.
//
// The scan is one pass over the bytes with an explicit stack, in time linear to the size of
// the message and with memory that does not grow with it: at most MaxDepth levels and
// MaxParts parts are told apart, whatever lies beyond belongs to the last part found. Bodies
// are only decoded when somebody asks for them.
//
// All functions are pure and safe for concurrent use; a Tree is not changed after Scan.
package mime

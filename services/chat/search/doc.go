// Package search finds lines by their words, and those that mention one, within what the caller may read.
//
// It is no ranking engine: what was found comes newest first. It knows no rule of rooms; the store leaves out what the
// viewer may not see, in the same statement that finds.
//
// # How lines come into the index
//
// Nothing is indexed while a line is sent. The Indexer follows the rooms' logs behind the commits: in batches it
// reads what came after its cursor, brings the index up to what the lines say now (new, edited, taken away), and moves
// the cursor in the same transaction. A kill at any point loses and repeats nothing, and a new index
// fills itself from the first line on. A search first waits for the index to come up to date, unless it is far behind, so
// that what was acknowledged before the search is found by it.
//
// # What may be asked
//
// Words, of which all must be there; "words in this order"; a word* that goes on; -word that must not be there;
// from:pilot, in:"room name", before:2026-11-27 and after:2026-11-01 (days in UTC), has:attachment. Letters
// are compared without case and accents. What was typed never becomes syntax of the index: each word is quoted for it.
//
// Everything here is safe for concurrent use.
package search

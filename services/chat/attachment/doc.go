// Package attachment is the files that people put into rooms: taken, kept in the data folder, given with a line, and
// handed out to who may read the line.
//
// It opens no picture beyond its header, scans nothing for viruses, makes no previews, and knows no rule of
// rooms: those it asks of Rooms.
//
// # How a file comes and goes
//
// An upload is written under a random name, its bytes and its folder are fsynced, and then its row is stored: a row
// without its file is never there. The row belongs to who uploaded it until a line takes it along (package chat, in
// the line's own transaction). What no line took within a day is swept. When a line is taken away, or its
// time is over, its rows go in that transaction and the files are named in a list of what is to be removed; the sweeper
// works that list off, so that a kill between the two is mended. The files of a line that moderators removed from their
// queue are put aside for a week, where nobody sees them, so that the decision can be taken back. A file that nobody names was left by a kill
// in the middle of an upload, and is removed at the next start.
//
// # What a browser gets to see
//
// The type is what the first bytes say, never what was claimed. PNG, JPEG, GIF and WebP with at most 25
// million pixels are shown; of everything else a browser gets application/octet-stream to save (RFC 6266), so that
// no HTML, SVG or script is ever executed. Each answer forbids guessing (nosniff) and everything a document could do (CSP
// sandbox). Whoever may not read the line gets errs.NotFound, like for what never was.
//
// A Service is safe for concurrent use.
package attachment

// Package rules is what a room's moderators write down once instead of doing it again and again: which lines are refused,
// hidden or shown to a moderator, by what stands in them.
//
// It decides on the text and a few numbers alone; it knows no rooms, stores nothing, and does nothing itself: package
// moderation does what a Match says.
//
// # How texts are compared
//
// A text is brought to NFKC and folded; accents and everything that shows nothing (zero-width characters, direction marks) go,
// and what is left is words of letters and digits. Letters that stand alone one after the other are one word, so
// that "k i l l" and "k.i.l.l" are "kill". A keyword matches whole words only: "ass" is not in "class". A * in a keyword
// stands for any letters; a keyword of more words matches these in a row. Regular expressions (RE2: time in proportion
// to the text, whatever the expression) see the text after NFKC, without what shows nothing, and are told apart by case
// only where they do not begin with (?i).
//
// A Set never changes and is safe for concurrent use, and so is a Recent.
package rules

// Package xengine is the small engine behind moderation that runs in this process: it says
// which labels a text deserves. A far engine can take its place behind the same method.
//
// It is not a classifier of meaning and keeps nothing: it knows phrases, and sees through the
// common ways to disguise them (letter case, accents, full-width and look-alike letters,
// invisible characters, letters spaced out, digits for letters). A phrase matches whole words
// only, so that no innocent word is refused for what lies inside it.
//
// Trends, beside it, finds out of what people begin to talk.
//
// An Engine never changes after New and is safe for concurrent use.
package xengine

// Package config reads every setting of UniQVerse from flags and the environment and
// checks it before anything is started.
//
// The field comments of Config are the manual: docs/config.md and the text of
// `uniqverse help` are generated from them by gendoc, and a test keeps both current. To add
// a setting, add a field with its tags and its comment; nothing else names it.
//
// The rules are the same for every setting: a flag beats the environment, the environment
// beats the default, an empty variable counts as unset, and a value that is not understood
// is refused with one line that names the setting, the value and the mend. The value of a
// secret is never printed, in an error neither.
//
// It is not where settings are acted upon: it opens no file but to see that it can be read,
// resolves no name and binds no port. Package node does that.
//
// A Config is plain data. It is written by Load alone and may be read by any goroutine.
package config

//go:generate go run ./gendoc

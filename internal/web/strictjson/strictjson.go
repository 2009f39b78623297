// Package strictjson reads the JSON body of a request as encoding/json does, and refuses what that takes silently: two
// values, the same name twice in one object, and nesting beyond 64. It knows no field of any request. Its functions
// keep nothing and may be called at the same time.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"

	"uniqverse/internal/errs"
)

// deepest is how far objects and arrays may be nested.
const deepest = 64

// Parse returns the fields of a JSON object, or the whole of an array, each as it stands in b; all else is errs.Malformed.
// b is UTF-8 without space around it.
func Parse(b []byte) (fields map[string]json.RawMessage, list json.RawMessage, err error) {
	if len(b) == 0 {
		return nil, nil, errs.New(errs.Malformed, "the JSON body is empty")
	}
	if !json.Valid(b) {
		if err := explain(b); err != nil {
			return nil, nil, err
		}
		return nil, nil, errs.New(errs.Malformed, "the body is not valid JSON")
	}
	w := walk{b: b}
	if b[0] == '{' {
		w.top = map[string]json.RawMessage{}
	}
	switch w.value(0); {
	case w.err != nil:
		return nil, nil, w.err
	case b[0] == '[':
		return nil, b, nil
	case b[0] != '{':
		return nil, nil, errs.New(errs.Malformed, "the JSON body must be an object")
	}
	return w.top, nil, nil
}

// walk goes once through JSON that is known to be valid.
type walk struct {
	b   []byte
	i   int
	top map[string]json.RawMessage // fields of the outermost object; nil for an array
	err error
}

func (w *walk) space() {
	for w.i < len(w.b) && (w.b[w.i] == ' ' || w.b[w.i] == '\n' || w.b[w.i] == '\t' || w.b[w.i] == '\r') {
		w.i++
	}
}

// value passes one value; depth is in how many others it lies.
func (w *walk) value(depth int) {
	w.space()
	switch w.b[w.i] {
	case '{', '[':
		if depth >= deepest {
			w.err = errs.New(errs.Malformed, "the JSON body is nested deeper than 64 levels")
			return
		}
		if w.b[w.i] == '{' {
			w.object(depth)
		} else {
			w.array(depth)
		}
	case '"':
		w.text()
	default:
		for w.i < len(w.b) && !bytes.ContainsRune([]byte(",]} \n\t\r"), rune(w.b[w.i])) {
			w.i++
		}
	}
}

func (w *walk) array(depth int) {
	for w.i++; w.err == nil; {
		if w.space(); w.b[w.i] == ']' {
			break
		}
		if w.b[w.i] == ',' {
			w.i++
		}
		w.value(depth + 1)
		w.space()
	}
	w.i++
}

func (w *walk) object(depth int) {
	var seen map[string]bool
	if depth > 0 {
		seen = map[string]bool{}
	}
	for w.i++; w.err == nil; {
		if w.space(); w.b[w.i] == '}' {
			break
		}
		if w.b[w.i] == ',' {
			w.i++
			w.space()
		}
		name := w.text()
		w.space()
		w.i++ // the colon
		w.space()
		begin := w.i
		twice := seen[name]
		if depth == 0 {
			_, twice = w.top[name]
		}
		if twice {
			w.err = errs.New(errs.Malformed, "the JSON body names %q twice", clip(name))
			return
		}
		if w.value(depth + 1); depth == 0 {
			w.top[name] = w.b[begin:w.i:w.i]
		} else {
			seen[name] = true
		}
		w.space()
	}
	w.i++
}

// text passes a string and returns what it says.
func (w *walk) text() string {
	begin, escaped := w.i, false
	for w.i++; w.b[w.i] != '"'; w.i++ {
		if w.b[w.i] == '\\' {
			escaped = true
			w.i++
		}
	}
	w.i++
	if !escaped {
		return string(w.b[begin+1 : w.i-1])
	}
	var s string
	json.Unmarshal(w.b[begin:w.i], &s) // it is valid
	return s
}

// clip shortens a stranger's text for an error message.
func clip(s string) string {
	const most = 80
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

// explain says what is wrong with a body, whatever comes first; nil when nothing is.
func explain(b []byte) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	type level struct {
		names map[string]bool // nil in an array
		value bool            // the next token is a member's value
	}
	var stack []level
	for done := false; !done; {
		tok, err := dec.Token()
		if err != nil {
			return errs.Wrap(errs.Malformed, err, "the body is not valid JSON")
		}
		top := len(stack) - 1
		switch t := tok.(type) {
		case json.Delim:
			if t == '{' || t == '[' {
				if top >= 0 && stack[top].names != nil {
					stack[top].value = false
				}
				if len(stack) >= 64 {
					return errs.New(errs.Malformed, "the JSON body is nested deeper than 64 levels")
				}
				l := level{}
				if t == '{' {
					l.names = map[string]bool{}
				}
				stack = append(stack, l)
				continue
			}
			stack = stack[:top]
		case string:
			if top >= 0 && stack[top].names != nil && !stack[top].value {
				if stack[top].names[t] {
					return errs.New(errs.Malformed, "the JSON body names %q twice", clip(t))
				}
				stack[top].names[t] = true
				stack[top].value = true
				continue
			}
			if top >= 0 {
				stack[top].value = false
			}
		default:
			if top >= 0 {
				stack[top].value = false
			}
		}
		done = len(stack) == 0
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errs.New(errs.Malformed, "the body holds more than one JSON value")
	}
	return nil
}

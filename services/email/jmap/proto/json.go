package proto

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Object is a JSON object whose members have not been read yet.
type Object = map[string]json.RawMessage

// Marshal encodes JSON without the escapes that are for HTML alone.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// MaxNesting is how deep objects and arrays of a request may lie in each other.
const MaxNesting = 100

// CheckJSON says why the text is no I-JSON (RFC 7493): bad syntax, bad UTF-8, a name twice in an object, or too deep.
func CheckJSON(text []byte) error {
	if !utf8.Valid(text) {
		return errors.New("it is not valid UTF-8")
	}
	if !json.Valid(text) {
		return errors.New("its syntax is wrong, or it is not complete")
	}
	type level struct {
		names map[string]bool // nil in an array
		value bool            // in an object: a value comes next
	}
	var open []level
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errors.New("its syntax is wrong")
		}
		if n := len(open); n > 0 && open[n-1].names != nil {
			top := &open[n-1]
			if name, ok := tok.(string); ok && !top.value {
				if top.names[name] {
					return fmt.Errorf("an object has the name %.60q twice", name)
				}
				top.names[name], top.value = true, true
				continue
			}
			top.value = false
		}
		switch tok {
		case json.Delim('{'):
			open = append(open, level{names: map[string]bool{}})
		case json.Delim('['):
			open = append(open, level{})
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		}
		if len(open) > MaxNesting {
			return fmt.Errorf("it is nested deeper than %d levels", MaxNesting)
		}
	}
}

// Decode reads the arguments of a method into a struct. The json tags name them; with `jmap:"required"` one must be there and
// not null. Names that the struct does not have, and values of another type, are invalidArguments.
func Decode(args Object, into any) *Error {
	v := reflect.ValueOf(into).Elem()
	seen := 0
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		raw, ok := args[name]
		if ok {
			seen++
		}
		if null := string(raw) == "null"; !ok || null {
			if f.Tag.Get("jmap") == "required" {
				return InvalidArguments("%s is required", name)
			}
			continue
		}
		if err := json.Unmarshal(raw, v.Field(i).Addr().Interface()); err != nil {
			return InvalidArguments("%s is of the wrong type", name)
		}
	}
	if seen < len(args) {
		for name := range args {
			if !hasField(v.Type(), name) {
				return InvalidArguments("there is no argument %.60q", name)
			}
		}
	}
	return nil
}

func hasField(t reflect.Type, name string) bool {
	for i := range t.NumField() {
		if tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); tag == name {
			return true
		}
	}
	return false
}

// IsNull reports whether a member is absent or null.
func IsNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// Equal reports whether two JSON texts say the same.
func Equal(a, b json.RawMessage) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// ValidID reports whether a text has the form of an Id (RFC 8620 section 1.2): 1 to 255 of A-Z a-z 0-9 - _.
func ValidID(id string) bool {
	if id == "" || len(id) > 255 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// Patch applies a PatchObject (RFC 8620 section 5.3) to an object that is given as JSON, and returns the changed members of
// the top. A pointer into something that is not there, into an array, or two of which one lies within the other is invalidPatch.
func Patch(current Object, patch Object) (Object, *SetError) {
	out := Object{}
	for path := range patch {
		for other := range patch {
			if other != path && strings.HasPrefix(other, path+"/") {
				return nil, Refuse("invalidPatch", "%.60q lies within %.60q, which the patch replaces", other, path)
			}
		}
	}
	for path, value := range patch {
		if strings.HasPrefix(path, "/") { // the leading slash is implicit
			return nil, Refuse("invalidPatch", "%.60q begins with a slash", path)
		}
		parts := strings.Split(path, "/")
		top := unescape(parts[0])
		if len(parts) == 1 {
			out[top] = value
			continue
		}
		base, ok := out[top]
		if !ok {
			base, ok = current[top]
		}
		if !ok || IsNull(base) {
			return nil, Refuse("invalidPatch", "%.60q points into what is not there", path)
		}
		changed, err := patchIn(base, parts[1:], value)
		if err != nil {
			return nil, Refuse("invalidPatch", "%.60q %s", path, err)
		}
		out[top] = changed
	}
	return out, nil
}

func patchIn(base json.RawMessage, path []string, value json.RawMessage) (json.RawMessage, error) {
	var members Object
	if err := json.Unmarshal(base, &members); err != nil || members == nil {
		return nil, errors.New("points into what is no object")
	}
	name := unescape(path[0])
	if len(path) == 1 {
		if IsNull(value) {
			delete(members, name)
		} else {
			members[name] = value
		}
		return Marshal(members)
	}
	inner, ok := members[name]
	if !ok {
		return nil, errors.New("points into what is not there")
	}
	changed, err := patchIn(inner, path[1:], value)
	if err != nil {
		return nil, err
	}
	members[name] = changed
	return Marshal(members)
}

// unescape undoes the escapes of a JSON pointer's token (RFC 6901).
func unescape(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}

package proto

import (
	"encoding/json"
	"strconv"
	"strings"
)

// reference takes an argument from the answer to an earlier call (RFC 8620 section 3.7).
type reference struct {
	ResultOf string `json:"resultOf"`
	Name     string `json:"name"`
	Path     string `json:"path"`
}

// resolve puts what they refer to in the place of result references.
func (r *runner) resolve(raw json.RawMessage) (Object, *Error) {
	var args Object
	if err := json.Unmarshal(raw, &args); err != nil {
		return nil, InvalidArguments("the arguments must be an object")
	}
	out := make(Object, len(args))
	for name, value := range args {
		plain, isRef := strings.CutPrefix(name, "#")
		if !isRef {
			out[name] = value
			continue
		}
		if _, both := args[plain]; both {
			return nil, InvalidArguments("%.60q is given twice, once as a reference", plain)
		}
		var ref reference
		var members Object
		if json.Unmarshal(value, &members) != nil || json.Unmarshal(value, &ref) != nil || members["resultOf"] == nil || members["name"] == nil || members["path"] == nil {
			return nil, Fail("invalidResultReference", "%.60q must have resultOf, name and path", name)
		}
		found, err := r.lookUp(ref)
		if err != nil {
			return nil, err
		}
		out[plain] = found
	}
	return out, nil
}

func (r *runner) lookUp(ref reference) (json.RawMessage, *Error) {
	for i, res := range r.out {
		if res.ID != ref.ResultOf {
			continue
		}
		if res.Name != ref.Name {
			return nil, Fail("invalidResultReference", "the response to %.60q is %s, not %.60q", ref.ResultOf, res.Name, ref.Name)
		}
		tree, ok := r.parsed[i]
		if !ok {
			dec := json.NewDecoder(strings.NewReader(string(res.Args)))
			dec.UseNumber()
			if err := dec.Decode(&tree); err != nil {
				return nil, Fail("invalidResultReference", "the response to %.60q cannot be read", ref.ResultOf)
			}
			r.parsed[i] = tree
		}
		if ref.Path != "" && ref.Path[0] != '/' {
			return nil, Fail("invalidResultReference", "the path %.60q must begin with a slash", ref.Path)
		}
		value, ok := pointTo(tree, splitPointer(ref.Path))
		if !ok {
			return nil, Fail("invalidResultReference", "there is nothing at %.60q in the response to %.60q", ref.Path, ref.ResultOf)
		}
		raw, err := Marshal(value)
		if err != nil {
			return nil, Fail("invalidResultReference", "what is at %.60q cannot be used", ref.Path)
		}
		return raw, nil
	}
	return nil, Fail("invalidResultReference", "no call before this one has the id %.60q", ref.ResultOf)
}

func splitPointer(path string) []string {
	if path == "" {
		return nil
	}
	return strings.Split(path[1:], "/")
}

// pointTo follows a JSON pointer in which * stands for every item of an array; lists that it finds behind one are joined.
func pointTo(v any, path []string) (any, bool) {
	if len(path) == 0 {
		return v, true
	}
	switch v := v.(type) {
	case map[string]any:
		inner, ok := v[unescape(path[0])]
		if !ok {
			return nil, false
		}
		return pointTo(inner, path[1:])
	case []any:
		if path[0] == "*" {
			out := []any{}
			for _, item := range v {
				found, ok := pointTo(item, path[1:])
				if !ok {
					return nil, false
				}
				if list, isList := found.([]any); isList {
					out = append(out, list...)
				} else {
					out = append(out, found)
				}
			}
			return out, true
		}
		i, err := strconv.Atoi(path[0])
		if err != nil || i < 0 || i >= len(v) || strconv.Itoa(i) != path[0] {
			return nil, false
		}
		return pointTo(v[i], path[1:])
	}
	return nil, false
}

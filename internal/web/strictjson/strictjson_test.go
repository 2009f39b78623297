package strictjson

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"uniqverse/internal/errs"
)

// slowly is what Parse does, by way of encoding/json.
func slowly(b []byte) (fields map[string]json.RawMessage, list json.RawMessage, err error) {
	if err := explain(b); err != nil {
		return nil, nil, err
	}
	if b[0] == '[' {
		return nil, b, nil
	}
	if b[0] != '{' {
		return nil, nil, errs.New(errs.Malformed, "the JSON body must be an object")
	}
	err = json.Unmarshal(b, &fields)
	return fields, nil, err
}

func same(t *testing.T, b []byte) {
	t.Helper()
	if b = bytes.TrimSpace(b); len(b) == 0 || !utf8.Valid(b) {
		return
	}
	fields, list, err := Parse(b)
	wantFields, wantList, want := slowly(b)
	if (err != nil) != (want != nil) || !bytes.Equal(list, wantList) || !maps.EqualFunc(fields, wantFields, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
		t.Errorf("%.200s\n%.200s %.200s %v\nwant\n%.200s %.200s %v", b, fields, list, err, wantFields, wantList, want)
	}
	if err != nil && strings.HasPrefix(want.Error(), "the JSON") && err.Error() != want.Error() {
		t.Errorf("%.200s: %v, want %v", b, err, want)
	}
}

func bodies() []string {
	return []string{
		`{}`, `[]`, `{"a":1}`, ` { "a" : 1 , "b" : [ 1 , {"c":null} ] , "text" : "x\"y\\" } `, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"o":{"x":1,"x":2}}`,
		`[{"x":1,"x":2}]`, `{"o":[{"x":1},{"x":2}]}`, `1`, `"a"`, `null`, `true`, `{} {}`, `[1,2] 3`, `{"a":1,}`, `{"a"}`, `{`, `[`, `{"a":tru}`, `{"a":01}`, `{"":"","é":"\ud800"}`,
		`{"a":-1.5e+10,"b":false,"c":[[],{},[[]]]}`, strings.Repeat("[", 64) + strings.Repeat("]", 64), strings.Repeat("[", 65) + strings.Repeat("]", 65),
		strings.Repeat(`{"a":`, 64) + "1" + strings.Repeat("}", 64), strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65), `{"a":"` + "\u2028" + `"}`, "{\"a\":\"\x01\"}",
	}
}

// What Parse takes, refuses and returns is what encoding/json says, for whole bodies and for torn ones.
func TestParseIsEncodingJSON(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	for _, b := range bodies() {
		same(t, []byte(b))
		for range 200 {
			torn := []byte(b)
			for range 1 + dice.IntN(3) {
				switch i := dice.IntN(len(torn) + 1); dice.IntN(3) {
				case 0:
					torn = append(torn[:i:i], torn[min(i+1, len(torn)):]...)
				case 1:
					torn = append(torn[:i:i], append([]byte{`{}[],:"\ 1an`[dice.IntN(12)]}, torn[i:]...)...)
				default:
					torn = append(torn[:i:i], append([]byte(b), torn[i:]...)...)
				}
			}
			same(t, torn)
		}
	}
	if _, _, err := Parse(nil); err == nil {
		t.Error("an empty body is taken")
	}
}

func FuzzParse(f *testing.F) {
	for _, b := range bodies() {
		f.Add([]byte(b))
	}
	f.Fuzz(func(t *testing.T, b []byte) { same(t, b) })
}

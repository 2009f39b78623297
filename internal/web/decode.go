package web

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"uniqverse/internal/errs"
	"uniqverse/internal/web/strictjson"
)

// How an In struct is decoded
//
//	type sendParams struct {
//		Room   int64  `path:"id"`
//		UserID int64  `json:"user_id" doc:"who sends; the caller when left out"`
//		Text   string `json:"text" web:"required" max:"4000"`
//		Paging                                   // embedded structs are flattened
//	}
//
// path values come from the pattern; everything else by its json name from the query and the
// body together. web:"required" refuses an absent or empty value. min and max bound
// numbers by value, strings by runes, slices by length. A type that decodes itself
// (encoding.TextUnmarshaler, json.Unmarshaler) is used as it is. In may also be a map of
// json.RawMessage (any fields) or a slice (a JSON array). When *In has a method
// Check() error, it runs last. Names that In does not know are refused, except on pages.

// Paging is what every list takes: how many rows, and from which row on.
type Paging struct {
	Limit  int   `json:"limit,omitempty" doc:"how many, 1 to 200; 50 when left out" min:"1" max:"200"`
	Before int64 `json:"before,omitempty" doc:"rows before the one with this id" min:"1"`
	After  int64 `json:"after,omitempty" doc:"rows after the one with this id" min:"0"`
	Offset int   `json:"offset,omitempty" doc:"rows to skip" min:"0" max:"1000000"`
}

// Size returns the number of rows asked for: Limit, or 50.
func (p Paging) Size() int {
	if p.Limit == 0 {
		return 50
	}
	return p.Limit
}

// params are a request's fields before they have types: raw JSON from a JSON body, text
// from forms and the query.
type params struct {
	json map[string]json.RawMessage
	text url.Values
	list json.RawMessage // a JSON array body

	files []File // of a multipart form
}

// readEarly keeps the parameters for decode.
func readEarly[In any](c *Call) error {
	in, err := decode[In](c)
	c.decoded = in
	return err
}

// decode reads the request's parameters into an In. It reads the body at most once.
func decode[In any](c *Call) (In, error) {
	if in, ok := c.decoded.(In); ok {
		return in, nil
	}
	var in In
	if c.endpoint != nil && c.endpoint.passes {
		return in, nil // its body and query belong to the handler behind
	}
	p, err := readParams(c)
	c.given = p
	if err != nil {
		return in, err
	}
	err = bind(reflect.ValueOf(&in).Elem(), c.Request, p, c.lenient())
	if err != nil {
		return in, err
	}
	if ck, ok := any(&in).(interface{ Check() error }); ok {
		if err := ck.Check(); err != nil {
			return in, err
		}
	}
	return in, nil
}

// lenient is true for pages: links from elsewhere add parameters that mean nothing to us.
func (c *Call) lenient() bool { return c.isPage && c.Request.Method == http.MethodGet }

// readParams collects query and body; malformed ones are errs.Malformed or errs.Unsupported.
func readParams(c *Call) (params, error) {
	p := params{}
	q, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		return p, errs.New(errs.Malformed, "the query string cannot be read: check its %%-escapes and use & between parameters")
	}
	q.Del("access_token")
	p.text = q
	if c.endpoint != nil && c.endpoint.ownBody != nil {
		return p, p.checkText()
	}
	body, err := io.ReadAll(c.Request.Body)
	if err != nil {
		return p, BodyError(err)
	}
	if len(body) == 0 {
		return p, p.checkText()
	}
	mt, mp, err := mime.ParseMediaType(c.Request.Header.Get("Content-Type"))
	if err != nil && c.Request.Header.Get("Content-Type") != "" {
		return p, errs.New(errs.Unsupported, "the Content-Type header cannot be read; send application/json or a form")
	}
	switch mt {
	case "application/json":
		err = p.readJSON(body)
	case "application/x-www-form-urlencoded":
		err = p.readForm(body)
	case "multipart/form-data":
		err = p.readMultipart(body, mp["boundary"], c.filesField())
	default:
		return p, errs.New(errs.Unsupported, "the body's Content-Type is %q; send application/json, application/x-www-form-urlencoded or multipart/form-data", clip(mt))
	}
	if err != nil {
		return p, err
	}
	return p, p.checkText()
}

func (p *params) checkText() error {
	for k, vs := range p.text {
		for _, v := range append(slices.Clone(vs), k) {
			if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
				return errs.New(errs.Malformed, "parameter %q is not valid UTF-8 text", clip(strings.ToValidUTF8(k, "?")))
			}
		}
	}
	return nil
}

func (p *params) readJSON(body []byte) error {
	if !utf8.Valid(body) {
		return errs.New(errs.Malformed, "the JSON body is not valid UTF-8")
	}
	var err error
	p.json, p.list, err = strictjson.Parse(bytes.TrimSpace(body))
	return err
}

func (p *params) readForm(body []byte) error {
	f, err := url.ParseQuery(string(body))
	if err != nil {
		return errs.New(errs.Malformed, "the form body cannot be read: check its %%-escapes")
	}
	p.addText(f)
	return nil
}

func (p *params) addText(f url.Values) {
	for k, vs := range f {
		p.text[k] = append(p.text[k], vs...)
	}
}

// BodyError says what was wrong when a request's body could not be read: errs.TooLarge beyond the endpoint's
// bound, errs.Malformed when it ended early.
func BodyError(err error) error {
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return errs.New(errs.TooLarge, "the body is larger than the %d bytes that this address takes", tooBig.Limit)
	}
	return errs.Wrap(errs.Malformed, err, "the body ended early or arrived too slowly; send it again")
}

// bind fills v (a struct, map or slice) from the parameters and collects every wrong field.
func bind(v reflect.Value, r *http.Request, p params, lenient bool) error {
	switch v.Kind() {
	case reflect.Slice:
		if p.list == nil {
			return errs.New(errs.Malformed, "send a JSON array as the body")
		}
		return bindList(v, p.list)
	case reflect.Map:
		return bindMap(v, p)
	}
	if p.list != nil {
		return errs.New(errs.Malformed, "the JSON body must be an object, not an array")
	}
	b := binder{req: r, p: p, known: map[string]bool{}}
	b.fill(v)
	if !lenient {
		b.refuseUnknown()
	}
	return b.result()
}

func bindMap(v reflect.Value, p params) error {
	m := map[string]json.RawMessage{}
	for k, vs := range p.text {
		m[k], _ = json.Marshal(vs[len(vs)-1])
	}
	for k, raw := range p.json {
		m[k] = raw
	}
	v.Set(reflect.ValueOf(m).Convert(v.Type()))
	return nil
}

// bindList decodes each element strictly; the error names the element by its index.
func bindList(v reflect.Value, raw json.RawMessage) error {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return errs.Wrap(errs.Malformed, err, "the body is not a JSON array")
	}
	out := reflect.MakeSlice(v.Type(), len(items), len(items))
	var bad []errs.Field
	for i, item := range items {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(item, &fields); err != nil || fields == nil {
			bad = append(bad, errs.Field{Field: fmt.Sprintf("[%d]", i), Detail: "must be a JSON object"})
			continue
		}
		b := binder{p: params{json: fields}, known: map[string]bool{}}
		b.fill(out.Index(i))
		b.refuseUnknown()
		for _, f := range b.bad {
			bad = append(bad, errs.Field{Field: fmt.Sprintf("[%d].%s", i, f.Field), Detail: f.Detail})
		}
		if len(bad) > 20 {
			break
		}
	}
	if len(bad) > 0 {
		return &errs.Error{Kind: errs.Invalid, Detail: bad[0].Field + " " + bad[0].Detail, Fields: bad}
	}
	v.Set(out)
	return nil
}

type binder struct {
	req   *http.Request
	p     params
	known map[string]bool
	bad   []errs.Field
}

func (b *binder) wrong(field, format string, args ...any) {
	b.bad = append(b.bad, errs.Field{Field: field, Detail: fmt.Sprintf(format, args...)})
}

func (b *binder) result() error {
	if len(b.bad) == 0 {
		return nil
	}
	return &errs.Error{Kind: errs.Invalid, Detail: b.bad[0].Field + " " + b.bad[0].Detail, Fields: b.bad}
}

func (b *binder) refuseUnknown() {
	var names []string
	for k := range b.p.json {
		names = append(names, k)
	}
	for k := range b.p.text {
		names = append(names, k)
	}
	slices.Sort(names)
	for _, k := range slices.Compact(names) {
		if !b.known[k] && len(b.bad) < 20 {
			b.wrong(clip(k), "is not a parameter of this address")
		}
	}
}

func (b *binder) fill(v reflect.Value) {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			b.fill(v.Field(i))
			continue
		}
		if name := f.Tag.Get("path"); name != "" {
			if err := setText(v.Field(i), b.req.PathValue(name)); err != nil {
				b.wrong(name, "%s", err)
			}
			b.bounds(name, f, v.Field(i))
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		b.known[name] = true
		b.field(name, f, v.Field(i))
	}
}

func (b *binder) field(name string, f reflect.StructField, v reflect.Value) {
	raw, inJSON := b.p.json[name]
	texts := b.p.text[name]
	required := f.Tag.Get("web") == "required"
	switch {
	case inJSON && len(texts) > 0:
		b.wrong(name, "is given in the query and in the body; give it once")
		return
	case inJSON && string(raw) != "null":
		if err := setJSON(v, raw); err != nil {
			b.wrong(name, "%s", err)
			return
		}
	case len(texts) > 0 && !emptyForm(texts, v):
		if err := setTexts(v, texts); err != nil {
			b.wrong(name, "%s", err)
			return
		}
	default:
		if required {
			b.wrong(name, "is required")
		}
		return
	}
	if required && v.Kind() == reflect.String && strings.TrimSpace(v.String()) == "" {
		b.wrong(name, "is required and must not be empty")
		return
	}
	b.bounds(name, f, v)
}

// emptyForm is a form field that was left empty where a number or choice belongs: not given.
func emptyForm(texts []string, v reflect.Value) bool {
	return len(texts) == 1 && texts[0] == "" && v.Kind() != reflect.String && v.Kind() != reflect.Bool
}

func (b *binder) bounds(name string, f reflect.StructField, v reflect.Value) {
	lo, hi := f.Tag.Get("min"), f.Tag.Get("max")
	if lo == "" && hi == "" {
		return
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	var size float64
	unit := ""
	switch v.Kind() {
	case reflect.String:
		size, unit = float64(utf8.RuneCountInString(v.String())), " characters"
	case reflect.Slice, reflect.Map:
		size, unit = float64(v.Len()), " entries"
	case reflect.Int, reflect.Int64, reflect.Int32:
		size = float64(v.Int())
	case reflect.Float64:
		size = v.Float()
	default:
		return
	}
	if n, err := strconv.ParseFloat(lo, 64); err == nil && size < n {
		b.wrong(name, "must be at least %s%s", lo, unit)
	}
	if n, err := strconv.ParseFloat(hi, 64); err == nil && size > n {
		b.wrong(name, "must be at most %s%s", hi, unit)
	}
}

// plainJSON sets what most fields are, a text without escapes or an integer, with less work; false for all else.
func plainJSON(v reflect.Value, raw json.RawMessage) bool {
	switch v.Type() {
	case reflect.TypeFor[string]():
		if n := len(raw); n > 1 && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 {
			v.SetString(string(raw[1 : n-1]))
			return true
		}
	case reflect.TypeFor[int64]():
		if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
			v.SetInt(n)
			return true
		}
	}
	return false
}

// setJSON decodes one JSON value with the type's own rules, in words for the caller.
func setJSON(v reflect.Value, raw json.RawMessage) error {
	if plainJSON(v, raw) {
		return nil
	}
	if err := json.Unmarshal(raw, v.Addr().Interface()); err != nil {
		var typeErr *json.UnmarshalTypeError
		if errors.As(err, &typeErr) && v.Kind() == reflect.Slice && typeErr.Type != v.Type() {
			return fmt.Errorf("must hold nothing but what is %s, and holds a JSON %s", typeName(typeErr.Type), typeErr.Value)
		}
		if errors.As(err, &typeErr) {
			return fmt.Errorf("must be %s, not a JSON %s", typeName(v.Type()), typeErr.Value)
		}
		return err
	}
	if v.Kind() == reflect.String && strings.ContainsRune(v.String(), 0) {
		return errors.New("must not hold a NUL character")
	}
	return nil
}

func setTexts(v reflect.Value, texts []string) error {
	if _, own := v.Addr().Interface().(encoding.TextUnmarshaler); !own && v.Kind() == reflect.Slice {
		out := reflect.MakeSlice(v.Type(), 0, len(texts))
		for _, t := range texts {
			e := reflect.New(v.Type().Elem()).Elem()
			if err := setText(e, t); err != nil {
				return err
			}
			out = reflect.Append(out, e)
		}
		v.Set(out)
		return nil
	}
	for _, t := range texts[1:] {
		if t != texts[0] {
			return errors.New("is given more than once with different values")
		}
	}
	return setText(v, texts[0])
}

// setText reads one text from the query, a form or the path.
func setText(v reflect.Value, s string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(s))
	}
	switch v.Kind() {
	case reflect.Pointer:
		e := reflect.New(v.Type().Elem())
		if s == "" {
			return nil
		}
		if err := setText(e.Elem(), s); err != nil {
			return err
		}
		v.Set(e)
	case reflect.String:
		v.SetString(s)
	case reflect.Int, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || v.OverflowInt(n) {
			return errors.New("must be an integer")
		}
		v.SetInt(n)
	case reflect.Float64:
		n, err := strconv.ParseFloat(s, 64)
		if err != nil || n-n != 0 {
			return errors.New("must be a number")
		}
		v.SetFloat(n)
	case reflect.Bool:
		switch s {
		case "true", "1", "on", "yes":
			v.SetBool(true)
		case "false", "0", "off", "no", "":
			v.SetBool(false)
		default:
			return errors.New("must be true or false")
		}
	default:
		return setJSON(v, json.RawMessage(s))
	}
	return nil
}

func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.String:
		return "a string"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "an integer"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	default:
		return "an object"
	}
}

// clip shortens a stranger's text for an error message.
func clip(s string) string {
	const most = 80
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

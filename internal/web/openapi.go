package web

import (
	"cmp"
	"encoding"
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"uniqverse/templates"
)

var pathValue = regexp.MustCompile(`\{([a-z_]+)(\.\.\.)?\}`)

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return []byte(`{}`) // only plain structs of this package come here
	}
	return b
}

type object = map[string]any

// openAPI answers the document made from the endpoints themselves, so it cannot go stale.
func (h *Handler) openAPI(c *Call, w http.ResponseWriter, _ None) error {
	paths := object{}
	for _, e := range h.Endpoints() {
		p := pathValue.ReplaceAllString(e.Path, "{$1}")
		item, _ := paths[p].(object)
		if item == nil {
			item = object{}
			paths[p] = item
		}
		m := strings.ToLower(e.Method)
		if prev, ok := item[m].(object); ok && e.kind == kindView { // the page beside the API: one operation, two types
			content(prev)["text/html"] = object{"schema": object{"type": "string"}}
			continue
		} else if ok {
			op := e.operation()
			content(op)["text/html"] = object{"schema": object{"type": "string"}}
			item[m] = op
			continue
		}
		item[m] = e.operation()
	}
	doc := object{
		"openapi": "3.1.0",
		"info":    object{"title": "UniQVerse " + h.opts.Title, "version": h.opts.Version},
		"servers": []object{{"url": c.URL("/")}},
		"paths":   paths,
		"components": object{
			"securitySchemes": object{
				"bearer":  object{"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
				"query":   object{"type": "apiKey", "in": "query", "name": "access_token"},
				"session": object{"type": "apiKey", "in": "cookie", "name": "uniq_session"},
			},
			"schemas": object{"Problem": problemSchema()},
		},
	}
	c.json(http.StatusOK, mustJSON(doc))
	return nil
}

func content(op object) object {
	for _, code := range []string{"200", "201", "202"} {
		if r, ok := op["responses"].(object)[code].(object); ok {
			if _, has := r["content"]; !has {
				r["content"] = object{}
			}
			return r["content"].(object)
		}
	}
	return object{}
}

func (e Endpoint) operation() object {
	op := object{"summary": e.Summary, "operationId": operationID(e)}
	var params []object
	if e.in != nil && e.in.Kind() == reflect.Struct {
		for _, f := range fields(e.in) {
			if f.inPath || e.ownBody != nil || e.Method == http.MethodGet || e.Method == http.MethodDelete {
				params = append(params, f.parameter())
			}
		}
	}
	if len(params) > 0 {
		op["parameters"] = params
	}
	if e.ownBody != nil {
		media := object{}
		for _, t := range e.ownBody {
			media[t] = object{"schema": object{"type": "string", "format": "binary"}}
		}
		op["requestBody"] = object{"content": media, "required": true}
	} else if e.Method == http.MethodPost || e.Method == http.MethodPut || e.Method == http.MethodPatch {
		if s := bodySchema(e.in); s != nil {
			media := object{"application/json": object{"schema": s}}
			if s["type"] == "object" {
				media["application/x-www-form-urlencoded"] = object{"schema": s}
			}
			op["requestBody"] = object{"content": media}
		}
	}
	answer := object{"description": "Done"}
	switch {
	case e.kind == kindView:
		answer["content"] = object{"text/html": object{"schema": object{"type": "string"}}}
	case e.out != nil:
		answer["content"] = object{"application/json": object{"schema": schema(e.out, 0)}}
	}
	op["responses"] = object{strconv.Itoa(e.okStatus()): answer,
		"default": object{"description": "A problem", "content": object{"application/problem+json": object{"schema": object{"$ref": "#/components/schemas/Problem"}}}}}
	if !e.Access.Open {
		scopes := []string{}
		if e.Access.Scope != "" {
			scopes = append(scopes, e.Access.Scope)
		}
		op["security"] = []object{{"bearer": scopes}, {"query": scopes}, {"session": scopes}}
		op["x-scope"] = e.Access.Scope
		op["x-token-wanted"] = e.Access.Token
	}
	return op
}

func operationID(e Endpoint) string {
	return strings.Trim(strings.ToLower(e.Method)+regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(e.Path, "_"), "_")
}

type fieldDoc struct {
	name, doc        string
	inPath, required bool
	schema           object
}

func (f fieldDoc) parameter() object {
	where := "query"
	if f.inPath {
		where = "path"
	}
	p := object{"name": f.name, "in": where, "required": f.required || f.inPath, "schema": f.schema}
	if f.doc != "" {
		p["description"] = f.doc
	}
	return p
}

// fields lists what a struct is decoded from, embedded structs flattened.
func fields(t reflect.Type) []fieldDoc {
	var out []fieldDoc
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			out = append(out, fields(f.Type)...)
			continue
		}
		d := fieldDoc{name: f.Tag.Get("path"), doc: f.Tag.Get("doc"), inPath: f.Tag.Get("path") != "", required: f.Tag.Get("web") == "required"}
		if !d.inPath {
			d.name, _, _ = strings.Cut(f.Tag.Get("json"), ",")
		}
		if d.name == "" || d.name == "-" {
			continue
		}
		d.schema = bounded(schema(f.Type, 0), f)
		out = append(out, d)
	}
	return out
}

func bounded(s object, f reflect.StructField) object {
	names := map[string][2]string{"string": {"minLength", "maxLength"}, "array": {"minItems", "maxItems"}, "integer": {"minimum", "maximum"}, "number": {"minimum", "maximum"}}
	kind, _ := s["type"].(string)
	for i, tag := range []string{"min", "max"} {
		if n, err := strconv.ParseFloat(f.Tag.Get(tag), 64); err == nil && names[kind][i] != "" {
			s[names[kind][i]] = n
		}
	}
	return s
}

func bodySchema(t reflect.Type) object {
	switch {
	case t == nil || t == reflect.TypeFor[None]():
		return nil
	case t.Kind() == reflect.Slice:
		return object{"type": "array", "items": bodySchema(t.Elem())}
	case t.Kind() != reflect.Struct:
		return object{"type": "object"}
	}
	props, required := object{}, []string{}
	for _, f := range fields(t) {
		if f.inPath {
			continue
		}
		if f.doc != "" {
			f.schema["description"] = f.doc
		}
		props[f.name] = f.schema
		if f.required {
			required = append(required, f.name)
		}
	}
	if len(props) == 0 {
		return nil
	}
	s := object{"type": "object", "properties": props, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

// schema describes how a Go type looks as JSON; depth bounds recursive types.
func schema(t reflect.Type, depth int) object {
	if depth > 6 {
		return object{}
	}
	if s, ok := reflect.Zero(t).Interface().(interface{ Schema() map[string]any }); ok {
		return s.Schema()
	}
	switch {
	case t == reflect.TypeFor[time.Time]() || t.Name() == "Time":
		return object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[json.RawMessage]():
		return object{}
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schema(t.Elem(), depth)
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int32, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Float64, reflect.Float32:
		return object{"type": "number"}
	case reflect.Slice, reflect.Array:
		return object{"type": "array", "items": schema(t.Elem(), depth+1)}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": schema(t.Elem(), depth+1)}
	case reflect.Struct:
		props := object{}
		structProps(t, props, depth)
		return object{"type": "object", "properties": props}
	}
	return object{}
}

func structProps(t reflect.Type, props object, depth int) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			structProps(f.Type, props, depth)
		case name != "-" && f.IsExported():
			if name == "" {
				name = f.Name
			}
			props[name] = schema(f.Type, depth+1)
		}
	}
}

func problemSchema() object {
	return object{"type": "object", "required": []string{"title", "status", "detail"}, "properties": object{
		"type": object{"type": "string"}, "title": object{"type": "string"}, "status": object{"type": "integer"}, "detail": object{"type": "string"},
		"request_id": object{"type": "string"},
		"errors": object{"type": "array", "items": object{"type": "object", "properties": object{
			"field": object{"type": "string"}, "detail": object{"type": "string"}}}},
	}}
}

// The groups of docs that are not the first part of a path.
const (
	docPages  = "pages"
	docCommon = "on every service"
)

// docs is the page that shows the same to people, grouped by the first part of the path.
func (h *Handler) docs(c *Call, _ None) (Page, error) {
	v := templates.DocsView{Name: "UniQVerse " + h.opts.Title, Version: h.opts.Version, BaseURL: scheme(c.Request) + "://" + c.Request.Host + c.Prefix, SpecURL: "/openapi.json",
		Description: "Send parameters as JSON, as a form or in the query. Errors are problem documents (RFC 9457). A POST that changes something takes an Idempotency-Key."}
	groups := map[string][]templates.Endpoint{}
	for _, e := range h.Endpoints() {
		name := strings.Split(strings.TrimPrefix(e.Path, "/"), "/")[0]
		switch {
		case e.kind == kindView:
			name = docPages
		case name == "" || name[0] == '.' || name == "health" || name == "metrics" || name == "openapi.json":
			name = docCommon
		}
		groups[name] = append(groups[name], e.doc())
	}
	names := make([]string, 0, len(groups))
	for n := range groups {
		names = append(names, n)
	}
	last := map[string]int{docPages: 1, docCommon: 2} // what every service has comes last
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(last[a]-last[b], strings.Compare(a, b)) })
	for _, n := range names {
		v.Groups = append(v.Groups, templates.DocGroup{Name: n, Endpoints: groups[n]})
	}
	return Page{Template: templates.PageDocs, Title: v.Name + " API", Data: v}, nil
}

func (e Endpoint) doc() templates.Endpoint {
	d := templates.Endpoint{Method: e.Method, Path: e.Path, Summary: e.Summary, Scope: e.Access.Scope}
	if e.in != nil && e.in.Kind() == reflect.Struct {
		for _, f := range fields(e.in) {
			in := "query or body"
			if f.inPath {
				in = "path"
			} else if e.Method == http.MethodGet || e.ownBody != nil {
				in = "query"
			}
			typ, _ := f.schema["type"].(string)
			d.Params = append(d.Params, templates.Param{Name: f.name, In: in, Type: typ, Required: f.required || f.inPath, Description: f.doc})
		}
	}
	slices.SortStableFunc(d.Params, func(a, b templates.Param) int { return strings.Compare(b.In, a.In) })
	return d
}

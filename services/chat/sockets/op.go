package sockets

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// op is the request that an operation over a socket stands for.
type op struct {
	method string
	path   string   // with {room_id} and other fields
	query  []string // fields that go into the query; all others into the body
}

func ops() map[string]op {
	line := "/rooms/{room_id}/messages/{message_id}"
	return map[string]op{
		"send":     {method: http.MethodPost, path: "/rooms/{room_id}/messages"},
		"edit":     {method: http.MethodPatch, path: line},
		"delete":   {method: http.MethodDelete, path: line},
		"react":    {method: http.MethodPut, path: line + "/reactions/{emoji}"},
		"unreact":  {method: http.MethodDelete, path: line + "/reactions/{emoji}"},
		"read":     {method: http.MethodPost, path: "/rooms/{room_id}/read"},
		"typing":   {method: http.MethodPost, path: "/rooms/{room_id}/typing"},
		"history":  {method: http.MethodGet, path: "/rooms/{room_id}/messages", query: []string{"before", "after", "around", "limit", "offset"}},
		"message":  {method: http.MethodGet, path: line},
		"presence": {method: http.MethodGet, path: "/rooms/{room_id}/presence"},
		"room":     {method: http.MethodGet, path: "/rooms/{room_id}"},
		"rooms":    {method: http.MethodGet, path: "/rooms", query: []string{"kind", "q", "member", "before", "after", "limit", "offset"}},
		"ticket":   {method: http.MethodGet, path: "/tickets/{ticket_id}"},
		"unread":   {method: http.MethodGet, path: "/unread"},
	}
}

// Knows reports whether there is such an operation.
func (x *Session) Knows(name string) bool {
	_, ok := x.srv.ops[name]
	return ok
}

// Do serves an operation with these fields (which it takes apart) as the request that it stands for.
func (x *Session) Do(name string, fields map[string]json.RawMessage) (web.Reply, error) {
	o, ok := x.srv.ops[name]
	if !ok {
		return web.Reply{}, errs.New(errs.NotFound, "there is no operation %.40q", name)
	}
	path, err := o.fill(fields)
	if err != nil {
		return web.Reply{}, err
	}
	var body []byte
	if len(fields) > 0 {
		body, _ = json.Marshal(fields) // it was JSON before
	}
	reply := x.Visitor.Ask(x.Ctx, o.method, path, body, nil)
	if e := reply.Err(); e != nil {
		return reply, e
	}
	return reply, nil
}

// fill makes the path of a request, and takes what went into it out of the fields.
func (o op) fill(fields map[string]json.RawMessage) (string, error) {
	path := o.path
	for _, name := range []string{"room_id", "message_id", "ticket_id", "emoji"} {
		mark := "{" + name + "}"
		if !strings.Contains(path, mark) {
			continue
		}
		value, err := text(name, fields)
		if err != nil {
			return "", err
		}
		if slices.Contains([]string{"", ".", ".."}, value) {
			return "", errs.Missing(name)
		}
		path = strings.ReplaceAll(path, mark, url.PathEscape(value))
	}
	q := url.Values{}
	for _, name := range o.query {
		value, err := text(name, fields)
		if err != nil {
			return "", err
		}
		if value != "" {
			q.Set(name, value)
		}
	}
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return path, nil
}

// text takes a text or a number out of the fields; "" when it is not there.
func text(name string, fields map[string]json.RawMessage) (string, error) {
	raw, ok := fields[name]
	if !ok {
		return "", nil
	}
	delete(fields, name)
	var s string
	var n json.Number
	switch {
	case json.Unmarshal(raw, &s) == nil:
		return s, nil
	case json.Unmarshal(raw, &n) == nil:
		return n.String(), nil
	}
	return "", errs.BadField(name, "must be a number or a text")
}

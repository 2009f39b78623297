// Package form is what the endpoints behind the forms of pages have in common: where a browser goes afterwards, and what
// a refused form says.
//
// It renders nothing and knows no page. Its functions keep no state and are safe for concurrent use.
package form

import (
	"errors"
	"net/url"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// BackTo is for Redirect: the path of a page, with those of the named fields that the form had.
func BackTo(path string, keep ...string) func(*web.Call, any) string {
	return func(c *web.Call, _ any) string {
		q := url.Values{}
		for _, name := range keep {
			if v := c.Form(name); v != "" {
				q.Set(name, v)
			}
		}
		if len(q) == 0 {
			return path
		}
		return path + "?" + q.Encode()
	}
}

// Errors is for Retry: what to say beside each field of a refused form, and under "" above it. It is nil when the form is
// not what is wrong.
func Errors(err error) map[string]string {
	var e *errs.Error
	if !errors.As(err, &e) || e.Kind != errs.Invalid && e.Kind != errs.Conflict {
		return nil
	}
	out := map[string]string{}
	for _, f := range e.Fields {
		out[f.Field] = f.Detail
	}
	if len(out) == 0 {
		out[""] = e.Detail
	}
	return out
}

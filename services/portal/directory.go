package portal

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"

	"uniqverse/internal/errs"
)

//go:embed services.json
var embedded []byte

// Entry is one service of the Helm directory.
type Entry struct {
	Name        string  `json:"name"` // the name in the registry and in /proxy/<name>/
	Title       string  `json:"title,omitempty"`
	Category    string  `json:"category,omitempty"`
	Description string  `json:"description,omitempty"`
	Href        string  `json:"href,omitempty"` // a service that is only linked to: an absolute address; no health is asked
	URL         string  `json:"url,omitempty"`  // the same under another name
	Links       []Route `json:"links,omitempty"`
}

// Route is a page of a service.
type Route struct {
	Label string `json:"label"`
	Href  string `json:"href"`
}

// directory is the embedded list with the user's entries after it; an entry with a name that
// is there already takes its place.
func directory(more []string) ([]Entry, error) {
	var list []Entry
	for i, raw := range append([]string{string(embedded)}, more...) {
		if raw == "" {
			continue
		}
		var entries []Entry
		if err := json.Unmarshal([]byte(raw), &entries); err != nil {
			return nil, errs.Wrap(errs.Invalid, err, "the service directory cannot be read (list %d); it is a JSON list of {\"name\", \"title\", \"href\", …}", i)
		}
		for _, e := range entries {
			if err := e.check(); err != nil {
				return nil, err
			}
			at := slices.IndexFunc(list, func(o Entry) bool { return o.Name == e.Name })
			if at < 0 {
				list = append(list, e)
			} else {
				list[at] = e
			}
		}
	}
	return list, nil
}

func (e *Entry) check() error {
	if e.Name == "" {
		return errs.New(errs.Invalid, "an entry of the service directory has no name")
	}
	if e.Href == "" {
		e.Href = e.URL
	}
	if e.Href != "" {
		u, err := url.Parse(e.Href)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return fmt.Errorf("entry %q of the service directory: href must be an http or https address, not %q", e.Name, e.Href)
		}
	}
	if e.Title == "" {
		e.Title = e.Name
	}
	if e.Category == "" {
		e.Category = "other"
	}
	return nil
}

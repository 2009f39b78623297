package proto

import (
	"encoding/json"
	"slices"
	"sort"
)

// GetArgs are the arguments of Foo/get.
type GetArgs struct {
	AccountID  string    `json:"accountId" jmap:"required"`
	IDs        *[]string `json:"ids"`
	Properties *[]string `json:"properties"`
}

// GetResult is the answer to Foo/get.
type GetResult struct {
	AccountID string           `json:"accountId"`
	State     string           `json:"state"`
	List      []map[string]any `json:"list"`
	NotFound  []string         `json:"notFound"`
}

// Wanted returns the ids asked for, each once, with creation ids resolved; all is true when everything is wanted.
// Beyond MaxObjectsInGet it is requestTooLarge.
func (c *Call) Wanted(ids *[]string) (list []string, all bool, err *Error) {
	if ids == nil {
		return nil, true, nil
	}
	if len(*ids) > c.Limits.MaxObjectsInGet {
		return nil, false, Fail("requestTooLarge", "at most %d objects are returned at a time", c.Limits.MaxObjectsInGet)
	}
	seen := map[string]bool{}
	for _, text := range *ids {
		id, ok := c.ID(text)
		if !ok {
			id = text
		} else if !ValidID(id) && text[:min(1, len(text))] != "#" {
			return nil, false, InvalidArguments("ids has %.60q, which is no id", text)
		}
		if !seen[id] {
			seen[id] = true
			list = append(list, id)
		}
	}
	return list, false, nil
}

// Properties returns the properties asked for, or all of them; id is always among them. One that is not known is
// invalidArguments.
func Properties(asked *[]string, known []string) ([]string, *Error) {
	if asked == nil {
		return known, nil
	}
	out := []string{"id"}
	for _, p := range *asked {
		if !slices.Contains(known, p) {
			return nil, InvalidArguments("properties has %.60q, which this type does not have", p)
		}
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out, nil
}

// Only keeps the members of an object that are asked for.
func Only(object map[string]any, properties []string) map[string]any {
	out := make(map[string]any, len(properties))
	for _, p := range properties {
		if v, ok := object[p]; ok {
			out[p] = v
		}
	}
	return out
}

// SetArgs are the arguments of Foo/set.
type SetArgs struct {
	AccountID string            `json:"accountId" jmap:"required"`
	IfInState *string           `json:"ifInState"`
	Create    map[string]Object `json:"create"`
	Update    map[string]Object `json:"update"`
	Destroy   []string          `json:"destroy"`
}

// SetResult is the answer to Foo/set. Make one with NewSet.
type SetResult struct {
	AccountID    string                    `json:"accountId"`
	OldState     string                    `json:"oldState"`
	NewState     string                    `json:"newState"`
	Created      map[string]map[string]any `json:"created"`
	Updated      map[string]map[string]any `json:"updated"`
	Destroyed    []string                  `json:"destroyed"`
	NotCreated   map[string]*SetError      `json:"notCreated"`
	NotUpdated   map[string]*SetError      `json:"notUpdated"`
	NotDestroyed map[string]*SetError      `json:"notDestroyed"`
}

// Refused notes why something was not done in one of the Not maps, which is made when it is needed.
func Refused(in *map[string]*SetError, key string, err *SetError) {
	if *in == nil {
		*in = map[string]*SetError{}
	}
	(*in)[key] = err
}

// Done notes what was done in one of the maps, which is made when it is needed; nil members are allowed.
func Done(in *map[string]map[string]any, key string, members map[string]any) {
	if *in == nil {
		*in = map[string]map[string]any{}
	}
	(*in)[key] = members
}

// CheckSet holds the arguments to the limits and to the form that they have: beyond MaxObjectsInSet it is
// requestTooLarge, an object that is null invalidArguments.
func (c *Call) CheckSet(a *SetArgs) *Error {
	if n := len(a.Create) + len(a.Update) + len(a.Destroy); n > c.Limits.MaxObjectsInSet {
		return Fail("requestTooLarge", "at most %d objects are changed at a time", c.Limits.MaxObjectsInSet)
	}
	for k, o := range a.Create {
		if o == nil || !ValidID(k) {
			return InvalidArguments("create must hold objects by ids of the client's choice")
		}
	}
	for _, o := range a.Update {
		if o == nil {
			return InvalidArguments("update must hold patches by id")
		}
	}
	return nil
}

// Keys returns the keys of a map, sorted: a request is worked off in the same order each time.
func Keys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// Targets returns what an update or a destroy is about: the ids behind the given texts, in order; what a text stands for, if
// anything.
func (c *Call) Targets(texts []string) map[string]string {
	out := make(map[string]string, len(texts))
	for _, t := range texts {
		if id, ok := c.ID(t); ok {
			out[t] = id
		} else {
			out[t] = ""
		}
	}
	return out
}

// ChangesArgs are the arguments of Foo/changes.
type ChangesArgs struct {
	AccountID  string `json:"accountId" jmap:"required"`
	SinceState string `json:"sinceState" jmap:"required"`
	MaxChanges *int64 `json:"maxChanges"`
}

// Check refuses a maxChanges below 1.
func (a *ChangesArgs) Check() *Error {
	if a.MaxChanges != nil && *a.MaxChanges < 1 {
		return InvalidArguments("maxChanges must be above 0")
	}
	return nil
}

// The kinds of a Change.
const (
	Created = iota
	Updated
	Destroyed
)

// Change is what happened to an object, at which point of its account's counter.
type Change struct {
	ID   string
	At   int64
	Kind int
}

// ChangesResult is the answer to Foo/changes.
type ChangesResult struct {
	AccountID      string   `json:"accountId"`
	OldState       string   `json:"oldState"`
	NewState       string   `json:"newState"`
	HasMoreChanges bool     `json:"hasMoreChanges"`
	Created        []string `json:"created"`
	Updated        []string `json:"updated"`
	Destroyed      []string `json:"destroyed"`
}

// Page cuts changes to maxChanges (nil for all) and returns them with the state up to which they go: now, unless there are
// more. Changes of one point stay together; more of them than fit are cannotCalculateChanges.
func Page(changes []Change, most *int64, now int64) (page []Change, upTo int64, more bool, err *Error) {
	sort.SliceStable(changes, func(i, j int) bool { return changes[i].At < changes[j].At })
	if most == nil || int64(len(changes)) <= *most {
		return changes, now, false, nil
	}
	n := int(*most)
	for n > 0 && changes[n-1].At == changes[n].At {
		n--
	}
	if n == 0 {
		return nil, 0, false, Fail("cannotCalculateChanges", "more changed at one time than maxChanges allows")
	}
	return changes[:n], changes[n-1].At, true, nil
}

// Fill sorts changes into the lists of the answer.
func (r *ChangesResult) Fill(changes []Change) {
	r.Created, r.Updated, r.Destroyed = []string{}, []string{}, []string{}
	for _, c := range changes {
		switch c.Kind {
		case Created:
			r.Created = append(r.Created, c.ID)
		case Updated:
			r.Updated = append(r.Updated, c.ID)
		case Destroyed:
			r.Destroyed = append(r.Destroyed, c.ID)
		}
	}
}

// QueryArgs are the arguments of Foo/query, but for filter and sort, whose form depends on the type.
type QueryArgs struct {
	AccountID      string            `json:"accountId" jmap:"required"`
	Filter         json.RawMessage   `json:"filter"`
	Sort           []json.RawMessage `json:"sort"`
	Position       int64             `json:"position"`
	Anchor         *string           `json:"anchor"`
	AnchorOffset   int64             `json:"anchorOffset"`
	Limit          *int64            `json:"limit"`
	CalculateTotal bool              `json:"calculateTotal"`
}

// QueryResult is the answer to Foo/query.
type QueryResult struct {
	AccountID           string   `json:"accountId"`
	QueryState          string   `json:"queryState"`
	CanCalculateChanges bool     `json:"canCalculateChanges"`
	Position            int64    `json:"position"`
	IDs                 []string `json:"ids"`
	Total               *int64   `json:"total,omitempty"`
	Limit               *int64   `json:"limit,omitempty"`
}

// Window cuts the list of all results to what was asked for: by position, or around an anchor. most is the server's own
// limit.
func (a *QueryArgs) Window(all []string, most int64, out *QueryResult) *Error {
	limit := most
	if a.Limit != nil {
		if *a.Limit < 0 {
			return InvalidArguments("limit must not be negative")
		}
		limit = min(*a.Limit, most)
	}
	if a.Limit == nil || *a.Limit > most {
		out.Limit = &most
	}
	n := int64(len(all))
	from := a.Position
	switch {
	case a.Anchor != nil:
		i := slices.Index(all, *a.Anchor)
		if i < 0 {
			return Fail("anchorNotFound", "the anchor is not among the results")
		}
		from = max(0, int64(i)+a.AnchorOffset)
	case from < 0:
		from = max(0, n+from)
	}
	out.Position = min(from, n)
	if from > n {
		out.Position = from
	}
	out.IDs = []string{}
	if from < n {
		end := min(n, from+limit)
		out.IDs = all[from:end]
	}
	if a.CalculateTotal {
		out.Total = &n
	}
	return nil
}

// Comparator is one level of a sort.
type Comparator struct {
	Property    string  `json:"property" jmap:"required"`
	IsAscending *bool   `json:"isAscending"`
	Collation   *string `json:"collation"`
	Keyword     *string `json:"keyword"`
}

// Descending reports the direction.
func (c Comparator) Descending() bool { return c.IsAscending != nil && !*c.IsAscending }

// Comparators reads a sort. A collation that is not among the known ones is unsupportedSort.
func Comparators(list []json.RawMessage, collations []string) ([]Comparator, *Error) {
	var out []Comparator
	for _, raw := range list {
		var members Object
		if json.Unmarshal(raw, &members) != nil || members == nil {
			return nil, InvalidArguments("sort must be a list of comparators")
		}
		var c Comparator
		if err := Decode(members, &c); err != nil {
			return nil, InvalidArguments("sort: %s", err.Description)
		}
		if c.Collation != nil && !slices.Contains(collations, *c.Collation) {
			return nil, Fail("unsupportedSort", "the collation %.60q is not known", *c.Collation)
		}
		out = append(out, c)
	}
	return out, nil
}

// QueryChangesArgs are the arguments of Foo/queryChanges, but for filter and sort.
type QueryChangesArgs struct {
	AccountID       string            `json:"accountId" jmap:"required"`
	Filter          json.RawMessage   `json:"filter"`
	Sort            []json.RawMessage `json:"sort"`
	SinceQueryState string            `json:"sinceQueryState" jmap:"required"`
	MaxChanges      *int64            `json:"maxChanges"`
	UpToID          *string           `json:"upToId"`
	CalculateTotal  bool              `json:"calculateTotal"`
}

// Added is one place of a list that was filled since.
type Added struct {
	ID    string `json:"id"`
	Index int    `json:"index"`
}

// QueryChangesResult is the answer to Foo/queryChanges.
type QueryChangesResult struct {
	AccountID     string   `json:"accountId"`
	OldQueryState string   `json:"oldQueryState"`
	NewQueryState string   `json:"newQueryState"`
	Total         *int64   `json:"total,omitempty"`
	Removed       []string `json:"removed"`
	Added         []Added  `json:"added"`
}

// Fill works out what to take out of an older list, and what to put where, so that it becomes the current one. touched are
// the ids, there or gone, whose place may be another one; fresh are those that cannot have been in the older list.
func (r *QueryChangesResult) Fill(now []string, touched map[string]bool, fresh map[string]bool, most *int64) *Error {
	r.Removed, r.Added = []string{}, []Added{}
	for _, id := range Keys(touched) {
		if !fresh[id] {
			r.Removed = append(r.Removed, id)
		}
	}
	for i, id := range now {
		if touched[id] {
			r.Added = append(r.Added, Added{id, i})
		}
	}
	if most != nil && int64(len(r.Removed)+len(r.Added)) > *most {
		return Fail("tooManyChanges", "there are more changes than maxChanges allows")
	}
	return nil
}

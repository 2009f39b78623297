package record

import "time"

// Query chooses messages of a mailbox, in an order.
type Query struct {
	Mailbox  int64
	Filter   *Filter // nil is everything
	Sort     []Sort
	Collapse bool // only the first of each thread
	// Limit and Offset are a window; Limit 0 is all. Not with Collapse.
	Limit, Offset int64
}

// Found is one result.
type Found struct{ ID, Thread int64 }

// The operators of a Filter.
const (
	All  = "AND"
	Any  = "OR"
	None = "NOT"
)

// Filter is a tree of conditions: an operator over others, or one condition.
type Filter struct {
	Op    string // "" for a condition
	Inner []*Filter
	Is    Condition
}

// The fields of a Condition.
const (
	InFolder      = "folder"
	NotOnlyIn     = "elsewhere" // in a folder that is none of these
	Before        = "before"
	Since         = "since"
	MinSize       = "minSize"
	MaxSize       = "maxSize"
	Keyword       = "keyword"
	NoKeyword     = "noKeyword"
	ThreadAll     = "threadAll"
	ThreadSome    = "threadSome"
	ThreadNone    = "threadNone"
	HasAttachment = "attachment"
	TextFrom      = "from"
	TextTo        = "to"
	TextCc        = "cc"
	TextBcc       = "bcc"
	TextSubject   = "subject"
	TextBody      = "body"
	TextAny       = "text"
	HasHeader     = "header"
)

// Condition holds of a message or not. Which of the values count depends on the field.
type Condition struct {
	Field   string
	Folders []int64
	At      time.Time
	Size    int64
	Keyword string // in lower case
	Yes     bool
	Words   []string // in lower case: all of them, anywhere
	Header  string   // name, in lower case
	Also    []int64  // messages that the full-text index does not know yet, and that have the words
}

// The orders of a Sort.
const (
	ByReceived   = "received"
	BySent       = "sent"
	BySize       = "size"
	ByFrom       = "from"
	ByTo         = "to"
	BySubject    = "subject"
	ByKeyword    = "keyword"
	ByThreadAll  = "threadAll"
	ByThreadSome = "threadSome"
)

// Sort is one level of an order.
type Sort struct {
	By         string
	Keyword    string
	Descending bool
}

// NeedsHeads reports whether a query can be answered only when the heads of all messages are kept.
func (q Query) NeedsHeads() bool {
	for _, s := range q.Sort {
		switch s.By {
		case BySize, ByFrom, ByTo, BySubject:
			return true
		}
	}
	return q.Filter.needsHeads()
}

func (f *Filter) needsHeads() bool {
	if f == nil {
		return false
	}
	for _, inner := range f.Inner {
		if inner.needsHeads() {
			return true
		}
	}
	switch f.Is.Field {
	case MinSize, MaxSize, TextFrom, TextTo, TextCc, TextBcc, TextSubject, TextAny, HasHeader:
		return true
	}
	return false
}

// Each calls fn for every condition of the tree.
func (f *Filter) Each(fn func(c *Condition)) {
	if f == nil {
		return
	}
	for _, inner := range f.Inner {
		inner.Each(fn)
	}
	if f.Op == "" {
		fn(&f.Is)
	}
}

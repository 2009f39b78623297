package rules

import (
	"slices"
	"strings"
	"sync"

	"uniqverse/services/email/spam"
)

// Facts are what rules can ask of a message.
type Facts struct {
	From       []string // the authors' addresses, and their names with them
	To         []string // of To and Cc
	Recipient  string   // the address that the message was sent to: it shows the alias that was used
	Subject    string
	ListID     string
	Files      []string // names of attachments
	Attachment bool
	Size       int64
	Score      float64
	Junk       bool
	SPF        string
	DKIM       string
	DMARC      string

	// Sample reads the text and all fields; it is called when a rule asks for them.
	Sample func() spam.Sample
}

func (f *Facts) auth(check string) string {
	return map[string]string{"spf": f.SPF, "dkim": f.DKIM, "dmarc": f.DMARC}[check]
}

// texts returns what a condition is to be compared with.
func (f *Facts) texts(c Condition) []string {
	switch c.Field {
	case "from":
		return f.From
	case "to":
		return f.To
	case "recipient":
		return []string{f.Recipient}
	case "subject":
		return []string{f.Subject}
	case "list_id":
		return []string{f.ListID}
	case "file":
		return f.Files
	case "body":
		return []string{f.Sample().Text}
	}
	var out []string
	for _, field := range f.Sample().Fields {
		if strings.EqualFold(field.Name, c.Header) {
			out = append(out, field.Value)
		}
	}
	return out
}

// Hit is a rule that held.
type Hit struct {
	Rule    int64    `json:"rule"` // 0 for one that is only tried
	Name    string   `json:"name"`
	Actions []string `json:"actions"` // what it does
}

// Plan is what rules want done with a message.
type Plan struct {
	Move     string // where to; "" is where it would be anyway. RoleTrash for the trash
	Labels   []string
	Star     bool
	Read     bool
	Redirect []string
	Hits     []Hit
}

// ToTrash is the Plan's Move of a message that is thrown away.
const ToTrash = "trash"

// Empty reports whether nothing is to be done.
func (p Plan) Empty() bool { return len(p.Hits) == 0 }

// compiled is a rule that can be asked.
type compiled struct {
	Rule
	tests []test
	text  string // what it was made from
}

func compile(r Rule) (compiled, error) {
	c := compiled{Rule: r, text: fingerprint(r)}
	for _, cond := range r.Conditions {
		t, err := cond.compile()
		if err != nil {
			return c, err
		}
		c.tests = append(c.tests, t)
	}
	return c, nil
}

// fingerprint is all of a rule that compile looks at.
func fingerprint(r Rule) string {
	var b strings.Builder
	for _, c := range r.Conditions {
		b.WriteString(c.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// holds asks the conditions, as many as are needed.
func (c *compiled) holds(f *Facts) bool {
	for _, t := range c.tests {
		if t(f) == c.Any {
			return c.Any
		}
	}
	return !c.Any
}

// run asks rules in their order.
func run(list []compiled, f *Facts) (p Plan) {
	for i := range list {
		r := &list[i]
		if f.Junk && !r.asksJunk() || !r.holds(f) {
			continue
		}
		hit, stop := Hit{Rule: r.ID, Name: r.Name}, false
		for _, a := range r.Actions {
			hit.Actions = append(hit.Actions, a.String())
			switch a.Do {
			case "move":
				if p.Move == "" {
					p.Move = a.Value
				}
			case "trash":
				if p.Move == "" {
					p.Move = ToTrash
				}
			case "label":
				if !slices.Contains(p.Labels, a.Value) {
					p.Labels = append(p.Labels, a.Value)
				}
			case "star":
				p.Star = true
			case "read":
				p.Read = true
			case "redirect":
				if !slices.Contains(p.Redirect, a.Value) {
					p.Redirect = append(p.Redirect, a.Value)
				}
			case "stop":
				stop = true
			}
		}
		p.Hits = append(p.Hits, hit)
		if stop {
			break
		}
	}
	return p
}

// maxCached is how many rules are kept ready.
const maxCached = 5000

// cache keeps rules ready: an expression need not be read for each message.
type cache struct {
	mu   sync.Mutex // guards byID
	byID map[int64]compiled
}

// ready returns rules that can be asked. One that does not compile any more is left out: it was checked when it was saved.
func (c *cache) ready(list []Rule) []compiled {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID == nil || len(c.byID) > maxCached {
		c.byID = map[int64]compiled{}
	}
	out := make([]compiled, 0, len(list))
	for _, r := range list {
		have, ok := c.byID[r.ID]
		if !ok || have.text != fingerprint(r) {
			var err error
			if have, err = compile(r); err != nil {
				continue
			}
			c.byID[r.ID] = have
		}
		have.Rule = r
		out = append(out, have)
	}
	return out
}

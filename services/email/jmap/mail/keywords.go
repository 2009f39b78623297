package mail

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"uniqverse/services/email/jmap/proto"
	"uniqverse/services/email/mailbox"
)

// The bounds of keywords: of all on a message, and of those that can be labels.
const (
	maxKeywords  = 40
	maxLabels    = 20
	maxLabelSize = 64
)

// validKeyword reports whether a text is a keyword (RFC 8621 section 4.1.1).
func validKeyword(k string) bool {
	bad := strings.ContainsFunc(k, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`(){]%*"\`, r) })
	return k != "" && len(k) <= 255 && !bad
}

// keywordsOf is a message's keywords as clients see them.
func keywordsOf(m mailbox.Message) map[string]bool {
	out := map[string]bool{}
	if !m.Unread {
		out["$seen"] = true
	}
	if m.Starred {
		out["$flagged"] = true
	}
	for _, k := range m.Keywords {
		out[strings.ToLower(k)] = true
	}
	for _, l := range m.Labels {
		if k := strings.ToLower(l); validKeyword(k) {
			out[k] = true
		}
	}
	return out
}

// readKeywords reads the property keywords.
func readKeywords(raw json.RawMessage) (map[string]bool, *proto.SetError) {
	out := map[string]bool{}
	if proto.IsNull(raw) {
		return out, nil
	}
	var given proto.Object
	if json.Unmarshal(raw, &given) != nil {
		return nil, proto.InvalidProperties([]string{"keywords"}, "keywords must be an object")
	}
	for k, v := range given {
		if string(v) != "true" {
			return nil, proto.InvalidProperties([]string{"keywords"}, "a keyword is true or not there")
		}
		if !validKeyword(k) {
			return nil, proto.InvalidProperties([]string{"keywords"}, "%.60q is no keyword", k)
		}
		out[strings.ToLower(k)] = true
	}
	if len(out) > maxKeywords {
		return nil, proto.Refuse("tooManyKeywords", "a message has at most %d keywords", maxKeywords)
	}
	return out, nil
}

// marked is how keywords are kept.
type marked struct {
	unread, starred  bool
	keywords, labels []string
}

// mark turns keywords into what is kept. Labels that stay keep their case; those that no keyword can name stay.
func mark(words map[string]bool, labels []string) marked {
	out := marked{unread: !words["$seen"], starred: words["$flagged"], keywords: []string{}, labels: []string{}}
	has := map[string]bool{}
	for _, l := range labels {
		if k := strings.ToLower(l); !validKeyword(k) || words[k] {
			out.labels = append(out.labels, l)
			has[k] = true
		}
	}
	for _, k := range proto.Keys(words) {
		switch {
		case k == "$seen" || k == "$flagged" || has[k]:
		case k[0] == '$' || utf8.RuneCountInString(k) > maxLabelSize || strings.Contains(k, ",") || len(out.labels) >= maxLabels:
			out.keywords = append(out.keywords, k)
		default:
			out.labels = append(out.labels, k)
		}
	}
	slices.Sort(out.labels)
	slices.Sort(out.keywords)
	return out
}

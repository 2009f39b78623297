package mime

import (
	"slices"
	"strings"
)

// MessageIDs reads the Message-IDs of a field such as References, without <>, each once, in their order. Words between
// them are passed over, as RFC 5322 section 4.5.4 wants it of old mail.
func MessageIDs(field string) []string {
	var ids []string
	for {
		_, rest, ok := strings.Cut(field, "<")
		if !ok {
			return ids
		}
		id, after, ok := strings.Cut(rest, ">")
		if !ok {
			return ids
		}
		field = after
		id = Line(id, 250)
		if id != "" && !strings.ContainsAny(id, " <") && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
}

// BaseSubject is a subject without what answering and forwarding put around it (after RFC 5256 section 2.1), in lower
// case: messages with the same one may be of one thread.
func BaseSubject(subject string) string {
	s := strings.ToLower(strings.Join(strings.Fields(subject), " "))
	for {
		before := s
		s = strings.TrimSpace(strings.TrimSuffix(s, "(fwd)"))
		s = withoutBlob(s)
		if i := strings.IndexByte(s, ':'); i > 0 {
			word := strings.TrimSpace(s[:i])
			if j := strings.IndexByte(word, '['); j > 0 && strings.HasSuffix(word, "]") { // "re[2]:"
				word = strings.TrimSpace(word[:j])
			}
			switch word {
			case "re", "fw", "fwd", "aw", "wg", "sv", "vs", "antw", "tr", "rif", "odp", "ynt":
				s = strings.TrimSpace(s[i+1:])
			}
		}
		if strings.HasPrefix(s, "[fwd:") && strings.HasSuffix(s, "]") {
			s = strings.TrimSpace(s[5 : len(s)-1])
		}
		if s == before {
			return s
		}
	}
}

// withoutBlob takes a "[list]" off the start of a subject, unless nothing would be left.
func withoutBlob(s string) string {
	if !strings.HasPrefix(s, "[") || strings.HasPrefix(s, "[fwd:") {
		return s
	}
	if i := strings.IndexByte(s, ']'); i > 0 {
		if rest := strings.TrimSpace(s[i+1:]); rest != "" {
			return rest
		}
	}
	return s
}

package mime

import "strings"

// People writes addresses as one line.
func People(list []Address) string {
	texts := make([]string, 0, len(list))
	for _, a := range list {
		texts = append(texts, a.String())
	}
	return Line(strings.Join(texts, ", "), 1000)
}

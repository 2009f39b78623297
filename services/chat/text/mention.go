package text

import (
	"strings"
	"unicode"
)

// Mentions returns the names that follow an @ in a line, in lower case, each once and in the order of the line, up
// to most+1 of them: a name begins where no word, address or other name goes on.
func Mentions(line string, most int) []string {
	if !strings.Contains(line, "@") {
		return nil
	}
	var names []string
	seen := map[string]bool{}
	before := ' '
	for i, r := range line {
		at := r == '@' && !inName(before) && before != '@'
		before = r
		if !at {
			continue
		}
		name := line[i+1:]
		if end := strings.IndexFunc(name, func(r rune) bool { return !inName(r) }); end >= 0 {
			name = name[:end]
		}
		name = strings.ToLower(strings.TrimRight(name, "._+-"))
		if name == "" || strings.ContainsRune("_.+-", rune(name[0])) || seen[name] {
			continue
		}
		seen[name] = true
		if names = append(names, name); len(names) > most {
			return names
		}
	}
	return names
}

// inName reports what may stand in the middle of a name.
func inName(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsNumber(r) || strings.ContainsRune("_.+-", r)
}

package mailstore

// ListQuery lets a test ask the engine how it reads a list.
var ListQuery = listQuery

// QueueQueries are the statements that find what is due, by name, and their parameters.
func QueueQueries() (texts map[string]string, args map[string][]any) {
	return map[string]string{"due": dueQuery, "next": nextDueQuery, "due only": dueOnlyQuery, "next only": nextDueOnlyQuery, "retire": retireQuery, "beyond": beyondQuery},
		map[string][]any{"due": fullDomains([]any{int64(1), 10}, nil), "next": fullDomains(nil, nil), "due only": {int64(1), 10, "x"}, "next only": {"x"}, "retire": {1, 2}, "beyond": {1}}
}

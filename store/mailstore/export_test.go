package mailstore

// ListQuery lets a test ask the engine how it reads a list.
var ListQuery = listQuery

// QueueQueries are the statements that find what is due, by name, and their parameters.
func QueueQueries() (texts map[string]string, args map[string][]any) {
	due := fullDomains([]any{int64(1), 10}, nil)
	return map[string]string{"due": dueQuery, "next": nextDueQuery}, map[string][]any{"due": due, "next": fullDomains(nil, nil)}
}

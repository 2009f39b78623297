package store

// EmailListQuery lets a test ask the engine how it reads a list.
var EmailListQuery = emailListQuery

// EmailQueueQueries are the statements that find what is due, by name, and their parameters.
func EmailQueueQueries() (texts map[string]string, args map[string][]any) {
	due := fullDomains([]any{int64(1), 10}, nil)
	return map[string]string{"due": emailDue, "next": emailNextDue}, map[string][]any{"due": due, "next": fullDomains(nil, nil)}
}

package statstore

// Queries are the statements that must not read messages, however many there are.
func Queries() map[string]string { return map[string]string{"one mailbox": cameTo, "all": cameAll} }

package engine

// DSN is the address of a database file.
func DSN(path string, readOnly bool) string { return sqliteDSN(path, readOnly) }

//go:build !unix

package ws

import "syscall"

// attempt is for systems on which a socket can be asked not to wait.
type attempt struct{}

func newAttempt() *attempt { return &attempt{} }

func (*attempt) tryWrite(syscall.RawConn, []byte) (n int, full bool, err error) { return 0, true, nil }

func await(syscall.RawConn) error { return nil }

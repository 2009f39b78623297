//go:build unix

package ws

import "syscall"

// attempt is a write that does not wait. Its function is made once: a worker has one for all its connections.
type attempt struct {
	data  []byte
	n     int
	err   error
	write func(fd uintptr) bool
}

func newAttempt() *attempt {
	a := &attempt{}
	a.write = func(fd uintptr) bool {
		for {
			if a.n, a.err = syscall.Write(int(fd), a.data); a.err != syscall.EINTR {
				return true
			}
		}
	}
	return a
}

// tryWrite writes what the socket takes at once; full is true when that is not all.
func (a *attempt) tryWrite(c syscall.RawConn, data []byte) (n int, full bool, err error) {
	a.data = data
	err = c.Write(a.write)
	a.data = nil
	switch {
	case err != nil:
		return 0, false, err
	case a.err == syscall.EAGAIN:
		return 0, true, nil
	case a.err != nil:
		return 0, false, a.err
	}
	return a.n, a.n < len(data), nil
}

// await returns when there is something to read, the peer went, or the read deadline passed. It needs less of
// the stack than reading does, and a goroutine that waits for months keeps what it needed.
func await(c syscall.RawConn) error { return c.Read(readable) }

func readable(fd uintptr) bool {
	var b [1]byte
	for {
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		if err != syscall.EINTR {
			return err != syscall.EAGAIN
		}
	}
}

package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

// yardServer accepts sockets without asking much, and writes to each, ten times a second, one frame of the size of a line.
func yardServer(args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s \n", ln.Addr())
	done := make(chan struct{})
	go func() { io.Copy(io.Discard, os.Stdin); close(done) }()
	conns := make([]net.Conn, 0, n)
	var mu sync.Mutex
	all := make(chan struct{})
	srv := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		mu.Lock()
		defer mu.Unlock()
		if conns = append(conns, conn); len(conns) == n {
			close(all)
		}
	})}
	go srv.Serve(ln)
	select {
	case <-all:
	case <-done:
		return nil
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for seq := 1; ; seq++ {
		select {
		case <-done:
			return srv.Close()
		case <-tick.C:
		}
		payload := fmt.Appendf(nil, `{"seq":%d,"text":"%0400d"}`, seq, 0)
		f := binary.BigEndian.AppendUint16([]byte{0x81, 126}, uint16(len(payload)))
		f = append(f, payload...)
		for _, c := range conns {
			if _, err := c.Write(f); err != nil {
				return err
			}
		}
	}
}

// yard measures a bare write.
func (b *bench) yard() error {
	s, err := start("yard", strconv.Itoa(b.sockets))
	if err != nil {
		return err
	}
	defer s.end()
	c, err := join(s.url, 0, b.sockets, "", nil)
	if err != nil {
		return err
	}
	defer c.leave()
	time.Sleep(time.Second)
	before, had := s.cpu(), c.got.Load()
	time.Sleep(b.dur)
	used, got := s.cpu()-before, c.got.Load()-had
	if err := c.err(); err != nil || got == 0 {
		return fmt.Errorf("nothing was written: %v", err)
	}
	b.yard1 = float64(used.Microseconds()) / float64(got)
	b.row("a bare write", fmt.Sprintf("%d sockets", b.sockets), fmt.Sprintf("%.2f µs a write", b.yard1))
	return nil
}

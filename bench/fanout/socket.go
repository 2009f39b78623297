package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// socketPoster posts lines over one veze.v1 socket and waits for the answer to each, which says that it is on disk.
type socketPoster struct {
	*poster
	conn net.Conn
	r    *bufio.Reader
	room int64
	n    int
}

func newSocketPoster(base string, room int64, user int) (*socketPoster, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	conn, err := net.Dial("tcp4", strings.Replace(u.Host, "localhost", "127.0.0.1", 1))
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: veze.v1\r\n\r\n", u.Host)
	p := &socketPoster{poster: &poster{user: user}, conn: conn, r: bufio.NewReader(conn), room: room}
	status, err := p.r.ReadString('\n')
	if err == nil && !strings.Contains(status, " 101 ") {
		err = fmt.Errorf("the socket is refused: %s", strings.TrimSpace(status))
	}
	for line := status; err == nil && line != "\r\n"; {
		line, err = p.r.ReadString('\n')
	}
	if err == nil {
		_, err = p.ask([]byte(`{"n":0,"op":"hello"}`))
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return p, nil
}

func (p *socketPoster) post(at int64) (seq int64, err error) {
	p.n++
	body := fmt.Appendf(nil, `{"n":%d,"op":"send","room_id":%d,`, p.n, p.room)
	body = append(body, p.line(at)[1:]...)
	answer, err := p.ask(body)
	if err != nil {
		return 0, err
	}
	return number(answer, `"seq":`), nil
}

// ask sends one message, with a mask of zeros, and returns the answer to it.
func (p *socketPoster) ask(body []byte) ([]byte, error) {
	f := binary.BigEndian.AppendUint16([]byte{0x81, 0x80 | 126}, uint16(len(body)))
	f = append(f, 0, 0, 0, 0)
	if _, err := p.conn.Write(append(f, body...)); err != nil {
		return nil, err
	}
	mark := []byte(`"n":` + strconv.Itoa(p.n))
	for {
		op, payload, err := frame(p.r)
		switch {
		case err != nil:
			return nil, err
		case op == 9: // ping
			p.conn.Write([]byte{0x8a, 0x80, 0, 0, 0, 0})
		case op == 8 && len(payload) >= 2:
			return nil, fmt.Errorf("a socket was closed: %d %s", binary.BigEndian.Uint16(payload), payload[2:])
		case op == 1 && bytes.Contains(payload, mark):
			if !bytes.Contains(payload, []byte(`"ok":true`)) {
				return nil, fmt.Errorf("refused: %.300s", payload)
			}
			return payload, nil
		}
	}
}

func (p *socketPoster) close() { p.conn.Close() }

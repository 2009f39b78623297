package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// rawPoster posts lines over one connection that stays open, with as little work of its own as can be: on a machine of two
// cores the generator's work is taken from the server.
type rawPoster struct {
	*poster
	conn net.Conn
	r    *bufio.Reader
	head string
}

func newRawPoster(base string, room int64, user int) (*rawPoster, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	conn, err := net.Dial("tcp4", strings.Replace(u.Host, "localhost", "127.0.0.1", 1))
	if err != nil {
		return nil, err
	}
	return &rawPoster{poster: &poster{user: user}, conn: conn, r: bufio.NewReader(conn),
		head: fmt.Sprintf("POST /rooms/%d/messages HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: ", room, u.Host)}, nil
}

func (p *rawPoster) post(at int64) (seq int64, err error) {
	body := p.line(at)
	var b bytes.Buffer
	b.WriteString(p.head)
	b.WriteString(strconv.Itoa(len(body)))
	b.WriteString("\r\n\r\n")
	b.Write(body)
	if _, err := p.conn.Write(b.Bytes()); err != nil {
		return 0, err
	}
	status, err := p.r.ReadString('\n')
	if err != nil {
		return 0, err
	}
	length := 0
	for {
		line, err := p.r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) <= 2 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && strings.EqualFold(string(name), "Content-Length") {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
		}
	}
	answer, err := p.r.Peek(length)
	if err != nil {
		return 0, err
	}
	if !strings.Contains(status, " 200 ") {
		return 0, fmt.Errorf("a line is refused: %s %.200s", strings.TrimSpace(status), answer)
	}
	seq = number(answer, `"seq":`)
	_, err = p.r.Discard(length)
	return seq, err
}

func (p *rawPoster) close() { p.conn.Close() }

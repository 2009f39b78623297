package main

import (
	"bufio"
	"bytes"
	"crypto"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-msgauth/dkim"
)

// message is one mail, each with an id of its own.
func message(n, size int) []byte {
	head := fmt.Sprintf("From: Ann <a@%s>\r\nTo: <%s>\r\nSubject: Report %d\r\nDate: %s\r\nMessage-ID: <%d.%d@%s>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
		domain, recipient, n, time.Now().Format(time.RFC1123Z), n, time.Now().UnixNano(), domain)
	return []byte(head + pad(size-len(head)))
}

// unsigned are the mails of a round for where there is no smtp-source.
func unsigned(f flags) [][]byte {
	var out [][]byte
	for i := range f.mails {
		out = append(out, message(i, f.size))
	}
	return out
}

// timed sends signed mails and returns how long each waited for its 250.
func timed(addr string, z *zone, f flags) ([]time.Duration, error) {
	mails := make([][]byte, f.timed)
	for i := range mails {
		var b bytes.Buffer
		err := dkim.Sign(&b, bytes.NewReader(message(i, f.size)), &dkim.SignOptions{Domain: domain, Selector: "s1", Signer: z.key, Hash: crypto.SHA256,
			HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed})
		if err != nil {
			return nil, err
		}
		mails[i] = b.Bytes()
	}
	return timedMails(addr, recipient, f.conns, mails)
}

// timedMails sends mails over some connections, one after the other on each.
func timedMails(addr, to string, conns int, mails [][]byte) ([]time.Duration, error) {
	times := make([]time.Duration, len(mails))
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		first error
	)
	for c := range conns {
		wg.Go(func() {
			if err := talk(addr, to, mails, times, c, conns); err != nil {
				mu.Lock()
				defer mu.Unlock()
				if first == nil {
					first = err
				}
			}
		})
	}
	wg.Wait()
	return times, first
}

// talk is one connection: it sends every conns-th mail.
func talk(addr, to string, mails [][]byte, times []time.Duration, from, conns int) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Minute))
	in := bufio.NewReader(conn)
	say := func(text, want string) error {
		if text != "" {
			if _, err := conn.Write([]byte(text)); err != nil {
				return err
			}
		}
		for {
			line, err := in.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, want) {
				return fmt.Errorf("%.20q is answered with %q, %w", text, line, err)
			}
			if line[3] == ' ' {
				return nil
			}
		}
	}
	steps := [][2]string{{"", "220"}, {"EHLO mx." + domain + "\r\n", "250"}}
	for _, s := range steps {
		if err := say(s[0], s[1]); err != nil {
			return err
		}
	}
	for i := from; i < len(mails); i += conns {
		for _, s := range [][2]string{{"MAIL FROM:<a@" + domain + ">\r\n", "250"}, {"RCPT TO:<" + to + ">\r\n", "250"}, {"DATA\r\n", "354"}} {
			if err := say(s[0], s[1]); err != nil {
				return err
			}
		}
		if _, err := conn.Write(mails[i]); err != nil {
			return err
		}
		began := time.Now()
		if err := say(".\r\n", "250"); err != nil {
			return err
		}
		times[i] = time.Since(began)
	}
	return say("QUIT\r\n", "221")
}

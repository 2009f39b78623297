package smtpd_test

import (
	"bufio"
	"context"
	"net"
	"strings"
	"testing"

	"uniqverse/smtpd"
)

// sink is a backend that takes everything and keeps nothing.
type sink struct{ backend }

func (*sink) Deliver(context.Context, *smtpd.Envelope, *smtpd.Message) error { return nil }

// BenchmarkIntake is the edge alone: a pipelined session over loopback, messages of 4 KB, all checks of the
// sender from a DNS in memory.
func BenchmarkIntake(b *testing.B) {
	z := newZones()
	z.txt["client.test"] = []string{"v=spf1 ip4:127.0.0.0/8 -all"}
	z.txt["_dmarc.client.test"] = []string{"v=DMARC1; p=reject"}
	z.mx["client.test"] = "mx.client.test."
	s := start(b, "", func(o *smtpd.Options) { o.Backend, o.Resolver = &sink{}, z })
	conn, err := net.Dial("tcp", s.addr[smtpd.MX])
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	reply := func(want string) {
		for {
			line, err := in.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, want) {
				b.Fatalf("got %q, %v, want %s", line, err, want)
			}
			if line[3] == ' ' {
				return
			}
		}
	}
	reply("220")
	conn.Write([]byte("EHLO client.test\r\n"))
	reply("250")
	message := []byte("From: a@client.test\r\nTo: pilot@mail.test\r\nSubject: load\r\nMessage-ID: <1@client.test>\r\n\r\n" + strings.Repeat("0123456789012345678901234567890123456789012345678901234567890123456789\r\n", 56) + ".\r\n")
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		conn.Write([]byte("MAIL FROM:<a@client.test>\r\nRCPT TO:<pilot@mail.test>\r\nDATA\r\n"))
		reply("250")
		reply("250")
		reply("354")
		conn.Write(message)
		reply("250")
	}
}

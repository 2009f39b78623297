package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// postfix is a Postfix with a configuration, a queue and a port of its own.
type postfix struct {
	conf, queue string
	addr        string
}

const mainCF = `compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/state
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.bench.test
mydestination = bench.test
mynetworks = 127.0.0.0/8
local_recipient_maps =
local_transport = discard:
alias_maps =
alias_database =
smtpd_peername_lookup = no
`

const masterCF = `%s inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
discard unix - - n - - discard
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`

// startPostfix starts Postfix in a folder of its own below dir, and waits until it answers.
func startPostfix(ctx context.Context, dir string) (*postfix, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("it is started by root alone")
	}
	if _, err := exec.LookPath("postfix"); err != nil {
		return nil, err
	}
	addr, err := free()
	if err != nil {
		return nil, err
	}
	p := &postfix{conf: filepath.Join(dir, "postfix"), queue: filepath.Join(dir, "postfix", "queue"), addr: addr}
	for _, d := range []string{p.conf, p.queue, filepath.Join(p.conf, "state")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil { // its processes run as somebody else
		return nil, err
	}
	if err := exec.CommandContext(ctx, "chown", "postfix", filepath.Join(p.conf, "state")).Run(); err != nil {
		return nil, err
	}
	files := map[string]string{"main.cf": fmt.Sprintf(mainCF, p.conf), "master.cf": fmt.Sprintf(masterCF, addr)}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(p.conf, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	if text, err := exec.CommandContext(ctx, "postfix", "-c", p.conf, "start").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("postfix start: %w: %s", err, text)
	}
	for range 100 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return p, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.stop()
	return nil, fmt.Errorf("postfix does not answer on %s", addr)
}

// drain waits until Postfix has thrown away what it took.
func (p *postfix) drain(ctx context.Context) {
	for range 600 {
		left := 0
		for _, q := range []string{"incoming", "active", "maildrop"} {
			filepath.WalkDir(filepath.Join(p.queue, q), func(_ string, d os.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					left++
				}
				return nil
			})
		}
		if left == 0 || ctx.Err() != nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (p *postfix) stop() {
	text, err := exec.Command("postfix", "-c", p.conf, "stop").CombinedOutput()
	if err != nil {
		fmt.Fprintln(os.Stderr, "intake: Postfix does not stop:", strings.TrimSpace(string(text)))
	}
}

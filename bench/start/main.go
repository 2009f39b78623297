// Command start measures what a newcomer meets first: the size of the stripped binary, the
// time from exec to the line "UniQVerse ready" with a new data folder and with one that is
// there, and the resident memory of the idle process.
//
// Run it from the root of the tree:
//
//	go run ./bench/start            5 starts of each kind
//	go run ./bench/start -n 20
//
// It builds the binary itself, listens on free ports of this machine only, and ends what it
// started. Memory is read from /proc, so that figure is for Linux alone.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	n := flag.Int("n", 5, "starts of each kind")
	idle := flag.Duration("idle", 3*time.Second, "how long to wait before memory is read")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, *n, *idle); err != nil {
		fmt.Fprintln(os.Stderr, "start:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, n int, idle time.Duration) error {
	dir, err := os.MkdirTemp("", "uniqverse-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "uniqverse")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build (run it from the root of the tree): %w", err)
	}
	info, err := os.Stat(bin)
	if err != nil {
		return err
	}
	var fresh, warm []time.Duration
	var memory int64
	for i := range n {
		data := filepath.Join(dir, fmt.Sprint("data", i))
		for _, into := range []*[]time.Duration{&fresh, &warm} {
			last := i == n-1 && into == &warm
			took, rss, err := once(ctx, bin, data, last, idle)
			if err != nil {
				return err
			}
			*into = append(*into, took)
			memory = max(memory, rss)
		}
	}
	fmt.Fprintf(out, "%s/%s, %d CPUs, %s, %d starts of each kind\n\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), n)
	fmt.Fprintf(out, "%-42s %10s %10s %10s\n", "", "min", "median", "max")
	fmt.Fprintf(out, "%-42s %10s %9.1fM\n", "stripped binary (10^6 bytes)", "", float64(info.Size())/1e6)
	row(out, "start to ready, new data folder (ms)", fresh)
	row(out, "start to ready, existing data folder (ms)", warm)
	if memory > 0 {
		fmt.Fprintf(out, "%-42s %10s %9.1fM\n", fmt.Sprintf("resident memory, idle for %s (10^6 bytes)", idle), "", float64(memory)/1e6)
	}
	return nil
}

func row(out io.Writer, name string, d []time.Duration) {
	slices.Sort(d)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	fmt.Fprintf(out, "%-42s %10.1f %10.1f %10.1f\n", name, ms(d[0]), ms(d[len(d)/2]), ms(d[len(d)-1]))
}

// once starts the binary, waits for its ready line, and ends it.
func once(ctx context.Context, bin, data string, measure bool, idle time.Duration) (took time.Duration, rss int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, "--data", data, "--portal-port", "0", "--game-port", "0", "--email-port", "0", "--chat-port", "0",
		"--smtp-port", "0", "--submission-port", "0", "--submissions-port", "0")
	pr, pw := io.Pipe()
	cmd.Stdout, cmd.Stderr = pw, pw
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	ready := make(chan time.Duration, 1)
	go func() {
		sc := bufio.NewScanner(pr)
		for sc.Scan() {
			if strings.Contains(sc.Text(), "UniQVerse ready") {
				ready <- time.Since(start)
			}
		}
	}()
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait(); pw.Close() }()
	select {
	case took = <-ready:
	case err := <-exited:
		return 0, 0, fmt.Errorf("ended before it was ready: %w", errors.Join(err, errors.New("start it by hand to see why")))
	}
	if measure {
		time.Sleep(idle)
		rss = resident(cmd.Process.Pid)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		cmd.Process.Kill()
	}
	return took, rss, <-exited
}

// resident returns VmRSS in bytes, 0 where there is no /proc.
func resident(pid int) int64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	var kb int64
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			fmt.Sscanf(rest, "%d", &kb)
		}
	}
	return kb * 1024
}

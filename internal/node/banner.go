package node

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"

	"uniqverse/internal/config"
	"uniqverse/smtpd"
)

// banner prints what runs and where, in one block that ends with the word that everything is
// ready; programs that start us wait for that line.
func (n *Node) banner(out io.Writer, setup string) {
	var b strings.Builder
	fmt.Fprintf(&b, "\n  UniQVerse %s\n\n", n.opts.Version)
	titles := []struct{ service, title string }{{"portal", "Portal (Helm)"}, {"game", "Game"}, {"email", "Mail"}, {"chat", "Chat and desk"}}
	for _, t := range titles {
		if url := n.urls[t.service]; url != "" {
			fmt.Fprintf(&b, "  %-15s %s\n", t.title, url)
		}
	}
	for _, l := range n.listeners.smtp {
		what := map[smtpd.Mode]string{smtpd.MX: "SMTP (MX)", smtpd.Submission: "SMTP submission", smtpd.Submissions: "SMTP over TLS"}[l.Mode]
		fmt.Fprintf(&b, "  %-15s %s\n", what, browsable(n.cfg, l.Addr()))
	}
	for _, l := range n.listeners.pop3 {
		fmt.Fprintf(&b, "  %-15s %s\n", map[bool]string{false: "POP3", true: "POP3 over TLS"}[l.Secure], browsable(n.cfg, l.Addr()))
	}
	folder, err := filepath.Abs(n.cfg.DataDir)
	if err != nil {
		folder = n.cfg.DataDir
	}
	fmt.Fprintf(&b, "  %-15s %s\n", "Data folder", folder)
	if n.cfg.DemoIdentity() {
		fmt.Fprintf(&b, "  %-15s %s\n", "Demo identity", "on: the token `demo` is user demo, for calls from this machine")
	} else {
		fmt.Fprintf(&b, "  %-15s %s\n", "Demo identity", "off")
	}
	if setup != "" {
		fmt.Fprintf(&b, "  %-15s %s\n", "Make the admin", setup)
	}
	b.WriteString("\nUniQVerse ready\n")
	io.WriteString(out, b.String())
}

// browsable is an address as a person on this machine would type it.
func browsable(cfg config.Config, addr net.Addr) string {
	tcp := addr.(*net.TCPAddr)
	host := cfg.Listen
	if ip := net.ParseIP(host); host == "" || host == "127.0.0.1" || (ip != nil && ip.IsUnspecified()) {
		host = "localhost"
	}
	return net.JoinHostPort(host, fmt.Sprint(tcp.Port))
}

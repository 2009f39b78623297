package node

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"

	"uniqverse/internal/config"
	"uniqverse/services/email/pop3"
	"uniqverse/smtpd"
)

// listeners are the open sockets of a process, by what answers on them.
type listeners struct {
	http map[string]net.Listener
	smtp []smtpd.Listener
	pop3 []pop3.Listener
}

// listen opens every socket before anything is served, so that a port in use is found while
// nothing has begun.
func listen(cfg config.Config) (*listeners, error) {
	ls := &listeners{http: map[string]net.Listener{}}
	open := func(setting, flag string, port config.Port) (net.Listener, error) {
		if port == config.Off {
			return nil, nil
		}
		ln, err := net.Listen("tcp", cfg.Addr(port))
		if err != nil {
			return nil, cannotListen(cfg, setting, flag, port, err)
		}
		return ln, nil
	}
	for _, h := range []struct{ service, setting, flag string }{
		{"portal", "UNI_PORT", "portal-port"}, {"game", "GAME_PORT", "game-port"}, {"email", "EMAIL_PORT", "email-port"}, {"chat", "CHAT_PORT", "chat-port"},
	} {
		ln, err := open(h.setting, h.flag, cfg.HTTPPort(h.service))
		if err != nil {
			ls.close()
			return nil, err
		}
		if ln != nil {
			ls.http[h.service] = ln
		}
	}
	if !cfg.Services.Has("email") {
		return ls, nil
	}
	for _, s := range []struct {
		mode          smtpd.Mode
		setting, flag string
		port          config.Port
	}{
		{smtpd.MX, "EMAIL_SMTP_25", "smtp-port", cfg.SMTPPort},
		{smtpd.Submission, "EMAIL_SMTP_587", "submission-port", cfg.SubmissionPort},
		{smtpd.Submissions, "EMAIL_SMTP_465", "submissions-port", cfg.SubmissionsPort},
	} {
		ln, err := open(s.setting, s.flag, s.port)
		if err != nil {
			ls.close()
			return nil, err
		}
		if ln != nil {
			ls.smtp = append(ls.smtp, smtpd.Listener{Listener: ln, Mode: s.mode})
		}
	}
	for _, p := range []struct {
		secure        bool
		setting, flag string
		port          config.Port
	}{{false, "EMAIL_POP3_110", "pop3-port", cfg.POP3Port}, {true, "EMAIL_POP3_995", "pop3s-port", cfg.POP3SPort}} {
		ln, err := open(p.setting, p.flag, p.port)
		if err != nil {
			ls.close()
			return nil, err
		}
		if ln != nil {
			ls.pop3 = append(ls.pop3, pop3.Listener{Listener: ln, Secure: p.secure})
		}
	}
	return ls, nil
}

// cannotListen says which setting is at fault, and the mend: the host, when it is no address of
// this machine, else the port.
func cannotListen(cfg config.Config, setting, flag string, port config.Port, err error) error {
	var name *net.DNSError
	if errors.As(err, &name) || errors.Is(err, syscall.EADDRNOTAVAIL) {
		return fmt.Errorf("VEZE_LISTEN (--listen) is %q, which is no address of this machine: %w; give one that is, 127.0.0.1 for this machine alone, or 0.0.0.0 for all of its addresses",
			cfg.Listen, opCause(err))
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%s (--%s) is %s, and this user may not listen on %s: %w; give another port (above 1023 any user may), or the program the right (on Linux, setcap cap_net_bind_service=+ep on its file)",
			setting, flag, port, cfg.Addr(port), opCause(err))
	}
	return fmt.Errorf("%s (--%s) is %s, and %s cannot be listened on: %w; stop what uses it, or give another port (0 picks a free one, off opens none)",
		setting, flag, port, cfg.Addr(port), opCause(err))
}

// port returns the port on which a service's HTTP is open, 0 for none.
func (ls *listeners) port(service string) int {
	if ln := ls.http[service]; ln != nil {
		return ln.Addr().(*net.TCPAddr).Port
	}
	return 0
}

// smtpPort returns the port on which mail is taken in a mode, 0 for none.
func (ls *listeners) smtpPort(mode smtpd.Mode) int {
	for _, l := range ls.smtp {
		if l.Mode == mode {
			return l.Addr().(*net.TCPAddr).Port
		}
	}
	return 0
}

// pop3Port returns the port of POP3, or of POP3 over TLS, 0 for none.
func (ls *listeners) pop3Port(secure bool) int {
	for _, l := range ls.pop3 {
		if l.Secure == secure {
			return l.Addr().(*net.TCPAddr).Port
		}
	}
	return 0
}

func (ls *listeners) close() {
	for _, ln := range ls.http {
		ln.Close()
	}
	for _, ln := range ls.smtp {
		ln.Close()
	}
	for _, ln := range ls.pop3 {
		ln.Close()
	}
}

// opCause strips the operation and address from a network error: the message names them.
func opCause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

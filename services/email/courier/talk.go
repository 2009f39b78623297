package courier

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/textproto"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"uniqverse/services/email/mtasts"
	"uniqverse/services/email/queue"
)

// replied is an answer of the next host that ended the attempt.
type replied struct {
	code   int
	text   string // the whole reply in one line
	atRcpt bool
	final  bool // no other host is asked: this one had the transaction
	ours   bool // about us (credentials, TLS), not about the message: no reason to bounce
	unfit  bool // this host cannot have this message; when no other can, it comes back
}

func (r *replied) Error() string { return r.text }

// once is the message's bytes; begun says that a host was given some of them, so that no other may get them in the
// same attempt.
type once struct {
	r     io.Reader
	begun bool
}

func (o *once) Read(b []byte) (int, error) {
	o.begun = true
	return o.r.Read(b)
}

// handed is what came of giving a message to a host.
type handed struct {
	said    string // to the whole message
	tls     string // how the connection was protected, "" for not at all
	reached bool   // the host answered
	silent  bool   // it sends no reports of success
}

// hand gives the message to one host. A nil error means that it said 250.
func (c *Courier) hand(ctx context.Context, t target, job queue.Job) (did handed, err error) {
	cl, over, err := c.connect(ctx, t)
	var r *replied
	did.reached = err == nil || errors.As(err, &r)
	did.tls = describe(over)
	if err != nil {
		return did, err
	}
	defer cl.Close()
	defer context.AfterFunc(ctx, func() { cl.Close() })()
	cl.CommandTimeout, cl.SubmissionTimeout = c.o.CommandTime, 5*c.o.CommandTime
	if err := cl.Hello(c.o.Name); err != nil {
		return did, answered(err, replied{ours: true})
	}
	if err := c.signIn(t, cl, over != nil); err != nil {
		return did, err
	}
	mail, rcpt, err := c.parameters(t, cl, over, job)
	if err != nil {
		return did, err
	}
	e := job.Entry
	ok, _ := cl.Extension("DSN")
	did.silent = !ok
	if err := cl.Mail(e.ReversePath, mail); err != nil {
		return did, answered(err, replied{final: true})
	}
	if err := cl.Rcpt(e.Recipient, rcpt); err != nil {
		return did, answered(err, replied{final: true, atRcpt: true})
	}
	w, err := cl.Data()
	if err != nil {
		return did, answered(err, replied{final: true})
	}
	if _, err := io.Copy(w, job.Body); err != nil {
		return did, err // the connection is closed without the final dot: nobody takes half a message
	}
	said, err := w.CloseWithResponse()
	if err != nil {
		return did, answered(err, replied{final: true})
	}
	_ = cl.Quit() // the message is theirs, whatever they say to this
	did.said = oneLine("250 " + said.StatusText)
	return did, nil
}

// parameters returns what goes with MAIL and RCPT, or why this host cannot have the message.
func (c *Courier) parameters(t target, cl *smtp.Client, over *tlsState, job queue.Job) (*smtp.MailOptions, *smtp.RcptOptions, error) {
	e := job.Entry
	mail, rcpt := &smtp.MailOptions{Size: job.Size}, &smtp.RcptOptions{}
	if notASCII(e.ReversePath) || notASCII(e.Recipient) {
		if ok, _ := cl.Extension("SMTPUTF8"); !ok {
			return nil, nil, &replied{code: 550, text: "550 5.6.7 the host takes no addresses beyond ASCII (SMTPUTF8)", unfit: true}
		}
		mail.UTF8 = true
	}
	if e.RequireTLS {
		ok, _ := cl.Extension("REQUIRETLS")
		if !ok || over == nil || !over.verified && (t.mx || !loopback(t.addr)) {
			return nil, nil, &replied{code: 550, text: "550 5.7.30 the sender requires TLS on the whole way, and this host does not promise it (REQUIRETLS)", ours: true, unfit: true}
		}
		mail.RequireTLS = true
	}
	if ok, _ := cl.Extension("DSN"); !ok {
		return mail, rcpt, nil
	}
	mail.Return = smtp.DSNReturn(e.Return)
	if !notASCII(e.EnvelopeID) {
		mail.EnvelopeID = e.EnvelopeID
	}
	if e.Notify != "" {
		for n := range strings.SplitSeq(e.Notify, ",") {
			rcpt.Notify = append(rcpt.Notify, smtp.DSNNotify(n))
		}
	}
	switch kind, address, _ := strings.Cut(e.ORCPT, ";"); {
	case strings.EqualFold(kind, "rfc822") && !notASCII(address):
		rcpt.OriginalRecipientType, rcpt.OriginalRecipient = smtp.DSNAddressTypeRFC822, address
	case strings.EqualFold(kind, "utf-8"):
		rcpt.OriginalRecipientType, rcpt.OriginalRecipient = smtp.DSNAddressTypeUTF8, address
	}
	return mail, rcpt, nil
}

func notASCII(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}

// answered makes a replied of an SMTP reply; another error stays as it is.
func answered(err error, r replied) error {
	var s *smtp.SMTPError
	if !errors.As(err, &s) {
		return err
	}
	r.code = s.Code
	text := fmt.Sprintf("%d ", s.Code)
	if e := s.EnhancedCode; e[0] > 0 {
		text += fmt.Sprintf("%d.%d.%d ", e[0], e[1], e[2])
	}
	r.text = oneLine(text + s.Message)
	if r.code/100 != 4 && r.code/100 != 5 {
		r.code = 451 // not an answer to what was asked
	}
	return &r
}

// connect opens the connection, over TLS where it can; the state is nil without.
func (c *Courier) connect(ctx context.Context, t target) (*smtp.Client, *tlsState, error) {
	_, port, _ := net.SplitHostPort(t.addr)
	conf, state := c.tlsFor(t)
	if !t.mx && port == "465" {
		conn, err := c.dial(ctx, t.addr)
		if err != nil {
			return nil, nil, err
		}
		over, err := handshake(ctx, conn, conf)
		if err != nil {
			conn.Close()
			return nil, nil, &replied{code: 454, text: oneLine("454 TLS with the smarthost failed: " + err.Error()), ours: true}
		}
		return smtp.NewClient(over), state, nil
	}
	for _, withTLS := range []bool{true, false} {
		cl, secure, err := c.greet(ctx, t, conf, withTLS)
		var failed *tlsFailed
		switch {
		case err == nil && secure:
			c.counted(t, state)
			return cl, state, nil
		case err == nil && t.verified():
			cl.Close()
			c.o.Count(t.policy(), "starttls-not-supported")
			return nil, nil, &replied{code: 451, text: "451 4.7.5 the host offers no TLS, which the policy of its domain (MTA-STS) wants", ours: true}
		case err == nil:
			if withTLS {
				c.o.Count(t.policy(), "starttls-not-supported")
			}
			return cl, nil, nil
		case !errors.As(err, &failed):
			return nil, nil, err
		case !t.mx:
			return nil, nil, &replied{code: 454, text: oneLine("454 TLS with the smarthost failed: " + failed.Error()), ours: true}
		}
		c.o.Count(t.policy(), failure8460(failed.err))
		if t.verified() {
			return nil, nil, &replied{code: 451, text: oneLine("451 4.7.5 TLS failed, which the policy of the domain (MTA-STS) wants: " + failed.Error()), ours: true}
		}
	}
	return nil, nil, errors.New("the host offers TLS and cannot do it")
}

// counted counts a handshake that worked. Where a policy is only tested, what it would have refused is a failure.
func (c *Courier) counted(t target, state *tlsState) {
	switch {
	case t.sts != mtasts.Testing:
		c.o.Count(t.policy(), "success")
	case !t.named:
		c.o.Count(t.policy(), "validation-failure")
	case !state.verified:
		c.o.Count(t.policy(), failure8460(state.why))
	default:
		c.o.Count(t.policy(), "success")
	}
}

// failure8460 is the word of RFC 8460 section 4.3 for a handshake that failed.
func failure8460(err error) string {
	var (
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
	)
	switch {
	case errors.As(err, &name):
		return "certificate-host-mismatch"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "certificate-expired"
	case errors.As(err, &invalid) || errors.As(err, &unknown):
		return "certificate-not-trusted"
	}
	return "validation-failure"
}

// tlsState is what is known of a connection's protection once it has one.
type tlsState struct {
	version  uint16
	verified bool  // the certificate is for the host's name, by somebody whom we trust
	why      error // it is not verified
}

// describe says how a connection is protected.
func describe(s *tlsState) string {
	switch {
	case s == nil:
		return ""
	case s.verified:
		return tls.VersionName(s.version) + ", verified"
	}
	return tls.VersionName(s.version)
}

// tlsFailed is a handshake that did not work out.
type tlsFailed struct{ err error }

func (f *tlsFailed) Error() string { return f.err.Error() }
func (f *tlsFailed) Unwrap() error { return f.err }

// tlsFor returns what TLS is spoken with, and where the handshake writes what it found. The certificate of an MX need not
// hold: without a policy nothing says which name it should have, and no TLS at all would be the alternative.
func (c *Courier) tlsFor(t target) (*tls.Config, *tlsState) {
	conf, state := &tls.Config{MinVersion: tls.VersionTLS12}, &tlsState{}
	if !t.mx && c.o.Smarthost.TLS != nil {
		conf = c.o.Smarthost.TLS.Clone()
	}
	if t.mx {
		conf.RootCAs = c.o.Roots
	}
	conf.ServerName = t.name
	may := t.mx && !t.verified() || !t.mx && loopback(t.addr) && c.o.Smarthost.TLS == nil
	roots, skipped := conf.RootCAs, conf.InsecureSkipVerify
	conf.InsecureSkipVerify = true // VerifyConnection decides, and knows in both cases
	conf.VerifyConnection = func(cs tls.ConnectionState) error {
		state.version = cs.Version
		if len(cs.PeerCertificates) == 0 {
			return errors.New("the host shows no certificate")
		}
		between := x509.NewCertPool()
		for _, p := range cs.PeerCertificates[1:] {
			between.AddCert(p)
		}
		_, state.why = cs.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: t.name, Roots: roots, Intermediates: between})
		state.verified = state.why == nil
		if may || skipped {
			return nil
		}
		return state.why
	}
	return conf, state
}

func loopback(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

func (c *Courier) dial(ctx context.Context, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return c.o.Dial(ctx, "tcp", addr)
}

func handshake(ctx context.Context, conn net.Conn, conf *tls.Config) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	over := tls.Client(conn, conf)
	return over, over.HandshakeContext(ctx)
}

// greet opens a connection and says EHLO; with withTLS it goes on to TLS where that is offered. The library's client begins
// a conversation of its own on what is left, so it is shown a greeting that was ours to read.
func (c *Courier) greet(ctx context.Context, t target, conf *tls.Config, withTLS bool) (cl *smtp.Client, secure bool, err error) {
	conn, err := c.dial(ctx, t.addr)
	if err != nil {
		return nil, false, err
	}
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := conn.SetDeadline(time.Now().Add(c.o.CommandTime)); err != nil {
		return nil, false, err
	}
	in := bufio.NewReader(conn)
	text := textproto.NewReader(bufio.NewReader(&io.LimitedReader{R: byteReader{in}, N: 64 << 10}))
	if _, _, err := text.ReadResponse(220); err != nil {
		return nil, false, greeting(err)
	}
	if !withTLS {
		_ = conn.SetDeadline(time.Time{})
		return smtp.NewClient(&greeted{Conn: conn, r: io.MultiReader(strings.NewReader("220 ready\r\n"), in)}), false, nil
	}
	if _, err := fmt.Fprintf(conn, "EHLO %s\r\n", c.o.Name); err != nil {
		return nil, false, err
	}
	_, offers, err := text.ReadResponse(250)
	if err != nil || !offersTLS(offers) {
		var refused *textproto.Error
		if err != nil && !errors.As(err, &refused) {
			return nil, false, err
		}
		_ = conn.SetDeadline(time.Time{})
		return smtp.NewClient(&greeted{Conn: conn, r: io.MultiReader(strings.NewReader("220 ready\r\n"), in)}), false, nil
	}
	if _, err := io.WriteString(conn, "STARTTLS\r\n"); err != nil {
		return nil, false, err
	}
	if _, _, err := text.ReadResponse(220); err != nil {
		return nil, false, &tlsFailed{err}
	}
	if in.Buffered() > 0 {
		return nil, false, &tlsFailed{errors.New("the host wrote on before TLS began")}
	}
	over, err := handshake(ctx, conn, conf)
	if err != nil {
		return nil, false, &tlsFailed{err}
	}
	_ = conn.SetDeadline(time.Time{})
	return smtp.NewClient(&greeted{Conn: over, r: io.MultiReader(strings.NewReader("220 ready\r\n"), over)}), true, nil
}

// greeting makes a reply of what a host says instead of a greeting.
func greeting(err error) error {
	var refused *textproto.Error
	if !errors.As(err, &refused) {
		return err
	}
	// A refused greeting is about this connection; another host or another hour may do (RFC 5321 section 3.1).
	return &replied{code: 451, text: oneLine(fmt.Sprintf("%d %s", refused.Code, refused.Msg)), ours: true}
}

func offersTLS(offers string) bool {
	for _, l := range strings.Split(offers, "\n") {
		if strings.EqualFold(strings.TrimSpace(l), "STARTTLS") {
			return true
		}
	}
	return false
}

// byteReader gives one byte at a time, so that nothing is read ahead of what is asked.
type byteReader struct{ r io.Reader }

func (b byteReader) Read(p []byte) (int, error) { return b.r.Read(p[:min(1, len(p))]) }

// greeted is a connection whose greeting was read already.
type greeted struct {
	net.Conn
	r io.Reader
}

func (g *greeted) Read(b []byte) (int, error) { return g.r.Read(b) }

// signIn says who we are to a smarthost.
func (c *Courier) signIn(t target, cl *smtp.Client, secure bool) error {
	s := c.o.Smarthost
	if t.mx || s.User == "" {
		return nil
	}
	if !secure && !loopback(t.addr) {
		return &replied{code: 454, text: "454 the smarthost offers no TLS, and the password is not sent without", ours: true}
	}
	var mech sasl.Client
	switch {
	case cl.SupportsAuth(sasl.Plain):
		mech = sasl.NewPlainClient("", s.User, s.Password)
	case cl.SupportsAuth(sasl.Login):
		mech = sasl.NewLoginClient(s.User, s.Password)
	default:
		return &replied{code: 454, text: "454 the smarthost takes neither AUTH PLAIN nor LOGIN", ours: true}
	}
	if err := cl.Auth(mech); err != nil {
		return answered(err, replied{ours: true})
	}
	return nil
}

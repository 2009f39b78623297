package smtpd

import (
	"bytes"
	"context"
	"errors"

	"github.com/emersion/go-sasl"

	"uniqverse/internal/errs"
)

// AuthMechanisms names what Auth serves.
func (s *session) AuthMechanisms() []string {
	return []string{sasl.Plain, sasl.Login, sasl.OAuthBearer}
}

// Auth returns the server side of a mechanism. The guard lets only these through.
func (s *session) Auth(mech string) (sasl.Server, error) {
	switch mech {
	case sasl.Plain:
		return &plain{s: s}, nil
	case sasl.Login:
		return &login{s: s}, nil
	case sasl.OAuthBearer:
		return newBearer(s), nil
	}
	return nil, toLibrary(unknownMechanism())
}

// plain is SASL PLAIN (RFC 4616).
type plain struct {
	s     *session
	asked bool
}

// Next takes the one message of the mechanism.
func (p *plain) Next(response []byte) (challenge []byte, done bool, err error) {
	if response == nil && !p.asked {
		p.asked = true
		return nil, false, nil
	}
	parts := bytes.Split(response, []byte{0})
	if len(parts) != 3 {
		return nil, false, toLibrary(syntax("5.5.2", "That is not a PLAIN message"))
	}
	// Acting for somebody else is not offered: an authzid that is ignored has opened other
	// servers' mailboxes.
	if len(parts[0]) > 0 && !bytes.Equal(parts[0], parts[1]) {
		p.s.srv.authFailed(p.s.g)
		return nil, false, toLibrary(wrongPassword())
	}
	return nil, true, p.s.password(string(parts[1]), string(parts[2]))
}

// login is the LOGIN that old programs speak: name and password, each asked for.
type login struct {
	s     *session
	step  int
	user  string
	begun bool
}

// Next takes the name, then the password.
func (l *login) Next(response []byte) (challenge []byte, done bool, err error) {
	if response == nil && !l.begun {
		l.begun = true
		return []byte("Username:"), false, nil
	}
	l.begun = true
	if l.step == 0 {
		l.step, l.user = 1, string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.s.password(l.user, string(response))
}

func wrongPassword() *Reply {
	return &Reply{Code: 535, Enhanced: "5.7.8", Text: "The name or the password is wrong"}
}

func unknownMechanism() *Reply {
	return &Reply{Code: 504, Enhanced: "5.5.4", Text: "The mechanisms here are PLAIN, LOGIN and OAUTHBEARER"}
}

// bearer is OAUTHBEARER (RFC 7628): a token of the kind that HTTP takes. A token that is refused is answered with a
// challenge that says why; whatever the peer says to it, the exchange then fails.
type bearer struct {
	s       *session
	inner   sasl.Server
	refusal error // once the token was refused
}

func newBearer(s *session) *bearer {
	b := &bearer{s: s}
	b.inner = sasl.NewOAuthBearerServer(func(o sasl.OAuthBearerOptions) *sasl.OAuthBearerError {
		status := "invalid_token"
		err := s.signIn(o.Username, len(o.Token) > 0 && len(o.Username) <= 320, func(ctx context.Context) (string, error) {
			identity, err := s.srv.opt.Backend.AuthenticateToken(ctx, s.g.session(), o.Username, o.Token)
			if errs.Is(err, errs.Denied) {
				status = "insufficient_scope"
			}
			return identity, err
		})
		if err == nil {
			return nil
		}
		b.refusal = err
		return &sasl.OAuthBearerError{Status: status, Schemes: "bearer", Scope: "email.send"}
	})
	return b
}

// Next takes the token, and after a refusal whatever comes.
func (b *bearer) Next(response []byte) (challenge []byte, done bool, err error) {
	if b.refusal != nil {
		return nil, false, b.refusal
	}
	if len(response) > 0 && response[0] == 'y' { // the peer could bind channels and believes that we cannot: so it is
		response = append([]byte{'n'}, response[1:]...)
	}
	challenge, done, err = b.inner.Next(response)
	switch {
	case b.refusal == nil && response != nil && (err != nil || !done):
		return nil, false, toLibrary(syntax("5.5.2", "That is not an OAUTHBEARER message"))
	case err != nil:
		return nil, false, toLibrary(wrongPassword())
	}
	return challenge, done, nil
}

// password signs a user in by name and password.
func (s *session) password(user, password string) error {
	return s.signIn(user, user != "" && password != "" && len(user) <= 320, func(ctx context.Context) (string, error) {
		return s.srv.opt.Backend.Authenticate(ctx, s.g.session(), user, password)
	})
}

// signIn asks the Backend. Our own trouble is temporary: a peer that is told 535 would ask its
// user for another password.
func (s *session) signIn(user string, wellFormed bool, ask func(context.Context) (string, error)) error {
	g, mode := s.g, s.g.mode.String()
	if !wellFormed {
		s.srv.authFailed(g)
		return toLibrary(wrongPassword())
	}
	var identity string
	err := s.call(func(ctx context.Context) (err error) {
		identity, err = ask(ctx)
		return err
	})
	if err == nil && identity == "" {
		err = errors.New("smtpd: the backend signed nobody in")
	}
	if err == nil {
		g.user = identity
		s.srv.count("smtp_auth_total", "mode", mode, "result", "ok")
		s.srv.log.auth(g, identity, true, nil)
		return nil
	}
	var r *Reply
	switch {
	case errors.As(err, &r):
		r = replyFor(err)
	case errs.Is(err, errs.Unauthenticated), errs.Is(err, errs.Denied), errs.Is(err, errs.NotFound):
		r = wrongPassword()
	case errs.Is(err, errs.Limited):
		r = &Reply{Code: 421, Enhanced: "4.7.0", Text: "Too many failed sign-ins; wait a while"}
	default:
		s.srv.count("smtp_auth_total", "mode", mode, "result", "error")
		s.srv.log.auth(g, user, false, err)
		return toLibrary(&Reply{Code: 454, Enhanced: "4.7.0", Text: "Sign-in is not available now; try again later"})
	}
	s.srv.authFailed(g)
	s.srv.count("smtp_auth_total", "mode", mode, "result", "failed")
	s.srv.log.auth(g, user, false, nil)
	if r.HangUp {
		g.hangUp(nil)
	}
	if r.Code == 535 && s.srv.tooManyFailures(g) {
		r = &Reply{Code: 421, Enhanced: "4.7.0", Text: "Too many failed sign-ins; wait a minute"}
	}
	return toLibrary(r)
}

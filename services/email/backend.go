package email

import (
	"context"

	"uniqverse/internal/errs"
	"uniqverse/services/email/mailbox"
	"uniqverse/smtpd"
)

var _ smtpd.Backend = (*Service)(nil)

// Authenticate signs a mail program in with the user's address, or its local part, and one of
// their app passwords.
func (s *Service) Authenticate(ctx context.Context, _ smtpd.Session, user, password string) (string, error) {
	if _, domain := mailbox.Split(user); domain != "" && !s.ours(domain) {
		return "", errs.New(errs.Unauthenticated, "the user name or the app password is wrong; make an app password at the portal's account page")
	}
	u, err := s.Users.AppLogin(ctx, user, password)
	if err != nil {
		return "", err
	}
	return s.address(u.Name), nil
}

// AuthenticateToken signs a mail program in with a token of the mail service that may send. name is who the program says
// it is; the token has to be theirs.
func (s *Service) AuthenticateToken(ctx context.Context, ses smtpd.Session, name, token string) (string, error) {
	u, err := s.Users.TokenLogin(ctx, "email", "email.send", token, ses.Loopback)
	if err != nil {
		return "", err
	}
	if name != "" {
		if local, err := s.named(name); err != nil || local != u.Name {
			return "", errs.New(errs.Unauthenticated, "the token is somebody else's")
		}
	}
	return s.address(u.Name), nil
}

// CheckSender takes any reverse-path from other hosts: whether it is forged is for SPF and
// DMARC to say. A user who submits mail sends as themselves.
func (s *Service) CheckSender(ctx context.Context, ses smtpd.Session, from string) error {
	if ses.User == "" || from == "" {
		return nil
	}
	return s.checkOwner(ctx, ses.User, from)
}

// checkOwner refuses an author's address that is not the user's own: neither theirs, nor with
// a tag, nor an alias that leads to them.
func (s *Service) checkOwner(ctx context.Context, identity, addr string) error {
	user, _ := mailbox.Split(identity)
	if free, err := s.isInbox(ctx, user); free || err != nil { // what it sends comes to itself, whoever it says it is from
		return err
	}
	refused := &smtpd.Reply{Code: 550, Enhanced: "5.7.1", Text: "You may send as " + identity + " only, and this is another address"}
	local, domain := mailbox.Split(addr)
	if !s.ours(domain) {
		return refused
	}
	local, err := mailbox.Canonical(local)
	if err != nil {
		return refused
	}
	if mailbox.WithoutTag(local) == user {
		return nil
	}
	targets, err := s.directory.Targets(ctx, local)
	if err != nil {
		return err
	}
	if has(targets, user) {
		return nil
	}
	return refused
}

// CheckRecipient says whether an address can be delivered to. With demo identity on it also makes
// the mailbox, as often as its rate allows.
func (s *Service) CheckRecipient(ctx context.Context, ses smtpd.Session, to string) error {
	led, err := s.place(ctx, ses.User, to)
	if err != nil {
		return s.replied(err)
	}
	if led.away {
		if ses.User == "" {
			return smtpd.RelayDenied()
		}
		return s.replied(s.checkOutside(ctx, to))
	}
	full := 0
	for _, user := range led.Users {
		if s.room.Has(user, s.Now()) {
			continue
		}
		box, err := s.Store.MailboxByName(ctx, user)
		if err == nil {
			s.room.Saw(user, box.Bytes, s.Now())
		}
		switch {
		case err == nil && box.Bytes >= s.Quota:
			full++
		case errs.Is(err, errs.NotFound):
			if err := s.makeMailbox(ctx, user); err != nil {
				return s.replied(err)
			}
		case err != nil:
			return s.replied(err)
		}
	}
	if full == len(led.Users) {
		return smtpd.QuotaExceeded()
	}
	return nil
}

// makeMailbox makes the mailbox of somebody who is written to for the first time, unless too
// many are made just now: then the delivery makes it, in its own transaction.
func (s *Service) makeMailbox(ctx context.Context, user string) error {
	if !s.Demo || !s.fresh.AllowN(s.Now(), 1) {
		return nil
	}
	return s.Store.Update(ctx, nil, func(tx mailbox.Tx) error {
		_, made, err := tx.EnsureMailbox(user, mailbox.MadeByMail)
		if made {
			s.made.Inc()
		}
		return err
	})
}

// replied turns an error of the store into what a sender is told: a full disk has a reply of its own.
func (s *Service) replied(err error) error {
	if err != nil && s.DiskFull(err) {
		return smtpd.StorageFull(err)
	}
	if err != nil && s.Closed(err) {
		return smtpd.Closing(err)
	}
	return err
}

package smtpd_test

import (
	"context"
	"fmt"
	"net"
	"net/smtp"

	"uniqverse/internal/errs"
	"uniqverse/smtpd"
)

// post is the smallest Backend: one mailbox, nobody signs in, mail is printed.
type post struct{}

func (post) Authenticate(context.Context, smtpd.Session, string, string) (string, error) {
	return "", errs.New(errs.Unauthenticated, "nobody signs in here")
}

func (post) AuthenticateToken(context.Context, smtpd.Session, string, string) (string, error) {
	return "", errs.New(errs.Unauthenticated, "nobody signs in here")
}

func (post) CheckSender(context.Context, smtpd.Session, string) error { return nil }

func (post) CheckRecipient(_ context.Context, _ smtpd.Session, to string) error {
	if to != "pilot@vezeuniqverse.com" {
		return smtpd.UnknownUser()
	}
	return nil
}

func (post) Deliver(_ context.Context, env *smtpd.Envelope, msg *smtpd.Message) error {
	fmt.Printf("%s -> %s, %d bytes, spf=%s\n", env.ReversePath, env.Recipients[0], msg.Size, env.Auth.SPF)
	return nil
}

func ExampleServer() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	srv, err := smtpd.New(smtpd.Options{
		Listeners: []smtpd.Listener{{Listener: l, Mode: smtpd.MX}},
		Domain:    "vezeuniqverse.com",
		Backend:   post{},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- srv.Serve(ctx) }()

	err = smtp.SendMail(l.Addr().String(), nil, "a@example.org", []string{"pilot@vezeuniqverse.com"}, []byte("Subject: hi\r\n\r\nHello.\r\n"))
	fmt.Println("sent:", err)
	stop()
	fmt.Println("served:", <-done)
	// Output:
	// a@example.org -> pilot@vezeuniqverse.com, 23 bytes, spf=temperror
	// sent: <nil>
	// served: <nil>
}

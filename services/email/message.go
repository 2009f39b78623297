package email

import (
	"context"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
)

// wire is the message as lists show it.
func (s *Service) wire(m mailbox.Message) api.EmailMessage {
	date := m.Date
	if date.IsZero() {
		date = m.Received
	}
	return api.EmailMessage{
		ID: m.ID, User: s.address(m.User), Subject: m.Subject, FromUnder: m.From, From: m.From, FromName: m.FromName, FromAddress: m.FromAddress,
		To: m.To, Recipient: m.Recipient, Date: api.TimeOf(date), ReceivedAt: api.TimeOf(m.Received), Snippet: m.Snippet, Labels: notNil(m.Labels), Flags: notNil(m.Flags),
		Size: m.Size, SpamScore: m.SpamScore, Unread: m.Unread, Starred: m.Starred, Attachments: m.Attachments, InternetMessageID: m.MessageID,
		Keywords: notNil(m.Keywords), Folders: m.Folders, ThreadID: m.ThreadID,
		Auth: api.EmailAuth{SPF: m.SPF, DKIM: m.DKIM, DMARC: m.DMARC},
	}
}

// notNil makes an empty list of none, which JSON would write as null.
func notNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// OpenFor returns a message that the caller may see, with its bytes; close the content. What is somebody else's is errs.NotFound.
func (s *Service) OpenFor(c *web.Call, id int64) (mailbox.Message, mailbox.Raw, *mailbox.Content, error) {
	m, err := s.message(c, id)
	if err != nil {
		return m, mailbox.Raw{}, nil, err
	}
	raw, body, err := s.content(c.Context(), m.RawID)
	return m, raw, body, err
}

// content opens the bytes of a stored message; the caller closes it.
func (s *Service) content(ctx context.Context, id int64) (mailbox.Raw, *mailbox.Content, error) {
	raw, err := s.Store.RawByID(ctx, id)
	if err != nil {
		return raw, nil, err
	}
	if raw.File == "" {
		return raw, mailbox.InMemory(raw.Body), nil
	}
	f, err := s.files.Open(raw.File)
	if err != nil {
		return raw, nil, errs.Wrap(errs.Unavailable, err, "the message's file cannot be read; ask an administrator to look at the log")
	}
	return raw, mailbox.InFile(f, raw.Size), nil
}

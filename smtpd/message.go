package smtpd

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
)

// Message is the content of a mail while Deliver runs. It is the bytes that the peer sent,
// with a few exceptions that are taken out: Return-Path fields, Authentication-Results fields that pretend to
// be ours, and from other hosts Bcc and X-Spam fields that no signature covers. DKIM signatures still verify.
type Message struct {
	Prepended []byte            // our Authentication-Results and Received fields, each ending in CRLF; they belong before Raw
	Size      int64             // bytes of Raw
	SHA256    [sha256.Size]byte // of Raw
	Stripped  int               // how many fields were taken out

	head []byte   // the beginning, in memory
	file *os.File // the rest; nil when head is all
	more int64    // bytes in file
}

// NewMessage returns a message over bytes in memory, as tests and services of this process
// need one; the bytes are not copied.
func NewMessage(prepended, raw []byte) *Message {
	return &Message{
		Prepended: prepended,
		Size:      int64(len(raw)),
		SHA256:    sha256.Sum256(raw),
		head:      raw,
	}
}

// Raw returns a new reader over the message without Prepended. It may be called repeatedly,
// and is valid until Deliver returns.
func (m *Message) Raw() io.Reader {
	if m.file == nil {
		return bytes.NewReader(m.head)
	}
	return io.MultiReader(bytes.NewReader(m.head), io.NewSectionReader(m.file, 0, m.more))
}

// Reader returns a new reader over Prepended and Raw: the message as it is to be stored or
// read by people.
func (m *Message) Reader() io.Reader {
	return io.MultiReader(bytes.NewReader(m.Prepended), m.Raw())
}

// Bytes returns Raw in memory: at most the limit on a message's size. They are valid until Deliver returns, and must not be
// changed.
func (m *Message) Bytes() ([]byte, error) {
	if m.file == nil {
		return m.head, nil
	}
	b := make([]byte, m.Size)
	if _, err := io.ReadFull(m.Raw(), b); err != nil {
		return nil, fmt.Errorf("read spooled message: %w", err)
	}
	return b, nil
}

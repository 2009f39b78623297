// Package blob is the binary data of JMAP: what was uploaded, for a day, and the bytes of messages and of their parts, under ids
// by which they are downloaded, attached and imported (RFC 8620 section 6).
//
// An upload that is no part of a message after a day is forgotten. What was answered with an id is on disk. Larger uploads are
// files in a folder of their own; what a crash leaves there is swept at the next start.
//
// Blobs is safe for concurrent use. Contents must be closed.
package blob

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/services/email"
	"uniqverse/services/email/jmap/account"
	"uniqverse/services/email/jmap/message"
	"uniqverse/services/email/jmap/record"
	"uniqverse/services/email/mailbox"
)

// The bounds of uploads.
const (
	MaxSize = email.MaxAppend     // bytes of one: a whole message fits
	MaxHeld = 4 * MaxSize         // bytes of all that an account has uploaded and not lost yet
	Life    = 24 * time.Hour      // from the upload on
	Kept    = 30 * 24 * time.Hour // how long it is noted what is gone, so that changes can be told
	inRow   = 256 << 10           // bytes up to which an upload is kept in its row
)

// Blobs finds and keeps blobs. Make one with New.
type Blobs struct {
	mail     *email.Service
	store    record.Store
	accounts *account.Accounts
	files    *mailbox.Files
	log      *slog.Logger
	now      func() time.Time
}

// New returns the blobs of a mail service; dir is a folder for larger uploads, made when it is first needed.
func New(mail *email.Service, store record.Store, accounts *account.Accounts, dir string, log *slog.Logger, now func() time.Time) *Blobs {
	return &Blobs{mail, store, accounts, mailbox.NewFiles(dir), log, now}
}

// Run removes what has expired, until ctx ends.
func (b *Blobs) Run(ctx context.Context) error {
	if _, err := b.files.Sweep(ctx, b.store.BlobFileKnown); err != nil && ctx.Err() == nil {
		b.log.Error("files of uploads could not all be removed", "err", err.Error())
	}
	for ctx.Err() == nil {
		if err := b.sweep(ctx); err != nil && ctx.Err() == nil {
			b.log.Error("expired uploads could not be removed; it is tried again in an hour", "err", err.Error())
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Hour):
		}
	}
	return nil
}

func (b *Blobs) sweep(ctx context.Context) error {
	var files []string
	err := b.store.UpdateJMAP(ctx, func(tx record.Tx) (err error) {
		files, err = tx.SweepJMAP(b.now(), b.now().Add(-Kept))
		return err
	})
	b.files.Remove(files, err)
	return err
}

// Upload keeps what src holds for a mailbox. Above MaxSize it is errs.TooLarge, above MaxHeld in all errs.Conflict.
func (b *Blobs) Upload(ctx context.Context, box int64, kind string, src io.Reader) (record.Blob, error) {
	held, err := b.store.BlobBytes(ctx, box)
	if err != nil {
		return record.Blob{}, err
	}
	if held >= MaxHeld {
		return record.Blob{}, errs.New(errs.Conflict, "more than %d MB are uploaded and not used yet; wait until they expire", MaxHeld>>20)
	}
	up := record.Blob{ID: "U" + rand.Text(), MailboxID: box, Type: kind, Expires: b.now().Add(Life)}
	src = io.LimitReader(src, MaxSize+1)
	head, err := io.ReadAll(io.LimitReader(src, inRow+1))
	if err != nil {
		return up, errs.Wrap(errs.Malformed, err, "the upload did not arrive whole")
	}
	kept := false
	if len(head) <= inRow {
		up.Data, up.Size = head, int64(len(head))
		if up.Data == nil {
			up.Data = []byte{}
		}
	} else {
		up.File, up.Size, err = b.files.Write(io.MultiReader(bytes.NewReader(head), src), sha256.New())
		if err != nil {
			return up, errs.Wrap(errs.Unavailable, err, "the upload could not be kept; try again")
		}
		defer func() { b.files.Settle(up.File, kept) }()
		if up.Size > MaxSize {
			return up, errs.New(errs.TooLarge, "an upload has at most %d bytes", int64(MaxSize))
		}
	}
	err = b.store.UpdateJMAP(ctx, func(tx record.Tx) error { return tx.AddBlob(up) })
	kept = err == nil
	return up, err
}

// Content is the bytes behind a blob id. Close it.
type Content struct {
	io.Reader
	Size  int64          // bytes; -1 when only reading tells
	Type  string         // as it was uploaded, or as the message says; "" when nothing does
	Whole int64          // the stored message whose whole bytes these are; 0 for anything else
	at    message.Source // of those
	close func() error
}

// Close frees what reading needed.
func (c *Content) Close() error {
	if c.close == nil {
		return nil
	}
	return c.close()
}

// MessageID is the blob id of a whole message.
func MessageID(raw int64) string { return "M" + strconv.FormatInt(raw, 10) }

// PartID is the blob id of a part of a message.
func PartID(raw int64, part int) string { return MessageID(raw) + "-" + strconv.Itoa(part) }

// MessageOf is the stored message that an id is of, or of a part of; 0 for anything else.
func MessageOf(id string) int64 {
	whole, _, _ := strings.Cut(id, "-")
	return account.Number("M", whole)
}

// Source opens a stored message; close it with the function.
func (b *Blobs) Source(ctx context.Context, raw int64) (message.Source, func() error, error) {
	r, c, err := b.mail.Open(ctx, raw)
	if err != nil {
		return message.Source{}, nil, err
	}
	return message.NewSource(r.Prepended, c, c.Size), c.Close, nil
}

// Open opens a blob of a mailbox; what the mailbox does not have is errs.NotFound.
func (b *Blobs) Open(ctx context.Context, box int64, id string) (*Content, error) {
	none := errs.New(errs.NotFound, "there is no such blob, or it has expired")
	base, partText, isPart := cutLast(id)
	if isPart {
		return b.part(ctx, box, base, partText, none)
	}
	if strings.HasPrefix(id, "U") {
		return b.upload(ctx, box, id, none)
	}
	raw := account.Number("M", id)
	if raw == 0 {
		return nil, none
	}
	has, err := b.store.HasRaw(ctx, box, raw)
	if err == nil && !has {
		err = none
	}
	if err != nil {
		return nil, err
	}
	src, done, err := b.Source(ctx, raw)
	if err != nil {
		return nil, err
	}
	return &Content{Reader: src.All(), Size: src.Size, Type: "message/rfc822", Whole: raw, at: src, close: done}, nil
}

// maxWithin bounds how many messages within messages an id leads through.
const maxWithin = 8

func cutLast(id string) (base, part string, ok bool) {
	i := strings.LastIndexByte(id, '-')
	if i < 0 || strings.Count(id, "-") > maxWithin {
		return id, "", false
	}
	return id[:i], id[i+1:], true
}

// part opens a part of a message that is a blob.
func (b *Blobs) part(ctx context.Context, box int64, base, number string, none error) (*Content, error) {
	n, err := strconv.Atoi(number)
	if err != nil || strconv.Itoa(n) != number {
		return nil, none
	}
	c, err := b.Open(ctx, box, base)
	if err != nil {
		return nil, err
	}
	src := c.at
	if c.Whole == 0 {
		raw, err := io.ReadAll(io.LimitReader(c, 2*MaxSize))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("read blob: %w", err), c.Close())
		}
		src = message.NewSource(nil, bytes.NewReader(raw), int64(len(raw)))
	}
	p, err := message.Parse(src)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read stored message: %w", err), c.Close())
	}
	body, kind, ok := p.Body(n)
	if !ok {
		return nil, errors.Join(none, c.Close())
	}
	return &Content{Reader: body, Size: -1, Type: kind, close: c.Close}, nil
}

func (b *Blobs) upload(ctx context.Context, box int64, id string, none error) (*Content, error) {
	up, err := b.store.Blob(ctx, box, id)
	if errs.Is(err, errs.NotFound) || err == nil && !up.Expires.After(b.now()) {
		return nil, none
	}
	if err != nil {
		return nil, err
	}
	if up.File == "" {
		return &Content{Reader: bytes.NewReader(up.Data), Size: up.Size, Type: up.Type}, nil
	}
	f, err := b.files.Open(up.File)
	if err != nil {
		return nil, errs.Wrap(errs.Unavailable, err, "the upload cannot be read")
	}
	return &Content{Reader: f, Size: up.Size, Type: up.Type, close: f.Close}, nil
}

// Bytes returns a blob whole; nil when there is none.
func (b *Blobs) Bytes(ctx context.Context, box int64, id string) ([]byte, error) {
	c, err := b.Open(ctx, box, id)
	if errs.Is(err, errs.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer c.Close()
	raw, err := io.ReadAll(c)
	if raw == nil {
		raw = []byte{}
	}
	return raw, err
}

// Within is the blob id of a part of a message that is itself a blob.
func Within(id string, part int) string { return id + "-" + strconv.Itoa(part) }

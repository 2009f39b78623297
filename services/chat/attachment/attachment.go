package attachment

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"uniqverse/hub"
	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
)

// The limits of what people may put into rooms.
const (
	MaxSize    = 20 << 20  // bytes of one file
	MaxPerLine = 10        // files that go with one line
	maxLoose   = 200 << 20 // bytes of one user that no line took yet
	maxLooseN  = 100       // files of one user that no line took yet
	looseFor   = 24 * time.Hour
	sweepEvery = 10 * time.Minute
	sweepBatch = 200
)

// Owner is whose an attachment is until a line takes it: a caller by server and address.
func Owner(c web.Caller) string { return c.Server + "/" + c.Email }

// Attachment is a file as the store has it.
type Attachment struct {
	api.ChatAttachment
	Room      int64
	Owner     string
	Message   int64 // id of the line that it went with; 0 for none yet
	Seq       int64 // of that line
	Hidden    bool  // only its author and moderators see that line
	File      string
	CreatedAt api.Time
}

// Store is what attachments ask of the store. Rows that do not exist are errs.NotFound.
type Store interface {
	web.Transactor[Tx]
	Attachment(ctx context.Context, room, id int64) (Attachment, error)
	// Loose returns how much of an owner's no line took yet.
	Loose(ctx context.Context, owner string) (files int, bytes int64, err error)
	// Stale returns what no line took and is from before the time.
	Stale(ctx context.Context, before time.Time, limit int) ([]Attachment, error)
	// FilesGone returns files that no row needs any more.
	FilesGone(ctx context.Context, limit int) ([]string, error)
	// KeptOver reports whether files of lines that were removed were put aside for long enough.
	KeptOver(ctx context.Context, now time.Time) (bool, error)
	// HasFile reports whether a row needs the file, or it is in the list of those that are to be removed.
	HasFile(ctx context.Context, file string) (bool, error)
}

// Tx changes attachments inside one transaction.
type Tx interface {
	Now() time.Time
	Loose(owner string) (files int, bytes int64, err error)
	// AddAttachment stores a row and returns its id.
	AddAttachment(a Attachment) (int64, error)
	// DropAttachment removes a row that no line took, and names its file as gone; false when a line has it, or it is not there.
	DropAttachment(id int64) (bool, error)
	// DropKept names the files as gone that were put aside for long enough.
	DropKept() error
	// FileRemoved takes a file off the list of those that are gone.
	FileRemoved(file string) error
}

// Rooms says who may do what in rooms; errs.NotFound for a room that the caller must not know of.
type Rooms interface {
	// Reader returns the seq after which the caller may read the room.
	Reader(ctx context.Context, c web.Caller, room int64) (since int64, err error)
	// Writer is nil for who may say something in the room.
	Writer(ctx context.Context, c web.Caller, room int64) error
}

// Options make a Service. All but Log and Now are required.
type Options struct {
	Store  Store
	Folder Folder
	Rooms  Rooms
	Hub    hub.Hub
	Log    *slog.Logger     // nil is silent
	Now    func() time.Time // nil means time.Now
}

// Service is the attachments of chat. Make one with New.
type Service struct {
	opts    Options
	uploads *web.Quota
}

// New returns a service that serves; its sweeper waits for Run.
func New(opts Options) *Service {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Service{opts: opts, uploads: web.NewQuota("uploads", 4)}
}

// Run removes files that nobody needs until ctx ends: those that were left by a kill at the start, and what
// lines that were taken away had at once.
func (s *Service) Run(ctx context.Context) error {
	if err := s.removeStrangers(ctx); err != nil && ctx.Err() == nil {
		s.opts.Log.Warn("chat: files that no line has could not be looked for", "err", err.Error())
	}
	kick := make(chan struct{}, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { s.listen(ctx, kick) })
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.opts.Log.Warn("chat: files could not be removed; trying again later", "err", err.Error())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-kick:
		}
	}
}

// listen kicks the sweeper when a line was taken away.
func (s *Service) listen(ctx context.Context, kick chan<- struct{}) {
	for ctx.Err() == nil {
		sub, err := s.opts.Hub.Subscribe(ctx, event.StreamChat, nil)
		for err == nil {
			var m hub.Message
			if m, err = sub.Next(ctx); err == nil && m.Type == event.ChatMessageDeleted {
				select {
				case kick <- struct{}{}:
				default:
				}
			}
		}
		if sub != nil {
			sub.Close()
		}
		select { // the ticker sweeps what was missed
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// removeStrangers removes the files that were there before anything was served, and of which the store knows nothing.
func (s *Service) removeStrangers(ctx context.Context) error {
	for _, name := range s.opts.Folder.found {
		known, err := s.opts.Store.HasFile(ctx, name)
		if err != nil {
			return err
		}
		if !known {
			if err := s.opts.Folder.Remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// Sweep removes what no line took within a day, and the files that no row needs any more.
func (s *Service) Sweep(ctx context.Context) error {
	over, err := s.opts.Store.KeptOver(ctx, s.opts.Now())
	if err == nil && over {
		err = s.opts.Store.Update(ctx, nil, func(tx Tx) error { return tx.DropKept() })
	}
	if err != nil {
		return err
	}
	for {
		old, err := s.opts.Store.Stale(ctx, s.opts.Now().Add(-looseFor), sweepBatch)
		if err != nil {
			return err
		}
		if len(old) == 0 {
			break
		}
		err = s.opts.Store.Update(ctx, nil, func(tx Tx) error {
			for _, a := range old {
				if _, err := tx.DropAttachment(a.ID); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for {
		files, err := s.opts.Store.FilesGone(ctx, sweepBatch)
		if err != nil || len(files) == 0 {
			return err
		}
		for _, file := range files {
			if err := s.opts.Folder.Remove(file); err != nil {
				return err
			}
		}
		err = s.opts.Store.Update(ctx, nil, func(tx Tx) error {
			for _, file := range files {
				if err := tx.FileRemoved(file); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}

// room refuses an upload for which the owner has no room left.
func room(files int, bytes int64) error {
	if files >= maxLooseN || bytes >= maxLoose {
		return errs.New(errs.Conflict, "you hold %d files of %d bytes that no line took along, which is the most; send or delete some first", files, bytes)
	}
	return nil
}

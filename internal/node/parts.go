package node

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"uniqverse/internal/auth"
	"uniqverse/internal/reach"
	"uniqverse/internal/web"
	"uniqverse/services/chat"
	"uniqverse/services/chat/attachment"
	"uniqverse/services/chat/hooks"
	"uniqverse/services/chat/moderation"
	"uniqverse/services/chat/pins"
	"uniqverse/services/chat/requests"
	"uniqverse/services/chat/retention"
	"uniqverse/services/chat/search"
	"uniqverse/services/chat/settings"
	"uniqverse/services/chat/trends"
	"uniqverse/services/chat/webhooks"
	"uniqverse/services/desk"
	"uniqverse/services/game"
	"uniqverse/services/game/killfeed"
	"uniqverse/services/portal"
	"uniqverse/services/xengine"
	"uniqverse/smtpd"
	"uniqverse/store"
	"uniqverse/store/chatstore"
)

// part is a service as its handler is made from it.
type part struct {
	name, title string
	endpoints   []web.Endpoint
	discovery   web.Discovery
}

// openAuth makes the accounts: keys, secrets, and who is who.
func (n *Node) openAuth() (err error) {
	n.auth, err = auth.New(auth.Options{Config: n.cfg, Store: store.NewAuth(n.db), Log: n.opts.Log.With("svc", "auth"), Now: n.opts.Now})
	return err
}

// parts makes every service that this process runs, in the order of the tree.
func (n *Node) parts(ctx context.Context, site *web.Site) ([]part, error) {
	var all []part
	for _, make := range []struct {
		service string
		part    func(context.Context, *web.Site) (part, error)
	}{{"portal", n.portal}, {"game", n.game}, {"email", n.email}, {"chat", n.chat}} {
		if !n.cfg.Services.Has(make.service) {
			continue
		}
		p, err := make.part(ctx, site)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

func (n *Node) portal(_ context.Context, site *web.Site) (part, error) {
	lists := []string{n.cfg.ServicesJSON}
	if n.cfg.ServicesPath != "" {
		raw, err := os.ReadFile(n.cfg.ServicesPath)
		if err != nil {
			return part{}, fmt.Errorf("VEZE_SERVICES_PATH is %q, which cannot be read: %w; name a readable JSON file or unset it", n.cfg.ServicesPath, cause(err))
		}
		lists = []string{string(raw), n.cfg.ServicesJSON}
	}
	s, err := portal.New(portal.Options{Domain: n.cfg.Domain, Store: store.NewPortal(n.db), Registry: n.registry, Hub: n.hub, Mail: mailboxes{n},
		ValidUser: auth.ValidName, Directory: lists, SMTP: n.SMTP(smtpd.MX), CanSignUp: n.auth.SignUpOpen(),
		Relay: func(out *http.Request, service string) error {
			return n.auth.Relay(out, service, site.OriginAllowed(out))
		},
		Log: n.opts.Log.With("svc", "portal"), Now: n.opts.Now})
	if err != nil {
		return part{}, err
	}
	n.services = append(n.services, running{name: "portal", run: s.Run})
	people := portal.NewIdentity(portal.IdentityOptions{Auth: n.auth, Site: site, Submission: n.SMTP(smtpd.Submission)})
	return part{"portal", "Portal", append(s.Endpoints(), people.Endpoints()...), s.Discovery()}, nil
}

func (n *Node) game(_ context.Context, _ *web.Site) (part, error) {
	s := game.New(game.Options{Store: store.NewGame(n.db), Hub: n.hub, Mail: gameMail{n}, Domain: n.cfg.Domain,
		Log: n.opts.Log.With("svc", "game"), Now: n.opts.Now})
	n.metrics.RegisterMetricsWriter(func(w io.Writer) { s.Stats().WriteMetrics(w, "uniqverse_game_sockets") })
	feed := killfeed.New(killfeed.Options{Store: store.NewKillfeed(n.db), Hub: n.hub, Chat: n.chatClient(), Log: n.opts.Log.With("svc", "game"), Now: n.opts.Now})
	n.services = append(n.services, running{"game", s.Run}, running{"killfeed", feed.Run})
	return part{"game", "Game", append(s.Endpoints(), feed.Endpoints()...), s.Discovery()}, nil
}

// chat makes chat and the desk, which is mounted on chat's port.
func (n *Node) chat(_ context.Context, _ *web.Site) (part, error) {
	log := n.opts.Log.With("svc", "chat")
	tickets := desk.New(desk.Options{Store: store.NewDesk(n.db), Users: n.auth, Log: n.opts.Log.With("svc", "desk"), Now: n.opts.Now})
	pipeline := moderation.NewPipeline(moderation.PipelineOptions{Store: chatstore.NewModeration(n.db), Scorer: xengine.New(xengine.Options{}), Engine: n.engine(), Log: log, Now: n.opts.Now})
	rooms := chat.New(chat.Options{Store: chatstore.New(n.db), Hub: n.hub, Users: n.auth, Domain: n.cfg.Domain, Moderator: pipeline,
		Tickets: tickets.Newest, Log: log, Now: n.opts.Now})
	n.metrics.RegisterMetricsWriter(func(w io.Writer) { rooms.Stats().WriteMetrics(w, "uniqverse_chat_sockets") })
	n.metrics.NewGauge("uniqverse_chat_log_reads_total", func() float64 { return float64(rooms.LogReads()) })
	n.metrics.NewGauge("uniqverse_store_reads_total", func() float64 { return float64(n.db.Reads()) })
	folder, err := attachment.OpenFolder(filepath.Join(n.cfg.DataDir, "attachments"))
	if err != nil {
		return part{}, fmt.Errorf("VEZE_DATA_DIR (--data) is %q, and its folder attachments cannot be used: %w; make it a folder that this user may write", n.cfg.DataDir, cause(err))
	}
	files := attachment.New(attachment.Options{Store: chatstore.NewAttachments(n.db), Folder: folder, Rooms: rooms, Hub: n.hub, Log: log, Now: n.opts.Now})
	order := moderation.New(moderation.Options{Store: chatstore.NewModeration(n.db), Pipeline: pipeline, Rooms: rooms, Log: log, Now: n.opts.Now})
	find := search.New(search.Options{Store: chatstore.NewSearch(n.db), Hub: n.hub, Rooms: rooms, Log: log, Now: n.opts.Now})
	in := hooks.New(hooks.Options{Store: chatstore.NewHooks(n.db), Rooms: rooms, Now: n.opts.Now})
	out := webhooks.New(webhooks.Options{Store: chatstore.NewWebhooks(n.db), Rooms: rooms, Hub: n.hub, Targets: reach.Targets(n.cfg.WebhookMode()), Log: log, Now: n.opts.Now})
	hot := trends.New(trends.Options{Store: chatstore.NewTrends(n.db), Rooms: rooms, Hub: n.hub, Log: log, Now: n.opts.Now})
	n.services = append(n.services, running{"trends", hot.Run}, running{"xengine", func(ctx context.Context) error { return xengine.NewTrends().Run(ctx, n.hub, n.opts.Now, log) }})
	n.services = append(n.services, running{"webhooks", out.Run}, running{"chat", rooms.Run}, running{"desk", tickets.Run}, running{"attachments", files.Run}, running{"search", find.Run}, running{"moderation", order.Run},
		running{"retention", retention.New(retention.Options{Store: chatstore.NewRetention(n.db), Log: log, Now: n.opts.Now}).Run})
	return part{"chat", "Chat", slices.Concat(rooms.Endpoints(), files.Endpoints(), find.Endpoints(), in.Endpoints(), out.Endpoints(),
		order.Endpoints(), settings.New(chatstore.New(n.db), rooms).Endpoints(),
		pins.New(chatstore.NewPins(n.db), rooms).Endpoints(), requests.New(chatstore.NewRequests(n.db), rooms).Endpoints(), tickets.Endpoints()), rooms.Discovery()}, nil
}

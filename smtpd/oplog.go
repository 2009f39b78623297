package smtpd

import (
	"context"
	"log/slog"
	"strings"
	"time"
)

// opLog is the operator's log: what happened to which mail, in few verbs that can be searched
// for. It never holds a password or a part of a message.
type opLog struct{ l *slog.Logger }

// accepted says that a message was stored.
func (o opLog) accepted(g *guard, env *Envelope, msg *Message, took time.Duration) {
	o.l.LogAttrs(context.Background(), slog.LevelInfo, "mail accepted",
		o.who(g), slog.String("id", env.ID), slog.String("from", env.ReversePath), slog.Any("to", env.Recipients),
		slog.Int64("size", msg.Size), slog.String("spf", string(env.Auth.SPF)), slog.String("dkim", string(env.Auth.DKIM)),
		slog.String("dmarc", string(env.Auth.DMARC)), slog.Duration("took", took), slog.String("traceparent", env.Traceparent))
}

// rejected says what was refused, at which command, and why. A temporary refusal with a cause
// is our own trouble and warrants a warning.
func (o opLog) rejected(g *guard, verb string, r *Reply, attrs ...slog.Attr) {
	level := slog.LevelInfo
	if r.Code/100 == 4 && r.Err != nil {
		level = slog.LevelWarn
	}
	if !o.l.Enabled(context.Background(), level) {
		return
	}
	attrs = append([]slog.Attr{o.who(g), slog.String("at", verb), slog.Int("code", r.Code), slog.String("text", strings.TrimSpace(r.Enhanced+" "+r.Text))}, attrs...)
	if r.Err != nil {
		attrs = append(attrs, slog.String("cause", r.Err.Error()))
	}
	o.l.LogAttrs(context.Background(), level, "mail rejected", attrs...)
}

// auth says who signed in or failed to.
func (o opLog) auth(g *guard, user string, ok bool, cause error) {
	attrs := []slog.Attr{o.who(g), slog.Bool("ok", ok), slog.String("user", oneLine(user[:min(len(user), 100)]))}
	level := slog.LevelInfo
	if cause != nil {
		attrs = append(attrs, slog.String("cause", cause.Error()))
		level = slog.LevelWarn
	}
	o.l.LogAttrs(context.Background(), level, "mail auth", attrs...)
}

func (o opLog) who(g *guard) slog.Attr {
	return slog.Group("peer", slog.String("cid", g.id), slog.String("port", g.mode.String()),
		slog.String("ip", g.remote.String()), slog.String("helo", oneLine(g.helo)))
}

// libraryLog takes what go-smtp has to say: panics, and errors of connections that the guard
// has told of already.
type libraryLog struct{ l *slog.Logger }

func (l libraryLog) Printf(format string, v ...any) {
	l.l.Debug("smtp library", "format", format, "args", v)
	if strings.HasPrefix(format, "panic") {
		l.l.Error("smtp session panicked", "args", v)
	}
}

func (l libraryLog) Println(v ...any) { l.l.Debug("smtp library", "args", v) }

// Command uniqverse runs a community's portal, game backend, mail and chat in one process.
// With no arguments it serves; docs/config.md lists every setting. It chooses the subcommand
// and the exit status, nothing more: 0 after a drain, 2 when a setting or the start-up is at
// fault (one line says which, and the mend), 1 for anything else.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"uniqverse/internal/auth"
	"uniqverse/internal/config"
	"uniqverse/internal/node"
)

const usage = `UniQVerse: portal, game backend, mail and chat in one program.

  uniqverse [serve] [--setting=value ...]   start the services (this is the default)
  uniqverse config [--setting=value ...]    print the settings in force and where each came from
  uniqverse token --user NAME ...           mint a bearer token; uniqverse token --help says more
  uniqverse version                         print version, commit, Go version and platform
  uniqverse help                            print this

A setting is a flag, an environment variable or its default, in this order.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second Ctrl-C ends at once
	c := command{getenv: os.Getenv, environ: os.Environ(), out: os.Stdout, errOut: os.Stderr}
	os.Exit(c.run(ctx, os.Args[1:]))
}

// command is one run of the program: all that it sees of its process, so that a test can
// stand in for the operator.
type command struct {
	getenv      func(string) string
	environ     []string
	out, errOut io.Writer
}

// run does what the arguments say and returns the exit status.
func (c command) run(ctx context.Context, args []string) int {
	name := "serve"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	if name != "token" && len(args) > 0 && (args[0] == "-h" || strings.TrimLeft(args[0], "-") == "help") {
		name = "help"
	}
	switch name {
	case "serve":
		return c.withConfig(args, func(cfg config.Config) int { return c.serve(ctx, cfg) })
	case "config":
		return c.withConfig(args, func(cfg config.Config) int { fmt.Fprint(c.out, cfg); return 0 })
	case "token":
		return c.token(ctx, args)
	case "version":
		fmt.Fprintln(c.out, config.Build())
		return 0
	case "help":
		fmt.Fprint(c.out, usage, config.Usage())
		return 0
	}
	return c.refuse(fmt.Errorf("%q is not a subcommand; there are serve, config, token, version and help", name))
}

func (c command) refuse(err error) int {
	fmt.Fprintln(c.errOut, "uniqverse:", err)
	return 2
}

func (c command) withConfig(args []string, do func(config.Config) int) int {
	cfg, warnings, err := config.Load(args, c.getenv, c.environ)
	if err != nil {
		return c.refuse(err)
	}
	for _, w := range warnings {
		fmt.Fprintln(c.errOut, "uniqverse: warning:", w)
	}
	return do(cfg)
}

func (c command) serve(ctx context.Context, cfg config.Config) int {
	n, err := node.Start(ctx, node.Options{Config: cfg, Version: config.Version(), Log: cfg.Log.Logger(c.errOut), Out: c.out})
	if err != nil {
		return c.refuse(err)
	}
	err = n.Wait(ctx) // for the signal, or for a part that ends by itself
	if err = errors.Join(err, n.Shutdown(context.WithoutCancel(ctx))); err != nil {
		fmt.Fprintln(c.errOut, "uniqverse:", err)
		return 1
	}
	return 0
}

func (c command) token(ctx context.Context, args []string) int {
	f := flag.NewFlagSet("uniqverse token", flag.ContinueOnError)
	f.SetOutput(c.errOut)
	user := f.String("user", "", "whose token it is: a `name` at the domain (required)")
	scopes := f.String("scopes", "", "the `scopes`, separated by spaces, such as \"email.read game.play\" (default: what a user has)")
	aud := f.String("aud", "", "the `audiences`, separated by spaces, such as veze-email (default: every service's)")
	ttl := f.Duration("ttl", time.Hour, "how long it holds")
	data := f.String("data", "", "the data `folder` whose key signs it (default: VEZE_DATA_DIR)")
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case f.NArg() > 0:
		return c.refuse(fmt.Errorf("unexpected argument %q; uniqverse token --help lists the flags", f.Arg(0)))
	}
	var settings []string
	if *data != "" {
		settings = append(settings, "--data="+*data)
	}
	return c.withConfig(settings, func(cfg config.Config) int {
		token, err := auth.Mint(ctx, auth.MintOptions{Config: cfg, User: *user, Scopes: words(*scopes), Audience: words(*aud), TTL: *ttl})
		if err != nil {
			return c.refuse(err)
		}
		fmt.Fprintln(c.out, token)
		return 0
	})
}

// words splits a list; none is nil, for the default.
func words(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Fields(list)
}

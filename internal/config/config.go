package config

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Config is every setting of one process, checked. The tags say where a field comes from:
// `env` the variables in the order in which they are asked, `flag` the command-line flag,
// `default` the value when neither is given (or `unset` what happens then, in words), `kind`
// how the text is read (parse.go).
//
// The comments below are printed in docs/config.md; a comment that starts with "#" opens a
// chapter there.
type Config struct {
	// # Data and listeners

	// One folder that holds everything: the database `uniqverse.db`, keys, generated
	// secrets and certificates. It is made at the first start; its files are readable by
	// their owner alone. Back up this folder and you have backed up the installation.
	DataDir string `env:"VEZE_DATA_DIR" flag:"data" default:"./data" kind:"dir"`

	// The host of every listener: an IP address or a host name. The default can be reached
	// from this machine only. Set `0.0.0.0` (or `::` for IPv6 too) to be reached from
	// elsewhere; that turns the demo identity off.
	Listen string `env:"VEZE_LISTEN" flag:"listen" default:"127.0.0.1" kind:"host"`

	// HTTP port of the portal (Helm, sign-in, and every other service under
	// `/proxy/<service>/`). `0` picks a free port and logs it, `off` opens none.
	PortalPort Port `env:"UNI_PORT" flag:"portal-port" default:"8000" kind:"port"`

	// HTTP port of the game service. `0` picks a free port and logs it, `off` opens none.
	GamePort Port `env:"GAME_PORT" flag:"game-port" default:"8002" kind:"port"`

	// HTTP port of the mail service's API and web mail. `0` picks a free port and logs it,
	// `off` opens none.
	EmailPort Port `env:"EMAIL_PORT" flag:"email-port" default:"8004" kind:"port"`

	// HTTP port of the chat service and the support desk. `0` picks a free port and logs
	// it, `off` opens none.
	ChatPort Port `env:"CHAT_PORT" flag:"chat-port" default:"8010" kind:"port"`

	// SMTP port on which other mail servers deliver (MX). A production host sets `25`.
	// `0` picks a free port and logs it, `off` opens none.
	SMTPPort Port `env:"EMAIL_SMTP_25" flag:"smtp-port" default:"2525" kind:"port"`

	// SMTP port on which users' mail programs submit, with STARTTLS and a password. A
	// production host sets `587`. `0` picks a free port and logs it, `off` opens none.
	SubmissionPort Port `env:"EMAIL_SMTP_587" flag:"submission-port" default:"2587" kind:"port"`

	// As the submission port, but TLS from the first byte. A production host sets `465`.
	// `0` picks a free port and logs it, `off` opens none.
	SubmissionsPort Port `env:"EMAIL_SMTP_465" flag:"submissions-port" default:"2465" kind:"port"`

	// TCP port on which mail programs read the inbox over POP3, with STLS and an app password. Off unless
	// it is set; `110` is the usual one, `2110` needs no rights. `0` picks a free port and logs it.
	POP3Port Port `env:"EMAIL_POP3_110" flag:"pop3-port" default:"off" kind:"port"`

	// As the POP3 port, but TLS from the first byte; `995` is the usual one.
	POP3SPort Port `env:"EMAIL_POP3_995" flag:"pop3s-port" default:"off" kind:"port"`

	// # Services and where they live

	// Which services this process runs, separated by commas. The same program, told
	// different services on different hosts, is a split installation.
	Services Services `env:"VEZE_SERVICES" flag:"services" default:"portal,game,email,chat" kind:"services"`

	// Where a service lives when it is not in this process: the base URL for the service
	// called NAME, such as `VEZE_SERVICE_EMAIL=http://mail.internal:8004`. When it is not
	// set, `<NAME>_BASE_URL` is asked (for portal, game, email, chat, desk and xengine);
	// when that is not set either, the service is the one in this process. Any other NAME
	// gives the address of the entry of that name in the Helm directory.
	ServiceURLs map[string]string `env:"VEZE_SERVICE_<NAME>,<NAME>_BASE_URL" unset:"in this process" kind:"urls"`

	// The secret by which the processes of a split installation trust each other's calls;
	// the same on every host, 16 bytes or more. When it is not set, one is made at the
	// first start and kept in the data folder, which is enough for a single process. Make
	// one with `head -c 32 /dev/urandom | base64`.
	ServiceToken Secret `env:"VEZE_SERVICE_TOKEN" unset:"made at the first start" kind:"secret"`

	// A file with more entries for the Helm directory: a JSON list of objects, each with
	// at least a `name`. They are added to the built-in entries; an entry of the same name
	// takes its place.
	ServicesPath string `env:"VEZE_SERVICES_PATH" unset:"none" kind:"services-file"`

	// The same list written out in the variable itself; it is read after the file.
	ServicesJSON string `env:"VEZE_SERVICES_JSON" unset:"none" kind:"services-json"`

	// # Mail

	// The mail domain, and the domain whose users may open direct messages. The part after
	// the @ of every user's identity. It is kept in lower case and as it stands in the DNS
	// (a name in another script becomes its `xn--` form). Choose it once: identities that
	// exist do not move to another domain.
	Domain string `env:"DOMAIN_GATE" flag:"domain" default:"vezeuniqverse.com" kind:"domain"`

	// The DNS server for the checks of arriving mail and for delivery, as `host:port`. When
	// it is not set the system's servers are asked; `off` asks nobody, and each check that
	// needs the DNS then says `temperror`.
	DNS string `env:"EMAIL_DNS" flag:"dns" unset:"the system's" kind:"dns"`

	// What the checks of arriving mail lead to. `record` takes every message and notes with it what
	// would have been refused and why: right for a machine where mail is tried out, which gets mail that no
	// server would send. `enforce` refuses: senders whose domain does not exist or takes no mail, what DMARC
	// asks to reject, what SPF forbids where DMARC says nothing, peers on a blocklist of EMAIL_DNSBL, and mail
	// that scores EMAIL_SPAM_REFUSE. What the DNS cannot say is never a reason. `GET /api/refusals` says
	// for a week what was not taken.
	Policy string `env:"EMAIL_POLICY" unset:"record while every listener is on this machine, else enforce" kind:"one-of:record,enforce"`

	// The DNS blocklists in which the addresses of other mail servers are looked up, as zones separated by
	// commas, such as `zen.spamhaus.org`; ten at most. Most lists have terms of use and answer nothing to a public
	// resolver. An entry is refused only under `EMAIL_POLICY=enforce`.
	DNSBL Domains `env:"EMAIL_DNSBL" unset:"none" kind:"domains"`

	// `on` puts off the first message of a sender who is not known here, from a network that is not known, for a
	// minute: programs that send spam seldom try again, mail servers do. Off, because it makes the first mail
	// of every stranger late, which a sign-up or a lost password seldom bears.
	Greylist string `env:"EMAIL_GREYLIST" default:"off" kind:"one-of:on,off"`

	// The spam score from which a message is refused under `EMAIL_POLICY=enforce`; from 5 on it is flagged. `0`
	// refuses none.
	SpamRefuse float64 `env:"EMAIL_SPAM_REFUSE" default:"15" kind:"score"`

	// What happens to mail for other domains. `hold` keeps it in the queue, and nothing is
	// sent before an administrator of mail releases it there, one by one: what a program
	// under test sends on a laptop never reaches anybody by accident. `smarthost` hands it to
	// EMAIL_SMARTHOST. `direct` delivers to the hosts that each domain names (MX), which only
	// a host with a fixed address, a name for it and port 25 open outwards can do well.
	// What was held by this setting is sent when a start finds another value.
	Outbound string `env:"EMAIL_OUTBOUND" unset:"hold, or smarthost where EMAIL_SMARTHOST is set" kind:"one-of:hold,smarthost,direct"`

	// The server that takes our mail for other domains, as `host:port`; TLS is used where it is
	// offered, and from the first byte on port 465. With `EMAIL_OUTBOUND=hold` it gets only
	// what is released; without it, what is released goes to the hosts that each domain names.
	Smarthost string `env:"EMAIL_SMARTHOST" unset:"none" kind:"host-port"`

	// The name to sign in with at the smarthost. Goes with EMAIL_SMARTHOST_PASSWORD; they are
	// sent over TLS alone, unless the smarthost is on this machine.
	SmarthostUser string `env:"EMAIL_SMARTHOST_USER" unset:"no sign-in" kind:"text"`

	// The password that belongs to EMAIL_SMARTHOST_USER.
	SmarthostPassword Secret `env:"EMAIL_SMARTHOST_PASSWORD" unset:"no sign-in" kind:"secret"`

	// The score from which on a message goes to Junk. People may choose another one for their own mail; GET
	// /api/spam/rules of the mail service lists what makes the score. Lower finds more and errs more often.
	SpamJunkAt float64 `env:"EMAIL_SPAM_JUNK" default:"5" kind:"junk-score"`

	// A worker of the scanner rspamd, which is then asked about each message from elsewhere, such as
	// `http://127.0.0.1:11333`. What it says becomes a part of the score. A scanner that does not answer
	// within seconds is left out.
	Rspamd string `env:"EMAIL_RSPAMD" unset:"none" kind:"url"`

	// A mail filter (milter protocol), as `host:port`, which is then shown each message from elsewhere. It
	// changes nothing; what it says becomes a part of the score, as with EMAIL_RSPAMD.
	Milter string `env:"EMAIL_MILTER" unset:"none" kind:"milter"`

	// What this installation promises other servers about TLS (MTA-STS). `testing` and `enforce`
	// serve a policy at `/.well-known/mta-sts.txt` of the mail service, which names the mail
	// domain and all names below it as hosts; others look for it at `https://mta-sts.<domain>/`,
	// so a web server with a certificate for that name passes it on. The page `/dns` says which
	// records belong to it. Begin with `testing`: with `enforce`, a host whose certificate does
	// not hold gets no mail from servers that keep the policy.
	MTASTS string `env:"EMAIL_MTA_STS" default:"off" kind:"one-of:off,testing,enforce"`

	// `on` tells the domains that ask for it (DMARC, rua) once a day who sent mail in their name
	// to this installation, and whether it was really them. The reports are mail like any other,
	// so this needs an installation that sends (EMAIL_OUTBOUND).
	DMARCReports string `env:"EMAIL_DMARC_REPORTS" default:"off" kind:"one-of:on,off"`

	// The file with the certificate chain (PEM) for STARTTLS and for the submissions port.
	// Goes with EMAIL_TLS_KEY; set both or neither. When neither is set, a self-signed pair
	// is made in the data folder at the first start: good for trying out, but other servers
	// and mail programs cannot verify it.
	TLSCert string `env:"EMAIL_TLS_CERT" unset:"self-signed, in the data folder" kind:"file"`

	// The file with the private key (PEM) that belongs to EMAIL_TLS_CERT.
	TLSKey string `env:"EMAIL_TLS_KEY" unset:"self-signed, in the data folder" kind:"file"`

	// From where the pictures of a mail may be fetched when its reader asks for them. `public` is the internet. `loopback` allows
	// programs on this machine too, and `any` private networks as well: for tests alone, for then whoever writes a mail has this server
	// ask them. Link-local addresses are never asked. What a name resolves to is checked when it is dialled.
	ImageTargets string `env:"EMAIL_IMAGE_TARGETS" default:"public" kind:"one-of:public,loopback,any"`

	// # Chat

	// Where outgoing webhooks of rooms, and of mailboxes, and the push messages of mail programs may go; their addresses are chosen by users. `public` allows hosts of the
	// internet over https. `loopback` allows programs on this machine too, and `any` private networks as well: whoever
	// moderates a room or has a mailbox then has this server send requests to them. Link-local addresses, where clouds
	// keep secrets, are never allowed. What a name resolves to is checked when it is dialled.
	WebhookTargets string `env:"CHAT_WEBHOOK_TARGETS" unset:"loopback while every listener is on this machine, else public" kind:"one-of:public,loopback,any"`

	// # Who is calling

	// The secret with which bearer tokens are signed (HS256), 16 bytes or more, when
	// another program issues them. Setting it turns the demo identity off.
	JWTSecret Secret `env:"VEZE_JWT_SECRET" unset:"none" kind:"secret"`

	// Where the public keys of bearer tokens are published (JWKS; RS256, ES256 or EdDSA),
	// when another program issues them: an `https` URL, or `http` on this machine. Setting
	// it turns the demo identity off. With neither this nor VEZE_JWT_SECRET the portal
	// issues the tokens itself and publishes its keys at `/.well-known/jwks.json`.
	JWKSURL string `env:"VEZE_JWKS_URL" unset:"none" kind:"jwks"`

	// The issuer (`iss`) that a bearer token must name. When it is not set, any will do.
	JWTIssuer string `env:"VEZE_JWT_ISS" unset:"any" kind:"text"`

	// The audience (`aud`) that a bearer token for the game service must name.
	GameAud string `env:"VEZE_GAME_AUD" default:"veze-game" kind:"text"`

	// The audience (`aud`) that a bearer token for the mail service must name.
	EmailAud string `env:"VEZE_EMAIL_AUD" default:"veze-email" kind:"text"`

	// The audience (`aud`) that a bearer token for chat and the support desk must name.
	ChatAud string `env:"VEZE_CHAT_AUD" default:"veze-chat" kind:"text"`

	// The demo identity: the token `demo` is user `demo` with nearly every right, so that
	// everything can be tried without an account. When it is not set, it is on only while
	// there is neither VEZE_JWT_SECRET nor VEZE_JWKS_URL and every listener is on this
	// machine. `0` turns it off always. `1` turns it on always: whoever can reach the
	// listeners may then read and write nearly everything, so every start warns.
	JWTDemo Switch `env:"VEZE_JWT_DEMO" flag:"demo" unset:"by itself" kind:"switch"`

	// # Store and hub

	// Not in this version, and refused when set: a `postgres://…` URL that moves the store to
	// PostgreSQL. Everything is kept in SQLite in the data folder; a start that was told
	// another place must not write there.
	DatabaseURL string `env:"DATABASE_URL" unset:"SQLite in the data folder" kind:"database"`

	// Not in this version, and refused when set: as DATABASE_URL, for the mail tables alone.
	EmailDBURL string `env:"EMAIL_DB_URL" unset:"as DATABASE_URL" kind:"database"`

	// Not in this version, and refused when set: a `redis://…` URL that moves the hub to
	// Redis Streams. The hub is in the process itself.
	RedisURL string `env:"VEZE_REDIS_URL,REDIS_URL" unset:"hub in this process" kind:"redis"`

	// # Logs and traces

	// How to log on stderr, as `format,level`: the format is `text` or `json`, the level
	// `debug`, `info`, `warn` or `error`. One of the two alone leaves the other at its
	// default.
	Log Log `env:"VEZE_LOG" flag:"log" default:"text,info" kind:"log"`

	// The base URL of an OpenTelemetry collector, such as `http://127.0.0.1:4318`; traces
	// go to its `/v1/traces`. When neither this nor the next is set, no trace leaves the
	// process.
	OTelEndpoint string `env:"OTEL_EXPORTER_OTLP_ENDPOINT" unset:"off" kind:"url"`

	// The whole URL to which traces are sent, used as it stands, before the base URL.
	OTelTracesEndpoint string `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" unset:"from the base URL" kind:"url"`

	// Headers sent with each export, as `name=value,name=value` (values percent-encoded),
	// such as a collector's key. Counts as a secret.
	OTelHeaders Secret `env:"OTEL_EXPORTER_OTLP_TRACES_HEADERS,OTEL_EXPORTER_OTLP_HEADERS" unset:"none" kind:"pairs"`

	// How traces are sent; only `http/protobuf` is spoken.
	OTelProtocol string `env:"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL,OTEL_EXPORTER_OTLP_PROTOCOL" default:"http/protobuf" kind:"one-of:http/protobuf"`

	// Where traces go: `otlp` to the collector above, `none` nowhere.
	OTelExporter string `env:"OTEL_TRACES_EXPORTER" default:"otlp" kind:"one-of:otlp,none"`

	// The name under which this process appears in traces.
	OTelServiceName string `env:"OTEL_SERVICE_NAME" default:"uniqverse" kind:"text"`

	// What else describes this process in traces, as `name=value,name=value`, such as
	// `deployment.environment=test`.
	OTelResource string `env:"OTEL_RESOURCE_ATTRIBUTES" unset:"none" kind:"pairs"`

	// Which traces are kept: `always_on`, `always_off`, `traceidratio`, or one of these
	// after `parentbased_`, which follows the caller's choice where there is one.
	OTelSampler string `env:"OTEL_TRACES_SAMPLER" default:"parentbased_always_on" kind:"one-of:always_on,always_off,traceidratio,parentbased_always_on,parentbased_always_off,parentbased_traceidratio"`

	// For a `traceidratio` sampler: the part of traces to keep, from 0 to 1.
	OTelSamplerArg float64 `env:"OTEL_TRACES_SAMPLER_ARG" default:"1" kind:"ratio"`

	// `true` sends no traces whatever else is set.
	OTelDisabled bool `env:"OTEL_SDK_DISABLED" default:"false" kind:"bool"`

	// sources says where each value came from, by the first variable's name; what is not
	// in it is a default.
	sources map[string]Source
}

// Source says where a setting's value came from: "default", the name of the environment
// variable, or the flag with its two dashes.
type Source string

// Port is a TCP port from 0 to 65535 (0 means any that is free), or Off.
type Port int

// Off is the Port of a listener that is not opened.
const Off Port = -1

// String returns the port as it is written in the settings: a number or "off".
func (p Port) String() string {
	if p == Off {
		return "off"
	}
	return strconv.Itoa(int(p))
}

// Services is the set of services that a process runs, in their usual order.
type Services []string

// Has reports whether the service of that name is in the set. The support desk and
// xengine run wherever chat runs.
func (s Services) Has(name string) bool {
	if name == "desk" || name == "xengine" {
		name = "chat"
	}
	return slices.Contains(s, name)
}

// String returns the names separated by commas.
func (s Services) String() string { return strings.Join(s, ",") }

// Domains is a list of host names in lower case.
type Domains []string

// String returns the names separated by commas.
func (d Domains) String() string { return strings.Join(d, ",") }

// Secret is a value that no log, error or listing shows. It is "" when it is not set.
type Secret string

// String returns "(set)", or "" when there is none; never the secret. Use Reveal for that.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(set)"
}

// GoString hides the secret from %#v as String does from %v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// Reveal returns the secret itself, for the code that signs or verifies with it.
func (s Secret) Reveal() string { return string(s) }

// Switch is a setting that may be forced on, forced off, or left to the program.
type Switch int

// The positions of a Switch.
const (
	Unset     Switch = iota // the program decides
	ForcedOn                // `1`
	ForcedOff               // `0`
)

// String returns the position as it is written in the settings: "1", "0" or "".
func (s Switch) String() string {
	switch s {
	case ForcedOn:
		return "1"
	case ForcedOff:
		return "0"
	}
	return ""
}

// Loopback reports whether every listener can be reached from this machine only. A host
// name other than localhost counts as reachable from elsewhere, whatever it resolves to
// today, because a guess would open the demo identity.
func (c Config) Loopback() bool { return isLoopbackHost(c.Listen) }

// DemoIdentity reports whether the demo identity is on: forced on, or not forced off while
// tokens have neither secret nor JWKS and every listener is on loopback. The caller still
// has to see that the request's Host is a loopback name, unless DemoForced.
func (c Config) DemoIdentity() bool {
	switch c.JWTDemo {
	case ForcedOn:
		return true
	case ForcedOff:
		return false
	}
	return c.JWTSecret == "" && c.JWKSURL == "" && c.Loopback()
}

// DemoForced reports whether the demo identity is on by the operator's word, and therefore
// for requests to any host.
func (c Config) DemoForced() bool { return c.JWTDemo == ForcedOn }

// EnforcesPolicy reports whether arriving mail is refused for what the checks of its sender found.
func (c Config) EnforcesPolicy() bool {
	if c.Policy == "" {
		return !c.Loopback()
	}
	return c.Policy == "enforce"
}

// WebhookMode returns where webhooks may go: public, loopback or any.
func (c Config) WebhookMode() string {
	switch {
	case c.WebhookTargets != "":
		return c.WebhookTargets
	case c.Loopback():
		return "loopback"
	}
	return "public"
}

// OutboundMode returns what happens to mail for other domains: hold, smarthost or direct.
func (c Config) OutboundMode() string {
	switch {
	case c.Outbound != "":
		return c.Outbound
	case c.Smarthost != "":
		return "smarthost"
	}
	return "hold"
}

// HTTPPort returns the HTTP port of a service, Off for one that this process does not run.
// The support desk and xengine answer on chat's.
func (c Config) HTTPPort(service string) Port {
	if !c.Services.Has(service) {
		return Off
	}
	switch service {
	case "portal":
		return c.PortalPort
	case "game":
		return c.GamePort
	case "email":
		return c.EmailPort
	}
	return c.ChatPort
}

// Addr returns the address to listen on for a port that is not Off, as net.Listen takes it.
func (c Config) Addr(p Port) string {
	return net.JoinHostPort(c.Listen, p.String())
}

// Audience returns the audience that tokens for a service must name; "veze-portal" for the
// portal. The support desk and xengine share chat's.
func (c Config) Audience(service string) string {
	switch service {
	case "portal":
		return "veze-portal"
	case "game":
		return c.GameAud
	case "email":
		return c.EmailAud
	}
	return c.ChatAud
}

// TracesURL returns the URL to which traces are sent, "" when none leave the process.
func (c Config) TracesURL() string {
	switch {
	case c.OTelDisabled || c.OTelExporter == "none":
		return ""
	case c.OTelTracesEndpoint != "":
		return c.OTelTracesEndpoint
	case c.OTelEndpoint != "":
		return strings.TrimRight(c.OTelEndpoint, "/") + "/v1/traces"
	}
	return ""
}

func isLoopbackHost(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	h := strings.ToLower(strings.TrimSuffix(host, "."))
	return h == "localhost" || strings.HasSuffix(h, ".localhost")
}

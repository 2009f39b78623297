package smtpd

import "time"

// Limits bounds what one peer, and all together, may take. A zero field means its default.
type Limits struct {
	MessageBytes  int64 // size of a message as received; default 25 MB (26214400). Advertised by SIZE; above it 552 5.3.4
	MemoryBytes   int   // a larger message is spooled to a file; default 1 MB
	Recipients    int   // per message; default 100, above it 452 4.5.3
	CommandLine   int   // bytes of a command line with its CRLF; default 2048, above it 500 5.5.2 and close
	BodyLine      int   // bytes of a line of the message; default 65536, above it 554 5.6.0
	HeaderBytes   int   // of the header section; default 262144, above it 552 5.3.4
	HeaderFields  int   // in the header section; default 1000, above it 552 5.3.4
	Hops          int   // Received fields; default 50, above it 554 5.4.6 (a loop)
	Commands      int   // per session; default 1000 (a loopback peer: without bound), above it 421 4.7.0
	Errors        int   // refused commands per session; default 10, above it 421 4.7.0
	UnknownUsers  int   // refused recipients per session; default 20 (a loopback peer: without bound), above it 421 4.7.0
	AuthFailures  int   // per session and, within a minute, per address (a loopback peer: per session alone); default 10, then 421 4.7.0
	Connections   int   // at once in all; default 1000, above it 421 4.7.0
	PerAddress    int   // connections at once of one address (of one /64 in IPv6); default 30; not for loopback
	ConnectRate   int   // new connections a minute of one address; default 300; not for loopback
	MessageRate   int   // messages a minute that one address begins without signing in; default 500, above it 450 4.7.1; not for loopback
	DKIMSignature int   // signatures checked per message; default 5, the rest are ignored

	Idle        time.Duration // wait for the next command; default 5 min, then 421 4.4.2
	DataIdle    time.Duration // wait within a message; default 1 min, then 421 4.4.2
	DataTime    time.Duration // for a whole message, plus a second for each KB of it; default 10 min, then 421 4.4.2
	SessionTime time.Duration // for a whole session, a running message excepted; default 30 min, then 421 4.7.0
	Handshake   time.Duration // TLS; default 10 s
	Write       time.Duration // one write to the peer; default 1 min
	BannerPause time.Duration // MX: a peer that talks within it is refused with 521; default 50 ms, a tenth of it for loopback
	LookupTime  time.Duration // one DNS look-up; default 2 s
	AuthTime    time.Duration // all of SPF, DKIM and DMARC; default 5 s, what is missing then is temperror
	BackendTime time.Duration // one call of the Backend; default 30 s, then 451 4.3.0
	DrainTime   time.Duration // what Serve gives running messages when its context ends; default 4 s
}

// withDefaults returns the limits with every zero field set.
func (l Limits) withDefaults() Limits {
	setInt := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	setDur := func(p *time.Duration, v time.Duration) {
		if *p == 0 {
			*p = v
		}
	}
	if l.MessageBytes == 0 {
		l.MessageBytes = 25 << 20
	}
	setInt(&l.MemoryBytes, 1<<20)
	setInt(&l.Recipients, 100)
	setInt(&l.CommandLine, 2048)
	setInt(&l.BodyLine, 64<<10)
	setInt(&l.HeaderBytes, 256<<10)
	setInt(&l.HeaderFields, 1000)
	setInt(&l.Hops, 50)
	setInt(&l.Commands, 1000)
	setInt(&l.Errors, 10)
	setInt(&l.UnknownUsers, 20)
	setInt(&l.AuthFailures, 10)
	setInt(&l.Connections, 1000)
	setInt(&l.PerAddress, 30)
	setInt(&l.ConnectRate, 300)
	setInt(&l.MessageRate, 500)
	setInt(&l.DKIMSignature, 5)
	setDur(&l.Idle, 5*time.Minute)
	setDur(&l.DataIdle, time.Minute)
	setDur(&l.DataTime, 10*time.Minute)
	setDur(&l.SessionTime, 30*time.Minute)
	setDur(&l.Handshake, 10*time.Second)
	setDur(&l.Write, time.Minute)
	setDur(&l.BannerPause, 50*time.Millisecond)
	setDur(&l.LookupTime, 2*time.Second)
	setDur(&l.AuthTime, 5*time.Second)
	setDur(&l.BackendTime, 30*time.Second)
	setDur(&l.DrainTime, 4*time.Second)
	return l
}

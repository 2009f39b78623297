// Package realtime carries the events of the game's stream to sockets.
//
// One goroutine (Fan.Run) follows the hub and hands each event, encoded once, to a topic that
// all sockets share. A socket that comes is told the newest place before its handshake is answered, and
// gets everything after it: what is published once the client sees the handshake's answer reaches
// it. A socket that asks to resume (after, epoch) follows the hub by itself, from the event
// it saw last.
//
// A socket that reads too slowly, and all sockets when the hub was followed too slowly, are
// closed with a code that asks them to come back; nothing is skipped in silence. Inputs are
// ephemeral: they reach who is connected and are not replayed.
//
// It stores nothing and decides nothing about rights. A Fan is safe for concurrent use.
package realtime

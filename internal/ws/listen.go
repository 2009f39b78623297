package ws

import "bytes"

// ListenOnly returns the message callback of a socket that sends nothing but events: an empty
// message, `ping` and `{}` keep it alive, anything else closes it with BadRequest, so that
// nothing a client sends is lost unnoticed. instead says where to send it.
func ListenOnly(conn *Conn, instead string) func([]byte) {
	return func(data []byte) {
		switch string(bytes.TrimSpace(data)) {
		case "", "ping", "{}":
		default:
			conn.Close(BadRequest, "this socket is for listening; "+instead)
		}
	}
}

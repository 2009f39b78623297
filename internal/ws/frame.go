package ws

import (
	"encoding/binary"
	"unicode/utf8"
)

// Opcodes of RFC 6455, section 5.2, with the FIN bit: this package never fragments.
const (
	opText  = 0x80 | 1
	opClose = 0x80 | 8
	opPing  = 0x80 | 9
	opPong  = 0x80 | 10
)

// maxHeader is the longest header of a server's frame.
const maxHeader = 10

// maxReason is what fits into a close frame beside the code.
const maxReason = 123

// headerSize returns the length of the header of a frame with n bytes of payload.
func headerSize(n int) int {
	switch {
	case n < 126:
		return 2
	case n <= 0xffff:
		return 4
	}
	return maxHeader
}

// appendFrame appends a whole, unmasked frame.
func appendFrame(b []byte, op byte, payload []byte) []byte {
	n := len(payload)
	switch headerSize(n) {
	case 2:
		b = append(b, op, byte(n))
	case 4:
		b = append(b, op, 126, byte(n>>8), byte(n))
	default:
		b = append(b, op, 127)
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return append(b, payload...)
}

func closeFrame(code Code, reason string) []byte {
	p := append([]byte{byte(code >> 8), byte(code)}, reason...)
	return appendFrame(nil, opClose, p)
}

// clip cuts a reason to what a close frame holds, at the edge of a character.
func clip(reason string) string {
	if len(reason) <= maxReason {
		return reason
	}
	n := maxReason
	for n > 0 && !utf8.RuneStart(reason[n]) {
		n--
	}
	return reason[:n]
}

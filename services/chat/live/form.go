package live

// Form is how events look to one kind of socket. Each form of a room is encoded once for all its sockets.
type Form struct {
	Name string // tells forms apart
	// Frame makes an event of a room's log into a frame; nil leaves it as it is. data is one line of JSON, not to be changed.
	Frame func(room, seq int64, data []byte) []byte
	// Passing makes what nobody keeps (who comes, goes or types) into a frame; nil for what this form does not tell.
	Passing func(room int64, p Presence, data []byte) []byte
}

// Plain is the form of sockets that are for what is said: events as they are, and who types.
func Plain() Form {
	return Form{Name: "plain", Passing: func(_ int64, p Presence, data []byte) []byte {
		if p.State != Typing {
			return nil
		}
		return data
	}}
}

// Full is Plain with who comes and goes.
func Full() Form {
	return Form{Name: "full", Passing: func(_ int64, _ Presence, data []byte) []byte { return data }}
}

func (f Form) frame(room, seq int64, data []byte) []byte {
	if f.Frame == nil {
		return data
	}
	return f.Frame(room, seq, data)
}

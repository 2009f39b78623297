package event

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// Silences returns what takes the words out of earlier events that told of a line which ev says is taken away or hidden; nil when ev
// says no such thing. What it leaves is, byte for byte, what the room's log keeps of such an event.
func Silences(ev Event) func(old Event) (Event, bool) {
	if ev.Room == 0 || ev.Type != ChatMessageDeleted && (ev.Type != ChatMessageEdited || !bytes.Contains(ev.Payload, []byte(`"hidden":true`))) {
		return nil
	}
	var gone struct {
		ID    int64  `json:"message_id"`
		Text  string `json:"text"`
		Flags struct {
			Hidden bool `json:"hidden"`
		} `json:"flags"`
	}
	if json.Unmarshal(ev.Payload, &gone) != nil || gone.ID == 0 || ev.Type == ChatMessageEdited && (gone.Text != "" || !gone.Flags.Hidden) {
		return nil
	}
	mark := strconv.AppendInt([]byte(`"message_id":`), gone.ID, 10)
	return func(old Event) (Event, bool) {
		if old.Room != ev.Room || old.Type != ChatMessageCreated && old.Type != ChatMessageEdited || !bytes.Contains(old.Payload, mark) {
			return old, false
		}
		left, ok := silenced(old.Payload, gone.ID)
		if ok {
			old.Payload = left
		}
		return old, ok
	}
}

// silenced returns what is left of the payload of a line's event; false when it is another line's, or says nothing.
func silenced(payload json.RawMessage, id int64) (json.RawMessage, bool) {
	dec := json.NewDecoder(bytes.NewReader(payload))
	if _, err := dec.Token(); err != nil {
		return nil, false
	}
	out := []byte{'{'}
	said := false
	for dec.More() {
		name, err := dec.Token()
		var value json.RawMessage
		if err == nil {
			err = dec.Decode(&value)
		}
		if err != nil {
			return nil, false
		}
		switch name {
		case "attachments", "mentions":
			continue
		case "deleted":
			return nil, false // it was silenced before
		case "message_id":
			if string(value) != strconv.FormatInt(id, 10) {
				return nil, false
			}
		case "text":
			value, said = json.RawMessage(`""`), true
		}
		out = append(strconv.AppendQuote(out, name.(string)), ':')
		out = append(append(out, value...), ',')
	}
	return append(out, `"deleted":true}`...), said
}

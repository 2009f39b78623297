package event_test

import (
	"encoding/json"
	"testing"

	"uniqverse/internal/event"
)

func TestSilences(t *testing.T) {
	deleted := event.Event{Type: event.ChatMessageDeleted, Room: 1, Payload: json.RawMessage(`{"message_id":7,"user_id":2,"by_id":2}`)}
	hidden := event.Event{Type: event.ChatMessageEdited, Room: 1, Payload: json.RawMessage(`{"message_id":7,"text":"","flags":{"hidden":true}}`)}
	said := `{"message_id":7,"user_id":2,"text":"a \u003cb\u003e \"}","flags":{},"attachments":[{"id":1}],"nonce":"n","mentions":[4]}`
	left := `{"message_id":7,"user_id":2,"text":"","flags":{},"nonce":"n","deleted":true}`
	for _, gone := range []event.Event{deleted, hidden} {
		words := event.Silences(gone)
		for _, tc := range []struct {
			typ, payload, want string
			room               int64
		}{
			{event.ChatMessageCreated, said, left, 1}, {event.ChatMessageEdited, said, left, 1}, {event.ChatMessageCreated, said, "", 2}, {event.ChatMessageReacted, said, "", 1},
			{event.ChatMessageCreated, `{"message_id":70,"text":"x"}`, "", 1}, {event.ChatMessageCreated, `{"message_id":8,"text":"\"message_id\":7"}`, "", 1},
			{event.ChatMessageCreated, `{"message_id":8,"flags":{"message_id":7},"text":"x"}`, "", 1}, {event.ChatMessageCreated, left, "", 1},
		} {
			old := event.Event{Type: tc.typ, Room: tc.room, Seq: 3, Payload: json.RawMessage(tc.payload)}
			got, ok := words(old)
			if ok != (tc.want != "") || ok && string(got.Payload) != tc.want || !ok && string(got.Payload) != tc.payload || got.Seq != 3 {
				t.Errorf("%s of room %d: %v %s", tc.payload, tc.room, ok, got.Payload)
			}
		}
	}
	for _, other := range []event.Event{
		{Type: event.ChatMessageCreated, Room: 1, Payload: json.RawMessage(said)}, {Type: event.ChatMessageDeleted, Payload: deleted.Payload}, {Type: event.ChatMessageDeleted, Room: 1},
		{Type: event.ChatMessageEdited, Room: 1, Payload: json.RawMessage(`{"message_id":7,"text":"\"hidden\":true","flags":{}}`)},
		{Type: event.ChatMessageEdited, Room: 1, Payload: json.RawMessage(`{"message_id":7,"text":"seen","flags":{"x":{"hidden":true}}}`)},
	} {
		if event.Silences(other) != nil {
			t.Errorf("%s %s silences", other.Type, other.Payload)
		}
	}
}

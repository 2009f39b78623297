package api_test

import (
	"encoding/json"
	"testing"
	"time"

	"uniqverse/internal/api"
)

func TestTime(t *testing.T) {
	type wire struct {
		At api.Time `json:"at"`
	}
	at := time.Date(2026, 11, 22, 7, 33, 42, 290_999_999, time.FixedZone("", 3600))
	for _, c := range []struct {
		give api.Time
		want string
	}{
		{0, `{"at":null}`},
		{api.TimeOf(at), `{"at":"2026-11-22T06:33:42.290Z"}`},
		{api.TimeOf(time.Time{}), `{"at":null}`},
	} {
		b, err := json.Marshal(wire{c.give})
		if err != nil || string(b) != c.want {
			t.Errorf("%d encodes to %s, %v; want %s", c.give, b, err, c.want)
		}
		var back wire
		if err := json.Unmarshal(b, &back); err != nil || back.At != c.give {
			t.Errorf("%s decodes to %d, %v; want %d", b, back.At, err, c.give)
		}
	}
	var back wire
	for _, bad := range []string{`{"at":5}`, `{"at":"yesterday"}`, `{"at":"2026-11-22"}`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	if err := json.Unmarshal([]byte(`{"at":"2026-11-22T08:33:42+02:00"}`), &back); err != nil || back.At.String() != "2026-11-22T06:33:42.000Z" {
		t.Errorf("a time with an offset gives %s, %v", back.At, err)
	}
}

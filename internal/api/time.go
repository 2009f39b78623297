package api

import (
	"encoding/json"
	"fmt"
	"time"

	"uniqverse/internal/event"
)

// Time is a moment in Unix milliseconds, as the store keeps it. In JSON it is RFC 3339 in UTC
// with milliseconds, and null when it is zero.
type Time int64

// TimeOf returns t in whole milliseconds; the zero time.Time gives 0.
func TimeOf(t time.Time) Time {
	if t.IsZero() {
		return 0
	}
	return Time(t.UnixMilli())
}

// Time returns the moment in UTC; 0 gives the zero time.Time.
func (t Time) Time() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(t)).UTC()
}

// IsZero reports whether there is no moment.
func (t Time) IsZero() bool { return t == 0 }

// String returns the RFC 3339 form, "" for no moment.
func (t Time) String() string {
	if t == 0 {
		return ""
	}
	return t.Time().Format(event.TimeLayout)
}

// MarshalJSON writes the RFC 3339 form with milliseconds, or null.
func (t Time) MarshalJSON() ([]byte, error) {
	if t == 0 {
		return []byte("null"), nil
	}
	return t.Time().AppendFormat(make([]byte, 0, 26), `"`+event.TimeLayout+`"`), nil
}

// UnmarshalJSON reads what MarshalJSON writes, and any other RFC 3339 time.
func (t *Time) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*t = 0
		return nil
	}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("must be a time such as %s", event.TimeLayout)
	}
	return t.UnmarshalText([]byte(s))
}

// UnmarshalText reads an RFC 3339 time, as a query or a form holds it.
func (t *Time) UnmarshalText(b []byte) error {
	v, err := time.Parse(time.RFC3339, string(b))
	if err != nil {
		return fmt.Errorf("must be a time such as %s", event.TimeLayout)
	}
	*t = TimeOf(v)
	return nil
}

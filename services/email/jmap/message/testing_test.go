package message

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"uniqverse/services/email/jmap/proto"
)

type jsonText = json.RawMessage

func quote(s string) jsonText {
	b, _ := proto.Marshal(s)
	return b
}

func reader(b []byte) *bytes.Reader { return bytes.NewReader(b) }

func trimmed(s string) string { return strings.TrimSpace(s) }

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := proto.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

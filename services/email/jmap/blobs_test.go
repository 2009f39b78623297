package jmap_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// What one request may have done with blobs is bounded over all its calls, and so is the size of what is put together.
func TestBlobsAreBounded(t *testing.T) {
	w := start(t)
	_, body := w.call("GET", "/jmap/session", "pilot", "", nil)
	var session struct {
		PrimaryAccounts map[string]string `json:"primaryAccounts"`
	}
	if err := json.Unmarshal(body, &session); err != nil {
		t.Fatal(err)
	}
	acct := session.PrimaryAccounts["urn:ietf:params:jmap:blob"]
	res, body := w.call("POST", "/jmap/upload/"+acct, "pilot", "text/plain", bytes.Repeat([]byte("x"), 9<<20))
	var up struct {
		BlobID string `json:"blobId"`
	}
	if err := json.Unmarshal(body, &up); err != nil || res.StatusCode != 201 {
		t.Fatalf("upload: %d %s: %v", res.StatusCode, body, err)
	}
	type object = map[string]any
	piece, text := object{"blobId": up.BlobID}, object{"data:asText": ""}
	many := []object{}
	for range 65 {
		many = append(many, text)
	}
	get := object{"accountId": acct, "ids": []string{up.BlobID}}
	calls := [][3]any{
		{"Blob/upload", object{"accountId": acct, "create": object{"large": object{"data": []object{piece, piece, piece}}, "many": object{"data": many}, "most": object{"data": many[:64]}}}, "0"},
		{"Blob/get", get, "1"},
		{"Blob/get", get, "2"},
		{"Blob/get", object{"accountId": acct, "ids": []string{up.BlobID}, "properties": []string{"size"}}, "3"},
	}
	request, err := json.Marshal(object{"using": everything(), "methodCalls": calls})
	if err != nil {
		t.Fatal(err)
	}
	_, body = w.call("POST", "/jmap/api", "pilot", "application/json", request)
	var out struct {
		MethodResponses [][3]json.RawMessage `json:"methodResponses"`
	}
	if err := json.Unmarshal(body, &out); err != nil || len(out.MethodResponses) != 4 {
		t.Fatalf("%v in %.300s", err, body)
	}
	made := string(out.MethodResponses[0][1])
	for _, want := range []string{`"large":{"description":"a blob has at most 26214400 bytes","type":"tooLarge"}`, `"most":{"id":`, `"many":{"description":"a blob is put together from at most 64 pieces"`} {
		if !strings.Contains(made, want) {
			t.Errorf("%s is not in %s", want, made)
		}
	}
	if first := string(out.MethodResponses[1][1]); !strings.Contains(first, `"size":9437184`) {
		t.Errorf("the first blob: %.200s", first)
	}
	if second := string(out.MethodResponses[2][1]); !strings.Contains(second, `"requestTooLarge"`) {
		t.Errorf("the second blob, beyond what a request may show: %.200s", second)
	}
	if third := string(out.MethodResponses[3][1]); !strings.Contains(third, `"size":9437184`) {
		t.Errorf("a size costs nothing: %.200s", third)
	}
}

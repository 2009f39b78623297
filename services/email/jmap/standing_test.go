package jmap_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
)

// What becomes of a mail in the queue is told by its submission, whose state changes with it.
func TestSubmissionsFollowTheQueue(t *testing.T) {
	w := start(t)
	acct := w.accountOf("pilot")
	type object = map[string]any
	call := func(name string, args object) object {
		args["accountId"] = acct
		return w.method("pilot", name, args)
	}
	identity := call("Identity/get", object{})["list"].([]any)[0].(object)["id"]
	drafts := call("Mailbox/query", object{"filter": object{"role": "drafts"}})["ids"].([]any)[0].(string)
	mail := at(call("Email/set", object{"create": object{"d": object{"mailboxIds": object{drafts: true}, "from": []object{{"email": "pilot@" + domain}}, "subject": "x",
		"textBody": []object{{"partId": "1", "type": "text/plain"}}, "bodyValues": object{"1": object{"value": "x"}}}}}), "created", "d", "id")
	submit := func(parameters object) (id, queueID string) {
		t.Helper()
		out := call("EmailSubmission/set", object{"create": object{"s": object{"identityId": identity, "emailId": mail, "envelope": object{
			"mailFrom": object{"email": "pilot@" + domain, "parameters": parameters}, "rcptTo": []object{{"email": "ann@example.org"}}}}}})
		id, _ = at(out, "created", "s", "id").(string)
		if id == "" || at(out, "created", "s", "undoStatus") != "pending" {
			t.Fatalf("submitted: %v", out)
		}
		list, err := w.options.Store.Submissions(t.Context(), 1)
		if err != nil || len(list) == 0 {
			t.Fatalf("%v %v", list, err)
		}
		return id, list[len(list)-1].QueueID
	}
	state := func() any { return call("EmailSubmission/get", object{"ids": []string{}})["state"] }
	check := func(what string, since any, id, undo, delivered string) {
		t.Helper()
		changes := call("EmailSubmission/changes", object{"sinceState": since})
		if updated, _ := changes["updated"].([]any); !slices.Equal(updated, []any{id}) || changes["newState"] == since {
			t.Errorf("%s: changes are %v", what, changes)
		}
		got := call("EmailSubmission/get", object{"ids": []string{id}})["list"].([]any)[0]
		if at(got, "undoStatus") != undo || at(got, "deliveryStatus", "ann@example.org", "delivered") != delivered {
			t.Errorf("%s: it is %v", what, got)
		}
	}
	do := func(method, path, as string) []byte {
		t.Helper()
		res, body := w.call(method, path, as, "application/json", nil)
		if res.StatusCode != 200 {
			t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, body)
		}
		return body
	}
	id, queueID := submit(nil)
	var queue struct {
		Entries []struct {
			ID      int64  `json:"id"`
			QueueID string `json:"queue_id"`
		} `json:"entries"`
	}
	if err := json.Unmarshal(do("GET", "/api/queue?state=held", "admin"), &queue); err != nil || len(queue.Entries) != 1 || queue.Entries[0].QueueID != queueID {
		t.Fatalf("the queue is %+v: %v", queue, err)
	}
	since := state()
	do("POST", fmt.Sprintf("/api/queue/%d/drop", queue.Entries[0].ID), "admin")
	check("dropped by an administrator", since, id, "final", "no")

	id, queueID = submit(object{"HOLDFOR": "3600"})
	since = state()
	do("POST", "/api/scheduled/"+queueID+"/cancel", "pilot")
	check("taken back on the page", since, id, "canceled", "no")
}

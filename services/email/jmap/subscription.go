package jmap

import (
	"encoding/json"

	"uniqverse/services/email/jmap/proto"
)

// pushGet answers PushSubscription/get (RFC 8620 section 7.2): there never are any.
func (s *Service) pushGet(c *proto.Call) (any, error) {
	var a struct {
		IDs        *[]string `json:"ids"`
		Properties *[]string `json:"properties"`
	}
	if err := proto.Decode(c.Args, &a); err != nil {
		return nil, err
	}
	ids, _, failed := c.Wanted(a.IDs)
	if failed != nil {
		return nil, failed
	}
	if a.Properties != nil {
		for _, p := range *a.Properties {
			if p == "url" || p == "keys" {
				return nil, proto.Fail("forbidden", "%s is never told", p)
			}
		}
		if _, failed := proto.Properties(a.Properties, []string{"id", "deviceClientId", "verificationCode", "expires", "types"}); failed != nil {
			return nil, failed
		}
	}
	return map[string]any{"list": []any{}, "notFound": append([]string{}, ids...)}, nil
}

// pushSet refuses every push subscription: this server calls no address that a client names.
func (s *Service) pushSet(c *proto.Call) (any, error) {
	var a struct {
		Create  map[string]json.RawMessage `json:"create"`
		Update  map[string]json.RawMessage `json:"update"`
		Destroy []string                   `json:"destroy"`
	}
	if err := proto.Decode(c.Args, &a); err != nil {
		return nil, err
	}
	if len(a.Create)+len(a.Update)+len(a.Destroy) > c.Limits.MaxObjectsInSet {
		return nil, proto.Fail("requestTooLarge", "at most %d objects are changed at a time", c.Limits.MaxObjectsInSet)
	}
	var notCreated, notUpdated, notDestroyed map[string]*proto.SetError
	for key := range a.Create {
		proto.Refused(&notCreated, key, proto.Refuse("forbidden", "this server calls no address; listen to eventSourceUrl or the WebSocket of the session"))
	}
	for id := range a.Update {
		proto.Refused(&notUpdated, id, proto.Refuse("notFound", "there is no such push subscription"))
	}
	for _, id := range a.Destroy {
		proto.Refused(&notDestroyed, id, proto.Refuse("notFound", "there is no such push subscription"))
	}
	return map[string]any{"created": nil, "updated": nil, "destroyed": nil, "notCreated": notCreated, "notUpdated": notUpdated, "notDestroyed": notDestroyed}, nil
}

package web_test

import (
	"testing"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// TestQuota: a user holds so many and no more, each gives one back, and servers and the demo
// identity are not counted.
func TestQuota(t *testing.T) {
	q := web.NewQuota("sockets", 2)
	ann, bob := web.Caller{User: "ann", Email: "ann@d.test"}, web.Caller{User: "bob", Email: "bob@d.test"}
	first, err := q.Take(ann)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Take(ann); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Take(ann); !errs.Is(err, errs.Limited) {
		t.Errorf("the third: %v", err)
	}
	if _, err := q.Take(bob); err != nil {
		t.Errorf("somebody else: %v", err)
	}
	first()
	if _, err := q.Take(ann); err != nil {
		t.Errorf("after one was given back: %v", err)
	}
	for _, c := range []web.Caller{{User: "demo", Email: "demo@d.test", Demo: true}, {Server: "game"}, {User: "ann", Email: "ann@d.test", Scopes: []string{"chat.moderate"}}} {
		for range 5 {
			if _, err := q.Take(c); err != nil {
				t.Errorf("%+v is held back: %v", c, err)
			}
		}
	}
}

package hub_test

import (
	"context"
	"fmt"

	"uniqverse/hub"
	"uniqverse/internal/event"
)

// A subscriber that went away resumes after the last id it saw.
func Example() {
	ctx := context.Background()
	h, err := hub.NewLocal(ctx, hub.LocalOptions{Epoch: "k3"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close()

	first, _ := h.Publish(ctx, event.StreamGame, event.Event{Type: event.GameKill})
	h.Publish(ctx, event.StreamGame, event.Event{Type: event.GameNotice})

	sub, err := h.Subscribe(ctx, event.StreamGame, &hub.Position{After: first, Epoch: "k3"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sub.Close()
	m, err := sub.Next(ctx)
	fmt.Println(sub.Recovered(), m.Type, err)
	// Output: true game.notice <nil>
}

package node

import (
	"net/http"

	"uniqverse/internal/api"
	"uniqverse/internal/web"
	"uniqverse/services/chat/moderation"
)

// chatClient is a client of chat, near or far, that acts as the game's server.
func (n *Node) chatClient() *api.Chat {
	return api.NewChat(n.registry.Client("chat"), func(r *http.Request) error {
		return n.auth.Internal.Authorize(r, "game", "chat", n.registry.BaseURL("chat") != "", web.Caller{}, "chat.read", "chat.write", "chat.moderate")
	})
}

// engine is the external moderation, nil where none is set (VEZE_SERVICE_XENGINE).
func (n *Node) engine() *moderation.Engine {
	if n.registry.BaseURL("xengine") == "" {
		return nil
	}
	asker := api.NewXEngine(n.registry.Client("xengine"), func(r *http.Request) error {
		return n.auth.Internal.Authorize(r, "chat", "xengine", true, web.Caller{})
	})
	return moderation.NewEngine(asker, 0, n.opts.Now)
}

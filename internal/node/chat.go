package node

import (
	"net/http"

	"uniqverse/internal/api"
	"uniqverse/internal/web"
	"uniqverse/services/chat/moderation"
)

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

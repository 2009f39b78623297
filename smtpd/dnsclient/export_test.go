package dnsclient

import (
	"context"
	"time"
)

// NewAt is New with a clock.
func NewAt(setting string, now func() time.Time) (*Client, error) {
	c, err := New(setting)
	if err == nil {
		c.cache.now = now
		if c.servers != nil {
			c.servers.now = now
		}
	}
	return c, err
}

// Cache is the cache alone.
type Cache struct{ c *cache }

// NewCache returns an empty one.
func NewCache() Cache { return Cache{newCache(time.Now)} }

// Get asks through the cache and returns the error alone.
func (c Cache) Get(ctx context.Context, key string, ask func()) error {
	return c.c.get(ctx, key, func() answer { ask(); return answer{} }).err
}

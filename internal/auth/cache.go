package auth

import (
	"container/list"
	"sync"
)

// cache holds the most recently used values, at most size of them. A value that was loaded
// while its key was dropped is returned but not kept: it may be older than the drop.
type cache[K comparable, V any] struct {
	size int

	mu      sync.Mutex // guards everything below
	order   *list.List // of *entry, the last used at the front
	entries map[K]*list.Element
	drops   int64 // how often drop was called
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

func newCache[K comparable, V any](size int) *cache[K, V] {
	return &cache[K, V]{size: size, order: list.New(), entries: map[K]*list.Element{}}
}

func (c *cache[K, V]) get(key K) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	if !ok {
		var none V
		return none, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*entry[K, V]).value, true
}

// load returns the value of the key, from fn when it is not held. Errors are not kept.
func (c *cache[K, V]) load(key K, fn func() (V, error)) (V, error) {
	if v, ok := c.get(key); ok {
		return v, nil
	}
	c.mu.Lock()
	drops := c.drops
	c.mu.Unlock()
	v, err := fn()
	if err != nil {
		return v, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drops == drops {
		c.put(key, v)
	}
	return v, nil
}

// put keeps a value; the caller holds mu.
func (c *cache[K, V]) put(key K, v V) {
	if e, ok := c.entries[key]; ok {
		e.Value.(*entry[K, V]).value = v
		c.order.MoveToFront(e)
		return
	}
	c.entries[key] = c.order.PushFront(&entry[K, V]{key, v})
	if c.order.Len() > c.size {
		last := c.order.Back()
		c.order.Remove(last)
		delete(c.entries, last.Value.(*entry[K, V]).key)
	}
}

func (c *cache[K, V]) drop(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	if e, ok := c.entries[key]; ok {
		c.order.Remove(e)
		delete(c.entries, key)
	}
}

// clear drops everything.
func (c *cache[K, V]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	c.order.Init()
	clear(c.entries)
}

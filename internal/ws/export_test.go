package ws

// Held returns how many bytes of frames the topic keeps for those who lag.
func (t *Topic) Held() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, g := range t.segs {
		n += cap(g.buf)
	}
	return n
}

// Ending reports whether the subscriber's connection was told to close.
func (s *Sub) Ending() bool { return s.c.isClosing() }

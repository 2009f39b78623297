package hub

// KeptBytes tells tests what all rings together weigh.
func KeptBytes(h *Local) int64 { return h.bytes.Load() }

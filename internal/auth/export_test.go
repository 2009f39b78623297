package auth

// CheapHashes makes password hashes cost next to nothing, for tests that sign in a hundred times.
func CheapHashes(a *Auth) { a.hasher.memory, a.hasher.time = 64, 1 }

// Crowd makes every place at the password hash taken, until leave is called.
func Crowd(a *Auth) (leave func()) {
	for range cap(a.hasher.queue) {
		a.hasher.queue <- struct{}{}
	}
	return func() {
		for range cap(a.hasher.queue) {
			<-a.hasher.queue
		}
	}
}

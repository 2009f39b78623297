package chatstore

import (
	"time"

	"uniqverse/services/chat"
	"uniqverse/services/chat/search"
)

// HotQueries are the statements that must stay fast in a room of a million lines, by what they read.
func HotQueries() (map[string]string, error) {
	q, err := search.Parse("warp gate")
	found, _ := searchQuery(chat.Viewer{User: 1}, q, 1, 0, time.Now(), 50)
	return map[string]string{"a page of history": messagesQuery(false), "a page forward": messagesQuery(true), "what follows a seq": followingQuery, "a search": found}, err
}

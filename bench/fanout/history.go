package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"uniqverse/store"
)

// past measures a page of 50 lines from the end, the middle and the beginning of a room with a long history. The lines
// are written straight into the tables: posting a million would take minutes and show nothing.
func (b *bench) past() error {
	s, room, err := hall()
	if err != nil {
		return err
	}
	dir := s.dir
	s.dir = "" // it is used again
	s.end()
	ctx := context.Background()
	db, err := store.Open(ctx, store.Options{Dir: dir})
	if err != nil {
		return err
	}
	const batch = 5000
	for from := 0; from < b.history && err == nil; from += batch {
		err = db.Write(ctx, nil, func(tx *store.Tx) error {
			for i := from; i < min(from+batch, b.history); i++ {
				if _, err := tx.Exec(`INSERT INTO chat_messages (room_id, seq, user_id, handle, text, flags, created_at, reply_to, mentions) VALUES ($1, $2, $3, '@poster', $4, '{}', $5, 0, '')`,
					room, i+1, 100+i%64, fmt.Sprintf("%08d ", i)+strings.Repeat("x", 119), 1_700_000_000_000+int64(i)); err != nil {
					return err
				}
			}
			_, err := tx.Exec(`UPDATE chat_rooms SET head = $2 WHERE id = $1`, room, min(from+batch, b.history))
			return err
		})
	}
	db.Close()
	if err != nil {
		return err
	}
	if s, err = start("serve", dir); err != nil {
		return err
	}
	s.dir = dir
	defer s.end()
	for _, at := range []struct{ what, query string }{{"the newest page", ""}, {"a page in the middle", fmt.Sprintf("?before=%d", b.history/2)}, {"lines around one", fmt.Sprintf("?around=%d", b.history/3)}, {"the oldest page", "?before=52"}} {
		url := fmt.Sprintf("%s/rooms/%d/messages%s", s.url, room, at.query)
		var took []time.Duration
		before := s.cpu()
		const n = 500
		for range n {
			begin := time.Now()
			text, err := get(url)
			if err != nil {
				return err
			}
			took = append(took, time.Since(begin))
			if strings.Count(text, `"seq":`) != 50 {
				return fmt.Errorf("%s has %d lines", url, strings.Count(text, `"seq":`))
			}
		}
		used := s.cpu() - before
		slices.Sort(took)
		b.row("history", fmt.Sprintf("%d lines, %s", b.history, at.what), fmt.Sprintf("%.2f ms median, %.2f ms p99 over HTTP", ms(took[n/2]), ms(took[n*99/100])), fmt.Sprintf("%.2f ms of CPU a page", ms(used)/n))
	}
	http.DefaultClient.CloseIdleConnections()
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

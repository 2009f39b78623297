package chat_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"uniqverse/internal/api"
	"uniqverse/store"
)

// finds returns the texts of the lines that somebody's search finds, newest first.
func (w *world) finds(token, q string, more ...string) string {
	w.t.Helper()
	var found []api.ChatFound
	w.must("GET", "/search?q="+url.QueryEscape(q)+strings.Join(more, ""), token, "").json(w.t, &found)
	texts := []string{}
	for _, f := range found {
		texts = append(texts, f.Text)
	}
	return strings.Join(texts, "|")
}

func TestSearch(t *testing.T) {
	w := start(t, "")
	hall := w.room("hall")
	for i, text := range []string{"warp gate online", "the gate is shut", "Warp core", "café", "100% sure"} {
		w.say(hall, []string{"pilot", "agent"}[i%2], fmt.Sprintf(`{"text":%q}`, text))
	}
	for q, want := range map[string]string{
		"gate": "the gate is shut|warp gate online", "WARP": "Warp core|warp gate online", "warp gate": "warp gate online", `"gate warp"`: "", "ga*": "the gate is shut|warp gate online",
		"warp -gate": "Warp core", "cafe": "café", "100": "100% sure", "nothing": "", "gate from:agent": "the gate is shut", "gate from:AGENT in:Hall": "the gate is shut",
		"gate in:elsewhere": "", "gate before:2000-01-01": "", "gate after:2000-01-01 before:2999-01-01": "the gate is shut|warp gate online",
	} {
		if got := w.finds("pilot", q); got != want {
			t.Errorf("%s finds %q, want %q", q, got, want)
		}
	}
	var found []api.ChatFound
	w.must("GET", "/search?q=core", "reader", "").json(t, &found)
	if len(found) != 1 || found[0].RoomName != "hall" || found[0].RoomID != hall || found[0].Seq != 3 || fmt.Sprint(found[0].Parts) != "[{Warp  false} {core true}]" {
		t.Errorf("found %+v", found)
	}
	a := w.must("GET", "/search?q=gate&limit=1", "pilot", "")
	if m := nextLink.FindStringSubmatch(a.header.Get("Link")); m == nil || !strings.Contains(w.must("GET", m[1], "pilot", "").body, "warp gate online") {
		t.Errorf("Link %q", a.header.Get("Link"))
	}
	// What is changed and taken away is followed.
	w.must("PATCH", fmt.Sprintf("/rooms/%d/messages/1", hall), "pilot", `{"text":"warp tunnel online"}`)
	w.must("DELETE", fmt.Sprintf("/rooms/%d/messages/3", hall), "pilot", "")
	for q, want := range map[string]string{"gate": "the gate is shut", "tunnel": "warp tunnel online", "core": "", "warp": "warp tunnel online"} {
		if got := w.finds("pilot", q); got != want {
			t.Errorf("then %s finds %q, want %q", q, got, want)
		}
	}
	f := w.file(hall, "pilot", "a.txt", []byte("x"))
	w.say(hall, "pilot", fmt.Sprintf(`{"text":"with a gate","attachments":[%d]}`, f.ID))
	g := w.file(hall, "pilot", "b.txt", []byte("x"))
	w.say(hall, "pilot", fmt.Sprintf(`{"attachments":[%d]}`, g.ID))
	if got := w.finds("reader", "has:attachment gate"); got != "with a gate" {
		t.Errorf("has:attachment gate finds %q", got)
	}
	if got := w.finds("reader", "has:attachment"); got != "|with a gate" {
		t.Errorf("has:attachment finds %q", got)
	}
	// Over a restart nothing is lost and nothing is there twice.
	w.stop()
	w = start(t, w.dir)
	w.say(hall, "agent", `{"text":"gate again"}`)
	if got := w.finds("pilot", "gate"); got != "gate again|with a gate|the gate is shut" {
		t.Errorf("after a restart gate finds %q", got)
	}
}

// What is written without spaces is found by any part of it, also where an older version put it into the index.
func TestSearchWithoutSpaces(t *testing.T) {
	w := start(t, "")
	hall := w.room("hall")
	for _, text := range []string{"東京都に行く", "京都のワープゲート v2", "한국어로 말해요", "warp東京gate", "plain"} {
		w.say(hall, "pilot", fmt.Sprintf(`{"text":%q}`, text))
	}
	finds := map[string]string{"京都": "京都のワープゲート v2|東京都に行く", "東京": "warp東京gate|東京都に行く", "京": "warp東京gate|京都のワープゲート v2|東京都に行く", "東京 -行く": "warp東京gate",
		"ゲート": "京都のワープゲート v2", "ート v2": "京都のワープゲート v2", "한국": "한국어로 말해요", "말해": "한국어로 말해요", "gate": "warp東京gate", `"東京gate"`: "warp東京gate", "都東": "", "大阪": "", "京都*": "京都のワープゲート v2|東京都に行く"}
	for q, want := range finds {
		if got := w.finds("pilot", q); got != want {
			t.Errorf("%s finds %q, want %q", q, got, want)
		}
	}
	ctx := context.Background()
	migration, err := os.ReadFile("../../store/migrations/sqlite/0047_chat_search_pairs.sql")
	if err != nil {
		t.Fatal(err)
	}
	_, again, _ := strings.Cut(string(migration), ") STRICT;")
	waiting := 0
	err = w.db.Write(ctx, nil, func(tx *store.Tx) error { // as a version before had it
		for _, statement := range []string{`DELETE FROM chat_fts WHERE rowid <= 3`, `INSERT INTO chat_fts (rowid, text) SELECT id, text FROM chat_messages WHERE id <= 3`, again} {
			if _, err := tx.Exec(statement); err != nil {
				return err
			}
		}
		return tx.QueryRow(`SELECT COUNT(*) FROM chat_fts_again`).Scan(&waiting)
	})
	if err != nil || waiting != 4 {
		t.Fatalf("%d lines go into the index once more: %v", waiting, err)
	}
	for q, want := range finds {
		if got := w.finds("pilot", q); got != want {
			t.Errorf("put in anew, %s finds %q, want %q", q, got, want)
		}
	}
}

// Nobody finds what they may not read.
func TestSearchWithinWhatOneMayRead(t *testing.T) {
	w := start(t, "")
	hall := w.room("hall")
	var guild, party struct{ ID int64 }
	w.must("POST", "/rooms?name=guild&kind=guild", "agent", "").json(t, &guild)
	w.must("POST", "/rooms?name=party&kind=party", "agent", "").json(t, &party)
	w.say(hall, "agent", "text=word+hall")
	w.say(guild.ID, "agent", "text=word+guild")
	w.say(party.ID, "agent", "text=word+early")
	in := fmt.Sprintf("&room=%d", guild.ID)
	for _, who := range []string{"pilot", "outsider", "reader"} {
		if got := w.finds(who, "word"); got != "word hall" {
			t.Errorf("%s finds %q", who, got)
		}
		if a := w.call("GET", "/search?q=word"+in, who, ""); a.status != 404 {
			t.Errorf("%s in another's room: %d", who, a.status)
		}
	}
	for _, room := range []int64{guild.ID, party.ID} {
		w.must("POST", fmt.Sprintf("/rooms/%d/members", room), "agent", "user_id=2")
	}
	w.say(party.ID, "agent", "text=word+late")
	if got := w.finds("pilot", "word"); got != "word late|word guild|word hall" {
		t.Errorf("a member finds %q", got)
	}
	if got := w.finds("pilot", "word", in); got != "word guild" {
		t.Errorf("in one room a member finds %q", got)
	}
	if got := w.finds("agent", "word"); got != "word late|word early|word guild|word hall" {
		t.Errorf("who may see all finds %q", got)
	}
	w.must("POST", fmt.Sprintf("/rooms/%d/ban", hall), "agent", "user_id=2")
	w.must("POST", fmt.Sprintf("/rooms/%d/leave", guild.ID), "pilot", "")
	if got := w.finds("pilot", "word"); got != "word late" {
		t.Errorf("banned here and gone there, one finds %q", got)
	}
	for _, q := range []string{"", "!!", "from:x", "before:x y", strings.Repeat("x", 501)} {
		if a := w.call("GET", "/search?q="+url.QueryEscape(q), "pilot", ""); a.status != 422 {
			t.Errorf("%.20q: %d", q, a.status)
		}
	}
}

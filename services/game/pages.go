package game

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"uniqverse/hub"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/templates"
)

const (
	homeTop    = 5  // rows of the newest board on the start page
	homeQueues = 8  // queues on the start page
	homeEvents = 12 // lines of what happened lately
)

func (s *Service) home(c *web.Call, _ web.None) (web.Page, error) {
	ctx := c.Context()
	t, err := s.store.Totals(ctx)
	if err != nil {
		return web.Page{}, err
	}
	v := templates.GameHomeView{EventsURL: "/events", Counts: []templates.Count{
		{Label: "Waiting", Value: t.Waiting, Hint: "for a match"},
		{Label: "Matches", Value: t.Matches, Hint: "made so far"},
		{Label: "Ranked", Value: t.Ranked, Hint: "scores on all boards", Href: "/leaderboards"},
		{Label: "Telemetry", Value: t.Telemetry, Hint: "events stored"},
	}}
	queues, err := s.store.Queues(ctx, homeQueues)
	if err != nil {
		return web.Page{}, err
	}
	for _, q := range queues {
		v.Queues = append(v.Queues, templates.QueueRow{Mode: q.Mode, Region: q.Region, Waiting: q.Waiting, Oldest: max(0, c.Now.Sub(q.Since))})
	}
	boards, err := s.store.Boards(ctx)
	if err != nil {
		return web.Page{}, err
	}
	if b, ok := pick(boards, "", ""); ok {
		rows, err := s.store.Ranks(ctx, b, homeTop, 0)
		if err != nil {
			return web.Page{}, err
		}
		v.Season, v.Mode, v.Top = b.Season, b.Mode, boardRows(c, rows)
	}
	for _, m := range s.fan.Recent(homeEvents) {
		v.Recent = append(v.Recent, templates.TickerLine{At: m.At, Type: m.Type, Text: inWords(m)})
	}
	return web.Page{Template: templates.PageGameHome, Title: "Game", Data: v}, nil
}

func boardRows(c *web.Call, rows []Ranked) []templates.BoardRow {
	var out []templates.BoardRow
	for _, r := range rows {
		out = append(out, templates.BoardRow{Rank: int(r.Rank), UserID: r.UserID, Score: r.Score, At: r.At, You: c.Caller.User != "" && r.UserID == c.Caller.User})
	}
	return out
}

// inWords tells an event in one line.
func inWords(m hub.Message) string {
	switch m.Type {
	case event.GameMatchFound:
		var p matchFound
		if json.Unmarshal(m.Payload, &p) == nil {
			var sides []string
			for _, t := range p.Teams {
				sides = append(sides, strings.Join(t, ", "))
			}
			return fmt.Sprintf("Match %d: %s (%s, %s)", p.MatchID, strings.Join(sides, " against "), p.Mode, p.Region)
		}
	case event.GameLeaderboardUpdated:
		var p boardUpdated
		if json.Unmarshal(m.Payload, &p) == nil {
			return fmt.Sprintf("%s scored %s in %s · %s", p.UserID, strconv.FormatFloat(p.Score, 'f', -1, 64), p.Season, p.Mode)
		}
	}
	return m.Type
}

func (s *Service) boardPage(c *web.Call, in boardsIn) (web.Page, error) {
	ctx := c.Context()
	boards, err := s.store.Boards(ctx)
	if err != nil {
		return web.Page{}, err
	}
	v := templates.LeaderboardView{EventsURL: "/events", Submit: submitCommand(c)}
	page := web.Page{Template: templates.PageLeaderboard, Title: "Leaderboards"}
	b, ok := pick(boards, in.Season, in.Mode)
	if !ok {
		b, ok = pick(boards, "", "") // an old link shows the newest board rather than nothing
	}
	if !ok {
		page.Data = v
		return page, nil
	}
	v.Season, v.Mode, v.Players = b.Season, b.Mode, int(b.Players)
	for _, season := range seasonsOf(boards) {
		v.Seasons = append(v.Seasons, templates.Tab{Label: season.ID, Href: boardPath(season.ID, "", 0), Current: season.ID == b.Season})
		if season.ID == b.Season {
			for _, m := range season.Modes {
				v.Modes = append(v.Modes, templates.Tab{Label: m, Href: boardPath(season.ID, m, 0), Current: m == b.Mode})
			}
		}
	}
	size := boardIn{Limit: in.Limit}.size()
	rows, err := s.store.Ranks(ctx, b, size, in.Offset)
	if err != nil {
		return web.Page{}, err
	}
	v.Rows = boardRows(c, rows)
	v.Pager = templates.Pager{From: in.Offset + 1, To: in.Offset + len(rows), Total: int(b.Players)}
	if in.Offset > 0 {
		v.Pager.Prev = boardPath(b.Season, b.Mode, max(0, in.Offset-size))
	}
	if int64(in.Offset+len(rows)) < b.Players && len(rows) > 0 {
		v.Pager.Next = boardPath(b.Season, b.Mode, in.Offset+len(rows))
	}
	if me := c.Caller.User; me != "" && !slices.ContainsFunc(rows, func(r Ranked) bool { return r.UserID == me }) {
		r, ok, err := s.store.RankOf(ctx, b.ID, me)
		if err != nil {
			return web.Page{}, err
		}
		if ok {
			v.You = &boardRows(c, []Ranked{r})[0]
		}
	}
	page.Data = v
	return page, nil
}

func boardPath(season, mode string, offset int) string {
	q := url.Values{"season": {season}}
	if mode != "" {
		q.Set("mode", mode)
	}
	if offset > 0 {
		q.Set("offset", strconv.Itoa(offset))
	}
	return "/leaderboards?" + q.Encode()
}

// submitCommand is what an empty board tells a newcomer to type.
func submitCommand(c *web.Call) string {
	return fmt.Sprintf(`curl -d user_id=%s -d score=1200 -d season=s1 -d mode=duel http://%s%s`, c.Caller.User, c.Request.Host, c.URL("/leaderboards/submit"))
}

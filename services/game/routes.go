package game

import (
	"net/http"

	"uniqverse/internal/web"
)

// Endpoints are the game's routes.
func (s *Service) Endpoints() []web.Endpoint {
	play, mail := web.Needs("game.play"), web.NeedsToken("game.read_mail")
	own := play
	own.Describe = "a user acts as themselves; the scope game.server may name others"
	mail.Describe = "a user reads their own mail; the scope game.server may name others"
	return []web.Endpoint{
		web.View("/", play, "Who waits, who leads, what happened lately", s.home),
		web.View("/leaderboards", play, "Leaderboards, live", s.boardPage),
		web.Query(http.MethodGet, "/leaderboards", play, "All seasons and modes, and the newest board or the one named by season and mode", s.boards),

		web.Query(http.MethodGet, "/email/mail", mail, "A user's mail, through the email service; no user is 422, whoever asks", s.mail).ParamsFirst().MaxBody(4 << 10),

		web.Command(http.MethodPost, "/matchmaking/enqueue", own, "Wait for a match; a player waits in one queue at most", s.store, s.enqueue),
		web.Command(http.MethodPost, "/matchmaking/dequeue", own, "Wait no more", s.store, s.dequeue),
		web.Query(http.MethodPost, "/matchmaking/match", play, "Make the next match of those who wait, and take its players out of the queue", s.match),

		web.Command(http.MethodPost, "/leaderboards/submit", own, "Submit a score; each player's best counts", s.store, s.submit),
		web.Query(http.MethodGet, "/leaderboards/seasons", play, "Seasons and the modes played in them, the newest season first", s.seasons),
		web.Query(http.MethodGet, "/leaderboards/{season}/{mode}", play, "A board, best first; Link leads on", s.board),

		web.Query(http.MethodGet, "/inventory/{user_id}", own, "What a player owns; a new one has a starter_pack", s.inventory),
		web.Command(http.MethodPost, "/inventory/{user_id}", own, "Add things to what a player owns", s.store, s.addItem),

		web.Command(http.MethodPost, "/telemetry/bulk", own, "Store up to 1000 events, all or none", s.store, s.addTelemetry).MaxBody(4 << 20),
		web.Query(http.MethodGet, "/telemetry/events", own, "Stored events, newest first", s.telemetry),

		web.Query(http.MethodPost, "/ml/predict_skill", play, "A rating from features; the formula is documented", s.predictSkill),
		web.Query(http.MethodPost, "/ml/detect_bot", play, "How much signals look like a machine's; the formula is documented", s.detectBot),

		web.Stream(http.MethodGet, "/ws/events", play, "The game's events over a WebSocket, inputs among them; after=<id> resumes", s.socket),
		web.Command(http.MethodPost, "/ws/inputs", own, "Pass an object on to every socket of /ws/events; it is not stored", s.store, s.input).MaxBody(maxInput),
		web.Stream(http.MethodGet, "/events", play, "The game's events as an event stream", s.events),
	}
}

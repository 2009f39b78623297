package game

import (
	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/game/rating"
)

type skillIn struct {
	Features []float64 `json:"features" web:"required" max:"256" doc:"numbers, the most telling first"`
}

// Check refuses an empty list, of which nothing can be said.
func (in *skillIn) Check() error { return notEmpty("features", in.Features) }

func (s *Service) predictSkill(_ *web.Call, in skillIn) (api.GameSkill, error) {
	return api.GameSkill{Skill: rating.PredictSkill(in.Features), Model: rating.SkillModel}, nil
}

type botIn struct {
	Signals []float64 `json:"signals" web:"required" max:"256" doc:"figures that are larger for a machine"`
}

// Check refuses an empty list, of which nothing can be said.
func (in *botIn) Check() error { return notEmpty("signals", in.Signals) }

func (s *Service) detectBot(_ *web.Call, in botIn) (api.GameBot, error) {
	score, bot := rating.DetectBot(in.Signals)
	return api.GameBot{IsBot: bot, Score: score, Model: rating.BotModel}, nil
}

func notEmpty(field string, list []float64) error {
	if len(list) == 0 {
		return errs.New(errs.Malformed, "%s is empty; send at least one number", field)
	}
	return nil
}

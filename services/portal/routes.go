package portal

import (
	"net/http"

	"uniqverse/internal/web"
)

// Endpoints are the portal's routes beside those of the accounts.
func (s *Service) Endpoints() []web.Endpoint {
	return []web.Endpoint{
		web.View("/", web.Anyone(), "Helm: the services, their health and what happens", s.helm),
		web.View("/helm", web.Anyone(), "The same under its own name", s.helm),
		web.Query(http.MethodGet, "/api/services", web.Anyone(), "The directory with each service's health", s.services),
		web.Stream(http.MethodGet, "/events", web.Anyone(), "Live events for Helm's ticker: those that the caller may see", s.events),
		web.Query(http.MethodPost, "/provision/{user}", web.Needs("portal.provision"), "Make the user's mailbox unless it is there, and list its newest mail", s.provision),
		web.View("/ui", web.Anyone(), "Every component of the design system", s.components),
		web.Stream(web.AnyMethod, "/proxy/{service}/{path...}", web.Anyone(), "A service under the portal's port", s.forward).PassThrough(),
	}
}

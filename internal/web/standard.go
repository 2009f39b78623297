package web

import (
	"context"
	"net/http"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// Health is what GET /health answers.
type Health struct {
	Status  string            `json:"status"` // "ok", or "failing"
	Service string            `json:"service"`
	Version string            `json:"version"`
	Checks  map[string]string `json:"checks"` // "ok", or what is wrong
}

// standard are the endpoints that every service has.
func (h *Handler) standard() []Endpoint {
	health := Stream[None](http.MethodGet, "/health", Anyone(), "Whether the service and what it needs are well", h.health)
	meter := Stream[None](http.MethodGet, "/metrics", Anyone(), "Figures in Prometheus text format", h.metrics)
	disco := Query(http.MethodGet, "/.veze/service.json", Anyone(), "The discovery document that Helm reads", h.discovery)
	spec := Stream[None](http.MethodGet, "/openapi.json", Anyone(), "This service's routes as an OpenAPI 3.1 document", h.openAPI)
	docs := View("/docs", Anyone(), "The routes, to read", h.docs)
	all := []Endpoint{health, meter, disco, spec, docs}
	for i := range all {
		all[i].noAuth = all[i].Path != "/docs"
		all[i].longLife = false
	}
	return all
}

func (h *Handler) health(c *Call, w http.ResponseWriter, _ None) error {
	ctx, cancel := context.WithTimeout(c.Context(), 2*time.Second)
	defer cancel()
	out := Health{Status: "ok", Service: h.opts.Service, Version: h.opts.Version, Checks: map[string]string{}}
	status := http.StatusOK
	for _, ck := range h.opts.Checks {
		out.Checks[ck.Name] = "ok"
		if err := ck.Test(ctx); err != nil {
			c.Log.Error("health check failed", "check", ck.Name, "err", err.Error())
			out.Checks[ck.Name] = "failing: the log says why"
			out.Status, status = "failing", http.StatusServiceUnavailable
		}
	}
	c.json(status, mustJSON(out))
	return nil
}

func (h *Handler) metrics(c *Call, w http.ResponseWriter, _ None) error {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	h.opts.Metrics.WritePrometheus(w)
	metrics.WriteProcessMetrics(w)
	return nil
}

func (h *Handler) discovery(c *Call, _ None) (Discovery, error) {
	d := h.opts.Discovery
	d.Status = "green"
	ctx, cancel := context.WithTimeout(c.Context(), 2*time.Second)
	defer cancel()
	for _, ck := range h.opts.Checks {
		if ck.Test(ctx) != nil {
			d.Status = "red"
		}
	}
	return d, nil
}

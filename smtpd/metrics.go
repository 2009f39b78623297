package smtpd

import "time"

// The metrics, with their labels:
//
//	smtp_connections_total      mode, result: accepted | refused
//	smtp_tls_total              mode, result: ok | failed
//	smtp_auth_total             mode, result: ok | failed | error
//	smtp_rejects_total          mode, code
//	smtp_messages_total         mode, result: accepted | rejected | deferred | aborted
//	smtp_message_bytes_total    mode
//	smtp_stage_seconds          stage: receive | authenticate | deliver

func (s *Server) count(name string, labels ...string) { s.add(name, 1, labels...) }

func (s *Server) add(name string, delta int, labels ...string) {
	if s.opt.Metrics != nil {
		s.opt.Metrics.Add(name, delta, labels...)
	}
}

func (s *Server) observe(stage string, since time.Time) {
	if s.opt.Metrics != nil {
		s.opt.Metrics.Observe("smtp_stage_seconds", time.Since(since).Seconds(), "stage", stage)
	}
}

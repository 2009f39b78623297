// Package otlp sends the spans of requests and mails to an OpenTelemetry collector, when the
// standard OTEL_* settings name one (OTLP over HTTP with protobuf).
//
// It is not where traces are made: every action has its trace (package event) whether or
// not a collector is there. This package gives each of them a span with the same ids. A
// collector that is slow or gone costs nothing but dropped spans: sending is in batches, off
// the request's path, with a bounded queue.
//
// An Exporter is safe for concurrent use. Shutdown sends what is queued.
package otlp

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"uniqverse/internal/event"
)

// Options say where spans go and what they are called.
type Options struct {
	URL        string            // the whole URL, such as http://127.0.0.1:4318/v1/traces
	Headers    map[string]string // sent with each export
	Service    string            // service.name
	Attributes map[string]string // more of the resource
	Sampler    string            // a value of OTEL_TRACES_SAMPLER; "" is parentbased_always_on
	Ratio      float64           // for the traceidratio samplers, 0 to 1
	Log        *slog.Logger      // hears when the collector goes and comes; nil is silent
}

// Exporter makes spans of traces.
type Exporter struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// New returns an exporter that sends to the collector; it does not contact it yet.
func New(ctx context.Context, opts Options) (*Exporter, error) {
	u, err := url.Parse(opts.URL)
	if err != nil {
		return nil, fmt.Errorf("traces URL %q: %w", opts.URL, err)
	}
	send := []otlptracehttp.Option{otlptracehttp.WithEndpoint(u.Host), otlptracehttp.WithURLPath(u.Path), otlptracehttp.WithTimeout(5 * time.Second)}
	if u.Scheme == "http" {
		send = append(send, otlptracehttp.WithInsecure())
	}
	if len(opts.Headers) > 0 {
		send = append(send, otlptracehttp.WithHeaders(opts.Headers))
	}
	exp, err := otlptracehttp.New(ctx, send...)
	if err != nil {
		return nil, fmt.Errorf("traces to %s: %w", opts.URL, err)
	}
	attrs := []attribute.KeyValue{attribute.String("service.name", opts.Service)}
	for k, v := range opts.Attributes {
		attrs = append(attrs, attribute.String(k, v))
	}
	p := sdk.NewTracerProvider(
		sdk.WithBatcher(&told{SpanExporter: exp, url: opts.URL, log: opts.Log}, sdk.WithBatchTimeout(time.Second), sdk.WithMaxQueueSize(4096)),
		sdk.WithResource(resource.NewSchemaless(attrs...)),
		sdk.WithSampler(sampler(opts.Sampler, opts.Ratio)),
		sdk.WithIDGenerator(ids{}),
	)
	return &Exporter{provider: p, tracer: p.Tracer("uniqverse")}, nil
}

// told writes to our log what the SDK would print on its own.
type told struct {
	sdk.SpanExporter
	url  string
	log  *slog.Logger
	gone bool // one batch is sent at a time
}

// ExportSpans implements sdk.SpanExporter.
func (e *told) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if gone := err != nil; gone != e.gone && e.log != nil {
		e.gone = gone
		if gone {
			e.log.Warn("traces are lost: the collector does not take them", "url", e.url, "err", err.Error())
		} else {
			e.log.Info("the collector takes traces again", "url", e.url)
		}
	}
	return nil
}

func sampler(name string, ratio float64) sdk.Sampler {
	root := sdk.AlwaysSample()
	switch strings.TrimPrefix(name, "parentbased_") {
	case "always_off":
		root = sdk.NeverSample()
	case "traceidratio":
		root = sdk.TraceIDRatioBased(ratio)
	}
	if strings.HasPrefix(name, "parentbased_") || name == "" {
		return sdk.ParentBased(root)
	}
	return root
}

// Start implements web.Tracer: it begins a span for the trace, below the caller's span when
// there is one, and returns the trace with the new span's id.
func (e *Exporter) Start(ctx context.Context, t *event.Trace, hasParent bool, name string) (*event.Trace, func(status int)) {
	id, err := trace.TraceIDFromHex(t.ID)
	if err != nil {
		return t, func(int) {}
	}
	if parent, err := trace.SpanIDFromHex(t.Span); err == nil && hasParent {
		ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: parent, TraceFlags: trace.FlagsSampled, Remote: true}))
	} else {
		ctx = context.WithValue(ctx, rootKey{}, id)
	}
	_, span := e.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer))
	return &event.Trace{ID: t.ID, Span: span.SpanContext().SpanID().String(), Hops: t.Hops}, func(status int) {
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		if status >= 500 {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// Shutdown sends what is queued, within ctx.
func (e *Exporter) Shutdown(ctx context.Context) error { return e.provider.Shutdown(ctx) }

type rootKey struct{}

// ids gives a root span the id of the trace that the action already has.
type ids struct{}

// NewIDs implements sdk.IDGenerator.
func (ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	id, ok := ctx.Value(rootKey{}).(trace.TraceID)
	if !ok {
		id, _ = trace.TraceIDFromHex(event.NewTrace().ID)
	}
	return id, newSpan()
}

// NewSpanID implements sdk.IDGenerator.
func (ids) NewSpanID(context.Context, trace.TraceID) trace.SpanID { return newSpan() }

func newSpan() trace.SpanID {
	s, _ := trace.SpanIDFromHex(event.NewTrace().Span)
	return s
}

package intake

import (
	"errors"

	"github.com/elastic/apm-data/input/elasticapm"
	"github.com/prometheus/client_golang/prometheus"
)

// Why events that were read well don't become documents.
const (
	droppedUnsampled   = "unsampled"
	droppedQueueFull   = "queue_full"
	droppedStopping    = "stopping"
	droppedUnencodable = "unencodable"
)

// Why lines of a stream were refused.
const (
	invalidMalformed = "malformed"
	invalidTooLarge  = "too_large"
)

type metrics struct {
	accepted *prometheus.CounterVec
	invalid  *prometheus.CounterVec
	dropped  *prometheus.CounterVec
	lines    *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		accepted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pharos_intake_events_accepted_total",
			Help: "Events that were read and queued, by type.",
		}, []string{"type"}),
		invalid: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pharos_intake_events_invalid_total",
			Help: "Lines that agents sent and that are no events, by reason.",
		}, []string{"reason"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pharos_intake_events_dropped_total",
			Help: "Events that were read but not queued, by reason. What a stream held behind the first of them is not counted.",
		}, []string{"reason"}),
	}
	m.lines = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pharos_intake_log_lines_total",
		Help: "Lines of POST /logs by sender (the key's name) and outcome: accepted into the queue, or refused.",
	}, []string{"sender", "outcome"})
	for _, reason := range []string{droppedUnsampled, droppedQueueFull, droppedStopping, droppedUnencodable} {
		m.dropped.WithLabelValues(reason) // a rate can only be seen from a zero on
	}
	for _, reason := range []string{invalidMalformed, invalidTooLarge} {
		m.invalid.WithLabelValues(reason)
	}
	reg.MustRegister(m.accepted, m.invalid, m.dropped, m.lines)
	return m
}

// stream counts what came of a stream.
func (m *metrics) stream(r *elasticapm.Result, streamErr error) {
	for kind, n := range map[string]int{
		"transaction": r.AcceptedDetails.Transaction,
		"span":        r.AcceptedDetails.Span,
		"error":       r.AcceptedDetails.Error,
		"metric":      r.AcceptedDetails.Metric,
		"log":         r.AcceptedDetails.Log,
	} {
		m.accepted.WithLabelValues(kind).Add(float64(n))
	}
	malformed, tooLarge := r.Invalid, r.TooLarge
	var metadata *elasticapm.InvalidInputError
	if errors.As(streamErr, &metadata) {
		if metadata.TooLarge {
			tooLarge++
		} else {
			malformed++
		}
	}
	m.invalid.WithLabelValues(invalidMalformed).Add(float64(malformed))
	m.invalid.WithLabelValues(invalidTooLarge).Add(float64(tooLarge))
}

// queueCollector shows the appender's own statistics, taken once a scrape.
type queueCollector struct{ q *queue }

// Describe sends nothing: the metrics are made when they are collected.
func (c queueCollector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the state of the queue.
func (c queueCollector) Collect(out chan<- prometheus.Metric) {
	s := c.q.appender.Stats()
	send := func(kind prometheus.ValueType, name, help string, value int64, label ...string) {
		var names []string
		if len(label) > 0 {
			names = []string{"reason"}
		}
		desc := prometheus.NewDesc("pharos_intake_"+name, help, names, nil)
		out <- prometheus.MustNewConstMetric(desc, kind, float64(value), label...)
	}
	counter, gauge := prometheus.CounterValue, prometheus.GaugeValue
	const failed, failedHelp = "documents_failed_total", "Documents that were lost, by the reason that Elasticsearch gave (unsent: it gave none, the process stopped first)."
	send(counter, "documents_added_total", "Documents that were queued.", s.Added)
	send(counter, "documents_indexed_total", "Documents that Elasticsearch has taken.", s.Indexed)
	send(counter, failed, failedHelp, s.FailedClient, "refused")
	send(counter, failed, failedHelp, s.FailedServer, "server_error")
	send(counter, failed, failedHelp, s.TooManyRequests, "too_many_requests")
	send(counter, failed, failedHelp, max(0, s.Failed-s.FailedClient-s.FailedServer-s.TooManyRequests), "unsent")
	send(gauge, "documents_active", "Documents in the queue and on their way.", s.Active)
	send(gauge, "queue_bytes", "Size of the documents in the queue.", c.q.used.Load())
	send(gauge, "queue_limit_bytes", "Size at which the queue is full.", c.q.size)
	send(counter, "bulk_requests_total", "Bulk requests that came to an end.", s.BulkRequests)
	send(counter, "bulk_retries_total", "Attempts at a bulk request that failed and were repeated.", c.q.delivery.retries.Load())
}

package shop

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ConsumerMetrics are the indicators of a process's consumer group.
type ConsumerMetrics struct {
	processed, failed          *prometheus.CounterVec
	retries                    prometheus.Counter
	latency                    prometheus.Histogram
	lag, lost, oldest, waiting prometheus.Gauge
	pending, dead              prometheus.Gauge
	retention                  prometheus.Gauge
}

// NewConsumerMetrics registers the metrics of the group.
func NewConsumerMetrics(reg prometheus.Registerer, group string) *ConsumerMetrics {
	labels := prometheus.Labels{"group": group}
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, []string{"type"})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels})
	}
	m := &ConsumerMetrics{
		processed: counter("shop_events_processed_total", "Events whose effect is done; one that came twice counts twice."),
		failed:    counter("shop_events_failed_total", "Events that became dead letters."),
		retries: prometheus.NewCounter(prometheus.CounterOpts{Name: "shop_batch_retries_total", ConstLabels: labels,
			Help: "Times that a batch, or what was left of it, was tried again."}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "shop_event_latency_seconds", ConstLabels: labels,
			Help:    "Time from the publication of an event to its effect.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}}),
		lag:       gauge("shop_bus_lag_messages", "Messages that the group has not acknowledged."),
		pending:   gauge("shop_bus_pending_messages", "Those of the lag that a consumer has in hand; NaN on Kafka."),
		dead:      gauge("shop_bus_dead_letters", "Dead letters of all groups that are kept; NaN on Kafka."),
		lost:      gauge("shop_bus_lost_messages", "Messages that were removed by age before the group acknowledged them."),
		oldest:    gauge("shop_bus_oldest_message_seconds", "Age of the oldest message that the bus still keeps, acknowledged or not."),
		waiting:   gauge("shop_bus_waiting_seconds", "Age of the oldest message that the group has not acknowledged; 0 if none waits, NaN on Kafka."),
		retention: gauge("shop_bus_retention_seconds", "Age at which a message is removed, acknowledged or not."),
	}
	reg.MustRegister(m.processed, m.failed, m.retries, m.latency, m.lag, m.pending, m.dead, m.lost, m.oldest, m.waiting, m.retention)
	for _, kind := range Types() { // an indicator that is missing is not 0
		m.processed.WithLabelValues(kind)
		m.failed.WithLabelValues(kind)
	}
	return m
}

const (
	watchEvery   = 5 * time.Second
	watchTimeout = 3 * time.Second
)

// Watch measures the group's backlog until ctx ends.
func (m *ConsumerMetrics) Watch(ctx context.Context, bus Bus, group string, report func(context.Context, error)) error {
	m.retention.Set(bus.Retention().Seconds())
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for failing := false; ; {
		limited, cancel := context.WithTimeout(ctx, watchTimeout)
		b, err := bus.Backlog(limited, group)
		cancel()
		if err == nil {
			m.lag.Set(float64(b.Lag))
			m.pending.Set(b.Pending)
			m.dead.Set(b.DeadLetters)
			m.lost.Set(float64(b.Lost))
			m.waiting.Set(b.Waiting)
			m.oldest.Set(0)
			if !b.Oldest.IsZero() {
				m.oldest.Set(time.Since(b.Oldest).Seconds())
			}
		} else if !failing && ctx.Err() == nil {
			report(ctx, fmt.Errorf("measure the backlog (tried every %s): %w", watchEvery, err))
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// PublisherMetrics are the indicators of where events come in.
type PublisherMetrics struct {
	published, refused *prometheus.CounterVec
}

// NewPublisherMetrics registers the metrics.
func NewPublisherMetrics(reg prometheus.Registerer) *PublisherMetrics {
	m := &PublisherMetrics{
		published: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "shop_events_published_total",
			Help: "Events that were put on the bus."}, []string{"type"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "shop_events_refused_total",
			Help: "Events that were not put on the bus: invalid, duplicate, or unavailable where the bus did not take them."}, []string{"reason"}),
	}
	reg.MustRegister(m.published, m.refused)
	for _, kind := range Types() {
		m.published.WithLabelValues(kind)
	}
	for _, reason := range []string{"invalid", "duplicate", "unavailable"} {
		m.refused.WithLabelValues(reason)
	}
	return m
}

// Published counts an event of the type.
func (m *PublisherMetrics) Published(kind string) { m.published.WithLabelValues(kind).Inc() }

// Refused counts n events: "invalid", "duplicate" or "unavailable".
func (m *PublisherMetrics) Refused(reason string, n int) {
	m.refused.WithLabelValues(reason).Add(float64(n))
}

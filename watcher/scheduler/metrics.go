package scheduler

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pharos/internal/fault"
	"pharos/watcher"
)

// Metrics are what a scheduler counts.
type Metrics struct {
	executions *prometheus.CounterVec
	seconds    prometheus.Histogram
	delay      prometheus.Histogram
	failures   prometheus.Counter
}

// NewMetrics registers the metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		executions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "watcher_executions_total", Help: "Executions by the schedule, by what they came to."}, []string{"state"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "watcher_execution_duration_seconds", Help: "Time that an execution took.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}}),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "watcher_start_delay_seconds", Help: "Time from when an execution was due to its start.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "watcher_store_failures_total", Help: "Rounds in which leases or watches could not be read or written."}),
	}
	reg.MustRegister(m.executions, m.seconds, m.delay, m.failures)
	return m
}

// Watch registers the metrics of what a scheduler holds.
func (s *Scheduler) Watch(reg prometheus.Registerer) {
	for _, g := range []struct {
		name, help string
		value      func(Report) int
	}{
		{"watcher_watches", "Active watches that this process runs.", func(r Report) int { return int(r.Watches) }},
		{"watcher_shards", "Shards that this process holds.", func(r Report) int { return len(r.Shards) }},
		{"watcher_queue", "Executions that wait for a worker.", func(r Report) int { return len(r.Queued) }},
		{"watcher_running", "Executions that go on.", func(r Report) int { return len(r.Current) }},
	} {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: g.name, Help: g.help},
			func() float64 { return float64(g.value(s.report())) }))
	}
}

func (m *Metrics) started(delay time.Duration) { m.delay.Observe(max(delay, 0).Seconds()) }
func (m *Metrics) failed()                     { m.failures.Inc() }

func (m *Metrics) executed(state watcher.State, took time.Duration) {
	m.executions.WithLabelValues(string(state)).Inc()
	if took > 0 {
		m.seconds.Observe(took.Seconds())
	}
}

func isConflict(err error) bool { return fault.Is(err, fault.Conflict) }

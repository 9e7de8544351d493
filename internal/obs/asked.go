package obs

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Gauge names a figure.
type Gauge struct{ Name, Help string }

// Nobody who reads /metrics waits longer.
const askTimeout = 2 * time.Second

// Asked returns a collector of figures that another server knows: ask is called
// each time that they are read, and returns them in the order of gauges. When it
// fails they are left out, because a figure that is not known is not 0; what is
// in the way is told by the metrics of that dependency.
func Asked(ask func(context.Context) ([]float64, error), gauges ...Gauge) prometheus.Collector {
	a := asked{ask: ask}
	for _, g := range gauges {
		a.descs = append(a.descs, prometheus.NewDesc(g.Name, g.Help, nil, nil))
	}
	return a
}

type asked struct {
	ask   func(context.Context) ([]float64, error)
	descs []*prometheus.Desc
}

// Describe implements prometheus.Collector.
func (a asked) Describe(out chan<- *prometheus.Desc) {
	for _, d := range a.descs {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (a asked) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	values, err := a.ask(ctx)
	if err != nil {
		return
	}
	for i, v := range values {
		out <- prometheus.MustNewConstMetric(a.descs[i], prometheus.GaugeValue, v)
	}
}

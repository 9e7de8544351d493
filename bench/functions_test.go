package bench

import (
	"context"
	"testing"
	"time"

	"pharos/funcmetrics"
	"pharos/internal/teststack"
)

type discard struct{}

func (discard) Push(context.Context, string, []funcmetrics.Record) error { return nil }

// functions measures what recording a call costs its caller.
func functions(t *testing.T) []figure {
	recorder := funcmetrics.NewRecorder(discard{}, teststack.Config[funcmetrics.Config](t), func(context.Context, error) {})
	run(t, recorder.Run)
	const n = 100_000
	values := inTurn(31, func() float64 {
		start := time.Now()
		for range n {
			_ = tracked(recorder)
		}
		return time.Since(start).Seconds() * 1e6 / n
	}, func() float64 {
		start := time.Now()
		for range n {
			_ = tracked(nil)
		}
		return time.Since(start).Seconds() * 1e6 / n
	})
	return []figure{{"funcmetrics, added to a call", pairs(values[0], values[1], minus), "µs", goal{atMost: 2}}}
}

func tracked(r *funcmetrics.Recorder) (err error) {
	defer r.Track("bench.tracked")(&err)
	return nil
}

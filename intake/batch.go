package intake

import (
	"context"
	"crypto/md5"

	"github.com/elastic/apm-data/model/modelpb"
	"github.com/elastic/apm-data/model/modelprocessor"

	"pharos/internal/obs"
)

// namespace is the last part of every data stream's name.
const namespace = "default"

// newBatch returns what is done to the events of a stream between decoding and
// queueing, in the order that APM Server has.
func newBatch(s obs.Service, m *metrics, next modelpb.BatchProcessor) modelpb.BatchProcessor {
	observer := &modelpb.Observer{Hostname: s.Node, Type: "pharos-" + s.Name, Version: s.Version}
	return modelprocessor.Chained{
		modelprocessor.SetHostHostname{},
		modelprocessor.SetServiceNodeName{},
		// No secret depends on this hash. It is APM Server's, so that an error
		// has the same key whichever of the two received it.
		modelprocessor.SetGroupingKey{NewHash: md5.New},
		modelprocessor.SetErrorMessage{},
		&modelprocessor.SetDefaultServiceEnvironment{DefaultServiceEnvironment: s.Environment},
		modelpb.ProcessBatchFunc(func(_ context.Context, b *modelpb.Batch) error {
			for _, e := range *b {
				e.Observer = observer
				redact(e)
			}
			return nil
		}),
		&modelprocessor.SetDataStream{Namespace: namespace},
		// Agents before 8.0's API send transactions that were not sampled: they
		// have no content, and were only for counting.
		modelprocessor.NewDropUnsampled(false, func(n int64) { m.dropped.WithLabelValues(droppedUnsampled).Add(float64(n)) }),
		next,
	}
}

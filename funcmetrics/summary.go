package funcmetrics

import (
	"maps"
	"math"
	"slices"
)

// RelativeError bounds how far a quantile may be from an execution time that
// was measured: 1 %.
const RelativeError = 0.01

// MinSeconds is the shortest execution time that is told from zero.
const MinSeconds = 1e-9

// LnGamma is the width of a bucket: bucket i holds the times t for which
// ln(t)/LnGamma, rounded up, is i.
//
// These are the buckets of DDSketch (Masson, Rim, Lee: DDSketch, a fast and
// fully-mergeable quantile sketch with relative-error guarantees, VLDB 2019).
const LnGamma = 0.020000666706669435 // ln((1 + RelativeError) / (1 - RelativeError))

// Bucket is the bucket of an execution time.
func Bucket(seconds float64) int {
	return int(math.Ceil(math.Log(max(seconds, MinSeconds)) / LnGamma))
}

// Summary is what is known of a number of calls together. Its zero value is
// that of no calls.
type Summary struct {
	Calls, Errors int64
	Seconds       float64 // of all calls
	buckets       map[int]int64
}

// Add adds one call.
func (s *Summary) Add(r Record) {
	failed := int64(0)
	if r.Failed {
		failed = 1
	}
	s.AddBucket(Bucket(r.Seconds), 1, failed, r.Seconds)
}

// AddBucket adds calls whose execution times are all in one bucket.
func (s *Summary) AddBucket(bucket int, calls, failed int64, seconds float64) {
	if s.buckets == nil {
		s.buckets = map[int]int64{}
	}
	s.Calls += calls
	s.Errors += failed
	s.Seconds += seconds
	s.buckets[bucket] += calls
}

// Quantile returns the execution time in seconds that the share q of the calls
// did not exceed (nearest rank), within [RelativeError]; 0 for no calls.
func (s *Summary) Quantile(q float64) float64 {
	rank := max(1, int64(math.Ceil(q*float64(s.Calls))))
	for _, bucket := range slices.Sorted(maps.Keys(s.buckets)) {
		if rank -= s.buckets[bucket]; rank <= 0 {
			// The middle of the bucket, as near to its lower end as to its upper
			// one, relatively.
			return math.Exp(float64(bucket)*LnGamma) * (1 - RelativeError)
		}
	}
	return 0
}

// Merge adds the calls of another Summary.
func (s *Summary) Merge(o *Summary) {
	for bucket, calls := range o.buckets {
		s.AddBucket(bucket, calls, 0, 0)
	}
	s.Errors += o.Errors
	s.Seconds += o.Seconds
}

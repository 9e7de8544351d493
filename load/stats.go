package load

import (
	"sync"
	"time"

	"pharos/funcmetrics"
)

// Row are the figures of a kind of requests. Latencies are in seconds, within
// 1 %, from when a request was due to when its answer had been read.
type Row struct {
	Kind        Kind    `json:"kind"`
	Sent        int64   `json:"sent"`
	OK          int64   `json:"ok"`     // got the status that they must get: a mistake, its 4xx
	ClientError int64   `json:"4xx"`    // without 429
	TooMany     int64   `json:"429"`    // were limited
	ServerError int64   `json:"5xx"`    //
	Failed      int64   `json:"failed"` // got no answer
	Dropped     int64   `json:"dropped"`
	P50         float64 `json:"p50"`
	P95         float64 `json:"p95"`
	P99         float64 `json:"p99"`
}

// Report is what came of a run.
type Report struct {
	Seconds float64 `json:"seconds"`
	Rows    []Row   `json:"kinds"` // of those that occurred
	Total   Row     `json:"total"`
}

// Answered reports whether any request was answered.
func (r Report) Answered() bool { return r.Total.Failed < r.Total.Sent }

// Progress is how far a run is. Its percentiles are those of the last second.
type Progress struct {
	Elapsed  time.Duration
	Rate     float64 // sent a second, since the last Progress
	InFlight int64
	Total    Row
}

// stats counts. Its methods may be called from any goroutine.
type stats struct {
	mu       sync.Mutex
	kinds    map[Kind]*figures
	lately   funcmetrics.Summary // since the last progress
	lastSent int64
	lastAt   time.Duration
}

type figures struct {
	sent, dropped int64
	answers       [failed + 1]int64
	latency       funcmetrics.Summary
}

func newStats() *stats {
	s := &stats{kinds: map[Kind]*figures{}}
	for _, k := range Kinds() {
		s.kinds[k] = &figures{}
	}
	return s
}

func (s *stats) sent(k Kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kinds[k].sent++
}

func (s *stats) drop(k Kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kinds[k].dropped++
}

func (s *stats) answered(r Request, a Answer, took time.Duration) {
	seconds := took.Seconds()
	bucket := funcmetrics.Bucket(seconds)
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.kinds[r.Kind]
	f.answers[classify(r, a)]++
	f.latency.AddBucket(bucket, 1, 0, seconds)
	s.lately.AddBucket(bucket, 1, 0, seconds)
}

func (f *figures) row(k Kind) Row {
	r := Row{
		Kind: k, Sent: f.sent, OK: f.answers[ok], ClientError: f.answers[clientError], TooMany: f.answers[tooMany],
		ServerError: f.answers[serverError], Failed: f.answers[failed], Dropped: f.dropped,
	}
	r.quantiles(&f.latency)
	return r
}

func (r *Row) quantiles(of *funcmetrics.Summary) {
	r.P50, r.P95, r.P99 = of.Quantile(.5), of.Quantile(.95), of.Quantile(.99)
}

func (r *Row) add(o Row) {
	r.Sent += o.Sent
	r.OK += o.OK
	r.ClientError += o.ClientError
	r.TooMany += o.TooMany
	r.ServerError += o.ServerError
	r.Failed += o.Failed
	r.Dropped += o.Dropped
}

func (r Row) answered() int64 { return r.OK + r.ClientError + r.TooMany + r.ServerError + r.Failed }

func (s *stats) report(took time.Duration) Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Report{Seconds: took.Seconds(), Rows: []Row{}, Total: Row{Kind: "all"}}
	var all funcmetrics.Summary
	for _, k := range Kinds() {
		f := s.kinds[k]
		if f.sent+f.dropped == 0 {
			continue
		}
		row := f.row(k)
		out.Rows = append(out.Rows, row)
		out.Total.add(row)
		all.Merge(&f.latency)
	}
	out.Total.quantiles(&all)
	return out
}

func (s *stats) progress(at time.Duration) Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := Progress{Elapsed: at, Total: Row{Kind: "all"}}
	for k, f := range s.kinds {
		p.Total.add(f.row(k))
	}
	p.Total.quantiles(&s.lately)
	p.InFlight = p.Total.Sent - p.Total.answered()
	if at > s.lastAt {
		p.Rate = float64(p.Total.Sent-s.lastSent) / (at - s.lastAt).Seconds()
	}
	s.lastSent, s.lastAt, s.lately = p.Total.Sent, at, funcmetrics.Summary{}
	return p
}

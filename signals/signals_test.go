package signals

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// counters is a source whose counters a test turns.
type counters map[string]float64

func (c counters) Read(context.Context) (map[string][]Reading, bool) {
	all := map[string][]Reading{}
	for name, value := range c {
		all[name] = []Reading{{Instance: "a", Value: value}}
	}
	return all, false
}

// index is where documents come to, late or not at all.
type index struct {
	found   map[string]int64 // by stream
	behind  bool
	away    error
	asked   int
	written []Verdict
}

func (x *index) Count(_ context.Context, s Stream, _, _ time.Time) (int64, error) {
	x.asked++
	return x.found[s.Name], x.away
}
func (x *index) Behind(context.Context, Stream, time.Time) (bool, error) { return x.behind, x.away }
func (x *index) Write(_ context.Context, v []Verdict) error {
	if x.away == nil {
		x.written = append(x.written, v...)
	}
	return x.away
}

// watched runs a Watch over one counter for the test, beginning at a full minute.
func watched(t *testing.T, counter string, x *index, during func(counters)) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute)))
		c := counters{counter: 1000}
		w := &Watch{
			Config:  Config{Interval: time.Minute, Settle: 45 * time.Second, Patience: 5 * time.Minute},
			Sources: []Source{c}, Documents: x, Log: zap.NewNop(), Now: time.Now,
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()
		synctest.Wait()
		during(c)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// minutes lets time pass until just after the n-th pass from now.
func minutes(n int) {
	time.Sleep(time.Duration(n) * time.Minute)
	synctest.Wait()
}

func TestLossIsSeenOnceDocumentsHadTimeToCome(t *testing.T) {
	x := &index{found: map[string]int64{"nginx.access": 70}}
	watched(t, NginxRequests, x, func(c counters) {
		c[NginxRequests] += 100
		minutes(1)
		if x.asked != 0 {
			t.Error("looked for documents that were on their way")
		}
		minutes(1)
		if len(x.written) != 1 {
			t.Fatalf("verdicts %+v", x.written)
		}
		v := x.written[0]
		if v.Counted != 100 || v.Found != 70 || v.Lost() != 30 || v.Share() != .3 || v.To.Sub(v.From) != time.Minute {
			t.Errorf("%+v", v)
		}
	})
}

func TestAShipperThatIsBehindIsWaitedFor(t *testing.T) {
	x := &index{found: map[string]int64{}, behind: true}
	watched(t, NginxRequests, x, func(c counters) {
		c[NginxRequests] += 100
		minutes(4)
		for _, v := range x.written {
			if v.Counted > 0 {
				t.Fatalf("judged too early: %+v", v)
			}
		}
		x.found["nginx.access"] = 100
		minutes(1)
		counted := 0.0
		for _, v := range x.written {
			counted += v.Counted
		}
		if counted != 100 {
			t.Errorf("verdicts %+v", x.written)
		}
		for _, v := range x.written {
			if v.Lost() != 0 {
				t.Errorf("lost: %+v", v)
			}
		}
	})
}

func TestPatienceEnds(t *testing.T) {
	x := &index{found: map[string]int64{}, behind: true}
	watched(t, NginxRequests, x, func(c counters) {
		c[NginxRequests] += 100
		minutes(8)
		if got := lost(x.written); got != 100 {
			t.Errorf("%v lost: %+v", got, x.written)
		}
	})
}

// While Elasticsearch is away nothing is judged and nothing forgotten; patience
// begins when it can be asked again.
func TestElasticsearchAway(t *testing.T) {
	x := &index{found: map[string]int64{}, behind: true, away: errors.New("no connection")}
	watched(t, NginxRequests, x, func(c counters) {
		for range 30 {
			c[NginxRequests] += 10
			minutes(1)
		}
		if len(x.written) != 0 {
			t.Fatalf("verdicts %+v", x.written)
		}
		x.away = nil
		minutes(2)
		if got := lost(x.written); got != 0 {
			t.Errorf("%v lost before the shipper had a chance", got)
		}
		x.found["nginx.access"] = 10
		minutes(2)
		windows := 0
		for _, v := range x.written {
			if v.Counted == 10 {
				windows++
			}
		}
		if windows != 30 || lost(x.written) != 0 {
			t.Errorf("%d windows, %v lost", windows, lost(x.written))
		}
	})
}

func TestRequestsThatApiDoesNotCount(t *testing.T) {
	x := &index{found: map[string]int64{"api.requests": 100}}
	watched(t, APITraced, x, func(c counters) {
		c[APITraced] += 60
		minutes(2)
		if len(x.written) != 1 || x.written[0].Counted != 100 || x.written[0].Found != 60 {
			t.Errorf("%+v", x.written)
		}
	})
}

func TestDuplicatesAreNoGain(t *testing.T) {
	v := Verdict{Counted: 10, Found: 12}
	if v.Lost() != 0 || v.Share() != 0 || (Verdict{Found: 3}).Share() != 0 {
		t.Error(v.Lost(), v.Share())
	}
}

func lost(list []Verdict) float64 {
	total := 0.0
	for _, v := range list {
		total += v.Lost()
	}
	return total
}

func TestConfig(t *testing.T) {
	for _, c := range []Config{{Interval: time.Millisecond}, {Interval: time.Minute, Settle: -1}, {Interval: time.Minute, Patience: -1}} {
		if c.Validate() == nil {
			t.Errorf("%+v is taken", c)
		}
	}
	if err := (&Config{Interval: time.Minute}).Validate(); err != nil {
		t.Error(err)
	}
}

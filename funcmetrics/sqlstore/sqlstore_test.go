package sqlstore_test

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"pharos/funcmetrics"
	"pharos/funcmetrics/sqlstore"
	"pharos/internal/teststack"
)

func open(t *testing.T) *sqlstore.Store {
	s, err := sqlstore.Open(teststack.Config[sqlstore.Config](t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func id() string { return uuid.Must(uuid.NewV7()).String() }

func read(t *testing.T, s *sqlstore.Store, name string, in funcmetrics.Range, ids ...string) funcmetrics.Saved {
	t.Helper()
	out, err := s.Read(t.Context(), name, in, ids)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestMigrateAtOnce(t *testing.T) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { open(t) })
	}
	wg.Wait()
}

// The sums by hour and the records must give what adding up the records one
// by one gives, for any range.
func TestReadIsExact(t *testing.T) {
	s, name, rng := open(t), "test."+id(), rand.New(rand.NewPCG(3, 4))
	const start, span = 1_799_999_000, 5 * 3600
	rs := make([]funcmetrics.Record, 700)
	for i := range rs {
		rs[i] = funcmetrics.Record{ID: id(), FuncName: name, Seconds: math.Exp(3*rng.NormFloat64() - 6), Failed: rng.IntN(5) == 0, At: start + rng.Int64N(span)}
	}
	rs[0].Seconds, rs[1].Seconds = 0, 1e4
	for i := 0; i < len(rs); i += 100 {
		if err := s.Insert(t.Context(), rs[i:i+100]); err != nil {
			t.Fatal(err)
		}
	}
	ranges := []funcmetrics.Range{funcmetrics.Always(), {From: start, To: math.MaxInt64}, {From: 0, To: start}, {From: start + 3600, To: start + 3600}}
	for range 30 {
		from := start - 100 + rng.Int64N(span)
		ranges = append(ranges, funcmetrics.Range{From: from, To: from + 1 + rng.Int64N(span)})
	}
	for _, in := range ranges {
		var want funcmetrics.Summary
		for _, r := range rs {
			if in.Has(r.At) {
				want.Add(r)
			}
		}
		got := read(t, s, name, in).Functions[name]
		if got == nil || got.Calls != want.Calls || got.Errors != want.Errors || math.Abs(got.Seconds-want.Seconds) > 1e-6*want.Seconds {
			t.Fatalf("%v: got %+v, want %+v", in, got, want)
		}
		for _, q := range []float64{0.01, 0.5, 0.95, 0.99, 1} {
			if a, b := got.Quantile(q), want.Quantile(q); a != b {
				t.Errorf("%v: p%g is %g, want %g", in, q*100, a, b)
			}
		}
		if all := read(t, s, "", in).Functions[name]; (all == nil) != (want.Calls == 0) || all != nil && all.Calls != want.Calls {
			t.Errorf("%v: among all functions: %+v", in, all)
		}
	}
}

func TestInsertAgain(t *testing.T) {
	s, name := open(t), "test."+id()
	rs := make([]funcmetrics.Record, 6)
	for i := range rs {
		rs[i] = funcmetrics.Record{ID: id(), FuncName: name, Seconds: 1, At: 1_800_000_000}
	}
	for _, part := range [][]funcmetrics.Record{rs[:4], rs[:4], rs[2:6], append(rs[:2:2], rs[0]), rs, nil} {
		if err := s.Insert(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	unknown := id()
	got := read(t, s, name, funcmetrics.Always(), rs[0].ID, rs[5].ID, unknown)
	if f := got.Functions[name]; f.Calls != 6 || f.Seconds != 6 {
		t.Errorf("got %+v", f)
	}
	if len(got.IDs) != 2 || got.IDs[unknown] {
		t.Errorf("ids %v", got.IDs)
	}
	if exact := read(t, s, name, funcmetrics.Range{From: 1_800_000_000, To: 1_800_000_001}).Functions[name]; exact.Calls != 6 {
		t.Errorf("the table has %d records", exact.Calls)
	}
}

// Savers that insert the same and other records of the same function at once
// count each record once.
func TestInsertAtOnce(t *testing.T) {
	s, name := open(t), "test."+id()
	rs := make([]funcmetrics.Record, 400)
	for i := range rs {
		rs[i] = funcmetrics.Record{ID: id(), FuncName: name, Seconds: float64(i%7) / 10, At: 1_800_000_000 + int64(i%3)*3600}
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			from := i / 2 * 80 // each part is inserted by two, and overlaps with its neighbour's
			if err := s.Insert(t.Context(), rs[from:from+160]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if f := read(t, s, name, funcmetrics.Always()).Functions[name]; f == nil || f.Calls != 400 {
		t.Errorf("got %+v", f)
	}
}

// The sums outlive the records.
func TestForget(t *testing.T) {
	s, name := open(t), "test."+id()
	const long = 1000 // in 1970, so that other tests' records are not touched
	rs := make([]funcmetrics.Record, 5)
	for i := range rs {
		rs[i] = funcmetrics.Record{ID: id(), FuncName: name, Seconds: 1, At: long + int64(i)}
	}
	if err := s.Insert(t.Context(), rs); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{2, 1, 0} {
		if n, err := s.Forget(t.Context(), long+3, 2); n != want || err != nil {
			t.Errorf("forgot %d, want %d, %v", n, want, err)
		}
	}
	if f := read(t, s, name, funcmetrics.Always()).Functions[name]; f.Calls != 5 {
		t.Errorf("the sums have %d calls", f.Calls)
	}
	if f := read(t, s, name, funcmetrics.Range{From: long, To: long + 100}).Functions[name]; f.Calls != 2 {
		t.Errorf("the table has %d calls", f.Calls)
	}
	if _, err := s.Forget(t.Context(), long+100, 10); err != nil {
		t.Error(err)
	}
}

func TestUnknownFunction(t *testing.T) {
	s := open(t)
	if got := read(t, s, "test."+id(), funcmetrics.RangeOf(time.Time{}, time.Now())); len(got.Functions) != 0 {
		t.Errorf("got %v", got.Functions)
	}
}

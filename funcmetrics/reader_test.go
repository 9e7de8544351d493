package funcmetrics_test

import (
	"context"
	"errors"
	"testing"

	"pharos/funcmetrics"
	"pharos/internal/fault"
)

// stores is a Live and a History over two sets of records.
type stores struct {
	live, saved []funcmetrics.Record
	liveErr     error
	// meanwhile is run between the two reads.
	meanwhile func(*stores)
}

func (s *stores) Snapshot(context.Context) ([]funcmetrics.Record, error) {
	live := s.live
	if s.meanwhile != nil {
		s.meanwhile(s)
	}
	return live, s.liveErr
}

func (s *stores) Read(_ context.Context, name string, in funcmetrics.Range, ids []string) (funcmetrics.Saved, error) {
	out := funcmetrics.Saved{Functions: map[string]*funcmetrics.Summary{}, IDs: map[string]bool{}}
	asked := map[string]bool{}
	for _, id := range ids {
		asked[id] = true
	}
	for _, r := range s.saved {
		if asked[r.ID] {
			out.IDs[r.ID] = true
		}
		if name != "" && r.FuncName != name || name == "" && !in.Has(r.At) {
			continue
		}
		if out.Functions[r.FuncName] == nil {
			out.Functions[r.FuncName] = &funcmetrics.Summary{}
		}
		if in.Has(r.At) {
			out.Functions[r.FuncName].Add(r)
		}
	}
	return out, nil
}

func rec(id, name string, at int64, failed bool) funcmetrics.Record {
	return funcmetrics.Record{ID: id, FuncName: name, Seconds: 0.5, At: at, Failed: failed}
}

func TestReaderCountsOnce(t *testing.T) {
	s := &stores{
		live:  []funcmetrics.Record{rec("1", "f", 10, true), rec("2", "f", 20, false), rec("2", "f", 20, false), rec("3", "g", 30, false)},
		saved: []funcmetrics.Record{rec("0", "f", 5, false), rec("1", "f", 10, true)},
	}
	// The rest is saved and removed just between the two reads, and a new call
	// comes in.
	s.meanwhile = func(s *stores) {
		s.saved = append(s.saved, rec("2", "f", 20, false), rec("3", "g", 30, false))
		s.live = []funcmetrics.Record{rec("4", "g", 40, false)}
		s.meanwhile = nil
	}
	r := funcmetrics.Reader{Live: s, History: s}
	for _, want := range []map[string]int64{{"f": 3, "g": 1}, {"f": 3, "g": 2}} {
		items, err := r.List(t.Context(), funcmetrics.Always())
		if err != nil || len(items) != 2 || items[0].Name != "f" || items[0].Calls != want["f"] || items[1].Calls != want["g"] {
			t.Errorf("got %+v, %v", items, err)
		}
	}
}

func TestReaderRange(t *testing.T) {
	s := &stores{live: []funcmetrics.Record{rec("1", "live", 10, true)}, saved: []funcmetrics.Record{rec("2", "saved", 20, false)}}
	r := funcmetrics.Reader{Live: s, History: s}
	later := funcmetrics.Range{From: 100, To: 200}
	if items, err := r.List(t.Context(), later); err != nil || len(items) != 0 {
		t.Errorf("list: %+v, %v", items, err)
	}
	for _, name := range []string{"live", "saved"} {
		f, err := r.Get(t.Context(), name, later)
		if err != nil || f.Name != name || f.Calls != 0 || f.Average != nil || f.P99 != nil || f.ErrorRate != nil {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
		if f, err = r.Get(t.Context(), name, funcmetrics.Range{From: 10, To: 21}); err != nil || f.Calls != 1 || *f.Average != 0.5 {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
	if _, err := r.Get(t.Context(), "nobody", funcmetrics.Always()); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown: %v", err)
	}
	s.liveErr = errors.New("away")
	if _, err := r.Get(t.Context(), "saved", later); !errors.Is(err, s.liveErr) {
		t.Errorf("without Redis: %v", err)
	}
}

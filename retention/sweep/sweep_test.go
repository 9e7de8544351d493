package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"pharos/elastic"
	"pharos/retention"
	"pharos/retention/sweep"
)

// memory is an Elasticsearch that notes what it was asked to do.
type memory struct {
	backings []elastic.Backing
	ages     map[string]string
	known    bool
	records  map[string]int64
	refuse   string // what contains it fails
	did      []string
}

func (m *memory) do(what string) error {
	if m.refuse != "" && strings.Contains(what, m.refuse) {
		return errors.New("refused: " + what)
	}
	m.did = append(m.did, what)
	return nil
}

func (m *memory) Backings(context.Context, []string) ([]elastic.Backing, error) {
	return slices.Clone(m.backings), m.failing("backings")
}

func (m *memory) failing(what string) error {
	if m.refuse == what {
		return errors.New("refused: " + what)
	}
	return nil
}

func (m *memory) Lifecycles(context.Context, []string) (map[string]string, bool, error) {
	return m.ages, m.known, nil
}

func (m *memory) SetLifecycle(_ context.Context, stream, age string) error {
	return m.do("lifecycle " + stream + " " + age)
}

func (m *memory) RollOver(_ context.Context, stream string, _ time.Duration, _ int64) (bool, error) {
	return true, m.do("roll over " + stream)
}

func (m *memory) DeleteIndex(_ context.Context, name string) error { return m.do("delete " + name) }

func (m *memory) Search(_ context.Context, target string, _ any) (*elastic.SearchResult, error) {
	return &elastic.SearchResult{Total: m.records[target]}, nil
}

func (m *memory) DeleteDocuments(_ context.Context, index string, query any) (int64, error) {
	return m.records[index], m.do(fmt.Sprint("trim ", index, " ", query))
}

const day = 24 * time.Hour

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func behind(stream string, days ...int) []elastic.Backing {
	var all []elastic.Backing
	for _, d := range days {
		made := now.Add(-time.Duration(d) * day)
		all = append(all, elastic.Backing{Name: fmt.Sprintf(".ds-%s-%s-000001", stream, made.Format("2006.01.02")), Stream: stream, Made: made, Bytes: 10, Documents: 2})
	}
	return all
}

func newSweeper(m *memory) *sweep.Sweeper {
	var cfg retention.Config
	for text, l := range map[string]*retention.Limit{"30d": &cfg.Logs, "7d": &cfg.Traces, "10d": &cfg.History, "400d": &cfg.Records} {
		if err := l.UnmarshalText([]byte(text)); err != nil {
			panic(err) // a mistake of this test
		}
	}
	return &sweep.Sweeper{
		Elasticsearch: m, Families: cfg.Families(), Records: cfg.Trimmed(), Every: 10 * time.Minute,
		May: func() bool { return true }, Now: func() time.Time { return now }, Log: zap.NewNop(), Metrics: sweep.NewMetrics(nil),
	}
}

func apply(t *testing.T, s *sweep.Sweeper) error {
	t.Helper()
	plan, err := s.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s.Apply(t.Context(), plan)
}

func TestSweep(t *testing.T) {
	m := &memory{
		backings: slices.Concat(
			behind("logs-pharos-default", 50, 40, 8), behind("traces-apm-default", 20, 10, 0), behind("metrics-slo-default", 3),
			[]elastic.Backing{
				{Name: "pharos-watch-history-2026.11.21", Made: now, Documents: 5}, {Name: "pharos-watch-history-2026.11.01", Made: now, Documents: 5},
				{Name: "logs-of-somebody", Made: now.Add(-900 * day), Documents: 5}, {Name: "logs-mine-2020.01.01", Made: now.Add(-900 * day), Documents: 5},
			},
		),
		records: map[string]int64{"pharos-outbox": 3},
	}
	if err := apply(t, newSweeper(m)); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"delete .ds-traces-apm-default-2026.11.01-000001", "delete .ds-logs-pharos-default-2026.10.02-000001", "delete pharos-watch-history-2026.11.01",
		"trim pharos-outbox", "roll over logs-pharos-default",
	}
	if len(m.did) != len(want) {
		t.Fatalf("did %q", m.did)
	}
	for _, w := range want {
		if !slices.ContainsFunc(m.did, func(d string) bool { return strings.HasPrefix(d, w) }) {
			t.Errorf("did not %q, but %q", w, m.did)
		}
	}
	if last := m.did[len(m.did)-1]; !strings.HasPrefix(last, "roll over") {
		t.Errorf("%q came after the roll-over's turn", last)
	}
	if at := slices.IndexFunc(m.did, func(d string) bool { return strings.HasPrefix(d, "trim") }); !strings.Contains(m.did[at], "done_at") || !strings.Contains(m.did[at], "sent failed") {
		t.Errorf("%q", m.did[at])
	}
}

// Where Elasticsearch has lifecycles, it is told each stream's age once.
func TestLifecycleIsHandedOver(t *testing.T) {
	m := &memory{known: true, ages: map[string]string{"traces-apm-default": "7d"}, backings: slices.Concat(
		behind("logs-pharos-default", 90, 40, 8), behind("traces-apm-default", 90, 40, 8), behind("metrics-slo-default", 3))}
	if err := apply(t, newSweeper(m)); err != nil {
		t.Fatal(err)
	}
	if want := []string{"lifecycle logs-pharos-default 30d"}; !slices.Equal(m.did, want) {
		t.Errorf("did %q, want %q", m.did, want)
	}
}

func TestOneFailureKeepsNothingElse(t *testing.T) {
	m := &memory{backings: slices.Concat(behind("logs-pharos-default", 90, 80, 70, 1), behind("traces-apm-default", 90, 80, 1)), refuse: "2026.08.23-"}
	err := apply(t, newSweeper(m))
	if err == nil || !strings.Contains(err.Error(), "2026.08.23") {
		t.Errorf("got %v", err)
	}
	// The oldest of each stream is refused: nothing newer of it goes.
	if slices.ContainsFunc(m.did, func(d string) bool { return strings.HasPrefix(d, "delete") }) {
		t.Errorf("did %q", m.did)
	}
}

func TestRunSweepsWhereItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{backings: behind("logs-pharos-default", 90, 80, 1)}
		s := newSweeper(m)
		may := false
		s.May = func() bool { return may }
		reg := prometheus.NewRegistry()
		s.Metrics = sweep.NewMetrics(reg)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if len(m.did) > 0 {
			t.Errorf("another process's work is done: %q", m.did)
		}
		may = true
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if want := []string{"delete .ds-logs-pharos-default-2026.08.23-000001"}; !slices.Equal(m.did, want) {
			t.Errorf("did %q", m.did)
		}
		m.refuse = "backings"
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := testutil.GatherAndCompare(reg, strings.NewReader(`# HELP retention_failures_total Passes that could not do all of their work.
# TYPE retention_failures_total counter
retention_failures_total 1
# HELP retention_removed_bytes_total Bytes of the removed indices.
# TYPE retention_removed_bytes_total counter
retention_removed_bytes_total{family="logs"} 10
# HELP retention_removed_documents_total Documents in the removed indices.
# TYPE retention_removed_documents_total counter
retention_removed_documents_total{family="logs"} 2
# HELP retention_removed_indices_total Indices removed for their age or their stream's size.
# TYPE retention_removed_indices_total counter
retention_removed_indices_total{family="logs"} 1
`), "retention_failures_total", "retention_removed_indices_total", "retention_removed_bytes_total", "retention_removed_documents_total"); err != nil {
			t.Error(err)
		}
	})
}

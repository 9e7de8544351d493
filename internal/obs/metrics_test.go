package obs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestMetricsCarryTheIdentity(t *testing.T) {
	m := newRegistry(Service{Name: "feed", Version: "v1", Node: "feed-1", Environment: "test", Region: "here"})
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "depth", Help: "x"})
	m.MustRegister(g)
	g.Set(3)
	want := `# HELP depth x
# TYPE depth gauge
depth{cloud_region="here",service_environment="test",service_name="feed",service_node_name="feed-1",service_version="v1"} 3
`
	if err := testutil.GatherAndCompare(m, strings.NewReader(want), "depth"); err != nil {
		t.Error(err)
	}
	families, err := m.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range families {
		seen[f.GetName()] = true
	}
	for _, name := range []string{
		"go_goroutines", "go_memstats_heap_alloc_bytes", "go_gc_duration_seconds",
		"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds",
	} {
		if !seen[name] {
			t.Errorf("no %s", name)
		}
	}
}

func TestAskedLeavesOutWhatIsNotKnown(t *testing.T) {
	var failure error
	c := Asked(func(ctx context.Context) ([]float64, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("asked without a deadline")
		}
		return []float64{1, 0}, failure
	}, Gauge{"a", "x"}, Gauge{"b", "x"})
	if n := testutil.CollectAndCount(c); n != 2 {
		t.Errorf("%d figures, want 2", n)
	}
	failure = errors.New("away")
	if n := testutil.CollectAndCount(c); n != 0 {
		t.Errorf("%d figures of a server that is away", n)
	}
}

func TestALargeCrashLogIsPutAside(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "api-1.log")
	for _, size := range []int{10, crashLogSize + 1, 0} {
		if err := os.WriteFile(filepath.Join(dir, "api-1.crash.log"), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := keepCrashes(log); err != nil {
			t.Fatal(err)
		}
	}
	aside, _ := filepath.Glob(filepath.Join(dir, "api-1-20*.crash.log"))
	if len(aside) != 1 {
		t.Errorf("%v put aside, want one", aside)
	}
	if err := keepCrashes(filepath.Join(dir, "nowhere", "api-1.log")); err == nil {
		t.Error("no error without its folder")
	}
}

package sweep_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pharos/elastic"
	"pharos/internal/env"
	"pharos/internal/teststack"
	"pharos/retention"
	"pharos/retention/sweep"
)

// settings are the watcher's account, with whose rights everything is done, and
// the superuser's.
type settings struct {
	Setup    elastic.SetupConfig
	Password env.Secret `env:"WATCHER_PASSWORD,required"`
}

// TestRealStreams lets a stream of its own grow old, by a clock of its own.
func TestRealStreams(t *testing.T) {
	cfg := teststack.Config[settings](t)
	admin, err := elastic.New(cfg.Setup.Client())
	if err != nil {
		t.Fatal(err)
	}
	es, err := elastic.New(elastic.Config{URLs: cfg.Setup.URLs, User: "watcher", Password: cfg.Password, CAFile: cfg.Setup.CAFile})
	if err != nil {
		t.Fatal(err)
	}
	id := strings.ToLower(rand.Text()[:8])
	stream, other := "logs-external-keep"+id, "logs-external-other"+id
	clock := time.Now()
	sweeper := &sweep.Sweeper{
		Elasticsearch: es, Now: func() time.Time { return clock }, Log: zap.NewNop(), Metrics: sweep.NewMetrics(nil),
		Families: []retention.Family{{Name: "logs", Patterns: []string{stream}, Limit: retention.Limit{Age: 30 * day}}},
	}
	n := 0
	add := func(stream string) {
		t.Helper()
		n++
		body, err := json.Marshal(map[string]any{"@timestamp": time.Now().UTC().Format(time.RFC3339), "message": fmt.Sprintf("line %d", n)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := admin.Create(t.Context(), stream, []elastic.Document{{Body: body}}); err != nil {
			t.Fatal(err)
		}
		if err := admin.Refresh(t.Context(), stream); err != nil {
			t.Fatal(err)
		}
	}
	// pass sweeps and returns the stream's standing before that.
	pass := func() retention.Standing {
		t.Helper()
		plan, err := sweeper.Plan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(plan.Streams) != 1 || plan.Lifecycle {
			t.Fatalf("%+v", plan)
		}
		if err := sweeper.Apply(t.Context(), plan); err != nil {
			t.Fatal(err)
		}
		return plan.Streams[0]
	}
	check := func(when string, indices, documents int) {
		t.Helper()
		all, err := es.Backings(t.Context(), []string{stream})
		if err != nil {
			t.Fatal(err)
		}
		found, err := es.Search(t.Context(), stream, map[string]any{"size": 0})
		if err != nil {
			t.Fatal(err)
		}
		if len(all) != indices || int(found.Total) != documents {
			t.Errorf("%s: %d indices and %d documents, want %d and %d: %+v", when, len(all), found.Total, indices, documents, all)
		}
	}
	add(stream)
	add(other)
	if s := pass(); s.RollOver != "" || len(s.Remove) != 0 || s.Documents != 1 || s.Bytes == 0 {
		t.Errorf("a young stream: %+v", s)
	}
	check("young", 1, 1)

	clock = clock.Add(8 * day)
	if s := pass(); s.RollOver == "" {
		t.Errorf("after a week: %+v", s)
	}
	check("rolled over", 2, 1)
	if s := pass(); s.RollOver != "" || len(s.Remove) != 0 {
		t.Errorf("once more: %+v", s)
	}
	check("still empty, so not again", 2, 1)
	add(stream)
	check("written on", 2, 2)
	if again, err := es.RollOver(t.Context(), stream, 100*day, 1<<40); err != nil || again {
		t.Errorf("rolled over although no condition is met: %t, %v", again, err)
	}

	clock = clock.Add(24 * day) // the first was closed, by the server's clock, 32 days ago
	s := pass()
	if len(s.Remove) != 1 || s.Remove[0].Documents != 1 || s.Remove[0].Why != "older than 30d" {
		t.Errorf("after a month: %+v", s)
	}
	check("the first is gone, the one that was written to is closed", 2, 1)
	add(stream)
	check("written on", 2, 2)
	all, err := es.Backings(t.Context(), []string{stream})
	if err != nil || slices.ContainsFunc(all, func(b elastic.Backing) bool { return b.Name == s.Remove[0].Index }) {
		t.Errorf("%+v, %v", all, err)
	}

	// The size counts, too, and what is not in the table stays.
	sweeper.Families[0].Limit = retention.Limit{Size: 1}
	if s := pass(); len(s.Remove) != 1 || s.RollOver == "" {
		t.Errorf("too large: %+v", s)
	}
	check("too large", 2, 1)
	if found, err := es.Search(t.Context(), other, map[string]any{"size": 0}); err != nil || found.Total != 1 {
		t.Errorf("another stream: %+v, %v", found, err)
	}

	// What is written to can't be removed, whoever asks.
	all, err = es.Backings(t.Context(), []string{stream})
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	if err := admin.DeleteIndex(t.Context(), all[len(all)-1].Name); err == nil {
		t.Error("the index that is written to was removed")
	}
}

// TestRealRecords trims an index of its own.
func TestRealRecords(t *testing.T) {
	cfg := teststack.Config[settings](t)
	admin, err := elastic.New(cfg.Setup.Client())
	if err != nil {
		t.Fatal(err)
	}
	index := "test-records-" + strings.ToLower(rand.Text()[:8])
	t.Cleanup(func() {
		if err := admin.DeleteIndex(t.Context(), index); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	at := func(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339) }
	var documents []elastic.Document
	for _, d := range []map[string]any{
		{"state": "sent", "done_at": at(40 * day)}, {"state": "failed", "done_at": at(31 * day)},
		{"state": "sent", "done_at": at(29 * day)}, {"state": "pending", "created_at": at(90 * day)}, {"state": "pending", "done_at": at(90 * day)},
	} {
		body, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, elastic.Document{Body: body})
	}
	if _, err := admin.Create(t.Context(), index, documents); err != nil {
		t.Fatal(err)
	}
	if err := admin.Refresh(t.Context(), index); err != nil {
		t.Fatal(err)
	}
	sweeper := &sweep.Sweeper{
		Elasticsearch: admin, Now: time.Now, Log: zap.NewNop(), Metrics: sweep.NewMetrics(nil),
		Families: []retention.Family{{Name: "none", Patterns: []string{"logs-none-" + index}}},
		Records: []retention.Records{
			{Index: index, Time: "done_at", Only: map[string][]string{"state.keyword": {"sent", "failed"}}, Age: 30 * day},
			{Index: "not-there-" + index, Time: "at", Age: day},
		},
	}
	plan, err := sweeper.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Records) != 2 || plan.Records[0].Documents != 2 || plan.Records[1].Documents != 0 {
		t.Fatalf("%+v", plan)
	}
	if err := sweeper.Apply(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	if err := admin.Refresh(t.Context(), index); err != nil {
		t.Fatal(err)
	}
	if found, err := admin.Search(t.Context(), index, map[string]any{"size": 0}); err != nil || found.Total != 3 {
		t.Errorf("%+v, %v", found, err)
	}
}

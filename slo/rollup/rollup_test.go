package rollup_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.uber.org/zap"

	"pharos/elastic"
	"pharos/internal/teststack"
	"pharos/slo"
	"pharos/slo/rollup"
	"pharos/watcher/document"
)

// world is one test's own index of events and stream of minutes.
type world struct {
	*testing.T
	es            *elastic.Client
	events, rolls string
	n             int
}

func newWorld(t *testing.T) *world {
	es, err := elastic.New(teststack.Config[elastic.SetupConfig](t).Client())
	if err != nil {
		t.Fatal(err)
	}
	id := uuid.NewString()[:8]
	return &world{T: t, es: es, events: "logs-nginx.access-slo" + id, rolls: "metrics-slo-test" + id}
}

// add adds documents and makes them visible.
func (w *world) add(stream string, at time.Time, n int, fields map[string]any) {
	w.Helper()
	var documents []elastic.Document
	for range n {
		w.n++
		d := map[string]any{"@timestamp": at.Format(time.RFC3339Nano), "cloud.region": "here", "n": w.n}
		for k, v := range fields {
			d[k] = v
		}
		text, err := json.Marshal(d)
		if err != nil {
			w.Fatal(err)
		}
		documents = append(documents, elastic.Document{ID: fmt.Sprint(w.n), Body: text})
	}
	result, err := w.es.Create(w.Context(), stream, documents)
	if err != nil || result.Created != n {
		w.Fatalf("%+v, %v", result, err)
	}
	if err := w.es.Refresh(w.Context(), stream); err != nil {
		w.Fatal(err)
	}
}

func (w *world) rollup(now time.Time) *rollup.Rollup {
	return &rollup.Rollup{Elasticsearch: w.es, Stream: w.rolls, Environment: "test", Log: zap.NewNop(), Now: func() time.Time { return now }}
}

func (w *world) standing(o slo.Objective, now time.Time) []rollup.Standing {
	w.Helper()
	if err := w.es.Refresh(w.Context(), w.rolls); err != nil {
		w.Fatal(err)
	}
	all, err := rollup.Reader{Elasticsearch: w.es, Stream: w.rolls, Now: func() time.Time { return now }}.Standing(w.Context(), o, true)
	if err != nil {
		w.Fatal(err)
	}
	return all
}

func (w *world) documents() int64 {
	w.Helper()
	if err := w.es.Refresh(w.Context(), w.rolls); err != nil {
		w.Fatal(err)
	}
	res, err := w.es.Search(w.Context(), w.rolls, map[string]any{"size": 0})
	if err != nil {
		w.Fatal(err)
	}
	return res.Total
}

func load(t *testing.T, name string) slo.Objective {
	t.Helper()
	all, err := slo.Load(os.DirFS("../.."), "objectives")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		if o.Name == name {
			return o
		}
	}
	t.Fatalf("there is no objective %s", name)
	return slo.Objective{}
}

var now = time.Now().UTC().Truncate(time.Minute).Add(7 * time.Second)

func request(status int, route string) map[string]any {
	return map[string]any{"http.response.status_code": status, "http.route": route, "labels": map[string]any{"probe": false}}
}

func TestMinutesAreCountedOnce(t *testing.T) {
	w := newWorld(t)
	o := load(t, "route-availability")
	o.Indicator.Ratio.Total.Index, o.Indicator.Ratio.Bad.Index = w.events, w.events
	from := now.Truncate(time.Minute).Add(-10 * time.Minute)
	to := now.Truncate(time.Minute)
	w.add(w.events, from.Add(10*time.Second), 40, request(200, "/v1/feed"))
	w.add(w.events, from.Add(20*time.Second), 10, request(503, "/v1/feed"))
	w.add(w.events, from.Add(70*time.Second), 5, request(404, "other"))
	probe := request(500, "/healthz")
	probe["labels"] = map[string]any{"probe": true}
	w.add(w.events, from.Add(30*time.Second), 7, probe)

	want := map[string]slo.Count{"": {Good: 45, Total: 55}, "/v1/feed": {Good: 40, Total: 50}, "other": {Good: 5, Total: 5}}
	check := func(when string, documents int64) {
		t.Helper()
		got := map[string]slo.Count{}
		for _, s := range w.standing(o, now) {
			got[s.Group] = s.Window
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", when, d)
		}
		if n := w.documents(); n != documents {
			t.Errorf("%s: %d documents, want %d", when, n, documents)
		}
	}
	r := w.rollup(now)
	for range 2 {
		if err := r.Count(t.Context(), o, from, to); err != nil {
			t.Fatal(err)
		}
	}
	check("counted twice", 2)

	// Late data adds what is missing; two processes at once add it once.
	w.add(w.events, from.Add(25*time.Second), 10, request(500, "/v1/feed"))
	want[""], want["/v1/feed"] = slo.Count{Good: 45, Total: 65}, slo.Count{Good: 40, Total: 60}
	var both sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		both.Go(func() { errs[i] = w.rollup(now).Count(t.Context(), o, from, to) })
	}
	both.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	check("late data, counted by two", 3)
}

// between is an Elasticsearch where something happens between a rollup's reading
// and its writing.
type between struct {
	*elastic.Client
	before func()
}

func (b *between) Create(ctx context.Context, target string, documents []elastic.Document) (elastic.CreateResult, error) {
	if happen := b.before; happen != nil {
		b.before = nil
		happen()
	}
	return b.Client.Create(ctx, target, documents)
}

// Two processes count the same minute, and the stream begins a new index between
// the one's reading and writing: an id of the old index does not stop the second.
func TestRollOverDoublesNothing(t *testing.T) {
	w := newWorld(t)
	o := load(t, "route-availability")
	o.Indicator.Ratio.Total.Index, o.Indicator.Ratio.Bad.Index = w.events, w.events
	to := now.Truncate(time.Minute)
	from := to.Add(-10 * time.Minute)
	w.add(w.events, from.Add(10*time.Second), 20, request(200, "/v1/feed"))
	w.add(w.events, from.Add(20*time.Second), 5, request(503, "/v1/feed"))
	first, second := w.rollup(now), w.rollup(now)
	second.Elasticsearch = &between{w.es, func() {
		if err := first.Count(t.Context(), o, from, to); err != nil {
			t.Error(err)
		}
		if _, err := w.es.RollOver(t.Context(), w.rolls, 0, 0); err != nil {
			t.Error(err)
		}
	}}
	if err := second.Count(t.Context(), o, from, to); err != nil {
		t.Fatal(err)
	}
	want := slo.Count{Good: 20, Total: 25}
	if got := w.standing(o, now)[0].Window; got != want {
		t.Errorf("after the roll-over %+v, want %+v", got, want)
	}
	// The doubled document and what takes it back stand in the new index.
	if n := w.documents(); n != 3 {
		t.Errorf("%d documents", n)
	}
	if err := first.Count(t.Context(), o, from, to); err != nil {
		t.Fatal(err)
	}
	if got := w.standing(o, now)[0].Window; got != want {
		t.Errorf("counted again %+v, want %+v", got, want)
	}
}

func TestCountersGrow(t *testing.T) {
	w := newWorld(t)
	metrics := "metrics-pharos-slo" + w.rolls[len(w.rolls)-8:]
	o := load(t, "events-processed")
	o.Indicator.Ratio.Total.Index, o.Indicator.Ratio.Good.Index = metrics, metrics
	from := now.Truncate(time.Minute).Add(-10 * time.Minute)
	value := func(minute int, node, counter string, v float64) {
		w.add(metrics, from.Add(time.Duration(minute)*time.Minute+time.Second), 1, map[string]any{
			"service.node.name": node, "prometheus.labels.group": "ingest", "prometheus.labels.type": "shop.view", "prometheus.metrics." + counter: v,
		})
	}
	const processed, failed = "shop_events_processed_total", "shop_events_failed_total"
	value(-10, "a", processed, 1000) // before: only what it grew by counts
	value(-1, "a", processed, 1100)
	value(1, "a", processed, 1150) // 50
	value(2, "a", processed, 30)   // began anew: 30
	value(3, "b", processed, 20)   // a new process: 20
	value(3, "b", failed, 5)       // 5 given up
	if err := w.rollup(now).Count(t.Context(), o, from, now.Truncate(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if got, want := w.standing(o, now)[0].Window, (slo.Count{Good: 100, Total: 105}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestMinutesOfUptimeAndThresholds(t *testing.T) {
	w := newWorld(t)
	beats := "heartbeat-slo" + w.rolls[len(w.rolls)-8:]
	uptime := load(t, "system-uptime")
	uptime.Indicator.Uptime.Index = beats
	from := now.Truncate(time.Minute).Add(-5 * time.Minute)
	probes := func(minute int, monitor string, up, down int) {
		at := from.Add(time.Duration(minute) * time.Minute)
		if up > 0 {
			w.add(beats, at.Add(time.Second), up, map[string]any{"monitor.id": monitor, "monitor.status": "up"})
		}
		if down > 0 {
			w.add(beats, at.Add(2*time.Second), down, map[string]any{"monitor.id": monitor, "monitor.status": "down"})
		}
	}
	for minute := range 4 {
		probes(minute, "site", 12, 0)
	}
	probes(0, "api-1", 0, 12) // the other one is enough
	probes(0, "api-2", 12, 0)
	probes(1, "mysql", 11, 1) // one lost probe is no outage
	probes(2, "mysql", 10, 2)
	probes(3, "api-1", 0, 12)
	probes(3, "api-2", 0, 12)
	if err := w.rollup(now).Count(t.Context(), uptime, from, now.Truncate(time.Minute)); err != nil {
		t.Fatal(err)
	}
	got := map[string]slo.Count{}
	for _, s := range w.standing(uptime, now) {
		got[s.Component] = s.Window
	}
	want := map[string]slo.Count{"": {Good: 2, Total: 4}, "site": {Good: 4, Total: 4}, "api": {Good: 1, Total: 2}, "mysql": {Good: 1, Total: 2}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}

	connections := load(t, "mongodb-connections")
	connections.Indicator.Threshold.Index = "metrics-pharos-con" + w.rolls[len(w.rolls)-8:]
	for minute, current := range []float64{20, 99.9, 100} {
		w.add(connections.Indicator.Threshold.Index, from.Add(time.Duration(minute)*time.Minute), 1, map[string]any{"prometheus.metrics.mongodb_connections_current": current})
	}
	if err := w.rollup(now).Count(t.Context(), connections, from, now.Truncate(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if got, want := w.standing(connections, now)[0].Window, (slo.Count{Good: 2, Total: 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Each shipped objective's questions are ones that the real mappings can answer.
func TestShippedObjectivesCount(t *testing.T) {
	w := newWorld(t)
	all, err := slo.Load(os.DirFS("../.."), "objectives")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		if err := w.rollup(now).Count(t.Context(), o, now.Add(-time.Hour).Truncate(time.Minute), now.Truncate(time.Minute)); err != nil {
			t.Errorf("%s: %v", o.Name, err)
		}
		for _, watch := range slo.Watches(o) {
			if _, err := document.Marshal(watch.Body); err != nil {
				t.Errorf("%s: %v", watch.ID, err)
			}
		}
	}
}

func TestDays(t *testing.T) {
	w := newWorld(t)
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	add := func(at time.Time, good, total float64, component string) {
		fields := map[string]any{"slo.name": "u", "slo.good": good, "slo.total": total}
		if component != "" {
			fields["slo.component"] = component
		}
		w.add(w.rolls, at, 1, fields)
	}
	add(day.Add(-time.Minute), 1, 1, "site") // before
	add(day, 1, 1, "site")
	add(day.Add(time.Minute), 0, 1, "site")
	add(day.Add(time.Minute), 0, 1, "")
	add(day.Add(24*time.Hour), 1, 1, "site")
	add(day.Add(24*time.Hour), -1, 0, "site") // a correction
	add(day.Add(72*time.Hour), 1, 1, "feed")
	r := rollup.Reader{Elasticsearch: w.es, Stream: w.rolls, Now: time.Now}
	got, err := r.Days(t.Context(), "u", rollup.ByComponent, day, day.Add(96*time.Hour))
	want := map[string][]rollup.Day{
		"site": {{Day: day, Count: slo.Count{Good: 1, Total: 2}}, {Day: day.Add(24 * time.Hour), Count: slo.Count{Good: 0, Total: 1}}},
		"feed": {{Day: day.Add(72 * time.Hour), Count: slo.Count{Good: 1, Total: 1}}},
	}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v %s", err, d)
	}
	whole, err := r.Days(t.Context(), "u", rollup.Whole, day, day.Add(96*time.Hour))
	if d := cmp.Diff(map[string][]rollup.Day{"": {{Day: day, Count: slo.Count{Good: 0, Total: 1}}}}, whole); err != nil || d != "" {
		t.Errorf("%v %s", err, d)
	}
	if none, err := r.Days(t.Context(), "other", rollup.ByGroup, day, day.Add(time.Hour)); err != nil || len(none) != 0 {
		t.Errorf("%+v %v", none, err)
	}
}

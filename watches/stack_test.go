package watches_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"pharos/elastic"
	"pharos/internal/teststack"
	"pharos/slo"
	"pharos/watcher/document"
	"pharos/watcher/replay"
)

// signal is one document, its time as what is ahead of the execution.
type signal struct {
	before time.Duration
	stream string // type-dataset of the stream
	fields map[string]any
}

type fields = map[string]any

// times repeats a document n times from one moment before the execution to
// another.
func times(n int, from, to time.Duration, stream string, f fields) []signal {
	var all []signal
	for i := range n {
		all = append(all, signal{from - time.Duration(i)*(from-to)/time.Duration(max(n, 1)), stream, f})
	}
	return all
}

func join(parts ...[]signal) []signal { return slices.Concat(parts...) }

const (
	access = "logs-nginx.access"
	lines  = "logs-pharos"
	beat   = "heartbeat"
	host   = "metricbeat"
	procs  = "metrics-pharos"
	rolled = "metrics-slo"
)

// stand has indices of its own with the real mappings.
type stand struct {
	*testing.T
	es   *elastic.Client
	id   string
	seen map[string]bool
}

func newStand(t *testing.T) *stand {
	es, err := elastic.New(teststack.Config[elastic.SetupConfig](t).Client())
	if err != nil {
		t.Fatal(err)
	}
	return &stand{T: t, es: es, id: "watches" + uuid.NewString()[:8], seen: map[string]bool{}}
}

// at executes a watch once at a time, over documents laid before it.
func (s *stand) at(t *testing.T, id string, watch *document.Object, at time.Time, signals []signal) replay.Result {
	t.Helper()
	data := map[string]*bytes.Buffer{}
	for _, one := range signals {
		d := maps.Clone(one.fields)
		d["@timestamp"] = at.Add(-one.before).Format(time.RFC3339Nano)
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if data[one.stream] == nil {
			data[one.stream] = &bytes.Buffer{}
		}
		data[one.stream].Write(append(text, '\n'))
	}
	for stream, text := range data {
		loaded, err := replay.Load(t.Context(), s.es, text, []string{stream + "-default"}, s.id)
		if !s.seen[stream] {
			s.seen[stream] = true
			s.Cleanup(func() {
				if err := loaded.Close(context.Background()); err != nil {
					s.Error(err)
				}
			})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	past, err := replay.Rewrite(watch, func(index string) string { return "pharos-replay-" + s.id + "-" + index })
	if err != nil {
		t.Fatal(err)
	}
	if len(past.Changes) > 0 {
		t.Errorf("%s asks for the present at %v", id, past.Changes)
	}
	result, err := replay.Watch(t.Context(), s.es, id, past.Source, replay.Options{From: at.Add(-time.Second), To: at, Step: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if result.Failed > 0 || result.Runs != 1 {
		t.Errorf("%s at %s: %d runs, %d failed: %s", id, at, result.Runs, result.Failed, result.FirstFailure)
	}
	return result
}

func request(status int, route string, took time.Duration) fields {
	return fields{"http": fields{"route": route, "response": fields{"status_code": status}}, "event": fields{"duration": took.Nanoseconds()},
		"nginx": fields{"upstream": fields{"address": "127.0.0.1:8101"}}, "labels": fields{"probe": "false"}}
}

func probe(status int) fields {
	f := request(status, "/healthz", time.Millisecond)
	f["labels"] = fields{"probe": "true"}
	return f
}

func check(monitor, service, status string) fields {
	f := fields{"monitor": fields{"id": monitor, "name": "The " + monitor, "status": status}, "service": fields{"name": service}, "summary": fields{"up": 0, "down": 1}}
	if status == "down" {
		f["error"] = fields{"message": "connection refused"}
	}
	return f
}

func metric(node string, labels, metrics fields) fields {
	return fields{"service": fields{"node": fields{"name": node}}, "prometheus": fields{"labels": labels, "metrics": metrics}}
}

func compared(stream string, counted, found int) fields {
	return fields{"signals.stream": stream, "signals.counted": counted, "signals.found": found}
}

func line(level, service, message string) fields {
	return fields{"log.level": level, "service.name": service, "message": message}
}

func signIn(address, handle string) fields {
	return fields{"event.action": "sign-in-failed", "client.ip": address, "user.name": handle}
}

func disk(used float64) fields {
	return fields{"observer.name": "here", "system": fields{"filesystem": fields{"mount_point": "/data", "available": 5 << 30, "used": fields{"pct": used}}}}
}

func memory(used float64) fields {
	return fields{"observer.name": "here", "system": fields{"memory": fields{"actual": fields{"used": fields{"pct": used}}}}}
}

func certificate(ends time.Duration) fields {
	f := check("site", "nginx", "up")
	f["tls"] = fields{"server": fields{"x509": fields{"not_after": base.Add(ends).Format(time.RFC3339)}}}
	return f
}

// base is a time at which nobody writes but these tests. Each case has days of
// its own.
var base = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// alive are signals of a system without visitors at night.
func alive(but string) []signal {
	var all []signal
	for _, s := range []struct {
		stream string
		fields fields
	}{{access, probe(200)}, {beat, check("site", "nginx", "up")}, {host, memory(.4)}, {procs, metric("api-1", fields{}, fields{"go_goroutines": 5})}, {lines, line("info", "api", "x")}} {
		to := time.Duration(0)
		if s.stream == but {
			to = 20 * time.Minute
		}
		all = append(all, times(20, 30*time.Minute, to, s.stream, s.fields)...)
	}
	return all
}

func TestWatches(t *testing.T) {
	s := newStand(t)
	all := shipped(t)
	covered := map[string]bool{}
	const fast = 20 * time.Millisecond
	for i, c := range []struct {
		watch   string
		name    string
		signals []signal
		alerts  []string // what their summaries begin with; none: it does not fire
		pages   int
	}{
		{"availability-5m", "an outage", times(60, 4*time.Minute, 0, access, request(502, "/v1/feed", fast)), []string{
			"Users get errors on all routes: 60 of 60 requests of the last 5 minutes failed with 5xx (availability 0.0 %).", "Users get errors on /v1/feed: 60 of 60"}, 2},
		{"availability-5m", "one route among healthy ones", join(times(400, 4*time.Minute, 0, access, request(200, "/", fast)),
			times(20, 4*time.Minute, 0, access, request(200, "/v1/feed", fast)), times(20, 4*time.Minute, 0, access, request(500, "/v1/feed", fast))),
			[]string{"Users get errors on /v1/feed: 20 of 40 requests of the last 5 minutes failed with 5xx (availability 50.0 %)."}, 1},
		{"availability-5m", "healthy", join(times(400, 4*time.Minute, 0, access, request(200, "/", fast)), times(4, 4*time.Minute, 0, access, request(500, "/", fast))), nil, 0},
		{"availability-5m", "one failed request at night", times(1, time.Minute, 0, access, request(500, "/", fast)), nil, 0},
		{"availability-5m", "probes are no traffic", times(60, 4*time.Minute, 0, access, probe(502)), nil, 0},
		{"availability-1h", "two of a hundred", join(times(980, 50*time.Minute, 0, access, request(200, "/", fast)), times(20, 50*time.Minute, 0, access, request(500, "/", fast))),
			[]string{"Users get errors on all routes: 20 of 1000 requests of the last hour failed with 5xx (availability 98.0 %)."}, 1},
		{"availability-1h", "healthy", join(times(995, 50*time.Minute, 0, access, request(200, "/", fast)), times(5, 50*time.Minute, 0, access, request(500, "/", fast))), nil, 0},
		{"availability-1h", "few", times(50, 50*time.Minute, 0, access, request(500, "/", fast)), nil, 0},
		{"latency-p95", "slow", times(60, 4*time.Minute, 0, access, request(200, "/v1/feed", 3*time.Second)),
			[]string{"Answers are slow on all routes: one in twenty of the last 5 minutes took longer than 3.0 s (60 requests; the limit is 1 s).", "Answers are slow on /v1/feed"}, 2},
		{"latency-p95", "fast, and slow failures", join(times(60, 4*time.Minute, 0, access, request(200, "/", fast)), times(60, 4*time.Minute, 0, access, request(504, "/", 9*time.Second))), nil, 0},
		{"latency-p95", "few", times(40, 4*time.Minute, 0, access, request(200, "/", 3*time.Second)), nil, 0},
		{"5xx-burst", "a burst", join(times(100, 50*time.Second, 0, access, request(200, "/", fast)), times(25, 50*time.Second, 0, access, request(503, "/v1/posts", fast))),
			[]string{"Many requests fail right now: 25 of 125 of the last minute (20 %), most with 503, most on /v1/posts."}, 1},
		{"5xx-burst", "few", times(19, 50*time.Second, 0, access, request(503, "/", fast)), nil, 0},
		{"5xx-burst", "a small share", join(times(900, 50*time.Second, 0, access, request(200, "/", fast)), times(25, 50*time.Second, 0, access, request(503, "/", fast))), nil, 0},
		{"no-data", "a night without visitors", alive(""), nil, 0},
		{"no-data", "after an evening with visitors that went home", join(alive(""), times(50, 64*time.Minute, 6*time.Minute, access, request(200, "/", fast))), nil, 0},
		{"no-data", "probes have stopped", alive(beat), []string{"Nothing comes from heartbeat-default any more, for 21 min: Heartbeat probes every 5 s, day and night."}, 1},
		{"no-data", "measurements have stopped", alive(host), []string{"Nothing comes from metricbeat-default any more, for 21 min"}, 1},
		{"no-data", "our metrics have stopped", alive(procs), []string{"Nothing comes from metrics-pharos-default any more, for 21 min"}, 1},
		{"no-data", "our metrics have stopped, signals are still compared", join(alive(procs), times(5, 5*time.Minute, 0, procs, compared("api.log", 5, 5))),
			[]string{"Nothing comes from metrics-pharos-default any more, for 21 min"}, 1},
		{"no-data", "the access log has stopped", alive(access), []string{"Nothing comes from logs-nginx.access-default any more, for 21 min: nginx answers the probes"}, 1},
		{"no-data", "processes have nothing to log at night", alive(lines), nil, 0},
		{"no-data", "processes' logs have stopped", join(alive(lines), times(50, 12*time.Minute, 0, access, request(200, "/", fast))),
			[]string{"Nothing comes from logs-pharos-default any more, for 21 min: api answered"}, 1},
		{"no-data", "visitors stop from one moment to the next", join(alive(""), times(300, 64*time.Minute, 5*time.Minute, access, request(200, "/", fast))),
			[]string{"Nothing comes from traffic any more, for 5 min: the hour before had 300 requests, and the site answers probes"}, 1},
		{"site-down", "two bad probes", join(times(10, 60*time.Second, 10*time.Second, beat, check("site", "nginx", "up")), times(2, 10*time.Second, 0, beat, check("site", "nginx", "down"))),
			[]string{"The site does not answer: 2 probes in a row failed, since 23:59:50 UTC or before (connection refused). Users get nothing."}, 1},
		{"site-down", "one bad probe", join(times(10, 60*time.Second, 5*time.Second, beat, check("site", "nginx", "up")), times(1, 5*time.Second, 0, beat, check("site", "nginx", "down"))), nil, 0},
		{"site-down", "back", join(times(10, 60*time.Second, 10*time.Second, beat, check("site", "nginx", "down")), times(1, 10*time.Second, 0, beat, check("site", "nginx", "up"))), nil, 0},
		{"instance-down", "one of two", join(times(10, 60*time.Second, 0, beat, check("feed-1", "feed", "up")), times(10, 60*time.Second, 0, beat, check("feed-2", "feed", "down"))),
			[]string{"The feed-2 does not answer: 10 probes in a row failed, since 23:59:00 UTC or before (connection refused). 1 of 2 instances of feed are up."}, 1},
		{"instance-down", "a restart", join(times(10, 60*time.Second, 25*time.Second, beat, check("feed-1", "feed", "up")), times(5, 25*time.Second, 0, beat, check("feed-1", "feed", "down"))), nil, 0},
		{"store-down", "one store", join(times(3, 15*time.Second, 0, beat, check("redis", "redis", "down")), times(3, 15*time.Second, 0, beat, check("mysql", "mysql", "up"))),
			[]string{"The redis does not answer: 3 probes in a row failed"}, 1},
		{"store-down", "all well", times(3, 15*time.Second, 0, beat, check("mongodb", "mongodb", "up")), nil, 0},
		{"certificate-expiry", "no TLS", times(10, 10*time.Minute, 0, beat, check("site", "nginx", "up")), nil, 0},
		{"queue-lag", "behind", times(10, 4*time.Minute, 0, procs, metric("ingest-1", fields{"group": "ingest"}, fields{"shop_bus_waiting_seconds": 130, "shop_bus_lag_messages": 900})),
			[]string{"ingest does not keep up with the shop's events: for 5 minutes at least 900 have waited, the oldest for 130 s or more."}, 1},
		{"queue-lag", "a peak", join(times(10, 4*time.Minute, time.Minute, procs, metric("ingest-1", fields{"group": "ingest"}, fields{"shop_bus_waiting_seconds": 130, "shop_bus_lag_messages": 20000})),
			times(2, time.Minute, 0, procs, metric("ingest-1", fields{"group": "ingest"}, fields{"shop_bus_waiting_seconds": 0, "shop_bus_lag_messages": 0}))), nil, 0},
		{"queue-lag", "kept, and done", times(10, 4*time.Minute, 0, procs, metric("ingest-1", fields{"group": "ingest"}, fields{"shop_bus_oldest_message_seconds": 1300, "shop_bus_waiting_seconds": 0, "shop_bus_lag_messages": 0})), nil, 0},
		{"dead-letters", "a few", join(times(5, 14*time.Minute, 5*time.Minute, procs, metric("ingest-1", fields{"group": "ingest", "type": "order"}, fields{"shop_events_failed_total": 7})),
			times(5, 5*time.Minute, 0, procs, metric("ingest-1", fields{"group": "ingest", "type": "order"}, fields{"shop_events_failed_total": 10}))),
			[]string{"3 shop events of the last 15 minutes were given up and wait as dead letters (3 by ingest)."}, 0},
		{"dead-letters", "many, the first ever", join(times(5, 14*time.Minute, 5*time.Minute, procs, metric("ingest-1", fields{"group": "ingest"}, fields{"shop_bus_dead_letters": 0})),
			times(5, 5*time.Minute, 0, procs, metric("ingest-1", fields{"group": "ingest"}, fields{"shop_bus_dead_letters": 150})),
			times(5, 5*time.Minute, 0, procs, metric("ingest-1", fields{"group": "ingest", "type": "order"}, fields{"shop_events_failed_total": 150}))),
			[]string{"150 shop events of the last 15 minutes were given up"}, 1},
		{"dead-letters", "old ones, and a restart", join(times(5, 14*time.Minute, 5*time.Minute, procs, metric("ingest-1", fields{"group": "ingest", "type": "order"}, fields{"shop_events_failed_total": 7})),
			times(5, 5*time.Minute, 0, procs, metric("ingest-1", fields{"group": "ingest", "type": "order"}, fields{"shop_events_failed_total": 0})),
			times(5, 14*time.Minute, 0, procs, metric("ingest-1", fields{"group": "ingest"}, fields{"shop_bus_dead_letters": 7}))), nil, 0},
		{"signal-loss", "one stream of two", join(times(3, 9*time.Minute, 0, procs, compared("nginx.access", 100, 100)), times(3, 9*time.Minute, 0, procs, compared("api.log", 100, 90))),
			[]string{"10.0 % of api.log got lost on the way in the last 10 minutes: 300 were sent, 270 arrived."}, 0},
		{"signal-loss", "few", times(3, 9*time.Minute, 0, procs, compared("api.log", 100, 94)), nil, 0},
		{"signal-loss", "a small share", times(3, 9*time.Minute, 0, procs, compared("api.log", 10000, 9960)), nil, 0},
		{"signal-loss", "counted into the window before", join(times(1, 3*time.Minute, 0, procs, compared("api.log", 100, 130)), times(1, 2*time.Minute, 0, procs, compared("api.log", 100, 70))), nil, 0},
		{"error-log-burst", "a burst", times(60, 4*time.Minute, 0, lines, line("error", "feed", "read timeline: no route")),
			[]string{"feed logs many errors: 60 in 5 minutes, where the hour before had 0 in 5 minutes. The last: read timeline: no route"}, 0},
		{"error-log-burst", "as always", join(times(600, 64*time.Minute, 5*time.Minute, lines, line("error", "feed", "x")), times(60, 4*time.Minute, 0, lines, line("error", "feed", "x"))), nil, 0},
		{"error-log-burst", "warnings", times(60, 4*time.Minute, 0, lines, line("warn", "feed", "x")), nil, 0},
		{"login-failures", "one account", times(40, 4*time.Minute, 0, lines, signIn("192.0.2.1", "ada")),
			[]string{"Somebody may be guessing passwords: 40 sign-ins of the last 5 minutes failed on the account ada"}, 0},
		{"login-failures", "one address", times(120, 4*time.Minute, 0, lines, fields{"event.action": "sign-in-slowed", "client.ip": "192.0.2.1"}),
			[]string{"Somebody may be guessing passwords: 120 sign-ins of the last 5 minutes failed from 192.0.2.1 (of 120 in all, 120 were refused"}, 0},
		{"login-failures", "a forgotten password", times(6, 4*time.Minute, 0, lines, signIn("192.0.2.1", "ada")), nil, 0},
		{"disk", "filling", times(5, 4*time.Minute, 0, host, disk(.85)), []string{"The disk here /data is 85 % full (5.0 GiB are left)."}, 0},
		{"disk", "nearly full", times(5, 4*time.Minute, 0, host, disk(.93)), []string{"The disk here /data is 93 % full"}, 1},
		{"disk", "room", times(5, 4*time.Minute, 0, host, disk(.6)), nil, 0},
		{"memory", "the host's", times(5, 4*time.Minute, 0, host, memory(.97)), []string{"For 5 minutes host here has used 97 % of its memory"}, 1},
		{"memory", "a process's", times(5, 4*time.Minute, 0, procs, metric("api-1", fields{}, fields{"process_resident_memory_bytes": 2 << 30, "go_memstats_heap_alloc_bytes": 1 << 30})),
			[]string{"For 5 minutes process api-1 has used 2048 MiB of memory, 1024 MiB of it Go heap."}, 0},
		{"memory", "room", join(times(5, 4*time.Minute, 0, host, memory(.5)), times(5, 4*time.Minute, 0, procs, metric("api-1", fields{}, fields{"process_resident_memory_bytes": 100 << 20}))), nil, 0},
	} {
		t.Run(c.watch+"/"+strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			covered[c.watch] = true
			at := base.AddDate(0, 0, 10*(i+1))
			if quiet := s.at(t, c.watch, all[c.watch], at.AddDate(0, 0, -5), nil); len(quiet.Intervals) > 0 {
				t.Error("fires without documents")
			}
			s.expect(t, s.at(t, c.watch, all[c.watch], at, c.signals), c.alerts, c.pages)
		})
	}
	for i, c := range []struct {
		ends   time.Duration
		alerts []string
		pages  int
	}{
		{90 * 24 * time.Hour, nil, 0},
		{15*24*time.Hour + time.Hour, []string{"The certificate of site ends in 15 days (2020-01-16T01:00:00.000Z)."}, 0},
		{2*24*time.Hour + time.Hour, []string{"The certificate of site ends in 2 days"}, 1},
		{-time.Hour, []string{"The certificate of site has expired"}, 1},
	} {
		covered["certificate-expiry"] = true
		s.expect(t, s.at(t, "certificate-expiry", all["certificate-expiry"], base.Add(time.Duration(i)*time.Minute*20),
			times(2, 5*time.Minute, 0, beat, certificate(c.ends))), c.alerts, c.pages)
	}
	for id := range all {
		if !covered[id] {
			t.Errorf("nothing shows that %s fires", id)
		}
	}
}

func (s *stand) expect(t *testing.T, r replay.Result, alerts []string, pages int) {
	t.Helper()
	var got []string
	for _, a := range r.Alerts {
		got = append(got, a.Summary)
	}
	ok := len(got) == len(alerts) && (len(r.Intervals) > 0) == (len(alerts) > 0)
	for i := range min(len(got), len(alerts)) {
		ok = ok && strings.HasPrefix(got[i], alerts[i])
	}
	if !ok || r.Pages != pages {
		t.Errorf("pages %d, want %d; alerts\n  %s\nwant\n  %s", r.Pages, pages, strings.Join(got, "\n  "), strings.Join(alerts, "\n  "))
	}
}

// events are what objectives count, good or bad, where watches search them.
func event(name string, good bool) (string, fields) {
	switch name {
	case "jobs-in-time":
		outcome := map[bool]string{true: "success", false: "failure"}[good]
		return lines, fields{"event.action": "job-ended", "event.outcome": outcome, "event.duration": time.Second.Nanoseconds()}
	case "route-latency":
		took := map[bool]time.Duration{true: time.Millisecond, false: time.Second}[good]
		return access, request(200, "/v1/feed", took)
	default:
		status := map[bool]int{true: 200, false: 503}[good]
		return access, request(status, "/v1/feed", time.Millisecond)
	}
}

func minute(o slo.Objective, good bool) fields {
	f := fields{"slo.name": o.Name, "slo.total": 1, "slo.good": map[bool]int{true: 1}[good]}
	if r := o.Indicator.Ratio; r != nil && r.GroupBy != "" {
		f[r.GroupBy] = "/v1/feed"
	}
	return f
}

// TestBurnRates: a total outage fires, a healthy time does not, nor do few events.
func TestBurnRates(t *testing.T) {
	s := newStand(t)
	day := 0
	for _, o := range objectives(t) {
		lots := int(max(o.MinimumEvents, 1)) + 10
		for _, w := range slo.Watches(o) {
			for _, c := range []struct {
				name  string
				n     int
				good  bool
				fires bool
			}{{"nothing", 0, true, false}, {"an outage", lots, false, true}, {"healthy", lots, true, false}, {"few", int(o.MinimumEvents) - 1, false, false},
				{"one", 1, false, o.MinimumEvents <= 1 && (o.MinimumBad <= 1 || strings.HasSuffix(w.ID, "-slow"))}} {
				if c.n < 0 {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s", w.ID, c.name), func(t *testing.T) {
					day++
					stream, f := event(o.Name, c.good)
					signals := join(times(c.n, 4*time.Minute, 0, stream, f), times(c.n, 4*time.Minute, 0, rolled, minute(o, c.good)))
					r := s.at(t, w.ID, w.Body, base.AddDate(0, 0, -10*day), signals)
					if fired := len(r.Intervals) > 0; fired != c.fires {
						t.Errorf("fired: %v", fired)
					}
				})
			}
		}
	}
}

package uptime

import (
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"pharos/console/page"
	"pharos/elastic"
	"pharos/internal/teststack"
)

// The questions, asked of a real Elasticsearch with the real mappings.
func TestChecksOfAMonitor(t *testing.T) {
	es, err := elastic.New(teststack.Config[elastic.SetupConfig](t).Client())
	if err != nil {
		t.Fatal(err)
	}
	id := "up-" + uuid.NewString()[:8]
	// Long ago: what is down here must page nobody in this stack.
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	certificate := now.Add(20 * 24 * time.Hour)
	var documents []elastic.Document
	check := func(secondsAgo int, status string, took int64) {
		d := map[string]any{
			"@timestamp": now.Add(-time.Duration(secondsAgo) * time.Second),
			"monitor":    map[string]any{"id": id, "name": "A monitor", "type": "http", "status": status, "duration": map[string]any{"us": took}},
			"service":    map[string]any{"name": "api"}, "cloud": map[string]any{"region": "here"},
			"tls": map[string]any{"certificate_not_valid_after": certificate},
		}
		if status == "down" {
			d["error"] = map[string]any{"message": "connection refused after " + strconv.Itoa(secondsAgo), "type": "io"}
		}
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, elastic.Document{ID: id + strconv.Itoa(secondsAgo), Body: text})
	}
	for ago := 1800; ago > 1200; ago -= 5 {
		check(ago, "up", 2000)
	}
	for ago := 1200; ago >= 1100; ago -= 5 { // 21 checks: an outage, till 1095
		check(ago, "down", 100)
	}
	for ago := 1095; ago > 15; ago -= 5 {
		check(ago, "up", 4000)
	}
	for ago := 15; ago >= 5; ago -= 5 { // goes on
		check(ago, "down", 100)
	}
	result, err := es.Create(t.Context(), "heartbeat-default", documents)
	if err != nil || result.Created != len(documents) {
		t.Fatalf("%+v %v", result, err)
	}
	if err := es.Refresh(t.Context(), "heartbeat-default"); err != nil {
		t.Fatal(err)
	}
	q := queries{es, page.Span{From: now.Add(-time.Hour), To: now}, now}
	monitors, err := q.monitors(t.Context(), id)
	if err != nil || len(monitors) != 1 {
		t.Fatalf("%+v %v", monitors, err)
	}
	m := monitors[0]
	if m.Status != "down" || !m.Since.Equal(now.Add(-15*time.Second)) || m.Name != "A monitor" || m.Type != "http" || m.Service != "api" || m.Region != "here" || m.Error != "connection refused after 5" {
		t.Errorf("%+v", m)
	}
	if m.Checks != int64(len(documents)) || m.Down != 24 || m.P50 == nil || *m.P50 < 0.002 || *m.P50 > 0.004 || !m.CertificateEnds.Equal(certificate) {
		t.Errorf("%+v", m)
	}
	// 30 minutes of an hour are known: half of the 40 points.
	known := 0
	for _, v := range m.Took {
		if v != nil {
			known++
		}
	}
	if known < 18 || known > 21 || m.Took[0] != nil {
		t.Errorf("%d of the points are known", known)
	}
	out, err := q.outages(t.Context(), q.span.From, now, id)
	if err != nil || len(out.List) != 2 || out.More != 0 {
		t.Fatalf("%+v %v", out, err)
	}
	if o := out.List[0]; !o.End.IsZero() || o.Failed != 3 || o.Reason != "connection refused after 5" {
		t.Errorf("%+v", o)
	}
	if o := out.List[1]; !o.Start.Equal(now.Add(-1200*time.Second)) || !o.End.Equal(now.Add(-1095*time.Second)) || o.Failed != 21 || o.Reason != "connection refused after 1100" || o.Service != "api" || o.Name != "A monitor" {
		t.Errorf("%+v", o)
	}
	chart, err := q.took(t.Context(), id)
	if err != nil || len(chart.Series) != 3 || chart.Empty() || len(chart.Times) != len(chart.Series[0].Values) {
		t.Errorf("%+v %v", chart, err)
	}
	if none, err := q.monitors(t.Context(), id+"x"); err != nil || len(none) != 0 {
		t.Errorf("%+v %v", none, err)
	}
}

package shop_test

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pharos/shop"
)

func TestWindowOf(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, tt := range []struct{ at, minute, hour string }{
		{"2026-01-31T12:34:00Z", "1m.2026-01-31T12:34Z", "1h.2026-01-31T12:00Z"},
		{"2026-01-31T12:34:59.999Z", "1m.2026-01-31T12:34Z", "1h.2026-01-31T12:00Z"},
		{"2026-01-31T12:35:00Z", "1m.2026-01-31T12:35Z", "1h.2026-01-31T12:00Z"},
		{"2026-02-01T00:30:00+05:30", "1m.2026-01-31T19:00Z", "1h.2026-01-31T19:00Z"},
		{"2025-12-31T23:59:59Z", "1m.2025-12-31T23:59Z", "1h.2025-12-31T23:00Z"},
	} {
		minute, hour := shop.WindowOf(shop.Minute, at(tt.at)), shop.WindowOf(shop.Hour, at(tt.at))
		if minute.String() != tt.minute || hour.String() != tt.hour {
			t.Errorf("%s: %s and %s", tt.at, minute, hour)
		}
		if minute.End().Sub(minute.Start) != time.Minute || hour.End().Sub(hour.Start) != time.Hour {
			t.Errorf("%s: ends at %s and %s", tt.at, minute.End(), hour.End())
		}
	}
}

func TestWatermark(t *testing.T) {
	const delay = 30 * time.Second
	for name, tt := range map[string]struct {
		newest time.Time
		idle   bool
		want   time.Time
	}{
		"behind the newest event":         {now.Add(-time.Hour), false, now.Add(-time.Hour - delay)},
		"no further than the clock":       {now.Add(time.Minute), false, now.Add(-delay)},
		"with the clock where it is idle": {now.Add(-time.Hour), true, now.Add(-delay)},
	} {
		if got := shop.Watermark(tt.newest, now, delay, tt.idle); !got.Equal(tt.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestFunnel(t *testing.T) {
	var f shop.Funnel
	for stage, n := range map[shop.Stage]int64{
		{}:                              100,
		{Viewed: true}:                  50,
		{Viewed: true, Carted: true}:    20,
		{true, true, true}:              5,
		{Carted: true}:                  7,
		{Carted: true, Purchased: true}: 3,
		{Viewed: true, Purchased: true}: 2,
	} {
		f.Count(stage, n)
	}
	if want := (shop.Funnel{Viewed: 77, Carted: 25, Purchased: 5}); f != want {
		t.Errorf("%+v", f)
	}
}

func TestVisitors(t *testing.T) {
	const n = 50_000
	whole, parts := shop.NewVisitors(), shop.NewVisitors()
	for part := range 5 {
		v := shop.NewVisitors()
		for i := range n / 5 * 2 { // they overlap
			visitor := fmt.Sprint("user ", (part*n/5+i)%n)
			v.Add(visitor)
			whole.Add(visitor)
		}
		text, err := v.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var kept shop.Visitors
		if err := kept.UnmarshalBinary(text); err != nil {
			t.Fatal(err)
		}
		for range 2 { // again makes no difference
			if err := parts.Merge(&kept); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, v := range map[string]*shop.Visitors{"whole": whole, "parts": parts} {
		if off := math.Abs(float64(v.Estimate())/n - 1); off > 0.03 {
			t.Errorf("%s: %d instead of %d", name, v.Estimate(), n)
		}
	}
	if got := shop.NewVisitors().Estimate(); got != 0 {
		t.Errorf("nobody: %d", got)
	}
}

func figures(events, visitors int64, revenue map[string]int64) shop.Figures {
	return shop.Figures{Counts: shop.Counts{Events: events, Purchases: events, Revenue: revenue}, Visitors: visitors}
}

func TestRevise(t *testing.T) {
	w := shop.WindowOf(shop.Minute, now)
	total, de, fr, it := shop.Group{Dimension: shop.Total}, shop.Group{Dimension: shop.ByCountry, Value: "DE"},
		shop.Group{Dimension: shop.ByCountry, Value: "FR"}, shop.Group{Dimension: shop.ByCountry, Value: "IT"}
	opts := shop.RevisionOptions{Top: 1, Fields: map[string]string{"cloud.region": "eu"}}

	first := map[shop.Group]shop.Figures{
		total: {Counts: shop.Counts{Events: 3, Revenue: map[string]int64{"EUR": 500}}, Visitors: 3, Funnel: shop.Funnel{Viewed: 2, Carted: 1}},
		de:    figures(2, 2, map[string]int64{"EUR": 500}), fr: figures(1, 1, nil),
	}
	docs, ledger, err := shop.Revise(w, first, shop.Ledger{}, opts)
	if err != nil {
		t.Fatal(err)
	}
	if len(docs) != 2 || ledger.Revision != 1 {
		t.Fatalf("%d documents, revision %d: the total and one country of two", len(docs), ledger.Revision)
	}
	golden := map[string]any{
		"@timestamp": "2026-01-31T12:00:00.000Z", "event.dataset": "shop.analytics", "event.kind": "metric", "cloud.region": "eu",
		"shop.window.size": "1m", "shop.window.end": "2026-01-31T12:01:00.000Z", "shop.dimension": "total", "shop.revision": 1.0,
		"shop.events": 3.0, "shop.views": 0.0, "shop.actions": 0.0, "shop.carts": 0.0, "shop.purchases": 0.0, "shop.late": 0.0,
		"shop.visitors": 3.0, "shop.revenue_minor.EUR": 500.0,
		"shop.funnel.viewed": 2.0, "shop.funnel.carted": 1.0, "shop.funnel.purchased": 0.0,
	}
	for _, d := range docs {
		if d.ID != "eu.1m.2026-01-31T12:00Z.total..r1" {
			continue
		}
		var body map[string]any
		if err := json.Unmarshal(d.Body, &body); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(golden, body); diff != "" {
			t.Errorf("document (-want +got):\n%s", diff)
		}
	}

	if docs, same, err := shop.Revise(w, first, ledger, opts); err != nil || len(docs) != 0 || same.Revision != 1 {
		t.Errorf("without a change: %d documents, revision %d, error %v", len(docs), same.Revision, err)
	}

	// A late event takes Italy to the top. Germany stays, as it was written; and
	// its estimate of visitors may well go down.
	second := map[shop.Group]shop.Figures{
		total: {Counts: shop.Counts{Events: 9, Revenue: map[string]int64{"EUR": 500, "JPY": 7}}, Visitors: 9, Funnel: shop.Funnel{Viewed: 2, Carted: 2}},
		de:    figures(3, 1, map[string]int64{"EUR": 500}), fr: figures(1, 1, nil), it: figures(5, 5, map[string]int64{"JPY": 7}),
	}
	docs, ledger, err = shop.Revise(w, second, ledger, opts)
	if err != nil || ledger.Revision != 2 || len(docs) != 3 {
		t.Fatalf("%d documents, revision %d, error %v", len(docs), ledger.Revision, err)
	}
	ids := map[string]map[string]any{}
	for _, d := range docs {
		var body map[string]any
		if err := json.Unmarshal(d.Body, &body); err != nil {
			t.Fatal(err)
		}
		ids[d.ID] = body
	}
	if d := ids["eu.1m.2026-01-31T12:00Z.country.DE.r2"]; d["shop.events"] != 1.0 || d["shop.visitors"] != -1.0 || d["shop.revenue_minor.EUR"] != nil {
		t.Errorf("Germany: %v", d)
	}
	if d := ids["eu.1m.2026-01-31T12:00Z.country.IT.r2"]; d["shop.events"] != 5.0 || d["shop.revenue_minor.JPY"] != 7.0 {
		t.Errorf("Italy: %v", d)
	}
	if d := ids["eu.1m.2026-01-31T12:00Z.total..r2"]; d["shop.events"] != 6.0 || d["shop.funnel.carted"] != 1.0 || d["shop.funnel.viewed"] != 0.0 {
		t.Errorf("total: %v", d)
	}
	if diff := cmp.Diff(second[it], ledger.Figures[it]); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

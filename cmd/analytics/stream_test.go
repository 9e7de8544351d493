package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"pharos/elastic"
	"pharos/internal/teststack"
	"pharos/shop"
)

// In the real data stream, written twice is written once, every field has the
// type that sums need, and the sum over revisions is the last figure.
func TestDataStream(t *testing.T) {
	es, err := elastic.New(teststack.Config[elastic.SetupConfig](t).Client())
	if err != nil {
		t.Fatal(err)
	}
	region := "test-" + uuid.NewString()
	w := shop.WindowOf(shop.Minute, time.Now())
	opts := shop.RevisionOptions{Top: 10, Fields: map[string]string{"cloud.region": region, "service.name": "analytics"}}
	category := shop.Group{Dimension: shop.ByCategory, Value: "shoes"}
	var ledger shop.Ledger
	for revision, f := range []shop.Figures{
		{Counts: shop.Counts{Events: 3, Purchases: 3, Revenue: map[string]int64{"EUR": 1999}}, Visitors: 3, Funnel: shop.Funnel{Viewed: 2}},
		{Counts: shop.Counts{Events: 5, Purchases: 4, Late: 2, Revenue: map[string]int64{"EUR": 2999}}, Visitors: 2, Funnel: shop.Funnel{Viewed: 3, Carted: 1}},
	} {
		docs, after, err := shop.Revise(w, map[shop.Group]shop.Figures{{Dimension: shop.Total}: f, category: f}, ledger, opts)
		if err != nil || len(docs) != 2 {
			t.Fatalf("revision %d: %d documents, error %v", revision, len(docs), err)
		}
		ledger = after
		for range 2 {
			if refused, err := (&windows{es: es}).Create(t.Context(), docs); err != nil || len(refused) != 0 {
				t.Fatalf("revision %d: refused %v, error %v", revision, refused, err)
			}
		}
	}
	call := func(path, body string) []byte {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/"+stream+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := es.Perform(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %s %v", path, resp.Status, text, err)
		}
		return text
	}
	call("/_refresh", "")
	sum := func(field string) string { return `"` + field + `":{"sum":{"field":"` + field + `"}}` }
	text := call("/_search", `{"size":0,"query":{"bool":{"filter":[
		{"term":{"cloud.region":"`+region+`"}},{"term":{"shop.dimension":"category"}},{"term":{"shop.category":"shoes"}},
		{"term":{"shop.window.size":"1m"}},{"range":{"@timestamp":{"gte":"now-1h"}}}]}},
		"aggs":{`+strings.Join([]string{sum("shop.events"), sum("shop.late"), sum("shop.visitors"), sum("shop.revenue_minor.EUR")}, ",")+`}}`)
	var answer struct {
		Hits         struct{ Total struct{ Value int } }
		Aggregations map[string]struct{ Value float64 }
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{"documents": float64(answer.Hits.Total.Value)}
	for name, a := range answer.Aggregations {
		got[name] = a.Value
	}
	want := map[string]float64{"documents": 2, "shop.events": 5, "shop.late": 2, "shop.visitors": 2, "shop.revenue_minor.EUR": 2999}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

package shop

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"pharos/console/page"
	"pharos/console/pagetest"
)

// answer is Elasticsearch's to the page's questions, as 8.19 writes it.
func answer(_ string, body map[string]any) (int, string) {
	if strings.Contains(body["call"].(string), "_field_caps") {
		return 0, `{"fields":{"shop.revenue_minor.EUR":{},"shop.revenue_minor.JPY":{}}}`
	}
	aggs := body["aggs"].(map[string]any)
	const at = `"key":1795262400000,"doc_count":2` // 12:00 UTC
	switch {
	case aggs["top"] != nil:
		return 0, `{"aggregations":{"top":{"buckets":[{"key":"<lamp>","doc_count":3,"views":{"value":5},"carts":{"value":2},"purchases":{"value":1},"shop.revenue_minor.JPY":{"value":1200},"shop.revenue_minor.EUR":{"value":0}}]}}}`
	case aggs["minutes"] != nil:
		return 0, `{"aggregations":{"minutes":{"buckets":[{` + at + `,"visitors":{"value":22},"events":{"value":102},"purchases":{"value":7}}]}}}`
	case aggs["events"] != nil:
		return 0, `{"aggregations":{"events":{"value":100},"late":{"value":1},"views":{"value":80},"carts":{"value":8},"funnel.viewed":{"value":40},"funnel.carted":{"value":10},"funnel.purchased":{"value":4},
			"over":{"buckets":[{` + at + `,"visitors":{"value":30},"windows":{"value":2},"views":{"value":80},"carts":{"value":8},"actions":{"value":2},"purchases":{"value":4}}]}}}`
	}
	return 0, `{"aggregations":{"over":{"buckets":[
		{"key":1795262280000,"doc_count":1,"purchases":{"value":1},"shop.revenue_minor.EUR":{"value":10},"shop.revenue_minor.JPY":{"value":0}},
		{` + at + `,"purchases":{"value":3},"shop.revenue_minor.EUR":{"value":20},"shop.revenue_minor.JPY":{"value":1200}}]}}}`
}

func stand(t *testing.T, answer pagetest.Elasticsearch) *pagetest.Stand {
	t.Helper()
	s := pagetest.New(t)
	s.Search = answer
	s.Add(Page())
	return s
}

func TestPage(t *testing.T) {
	t.Parallel()
	c := stand(t, answer)
	status, body := c.Get("/shop")
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	for _, want := range []string{"&lt;lamp&gt;", "1.2 k JPY", "No average order", "active visitors in the minute of 12:00:00", "25 %", "10 %", "40 %", `id="revenue-EUR"`} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
	var v View
	c.JSON("/shop.json", &v)
	sales := v.Sales.Data
	// 0.10 + 0.20 is exactly 0.30 here.
	if sales.Orders != 4 || sales.Revenue["EUR"] != 0.3 || sales.Revenue["JPY"] != 1200 || v.Window != "1m" {
		t.Errorf("%+v", sales)
	}
	known := func(line []*float64) (text string) {
		for _, v := range line {
			if v != nil {
				b, _ := json.Marshal(*v)
				text += string(b) + " "
			}
		}
		return text
	}
	if got := known(sales.Purchases.Series[0].Values); got != "1 3 " {
		t.Errorf("orders %s", got)
	}
	// No yen in the first minute is 0, not unknown; where no minute was written it is.
	if got := known(sales.Currencies[1].Series[0].Values); got != "0 1200 " {
		t.Errorf("yen %s", got)
	}
	if got := known(v.Behaviour.Data.Visitors.Series[0].Values); got != "15 " {
		t.Errorf("visitors of two windows: %s", got)
	}
	c.JSON("/shop.json?from=now-7d", &v)
	if v.Window != "1h" {
		t.Errorf("a week is made of %s", v.Window)
	}
}

func TestNothingSoldAndNothingKnown(t *testing.T) {
	t.Parallel()
	empty := stand(t, func(_ string, body map[string]any) (int, string) {
		return http.StatusNotFound, `{"error":{"type":"index_not_found_exception","reason":"no such index"},"status":404}`
	})
	if status, body := empty.Get("/shop"); status != http.StatusOK || !strings.Contains(body, "No shop events were counted") || !strings.Contains(body, "Nobody did anything") {
		t.Errorf("%d %s", status, body)
	}
	away := stand(t, func(string, map[string]any) (int, string) {
		return http.StatusForbidden, `{"error":{"type":"security_exception","reason":"no"},"status":403}`
	})
	if status, body := away.Get("/shop"); status != http.StatusOK || strings.Count(body, "Your role may not read this.") != 5 {
		t.Errorf("%d %s", status, body)
	}
}

func TestAverageOrder(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		sales Sales
		want  *float64
	}{
		"one currency":   {Sales{Orders: 4, Revenue: map[string]float64{"EUR": 10}}, page.Value(2.5)},
		"two currencies": {Sales{Orders: 4, Revenue: map[string]float64{"EUR": 10, "JPY": 5}}, nil},
		"no orders":      {Sales{Revenue: map[string]float64{}}, nil},
	} {
		got := tc.sales.AverageOrder()
		if (got == nil) != (tc.want == nil) || got != nil && *got != *tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestFunnel(t *testing.T) {
	t.Parallel()
	steps := funnel(0, 0, 0)
	if steps[0].OfFirst != nil || steps[2].OfBefore != nil {
		t.Errorf("shares of nothing: %+v", steps)
	}
	if steps = funnel(10, 5, 1); *steps[2].OfFirst != 0.1 || *steps[2].OfBefore != 0.2 || steps[0].OfBefore != nil {
		t.Errorf("%+v", steps)
	}
}

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestShopEventsAreCounted sends a batch through nginx and expects its figures
// in Elasticsearch, each event once.
func TestShopEventsAreCounted(t *testing.T) {
	s := open(t)
	c := newClient(s)
	u := c.signUp(t, "shop")
	product := "p-" + random(t)
	event := func(id, kind, data string) string {
		return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/e2e/%s","type":%q,"data":{"session_id":"s-%s","product_id":%q,%s}}`,
			id, product, kind, product, product, data)
	}
	buy := event("4", "shop.purchase", `"price":"12.50","currency":"EUR","quantity":2,"amount":"25.00","order_id":"o-1"`)
	batch := "[" + strings.Join([]string{
		event("1", "shop.view", `"category":"lamps","country":"DE"`),
		event("2", "shop.view", `"category":"lamps"`),
		event("3", "shop.cart", `"quantity":2,"price":"12.50","currency":"EUR"`),
		buy,
		event("5", "shop.unknown", `"x":1`),
	}, ",") + "]"
	header := append(u.auth(), "Content-Type", "application/cloudevents-batch+json")
	type results struct {
		Items []struct{ ID, Status, Detail string }
	}
	var first results
	c.want(t, http.StatusAccepted, "POST", "/v1/events", batch, header...).decode(t, &first)
	var got []string
	for _, r := range first.Items {
		got = append(got, r.ID+" "+r.Status)
	}
	if strings.Join(got, ", ") != "1 accepted, 2 accepted, 3 accepted, 4 accepted, 5 invalid" {
		t.Fatalf("results %+v", first)
	}
	var again results
	c.want(t, http.StatusAccepted, "POST", "/v1/events", buy, append(u.auth(), "Content-Type", "application/cloudevents+json")...).decode(t, &again)
	if len(again.Items) != 1 || again.Items[0].Status != "duplicate" {
		t.Errorf("the same event again: %+v", again)
	}
	// A window is written when the watermark has passed it; a shop that falls
	// silent is waited for no longer than SHOP_IDLE_AFTER.
	eventually(t, 4*time.Minute, "the product's window is written", func() string {
		sums := query{}
		for _, f := range []string{"views", "carts", "purchases", "revenue_minor.EUR"} {
			sums[f] = query{"sum": query{"field": "shop." + f}}
		}
		r, err := s.es.Search(t.Context(), "metrics-shop.analytics-default", query{
			"size": 0, "query": all(term("shop.product", product), term("shop.window.size", "1m")), "aggs": sums,
		})
		if err != nil {
			return err.Error()
		}
		figures := map[string]float64{}
		for name, raw := range r.Aggregations {
			var v struct{ Value float64 }
			if err := json.Unmarshal(raw, &v); err != nil {
				return err.Error()
			}
			figures[name] = v.Value
		}
		if figures["views"] != 2 || figures["carts"] != 1 || figures["purchases"] != 1 || figures["revenue_minor.EUR"] != 2500 {
			return fmt.Sprintf("%d documents with %v%s", r.Total, figures, s.tail("pharos/analytics.log")+s.tail("pharos/ingest.log"))
		}
		return ""
	})
}

// TestJobAndFunctionMetrics has a number computed that is too large for the
// interactive task, and finds the call among the measured functions.
func TestJobAndFunctionMetrics(t *testing.T) {
	s := open(t)
	c := newClient(s)
	u := c.signUp(t, "worker")
	var job struct {
		ID, State string
		Digits    int
		Result    string
	}
	c.want(t, http.StatusUnprocessableEntity, "GET", "/tasks/factorial?n=200000", "")
	const body = `{"task":"factorial","arguments":{"n":200000}}`
	c.want(t, http.StatusAccepted, "POST", "/v1/jobs", body, u.auth()...).decode(t, &job)
	eventually(t, time.Minute, "the job is done", func() string {
		a := c.want(t, http.StatusOK, "GET", "/v1/jobs/"+job.ID, "", u.auth()...)
		a.decode(t, &job)
		if job.State != "done" {
			return string(a.body) + s.tail("pharos/jobs.log")
		}
		return ""
	})
	var result struct{ Value string }
	c.want(t, http.StatusOK, "GET", job.Result, "", u.auth()...).decode(t, &result)
	if job.Digits != 973351 || len(result.Value) != job.Digits {
		t.Errorf("200000! has %d digits, the answer says %d and holds %d", 973351, job.Digits, len(result.Value))
	}
	c.want(t, http.StatusNotFound, "GET", "/v1/jobs/"+job.ID, "", c.signUp(t, "other").auth()...)
	c.want(t, http.StatusBadRequest, "POST", "/v1/jobs", `{"task":"sort","arguments":{"n":1}}`, u.auth()...)

	eventually(t, 30*time.Second, "the functions are measured", func() string {
		var functions struct {
			Items []struct {
				Name  string `json:"func_name"`
				Calls int
			}
		}
		a := c.want(t, http.StatusOK, "GET", "/v1/functions", "", "X-Api-Key", s.OperatorKey)
		a.decode(t, &functions)
		calls := map[string]int{}
		for _, f := range functions.Items {
			calls[f.Name] = f.Calls
		}
		if calls["jobs.factorial"] < 1 || calls["tasks.factorial"] < 1 || calls["feed.SignIn"] < 1 {
			return string(a.body)
		}
		return ""
	})
	c.want(t, http.StatusNotFound, "GET", "/v1/functions/nothing", "", "X-Api-Key", s.OperatorKey)
	c.want(t, http.StatusUnauthorized, "GET", "/v1/functions", "", u.auth()...)
}

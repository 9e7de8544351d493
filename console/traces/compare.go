package traces

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"pharos/console/kql"
	"pharos/console/page"
)

const (
	maxValues      = 30 // of one field, the most frequent of either side
	maxDifferences = 40
	leastDiffer    = 0.01 // a share
	few            = 10   // failing requests; fewer say little
)

// compared are the fields whose values are set beside each other.
func compared() []string {
	return []string{
		"service.name", "service.node.name", "service.version", "cloud.region", "host.name", "http.route", "transaction.name", "http.request.method",
		"user_agent.original", "user.id", "client.ip", "http.response.headers.X-Source",
	}
}

// Comparison is what the page shows.
type Comparison struct {
	Filter  Filter                `json:"filter"`
	Result  page.Panel[Different] `json:"result"`
	List    string                `json:"-"` // the address of the list
	Failing string                `json:"-"` // the list of the failing ones
}

// Different is what failing transactions have more or less often than healthy
// ones.
type Different struct {
	Failing int64        `json:"failing"`
	Healthy int64        `json:"healthy"`
	Values  []Difference `json:"values"`
	Few     bool         `json:"few"`
}

// Difference is one value of a field, with how many of either side have it.
type Difference struct {
	Field   string  `json:"field"`
	Value   string  `json:"value"`
	Failing int64   `json:"failing"`
	Healthy int64   `json:"healthy"`
	ShareF  float64 `json:"failing_share"`
	ShareH  float64 `json:"healthy_share"`
	Query   string  `json:"q"` // what finds these
}

// Points is how many percentage points more of the failing ones have it.
func (d Difference) Points() string {
	p := (d.ShareF - d.ShareH) * 100
	return fmt.Sprintf("%+.*f", map[bool]int{true: 0, false: 1}[math.Abs(p) >= 10], p)
}

// sides counts a field's values: failing and healthy transactions with each.
type sides map[string][2]int64

// differences sets the values of fields beside each other: those whose share
// differs most come first. A share is of all failing, or of all healthy,
// transactions. Without either side there is nothing to compare.
func differences(fields map[string]sides, failing, healthy int64) []Difference {
	if failing == 0 || healthy == 0 {
		return nil
	}
	var all []Difference
	for field, values := range fields {
		for value, n := range values {
			d := Difference{Field: field, Value: value, Failing: n[0], Healthy: n[1], ShareF: float64(n[0]) / float64(failing), ShareH: float64(n[1]) / float64(healthy)}
			if math.Abs(d.ShareF-d.ShareH) >= leastDiffer {
				all = append(all, d)
			}
		}
	}
	slices.SortFunc(all, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(math.Abs(b.ShareF-b.ShareH), math.Abs(a.ShareF-a.ShareH)), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Value, b.Value))
	})
	return all[:min(len(all), maxDifferences)]
}

func (t Traces) compare(r *page.Request) (any, error) {
	f, err := parseFilter(r.Parameters())
	if err != nil {
		return nil, err
	}
	f.statuses = nil // both sides are wanted
	v := &Comparison{Filter: f}
	if v.List, err = r.Link("/traces", f.pairs("")...); err != nil {
		return nil, err
	}
	if v.Failing, err = r.Link("/traces", f.pairs("failed")...); err != nil {
		return nil, err
	}
	q := queries{r.Elasticsearch, r.Span}
	p := r.Panels()
	page.Load(p, &v.Result, func(ctx context.Context) (Different, error) { return q.compare(ctx, f) })
	p.Wait()
	return v, nil
}

// pairs are the filter's parameters, with another status.
func (f Filter) pairs(status string) []string {
	return []string{"service", f.Service, "route", f.Route, "user", f.User, "id", f.ID, "min", f.Min, "max", f.Max, "q", f.Query, "status", status}
}

// side is the transactions that failed, or those that did not.
type side struct {
	count  int64
	fields map[string]fieldValues
}

type fieldValues struct {
	values []Count
	cut    bool // there are more values
}

// sides counts the values of fields: of those given, only these values; else
// the most frequent of each field that is compared.
func (q queries) sides(ctx context.Context, f Filter, only map[string][]string) (failed, healthy side, err error) {
	query, err := f.elastic(q.span)
	if err != nil {
		return failed, healthy, err
	}
	aggs := object{}
	for i, field := range compared() {
		terms := object{"field": field, "size": maxValues}
		if only != nil {
			if len(only[field]) == 0 {
				continue
			}
			terms["include"], terms["size"] = only[field], len(only[field])
		}
		aggs[fieldKey(i)] = object{"terms": terms}
	}
	res, err := q.es.Search(ctx, eventStream, object{"size": 0, "query": query, "aggs": object{
		"failing": object{"filter": failing(), "aggs": aggs},
		"healthy": object{"filter": without(failing()), "aggs": aggs},
	}})
	if err != nil {
		return failed, healthy, fmt.Errorf("compare transactions: %w", f.refused(err))
	}
	for name, into := range map[string]*side{"failing": &failed, "healthy": &healthy} {
		if err := into.read(res.Aggregations[name]); err != nil {
			return failed, healthy, fmt.Errorf("compare transactions: %w", err)
		}
	}
	return failed, healthy, nil
}

// read reads a filter aggregation with one terms aggregation a field.
func (s *side) read(raw json.RawMessage) error {
	s.fields = map[string]fieldValues{}
	if raw == nil { // no stream yet
		return nil
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil {
		return fmt.Errorf("decode side: %w", err)
	}
	if err := json.Unmarshal(parts["doc_count"], &s.count); err != nil {
		return fmt.Errorf("decode side: %w", err)
	}
	for i, field := range compared() {
		part, ok := parts[fieldKey(i)]
		if !ok {
			continue
		}
		var terms struct {
			named
			Other int64 `json:"sum_other_doc_count"`
		}
		if err := json.Unmarshal(part, &terms); err != nil {
			return fmt.Errorf("decode values of %s: %w", field, err)
		}
		s.fields[field] = fieldValues{terms.counts(), terms.Other > 0}
	}
	return nil
}

// fieldKey names the aggregation of a field.
func fieldKey(i int) string { return "field_" + strconv.Itoa(i) }

// compare counts the values of fields among failing and healthy transactions. Of
// each field it takes the most frequent values of either side, and counts
// exactly what one of the sides left out.
func (q queries) compare(ctx context.Context, f Filter) (Different, error) {
	failing, healthy, err := q.sides(ctx, f, nil)
	if err != nil {
		return Different{}, err
	}
	d := Different{Failing: failing.count, Healthy: healthy.count, Few: failing.count < few}
	fields := map[string]sides{}
	missing := map[string][]string{}
	for _, field := range compared() {
		values := sides{}
		for _, v := range failing.fields[field].values {
			values[v.Name] = [2]int64{v.Count, 0}
		}
		for _, v := range healthy.fields[field].values {
			values[v.Name] = [2]int64{values[v.Name][0], v.Count}
		}
		fields[field] = values
		for value, n := range values {
			if n[0] == 0 && failing.fields[field].cut || n[1] == 0 && healthy.fields[field].cut {
				missing[field] = append(missing[field], value)
			}
		}
	}
	if len(missing) > 0 {
		failing, healthy, err := q.sides(ctx, f, missing)
		if err != nil {
			return Different{}, err
		}
		for field := range missing {
			for i, side := range []side{failing, healthy} {
				for _, v := range side.fields[field].values {
					n := fields[field][v.Name]
					n[i] = v.Count
					fields[field][v.Name] = n
				}
			}
		}
	}
	d.Values = differences(fields, d.Failing, d.Healthy)
	for i, v := range d.Values {
		d.Values[i].Query = f.query.With(kql.Is(v.Field, v.Value))
	}
	return d, nil
}

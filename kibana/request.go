package kibana

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

type object = map[string]any

// Request is the search whose answer holds the panel's numbers, as Elasticsearch
// understands it: the same fields, calculations, filters and breakdown as the
// panel's Lens state. KQL goes to Elasticsearch's own kql query. What Lens
// calculates itself after the search is done by pipeline aggregations here:
// formulas by bucket_script, counter_rate by derivative (which, unlike Lens',
// turns negative where a counter starts anew). Dividing by a step's seconds is
// left out.
func (p Panel) Request(v DataView, from, to time.Time) map[string]any {
	inner := object{}
	for i, m := range p.Metrics {
		m.aggs(key(i), inner)
	}
	if p.chart() {
		step := max(to.Sub(from)/60, time.Second).Round(time.Second)
		inner = object{"time": object{
			"date_histogram": object{"field": "@timestamp", "fixed_interval": fmt.Sprintf("%ds", int(step.Seconds()))}, "aggs": inner,
		}}
	}
	for i := len(p.By) - 1; i >= 0; i-- {
		b := p.By[i]
		inner = object{"by" + strconv.Itoa(i): object{"terms": object{"field": b.Field, "size": b.Size, "order": p.order(b)}, "aggs": p.ordered(b, inner)}}
	}
	filter := []object{{"range": object{"@timestamp": object{"gte": from.UTC().Format(time.RFC3339), "lt": to.UTC().Format(time.RFC3339)}}}}
	if p.KQL != "" {
		filter = append(filter, kql(p.KQL))
	}
	request := object{
		"size": 0, "track_total_hits": true,
		"query": object{"bool": object{"filter": filter}},
		// Scripts over aggregations need buckets around them.
		"aggs": object{"all": object{"filters": object{"filters": object{"all": object{"match_all": object{}}}}, "aggs": inner}},
	}
	if len(v.Runtime) > 0 {
		request["runtime_mappings"] = v.runtime()
	}
	return request
}

// kql is Elasticsearch's query in Kibana's language (8.18 and later).
// https://www.elastic.co/docs/reference/query-languages/query-dsl/query-dsl-kql-query
func kql(text string) object { return object{"kql": object{"query": text}} }

func key(i int) string { return "m" + strconv.Itoa(i) }

// aggs adds the aggregations of a metric under the key, and returns the path at
// which bucket_script and a terms order find its value.
func (m Metric) aggs(key string, into object) (path string) {
	if m.Op == Formula {
		paths := object{}
		n := 0
		script := m.Expr.painless(func(part Metric) string {
			name := key + "x" + strconv.Itoa(n)
			n++
			paths[name] = part.aggs(name, into)
			return "params." + name
		})
		into[key] = object{"bucket_script": object{"buckets_path": paths, "script": script}}
		return key
	}
	if m.Op == Count {
		query := object{"match_all": object{}}
		if m.KQL != "" {
			query = kql(m.KQL)
		}
		into[key] = object{"filter": query}
		return key + ">_count"
	}
	agg := m.agg()
	path = key
	if m.KQL == "" {
		into[key] = agg
	} else {
		into[key] = object{"filter": kql(m.KQL), "aggs": object{"v": agg}}
		path += ">v"
	}
	switch m.Op {
	case Percentile:
		path += "." + strconv.Itoa(m.Percent)
	case CounterRate:
		into[key+"rate"] = object{"derivative": object{"buckets_path": path, "unit": "1s"}}
		path = key + "rate.normalized_value"
	}
	return path
}

func (m Metric) agg() object {
	field := object{"field": m.Field}
	switch m.Op {
	case Average:
		return object{"avg": field}
	case UniqueCount:
		return object{"cardinality": field}
	case Percentile:
		return object{"percentiles": object{"field": m.Field, "percents": []int{m.Percent}}}
	case LastValue:
		return object{"top_hits": object{"size": 1, "_source": false, "fields": []string{m.Field}, "sort": []object{{"@timestamp": "desc"}}}}
	case CounterRate:
		return object{"max": field}
	}
	return object{string(m.Op): field}
}

// painless writes the formula as a script.
func (e Expr) painless(name func(Metric) string) string {
	switch {
	case e.metric != nil:
		return name(*e.metric)
	case e.call == "":
		return strconv.FormatFloat(e.number, 'f', -1, 64) + "d"
	}
	parts := make([]string, len(e.args))
	for i, a := range e.args {
		parts[i] = a.painless(name)
	}
	return "(" + strings.Join(parts, sign(e.call)) + ")"
}

func sign(call string) string {
	return map[string]string{"add": " + ", "subtract": " - ", "multiply": " * ", "divide": " / "}[call]
}

// order is a terms aggregation's, as Lens asks for it.
func (p Panel) order(b Terms) object {
	if b.OrderBy < 0 {
		return object{"_key": "asc"}
	}
	m := p.Metrics[b.OrderBy]
	if m.Op == Count && m.KQL == "" {
		return object{"_count": "desc"}
	}
	return object{strings.TrimSuffix(m.aggs("order", object{}), ">_count"): "desc"}
}

// ordered adds what order asks for beside the aggregations: those of the metrics
// stand deeper where a panel is broken down more than once, or over time.
func (p Panel) ordered(b Terms, inner object) object {
	if b.OrderBy >= 0 {
		p.Metrics[b.OrderBy].aggs("order", inner)
	}
	return inner
}

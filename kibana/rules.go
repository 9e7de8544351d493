package kibana

import "fmt"

// Rule is an alerting rule of Kibana, for those who prefer them to Pharos' own
// watches. It only shows in Kibana until somebody gives it a connector there.
type Rule struct {
	// ID is a UUID, which Kibana wants; Name is the file's.
	ID, Name, Title string
	View            string
	KQL             string
	GroupBy         []string
	// Criteria are all to be met.
	Criteria []Criterion
}

// Criterion compares a calculation over a window of time with a threshold. It is
// that of Kibana's rule type "custom threshold".
// https://www.elastic.co/guide/en/observability/8.19/custom-threshold-alert.html
type Criterion struct {
	Label string
	// Metrics are A, B, … of the equation.
	Metrics    []RuleMetric
	Equation   string
	Comparator string // "<" or ">"
	Threshold  float64
	Minutes    int
}

// RuleMetric is one calculation of a criterion.
type RuleMetric struct {
	Name  string `json:"name"`
	Op    string `json:"aggType"`          // count, avg, max, sum, cardinality, p95, p99
	Field string `json:"field,omitempty"`  // empty for count
	KQL   string `json:"filter,omitempty"` // only documents that match
}

// Rules are all of them. They ask what the watches of the same name ask, with
// fixed thresholds: burn rates and learned series are Pharos' own.
func Rules() []Rule {
	return []Rule{
		{
			"5b8f6a3e-3c0b-4c0e-9b53-0d6a1f1f6a01", "availability", "Pharos: availability under 99 %", traffic, requestsKQL, nil, []Criterion{
				{"availability", []RuleMetric{{"A", "count", "", failedKQL}, {"B", "count", "", ""}}, "1 - A / B", "<", 0.99, 5},
				{"requests", []RuleMetric{{"A", "count", "", ""}}, "", ">", 50, 5},
			},
		},
		{
			"5b8f6a3e-3c0b-4c0e-9b53-0d6a1f1f6a02", "latency", "Pharos: a route is slow", traffic, requestsKQL, []string{"http.route"}, []Criterion{
				{"p95 in nanoseconds", []RuleMetric{{"A", "p95", "event.duration", ""}}, "", ">", 1e9, 5},
				{"requests", []RuleMetric{{"A", "count", "", ""}}, "", ">", 50, 5},
			},
		},
		{
			"5b8f6a3e-3c0b-4c0e-9b53-0d6a1f1f6a03", "monitor-down", "Pharos: a monitor is down", monitors, `monitor.status : "down"`, []string{"monitor.name"}, []Criterion{
				{"failed checks", []RuleMetric{{"A", "count", "", ""}}, "", ">", 3, 1},
			},
		},
		{
			"5b8f6a3e-3c0b-4c0e-9b53-0d6a1f1f6a04", "errors", "Pharos: a service logs many errors", logs, errorsKQL, []string{"service.name"}, []Criterion{
				{"lines", []RuleMetric{{"A", "count", "", ""}}, "", ">", 20, 5},
			},
		},
		{
			"5b8f6a3e-3c0b-4c0e-9b53-0d6a1f1f6a05", "disk", "Pharos: a disk is nearly full", hosts, "", []string{"host.name", "system.filesystem.mount_point"}, []Criterion{
				{"share that is full", []RuleMetric{{"A", "max", "system.filesystem.used.pct", ""}}, "", ">", 0.9, 5},
			},
		},
		{
			"5b8f6a3e-3c0b-4c0e-9b53-0d6a1f1f6a06", "queue-lag", "Pharos: events wait on the bus", processes, "", []string{"prometheus.labels.group"}, []Criterion{
				{"messages", []RuleMetric{{"A", "max", ownMetrics + "shop_bus_lag_messages", ""}}, "", ">", 10_000, 5},
			},
		},
	}
}

// Created is what Kibana's API takes to make the rule.
func (r Rule) Created() map[string]any {
	body := r.body()
	body["rule_type_id"], body["consumer"], body["enabled"] = "observability.rules.custom_threshold", "observability", true
	body["actions"] = []any{}
	return body
}

// Updated is what it takes to change the rule, without type and consumer, which
// stay. Actions are those that somebody has given it.
func (r Rule) Updated(actions []map[string]any) map[string]any {
	body := r.body()
	body["actions"] = append([]map[string]any{}, actions...)
	return body
}

func (r Rule) body() map[string]any {
	criteria := make([]object, len(r.Criteria))
	for i, c := range r.Criteria {
		criteria[i] = object{
			"label": c.Label, "metrics": c.Metrics, "comparator": c.Comparator, "threshold": []float64{c.Threshold}, "timeSize": c.Minutes, "timeUnit": "m",
		}
		if c.Equation != "" {
			criteria[i]["equation"] = c.Equation
		}
	}
	params := object{
		"criteria": criteria, "alertOnNoData": false, "alertOnGroupDisappear": false,
		"searchConfiguration": object{"index": objectID(r.View), "query": query(r.KQL)},
	}
	if len(r.GroupBy) > 0 {
		params["groupBy"] = r.GroupBy
	}
	return object{"name": r.Title, "tags": []string{"pharos"}, "schedule": object{"interval": "1m"}, "params": params}
}

// RuleFiles are the rules as they are created, a file each.
func RuleFiles() ([]File, error) {
	var files []File
	for _, r := range Rules() {
		text, err := encode(r.Created())
		if err != nil {
			return nil, fmt.Errorf("rule %s: %w", r.Name, err)
		}
		files = append(files, File{r.Name + ".json", []byte(text + "\n")})
	}
	return files, nil
}

package slos

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"pharos/console/kql"
	"pharos/slo"
	"pharos/watcher/document"
)

// badQuery is the console's search for the log lines that an objective counts as
// bad, of one group or of all. Empty where it counts no log lines, or by a query
// that the search can't say.
func badQuery(o slo.Objective, group string) string {
	r := o.Indicator.Ratio
	if r == nil || len(r.Total.Counters) > 0 || r.Total.Sum != "" {
		return ""
	}
	dataset, ok := datasetOf(r.Total.Index)
	if !ok {
		return ""
	}
	parts := []string{"data_stream.dataset:" + dataset}
	total, ok := clauses(r.Total.Query)
	if !ok {
		return ""
	}
	part, good := r.Part()
	own, ok := clauses(part.Query)
	if !ok {
		return ""
	}
	if good {
		parts = append(parts, total...)
		own = slices.DeleteFunc(own, func(c string) bool { return slices.Contains(total, c) })
		switch len(own) {
		case 0:
			return "" // what is good says nothing of what is bad
		case 1:
			parts = append(parts, "not "+own[0])
		default:
			parts = append(parts, "not ("+strings.Join(own, " and ")+")")
		}
	} else {
		parts = append(parts, own...)
	}
	if group != "" {
		parts = append(parts, kql.Is(r.GroupBy, group))
	}
	return strings.Join(parts, " and ")
}

var stream = regexp.MustCompile(`^logs-([a-z0-9._]+)-[a-z0-9._]+$`)

func datasetOf(index string) (string, bool) {
	m := stream.FindStringSubmatch(index)
	if m == nil {
		return "", false
	}
	return m[1], true
}

// clauses are the filters and exclusions of a bool query, as the search says
// them; false if there is one that it can't say.
func clauses(query *document.Object) ([]string, bool) {
	var q struct {
		Bool map[string][]map[string]json.RawMessage `json:"bool"`
	}
	text, err := document.Marshal(query)
	if err != nil || json.Unmarshal(text, &q) != nil {
		return nil, false
	}
	all := []string{}
	for _, occur := range []string{"filter", "must_not"} {
		for _, c := range q.Bool[occur] {
			said, ok := clause(c)
			if !ok {
				return nil, false
			}
			if occur == "must_not" {
				if strings.Contains(said, " and ") && !strings.HasPrefix(said, "(") {
					said = "(" + said + ")"
				}
				said = "not " + said
			}
			all = append(all, said)
		}
	}
	for occur := range q.Bool {
		if occur != "filter" && occur != "must_not" {
			return nil, false
		}
	}
	return all, true
}

func clause(c map[string]json.RawMessage) (string, bool) {
	var kind string
	var raw json.RawMessage
	for kind, raw = range c {
	}
	if kind == "exists" {
		var e struct{ Field string }
		err := json.Unmarshal(raw, &e)
		return e.Field + ":*", err == nil && len(c) == 1
	}
	var field map[string]json.RawMessage
	if len(c) != 1 || json.Unmarshal(raw, &field) != nil || len(field) != 1 {
		return "", false
	}
	for name, value := range field {
		switch kind {
		case "term":
			return kql.Is(name, plain(value)), true
		case "terms":
			var list []json.RawMessage
			if json.Unmarshal(value, &list) != nil {
				return "", false
			}
			var ways []string
			for _, v := range list {
				ways = append(ways, kql.Is(name, plain(v)))
			}
			return "(" + strings.Join(ways, " or ") + ")", len(ways) > 0
		case "range":
			return between(name, value)
		}
	}
	return "", false
}

func between(name string, value json.RawMessage) (string, bool) {
	var limits map[string]json.Number
	if json.Unmarshal(value, &limits) != nil {
		return "", false
	}
	var parts []string
	for _, op := range [][2]string{{"gt", ">"}, {"gte", ">="}, {"lt", "<"}, {"lte", "<="}} {
		if v, ok := limits[op[0]]; ok {
			parts = append(parts, fmt.Sprintf("%s %s %s", name, op[1], v))
			delete(limits, op[0])
		}
	}
	return strings.Join(parts, " and "), len(parts) > 0 && len(limits) == 0
}

// plain is a JSON value as it is written in a search.
func plain(v json.RawMessage) string {
	var text string
	if json.Unmarshal(v, &text) == nil {
		return text
	}
	return string(v)
}

// Package logs is the console's page of log lines: search, facets, histogram,
// live tail, surrounding lines and export over every log stream that the reader
// may read.
package logs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"pharos/console/kql"
	"pharos/elastic"
	"pharos/internal/fault"
)

// target is every stream of log lines. What the reader may not read of it is left
// out by Elasticsearch.
const target = "logs-*"

// Times that Elasticsearch may take for one question, and for which it keeps what
// a list of pages is read from.
const (
	searchTimeout = 8 * time.Second
	keepPages     = 2 * time.Minute
)

// store asks Elasticsearch for lines with one reader's rights.
type store struct {
	es     *elastic.Client
	target string
	// sampleAbove is up to how many lines facets and histogram are counted from all
	// of them.
	sampleAbove int64
}

func newStore(es *elastic.Client) store { return store{es, target, sampleAbove} }

// scope is which lines are meant: those of a time that a query finds.
type scope struct {
	query    *kql.Query
	from, to time.Time // to is not inside; zero times leave that side open
	// zone is where dates in the query are, a name of the IANA database; empty is
	// UTC.
	zone string
	// asked is the scope's question, where it was made before.
	asked *question
}

// question is a scope as Elasticsearch takes it.
type question struct {
	filters []elastic.Query
	// unknown are the fields of the query that no stream has mapped: nothing can
	// match them.
	unknown []string
}

// ask translates a scope. A query that can't be is a fault of the parameter q.
func (s store) ask(ctx context.Context, sc scope) (question, error) {
	var q question
	if sc.asked != nil {
		return *sc.asked, nil
	}
	kinds, err := s.kinds(ctx, sc.query.Fields())
	if err != nil {
		return q, err
	}
	for _, field := range sc.query.Fields() {
		if kinds[field] == "" && !hidden(field) {
			q.unknown = append(q.unknown, field)
		}
	}
	query, err := sc.query.Elastic(kql.Options{Kind: func(field string) kql.Kind { return kinds[field] }, Zone: sc.zone})
	if err != nil {
		return q, queryFault(err)
	}
	if bounds := within(sc.from, sc.to); bounds != nil {
		q.filters = append(q.filters, bounds)
	}
	q.filters = append(q.filters, query)
	return q, nil
}

// hidden are fields that each document has by itself.
func hidden(field string) bool { return field == "_id" || field == "_index" }

// queryFault makes a fault of a query that can't be read.
func queryFault(err error) error {
	var syntax *kql.SyntaxError
	if errors.As(err, &syntax) {
		return fault.Field(fault.InvalidParameter, "q", "The query can't be read at character %d: %s.", syntax.Column, syntax.Reason)
	}
	return err
}

// refusedQuery makes a fault of Elasticsearch's refusal of a query, which is one
// value or another that a field has no use for.
func refusedQuery(err error) error {
	var refused *elastic.Error
	if errors.As(err, &refused) && refused.Status == http.StatusBadRequest {
		return fmt.Errorf("%w: %w", fault.Field(fault.InvalidParameter, "q", "Elasticsearch can't search for that: a value does not fit its field, or the query is too costly."), err)
	}
	return err
}

// within is the filter of a time, in milliseconds as Elasticsearch keeps them;
// nil where both sides are open.
func within(from, to time.Time) elastic.Query {
	bounds := elastic.Query{"format": "epoch_millis"}
	if !from.IsZero() {
		bounds["gte"] = from.UnixMilli()
	}
	if !to.IsZero() {
		bounds["lt"] = to.UnixMilli()
	}
	if len(bounds) == 1 {
		return nil
	}
	return elastic.Query{"range": elastic.Query{"@timestamp": bounds}}
}

func all(filters ...elastic.Query) elastic.Query {
	return elastic.Query{"bool": elastic.Query{"filter": filters}}
}

// kinds returns the kinds of fields; one that is mapped nowhere is not there.
func (s store) kinds(ctx context.Context, fields []string) (map[string]kql.Kind, error) {
	kinds := map[string]kql.Kind{}
	if len(fields) == 0 {
		return kinds, nil
	}
	// A flattened field does not list what is inside of it.
	names := slices.Clone(fields)
	for _, field := range fields {
		for i, c := range field {
			if c == '.' {
				names = append(names, field[:i])
			}
		}
	}
	slices.Sort(names)
	types, err := s.es.FieldTypes(ctx, s.target, slices.DeleteFunc(slices.Compact(names), func(n string) bool { return n == "" || strings.ContainsAny(n, ",*") })...)
	if err != nil {
		return nil, err
	}
	for _, field := range fields {
		if known := types[field]; len(known) > 0 {
			kinds[field] = kind(known)
			continue
		}
		for i, c := range field {
			if c == '.' && slices.Contains(types[field[:i]], "flattened") {
				kinds[field] = kql.Flattened
			}
		}
	}
	return kinds, nil
}

// kind is the kind of a field by its types. One whose streams disagree is compared
// as a keyword, which refuses nothing.
func kind(types []string) kql.Kind {
	var kind kql.Kind
	for _, t := range types {
		var k kql.Kind
		switch t {
		case "text", "match_only_text", "annotated_text":
			k = kql.Text
		case "long", "integer", "short", "byte", "double", "float", "half_float", "scaled_float", "unsigned_long":
			k = kql.Number
		case "date", "date_nanos":
			k = kql.Date
		case "ip":
			k = kql.IP
		case "boolean":
			k = kql.Boolean
		case "flattened":
			k = kql.Flattened
		default:
			k = kql.Keyword
		}
		if kind != "" && kind != k {
			return kql.Keyword
		}
		kind = k
	}
	return kind
}

// fields lists every field that can be searched, for suggestions: first those that
// are asked for most, then the others by name.
func (s store) fields(ctx context.Context) ([]string, error) {
	types, err := s.es.FieldTypes(ctx, s.target, "*")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range facetFields() {
		if _, ok := types[f[1]]; ok {
			names = append(names, f[1])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(types)) {
		if !strings.HasPrefix(name, "_") && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

func timeout(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) + "ms" }
